"""What the model says: a function of the request alone, so a test can know every word and count beforehand.

- The answer repeats the last user message: `You said: …`; images, audio and files are named with a digest.
- `count to N` is answered with N tokens `1 2 3 … N`: streams of a known length.
- Tools whose names stand in the last user message are called, once per mention, with arguments made from their schema.
- A token is a word with the space before it; a message costs its words plus 3.
- A system message with the word `cached` was read from the cache. Models named *reasoner* or o3* think for 4 tokens,
  unless thinking is switched off.
- A JSON schema in the system prompt is followed as one in `response_format`, in a code fence where the provider has no
  JSON mode; `break the schema` in the last message is answered with an object that fits none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.kinds import Counts

_THOUGHT = ["The ", "user ", "asks ", "politely."]
_IMAGE_TOKENS = 85
_AUDIO_TOKENS = 50


@dataclass
class Choice:
    tokens: list[str] = field(default_factory=list)
    """Text in pieces, one per streamed chunk."""
    thought: list[str] = field(default_factory=list)
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = "stop"

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def choices(body: dict[str, Any]) -> list[Choice]:
    """The `n` answers to a chat request."""
    return [_choice(body, index) for index in range(body.get("n") or 1)]


def completion_choices(body: dict[str, Any]) -> list[Choice]:
    """The answers to a legacy completion, one set per prompt."""
    prompt = body["prompt"]
    prompts = prompt if isinstance(prompt, list) and prompt and isinstance(prompt[0], str) else [prompt]
    made: list[Choice] = []
    for one in prompts:
        for index in range(body.get("n") or 1):
            text = _speech(str(one), index)
            made.append(_limited(Choice(tokens((str(one) if body.get("echo") else "") + text)), body))
    return made


def counts(body: dict[str, Any], made: list[Choice]) -> Counts:
    """What the exchange consumed, in tokens."""
    prompt = cached = audio = 0
    for message in body.get("messages") or []:
        size = _message_size(message)
        prompt += size
        audio += _AUDIO_TOKENS * sum(part.get("type") == "input_audio" for part in _parts(message))
        if message["role"] == "system" and "cached" in _said(message):
            cached += size
    if "prompt" in body:
        prompt += len(tokens(str(body["prompt"])))
    for tool in body.get("tools") or []:
        prompt += len(tokens(json.dumps(tool)))
    spoken = sum(len(c.tokens) + sum(len(_argument_pieces(t)) + 1 for t in c.tool_calls) for c in made)
    return Counts(
        prompt=prompt, completion=spoken, cached=cached, audio=audio, reasoning=sum(len(c.thought) for c in made)
    )


def _choice(body: dict[str, Any], index: int) -> Choice:
    thinks = re.search(r"reasoner|^o3", str(body["model"])) and (body.get("thinking") or {}).get("type") != "disabled"
    choice = Choice(thought=list(_THOUGHT) if thinks else [])
    wanted = body.get("response_format") or {}
    last = body["messages"][-1]
    called = _called_tools(body, last)
    if called:
        choice.tool_calls = [_tool_call(tool, number, index) for number, tool in enumerate(called)]
        choice.finish_reason = "tool_calls"
        return choice
    prompted = _prompted_schema(body)
    if wanted.get("type") == "json_schema" or prompted is not None:
        schema = prompted if prompted is not None else wanted["json_schema"].get("schema") or {}
        text = json.dumps(sample(schema, schema.get("$defs") or {}))
        if "break the schema" in _said(last):
            text = '{"unexpected": [1, 2]}'
        if not wanted:
            text = f"```json\n{text}\n```"
    elif wanted.get("type") == "json_object":
        text = '{"answer": "json"}'
    elif last["role"] == "tool":
        results = [_said(m) for m in body["messages"] if m["role"] == "tool"]
        text = "The tools said: " + "; ".join(results)
    else:
        text = _speech(_said(last), index)
    choice.tokens = tokens(text)
    return _limited(choice, body)


def _prompted_schema(body: dict[str, Any]) -> Any:
    """The schema that stands in a system message, on a line of its own after the words `JSON schema`."""
    for message in body["messages"]:
        if message["role"] == "system" and "JSON schema" in _said(message):
            for line in _said(message).splitlines():
                if line.startswith("{"):
                    return json.loads(line)
    return None


def _limited(choice: Choice, body: dict[str, Any]) -> Choice:
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        if stop in choice.text:
            choice.tokens = tokens(choice.text[: choice.text.index(stop)])
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if most is not None and len(choice.tokens) > most:
        choice.tokens, choice.finish_reason = choice.tokens[:most], "length"
    return choice


def _speech(said: str, index: int) -> str:
    number = re.search(r"count to (\d+)", said)
    text = " ".join(map(str, range(1, int(number[1]) + 1))) if number else f"You said: {said}"
    return text if index == 0 else f"{text} (choice {index})"


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _said(message: dict[str, Any]) -> str:
    if not isinstance(message.get("content"), list):
        return message.get("content") or ""
    return " ".join(_part_said(part) for part in _parts(message))


def _part_said(part: dict[str, Any]) -> str:
    if part["type"] == "text":
        return part["text"]
    if part["type"] == "image_url":
        url = part["image_url"]["url"]
        if not url.startswith("data:"):
            return f"[image {url}]"
        head, _, encoded = url.partition(",")
        return f"[{head.removeprefix('data:').partition(';')[0]} {digest(base64.b64decode(encoded))}]"
    if part["type"] == "input_audio":
        return f"[audio {part['input_audio']['format']} {digest(base64.b64decode(part['input_audio']['data']))}]"
    return f"[{part['type']}]"


def digest(data: bytes) -> str:
    """How content is named in answers: size and the head of its SHA-256."""
    return f"{len(data)}:{hashlib.sha256(data).hexdigest()[:8]}"


def _message_size(message: dict[str, Any]) -> int:
    size = 3 + len(tokens(_said(message)))
    for part in _parts(message):
        size += {"image_url": _IMAGE_TOKENS, "input_audio": _AUDIO_TOKENS}.get(part["type"], 0)
    return size + sum(len(tokens(call["function"]["arguments"])) for call in message.get("tool_calls") or [])


def _called_tools(body: dict[str, Any], last: dict[str, Any]) -> list[dict[str, Any]]:
    offered = {tool["function"]["name"]: tool for tool in body.get("tools") or [] if tool["type"] == "function"}
    rule = body.get("tool_choice") or "auto"
    if not offered or rule == "none" or last["role"] == "tool":
        return []
    if isinstance(rule, dict):
        return [offered[rule["function"]["name"]]]
    mentioned = [offered[word] for word in re.findall(r"[\w-]+", _said(last)) if word in offered]
    if not mentioned and rule == "required":
        mentioned = [next(iter(offered.values()))]
    return mentioned[:1] if body.get("parallel_tool_calls") is False else mentioned


def _tool_call(tool: dict[str, Any], number: int, choice: int) -> dict[str, Any]:
    name = tool["function"]["name"]
    schema = tool["function"].get("parameters") or {}
    arguments = json.dumps(sample(schema, schema.get("$defs") or {}, number))
    return {
        "id": f"call_{choice}{number}{hashlib.sha256(name.encode()).hexdigest()[:20]}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _argument_pieces(call: dict[str, Any]) -> list[str]:
    return argument_pieces(call["function"]["arguments"])


def argument_pieces(arguments: str) -> list[str]:
    """Arguments as they stream: pieces of five characters, which cut words and escapes apart."""
    return [arguments[at : at + 5] for at in range(0, len(arguments), 5)] or [""]


def sample(schema: Any, definitions: dict[str, Any], number: int = 0, name: str = "value") -> Any:
    """A value that fits `schema`; strings say their property's name and `number`."""
    if not isinstance(schema, dict):
        return None
    if "$ref" in schema:
        return sample(definitions.get(schema["$ref"].rsplit("/", 1)[-1], {}), definitions, number, name)
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return sample(schema[word][0], definitions, number, name)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][number % len(schema["enum"])]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        properties: dict[str, Any] = schema.get("properties") or {}
        return {key: sample(inner, definitions, number, key) for key, inner in properties.items()}
    if kind == "array":
        return [sample(schema.get("items") or {}, definitions, number, name)]
    plain: dict[Any, Any] = {"integer": 7 + number, "number": 2.5, "boolean": True, "null": None}
    return plain.get(kind, f"{name}-é-{number}")
