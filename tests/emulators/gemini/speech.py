"""What the emulated Gemini says: a function of the request alone, in the manner of `tests/emulators/answers.py`.

- The answer repeats what the user said last; files are named with a digest. `count to N` counts.
- Functions whose names the user says are called, once per mention; their results are repeated.
- `forbidden` is a prompt that is blocked, `unsafe` an answer that is cut off, `malformed` a call that went wrong.
- Models that draw answer `draw` with a picture, those that speak answer with sound.
- It thinks with 4 tokens unless it is told not to. A token is a word with the space before it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.emulators import answers
from tests.emulators.gemini.checks import SIGNED, declared, version

Json = dict[str, Any]

THOUGHT = ["The ", "user ", "asks ", "politely."]
PICTURE = base64.b64encode(b"\x89PNG a picture that was drawn").decode()
SOUND = base64.b64encode(b"RIFF a sound that was made").decode()
_PICTURE_TOKENS, _SOUND_TOKENS, _DOCUMENT_TOKENS = 258, 50, 258


@dataclass
class Said:
    pieces: list[Json] = field(default_factory=list)
    """Parts, one for each chunk of a stream."""
    finish: str | None = "STOP"
    block: str | None = None
    usage: Json = field(default_factory=dict)
    grounding: Json | None = None


def signature(name: str) -> str:
    """A thought signature as the emulator makes and knows them."""
    return base64.b64encode(f"{SIGNED}{name}".encode()).decode()


def say(request: Json, model: str) -> Said:
    contents = request["contents"]
    last = contents[-1]["parts"]
    text = " ".join(said_of(part) for part in last)
    config = request.get("generationConfig") or {}
    thinks, is_shown = _thinking(config, model)
    if "forbidden" in text:
        return Said(finish=None, block="PROHIBITED_CONTENT", usage=_usage(request, model, 0, 0))
    said = Said()
    if thinks and is_shown:
        said.pieces = [{"text": word, "thought": True} for word in THOUGHT]
    spoken = _speak(said, request, model, text, config)
    said.usage = _usage(request, model, spoken, 4 if thinks else 0)
    if any("googleSearch" in tool for tool in request.get("tools") or []):
        said.grounding = {"webSearchQueries": ["first query", "second query"], "groundingChunks": []}
    return said


def _speak(said: Said, request: Json, model: str, text: str, config: Json) -> int:
    """Adds what is said; gives its tokens."""
    is_3 = version(model) >= (3, 0)
    calls = _calls(request, text)
    if "malformed" in text:
        said.finish = "MALFORMED_FUNCTION_CALL"
        return 0
    if calls:
        for n, call in enumerate(calls):
            part: Json = {"functionCall": call}
            if is_3 and n == 0:
                # Of parallel calls the first one alone is signed.
                part["thoughtSignature"] = signature(f"{call['id']}")
            said.pieces.append(part)
        return sum(len(answers.tokens(json.dumps(call["args"]))) + 1 for call in calls)
    if "-image" in model and "draw" in text:
        said.pieces.append({"text": "Here it is."})
        said.pieces.append({"inlineData": {"mimeType": "image/png", "data": PICTURE}})
        return 1290
    if "AUDIO" in (config.get("responseModalities") or ()):
        said.pieces.append({"inlineData": {"mimeType": "audio/wav", "data": SOUND}})
        return 32
    words = answers.tokens(_text(request, text, config))
    for stop in config.get("stopSequences") or []:
        whole = "".join(words)
        if stop in whole:
            words = answers.tokens(whole[: whole.index(stop)])
    most = config.get("maxOutputTokens")
    if "unsafe" in text:
        words, said.finish = words[:2], "SAFETY"
    elif most is not None and len(words) > most:
        words, said.finish = words[:most], "MAX_TOKENS"
    said.pieces += [{"text": word} for word in words]
    if is_3 and said.finish == "STOP":
        # Of text the last part is signed, and a stream may bring that alone.
        said.pieces.append({"text": "", "thoughtSignature": signature("text")})
    return len(words)


def _text(request: Json, text: str, config: Json) -> str:
    schema = config.get("responseJsonSchema")
    if schema is not None:
        return json.dumps(answers.sample(schema, schema.get("$defs") or {}), ensure_ascii=False)
    if (own := config.get("responseSchema")) is not None:
        return json.dumps(answers.sample(_plain(own), {}), ensure_ascii=False)
    if config.get("responseMimeType") == "application/json":
        return '{"answer": "json"}'
    last = request["contents"][-1]["parts"]
    results = [part["functionResponse"] for part in last if "functionResponse" in part]
    if results:
        told = "; ".join(_result(result) for result in results)
        return f"The functions said: {told}"
    number = re.search(r"count to (\d+)", text)
    return " ".join(map(str, range(1, int(number[1]) + 1))) if number else f"You said: {text}"


def _result(result: Json) -> str:
    response = result["response"]
    shown = [said_of(part) for part in result.get("parts") or []]
    word = response.get("output") if set(response) == {"output"} else None
    return " ".join([str(word) if word is not None else json.dumps(response, ensure_ascii=False), *shown])


def _plain(schema: Any) -> Any:
    """Google's own kind of schema in small letters."""
    if isinstance(schema, dict):
        return {name: held.lower() if name == "type" else _plain(held) for name, held in schema.items()}
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema


