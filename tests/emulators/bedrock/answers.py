"""What the model says, as in `tests/emulators/answers.py`: a function of the request alone.

- `count to N` is answered with N tokens, everything else with `You said: …`, pictures and documents with a digest.
- Tools whose names stand in the last user message are called, once per mention; a forced one always.
- A schema in `outputConfig` is followed. A model that is told to think does so before it speaks, and signs the thought;
  the word `secretly` in the last message hides it.
- A cache point costs 100 tokens to write; where the system prompt says `cached` they were read instead.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field

from tests.emulators import answers
from tests.emulators.bedrock import frames
from tests.emulators.bedrock.checks import Json, signature_of

_THOUGHT = ["The user ", "asks ", "politely."]
_HIDDEN = base64.b64encode(b"what nobody shall read").decode()
_POINT_TOKENS = 100


@dataclass
class Said:
    thought: list[str] = field(default_factory=list)
    is_hidden: bool = False
    tokens: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None


def say(body: Json) -> Said:
    said = Said()
    last = body["messages"][-1]["content"]
    asked = " ".join(_words(block) for block in last).strip()
    if _thinks(body):
        said.thought, said.is_hidden = list(_THOUGHT), "secretly" in asked
    said.calls = _calls(body, last, asked)
    if said.calls:
        said.stop_reason = "tool_use"
        return said
    results = [_result(block["toolResult"]) for block in last if "toolResult" in block]
    wanted = (body.get("outputConfig") or {}).get("textFormat")
    number = re.search(r"count to (\d+)", asked)
    if wanted is not None:
        schema = json.loads(wanted["structure"]["jsonSchema"]["schema"])
        text = json.dumps(answers.sample(schema, schema.get("$defs") or {}))
    elif results:
        text = "The tools said: " + "; ".join(results)
    elif number is not None:
        text = " ".join(map(str, range(1, int(number[1]) + 1)))
    else:
        text = f"You said: {asked}"
    _limit(said, text, body.get("inferenceConfig") or {})
    return said


def _limit(said: Said, text: str, inference: Json) -> None:
    for stop in inference.get("stopSequences") or []:
        if stop in text:
            text = text[: text.index(stop)]
            said.stop_reason, said.stop_sequence = "stop_sequence", stop
    said.tokens = answers.tokens(text)
    most = inference.get("maxTokens")
    if most is not None and len(said.tokens) > most:
        said.tokens, said.stop_reason = said.tokens[:most], "max_tokens"


def _thinks(body: Json) -> bool:
    extra = body.get("additionalModelRequestFields") or {}
    kind = (extra.get("thinking") or extra.get("reasoningConfig") or {}).get("type")
    return kind in ("enabled", "adaptive") or "reasoning_effort" in extra


def _words(block: Json) -> str:
    if "text" in block:
        return block["text"]
    for kind in ("image", "document", "video", "audio"):
        if kind in block:
            content = base64.b64decode(block[kind]["source"]["bytes"])
            name = f" {block[kind]['name']}" if kind == "document" else ""
            return f"[{kind} {block[kind]['format']}{name} {answers.digest(content)}]"
    return ""


def _result(result: Json) -> str:
    said = " ".join(json.dumps(part["json"]) if "json" in part else _words(part) for part in result["content"])
    return f"error: {said}" if result.get("status") == "error" else said


def _calls(body: Json, last: list[Json], asked: str) -> list[Json]:
    config = body.get("toolConfig") or {}
    specs = {tool["toolSpec"]["name"]: tool["toolSpec"] for tool in config.get("tools", []) if "toolSpec" in tool}
    choice = config.get("toolChoice") or {}
    if "tool" in choice:
        names = [choice["tool"]["name"]]
    elif any("toolResult" in block for block in last):
        return []
    else:
        names = [word for word in re.findall(r"[\w-]+", asked) if word in specs]
        if not names and "any" in choice:
            names = [next(iter(specs))]
    calls: list[Json] = []
    for n, name in enumerate(names):
        schema = specs[name]["inputSchema"]["json"]
        arguments = answers.sample(schema, schema.get("$defs") or {}, n)
        calls.append({"toolUseId": f"tooluse_{n}{'x' * 20}", "name": name, "input": arguments})
    return calls


def usage(body: Json, said: Said) -> Json:
    """Input that was cached is in none of the other counts."""
    text = " ".join(_words(block) for message in body["messages"] for block in message["content"])
    fresh = 3 + len(answers.tokens(text))
    spoken = len(said.thought) + len(said.tokens) + sum(1 + len(_pieces(call)) for call in said.calls)
    report: Json = {"inputTokens": fresh, "outputTokens": spoken, "totalTokens": fresh + spoken}
    points = [block["cachePoint"] for block in _all_blocks(body) if "cachePoint" in block]
    cached = _POINT_TOKENS * len(points)
    is_read = "cached" in json.dumps(body.get("system") or [])
    report |= {"cacheReadInputTokens": cached if is_read else 0, "cacheWriteInputTokens": 0 if is_read else cached}
    report["totalTokens"] += cached
    if points and not is_read:
        by_time = {ttl: sum(point.get("ttl", "5m") == ttl for point in points) for ttl in ("1h", "5m")}
        report["cacheDetails"] = [
            {"ttl": ttl, "inputTokens": _POINT_TOKENS * count} for ttl, count in by_time.items() if count
        ]
    return report


def _all_blocks(body: Json) -> list[Json]:
    tools = (body.get("toolConfig") or {}).get("tools", [])
    return [*tools, *(body.get("system") or []), *(b for m in body["messages"] for b in m["content"])]


def whole(body: Json, said: Said, report: Json | None) -> Json:
    content: list[Json] = []
    if said.thought:
        text = "".join(said.thought)
        shown = {"reasoningText": {"text": text, "signature": signature_of(text)}}
        content.append({"reasoningContent": {"redactedContent": _HIDDEN} if said.is_hidden else shown})
    if said.tokens:
        content.append({"text": "".join(said.tokens)})
    content += [{"toolUse": call} for call in said.calls]
    answer: Json = {
        "metrics": {"latencyMs": 551},
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": said.stop_reason,
    }
    if (extra := _extra(body, said)) is not None:
        answer["additionalModelResponseFields"] = extra
    return answer if report is None else answer | {"usage": report}


def stream(body: Json, said: Said, report: Json | None) -> list[bytes]:
    """The frames of a stream. A block of text is not announced, as in the real service."""
    events = [frames.event("messageStart", {"role": "assistant"})]
    n = 0
    if said.thought:
        text = "".join(said.thought)
        pieces: list[Json] = [{"text": piece} for piece in said.thought] + [{"signature": signature_of(text)}]
        if said.is_hidden:
            pieces = [{"redactedContent": _HIDDEN}]
        events += [_delta(n, {"reasoningContent": piece}) for piece in pieces]
        events.append(frames.event("contentBlockStop", {"contentBlockIndex": n}))
        n += 1
    if said.tokens:
        events += [_delta(n, {"text": piece}) for piece in said.tokens]
        events.append(frames.event("contentBlockStop", {"contentBlockIndex": n}))
        n += 1
    for call in said.calls:
        start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
        events.append(frames.event("contentBlockStart", {"contentBlockIndex": n, "start": start}))
        events += [_delta(n, {"toolUse": {"input": piece}}) for piece in _pieces(call)]
        events.append(frames.event("contentBlockStop", {"contentBlockIndex": n}))
        n += 1
    stop: Json = {"stopReason": said.stop_reason}
    if (extra := _extra(body, said)) is not None:
        stop["additionalModelResponseFields"] = extra
    events.append(frames.event("messageStop", stop))
    metadata = {"metrics": {"latencyMs": 551}}
    return [*events, frames.event("metadata", metadata if report is None else metadata | {"usage": report})]


def _delta(n: int, delta: Json) -> bytes:
    return frames.event("contentBlockDelta", {"contentBlockIndex": n, "delta": delta})


def _pieces(call: Json) -> list[str]:
    return answers.argument_pieces(json.dumps(call["input"]))


def _extra(body: Json, said: Said) -> Json | None:
    if "/stop_sequence" not in (body.get("additionalModelResponseFieldPaths") or []):
        return None
    return {"stop_sequence": said.stop_sequence}