def _calls(request: Json, text: str) -> list[Json]:
    offered = {function["name"]: function for function in declared(request)}
    calling = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode, allowed = calling.get("mode", "AUTO"), calling.get("allowedFunctionNames")
    last = request["contents"][-1]["parts"]
    if not offered or mode == "NONE" or any("functionResponse" in part for part in last):
        return []
    named = [word for word in re.findall(r"[\w-]+", text) if word in offered]
    if mode == "ANY":
        possible = allowed or list(offered)
        named = [name for name in named if name in possible] or possible[:1]
    return [_call(offered[name], n) for n, name in enumerate(named)]


def _call(function: Json, n: int) -> Json:
    schema = function.get("parametersJsonSchema")
    if schema is None:
        schema = _plain(function.get("parameters") or {})
    digest = hashlib.sha256(function["name"].encode()).hexdigest()[:6]
    args = answers.sample({"type": "object", **schema}, schema.get("$defs") or {}, n)
    return {"id": f"fc_{n}{digest}", "name": function["name"], "args": args}


def said_of(part: Json) -> str:
    if "text" in part:
        return str(part["text"])
    if "inlineData" in part:
        data = base64.b64decode(part["inlineData"]["data"].replace("-", "+").replace("_", "/"))
        return f"[{part['inlineData']['mimeType']} {answers.digest(data)}]"
    if "fileData" in part:
        return f"[file {part['fileData'].get('mimeType')} {part['fileData']['fileUri']}]"
    return ""


def _thinking(config: Json, model: str) -> tuple[bool, bool]:
    thinking = config.get("thinkingConfig") or {}
    thinks = version(model) >= (2, 5) and "-image" not in model and thinking.get("thinkingBudget") != 0
    if (thinking.get("thinkingLevel") or "").upper() == "MINIMAL":
        thinks = False
    return thinks, bool(thinking.get("includeThoughts"))


def tokens_of(request: Json) -> tuple[int, int, int]:
    """Of the prompt: all, those from a cache, those of sound."""
    total = cached = sound = 0
    for part in (request.get("systemInstruction") or {}).get("parts") or []:
        size = len(answers.tokens(part.get("text", "")))
        total += size
        cached += size if "cached" in part.get("text", "") else 0
    for content in request["contents"]:
        total += 3
        for part in content["parts"]:
            size = len(answers.tokens(part.get("text", "")))
            media = (part.get("inlineData") or part.get("fileData") or {}).get("mimeType", "")
            if media.startswith("audio/"):
                size, sound = _SOUND_TOKENS, sound + _SOUND_TOKENS
            elif media:
                size = _PICTURE_TOKENS if media.startswith("image/") else _DOCUMENT_TOKENS
            if "functionCall" in part or "functionResponse" in part:
                size = len(answers.tokens(json.dumps(part)))
            total += size
    for function in declared(request):
        total += len(answers.tokens(json.dumps(function)))
    return total, cached, sound


def _usage(request: Json, model: str, spoken: int, thoughts: int) -> Json:
    prompt, cached, sound = tokens_of(request)
    usage: Json = {"promptTokenCount": prompt, "totalTokenCount": prompt + spoken + thoughts}
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt - sound}]
    if spoken:
        usage["candidatesTokenCount"] = spoken
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if cached:
        usage["cachedContentTokenCount"] = cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    if sound:
        usage["promptTokensDetails"].append({"modality": "AUDIO", "tokenCount": sound})
    return usage
