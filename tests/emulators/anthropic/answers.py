"""What the emulated Claude says: the same words as the OpenAI-compatible one, in blocks."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.answers import argument_pieces, digest, sample, tokens
from tests.emulators.anthropic.blocks import redacted, signature
from tests.emulators.anthropic.models import Model

Body = dict[str, Any]
Block = dict[str, Any]

THOUGHT = "The user asks politely."
_PICTURE_TOKENS = 90
_DOCUMENT_TOKENS = 150


@dataclass
class Said:
    """One answer."""

    blocks: list[Block] = field(default_factory=list[Block])
    stop_reason: str = "end_turn"
    stop_sequence: str | None = None
    stop_details: Block | None = None
    thought: int = 0
    """Tokens of thinking."""


def answer(body: Body, model: Model, seq: int) -> Said:
    said = Said()
    last = body["messages"][-1]
    told = _told(last)
    _think(said, body, model, told)
    called = _called(body, last, told)
    if called:
        for n, tool in enumerate(called):
            said.blocks.append(
                {"type": "tool_use", "id": f"toolu_emu{seq:06d}{n}", "name": tool["name"], "input": _arguments(tool, n)}
            )
        said.stop_reason = "tool_use"
        return said
    if "please refuse" in told:
        said.stop_reason = "refusal"
        said.stop_details = {"type": "refusal", "category": "cyber", "explanation": "This cannot be answered."}
        return said
    wanted = (body.get("output_config") or {}).get("format")
    results = [_result(block) for block in _blocks(last) if block["type"] == "tool_result"]
    if wanted is not None:
        schema = wanted["schema"]
        text = json.dumps(sample(schema, schema.get("$defs") or {}))
    elif results:
        text = "The tools said: " + "; ".join(results)
    elif number := re.search(r"count to (\d+)", told):
        text = " ".join(map(str, range(1, int(number[1]) + 1)))
    else:
        text = f"You said: {told}"
    _speak(said, text, body)
    return said


def _speak(said: Said, text: str, body: Body) -> None:
    for stop in body.get("stop_sequences") or ():
        if stop in text:
            text = text[: text.index(stop)]
            said.stop_reason, said.stop_sequence = "stop_sequence", stop
    words = tokens(text)
    if len(words) > body["max_tokens"]:
        text, said.stop_reason = "".join(words[: body["max_tokens"]]), "max_tokens"
    if text:
        said.blocks.append({"type": "text", "text": text})


def _think(said: Said, body: Body, model: Model, told: str) -> None:
    thinking = body.get("thinking") or {}
    asked = thinking.get("type") in ("enabled", "adaptive")
    if not asked and not (model.thinks_unasked and thinking.get("type") is None):
        return
    said.thought = len(tokens(THOUGHT))
    if "redact" in told:
        said.blocks.append({"type": "redacted_thinking", "data": redacted(THOUGHT)})
        return
    is_shown = thinking.get("display", "summarized" if model.shows_thoughts else "omitted") == "summarized"
    shown = THOUGHT if is_shown else ""
    said.blocks.append({"type": "thinking", "thinking": shown, "signature": signature(THOUGHT)})


def _called(body: Body, last: Body, told: str) -> list[Body]:
    offered = {tool["name"]: tool for tool in body.get("tools") or () if tool.get("type") in (None, "custom")}
    choice = body.get("tool_choice") or {"type": "auto"}
    if choice["type"] == "tool":
        return [offered[choice["name"]]]
    is_result = any(block["type"] == "tool_result" for block in _blocks(last))
    if not offered or choice["type"] == "none" or is_result:
        return []
    mentioned = [offered[word] for word in re.findall(r"[\w-]+", told) if word in offered]
    if not mentioned and choice["type"] == "any":
        mentioned = [next(iter(offered.values()))]
    return mentioned[:1] if choice.get("disable_parallel_tool_use") else mentioned


def _arguments(tool: Body, number: int) -> Any:
    schema = tool["input_schema"]
    return sample(schema, schema.get("$defs") or {}, number)


def _blocks(message: Body) -> list[Block]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _told(message: Body) -> str:
    return " ".join(_shown(block) for block in _blocks(message) if block["type"] != "tool_result")


def _result(block: Block) -> str:
    content = block.get("content") or ""
    told = content if isinstance(content, str) else " ".join(map(_shown, content))
    return f"error: {told}" if block.get("is_error") else told


def _shown(block: Block) -> str:
    if block["type"] == "text":
        return str(block["text"])
    source = block.get("source")
    if not isinstance(source, dict):
        return f"[{block['type']}]"
    match source["type"]:
        case "base64":
            return f"[{source['media_type']} {digest(base64.b64decode(source['data']))}]"
        case "url":
            return f"[{block['type']} {source['url']}]"
        case "text":
            return f"[document {source['data']}]"
        case _:
            return f"[{block['type']} {source['type']}]"


def usage(body: Body, said: Said, cache: set[str]) -> Body:
    """What the exchange consumed. What stands before the last cache mark is written at first and read later."""
    whole = _size(body)
    prefix = _prefix(body)
    cached, ttl = _size(prefix[0]) if prefix else 0, prefix[1] if prefix else "5m"
    report: Body = {
        "input_tokens": whole - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": _spoken(said),
        "service_tier": "standard",
        "inference_geo": "global",
    }
    if said.thought:
        report["output_tokens_details"] = {"thinking_tokens": said.thought}
    if prefix is None:
        return report
    mark = hashlib.sha256(json.dumps([body["model"], prefix[0]], sort_keys=True).encode()).hexdigest()
    if mark in cache:
        report["cache_read_input_tokens"] = cached
    else:
        cache.add(mark)
        report["cache_creation_input_tokens"] = cached
        report["cache_creation"][f"ephemeral_{ttl}_input_tokens"] = cached
    return report


def _prefix(body: Body) -> tuple[Body, str] | None:
    """The request up to its last cache mark, and that mark's lifetime."""
    found: tuple[Body, str] | None = None
    tools, system = body.get("tools") or [], body.get("system") or []
    for n, tool in enumerate(tools):
        if mark := tool.get("cache_control"):
            found = {"tools": tools[: n + 1], "messages": []}, mark.get("ttl", "5m")
    for n, block in enumerate(system if isinstance(system, list) else ()):
        if mark := block.get("cache_control"):
            found = {"tools": tools, "system": system[: n + 1], "messages": []}, mark.get("ttl", "5m")
    for n, message in enumerate(body["messages"]):
        for at, block in enumerate(_blocks(message)):
            if mark := block.get("cache_control"):
                upto = {**message, "content": _blocks(message)[: at + 1]}
                kept = {"tools": tools, "system": system, "messages": [*body["messages"][:n], upto]}
                found = kept, mark.get("ttl", "5m")
    if mark := body.get("cache_control"):
        found = {"tools": tools, "system": system, "messages": body["messages"]}, mark.get("ttl", "5m")
    return found


def _size(body: Body) -> int:
    size = sum(
        len(tokens(json.dumps({k: v for k, v in t.items() if k != "cache_control"}))) for t in body.get("tools") or ()
    )
    system = body.get("system") or []
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        size += len(tokens(block["text"]))
    for message in body["messages"]:
        size += 3 + sum(map(_block_size, _blocks(message)))
    return size


def _block_size(block: Block) -> int:
    match block["type"]:
        case "text":
            return len(tokens(block["text"]))
        case "image":
            return _PICTURE_TOKENS
        case "document":
            return _DOCUMENT_TOKENS
        case "tool_result":
            content = block.get("content") or ""
            return len(tokens(content)) if isinstance(content, str) else sum(map(_block_size, content))
        case "tool_use":
            return len(tokens(json.dumps(block["input"])))
        case _:
            return 0


def count(body: Body) -> int:
    return _size(body)


def _spoken(said: Said) -> int:
    size = said.thought
    for block in said.blocks:
        if block["type"] == "text":
            size += len(tokens(block["text"]))
        elif block["type"] == "tool_use":
            size += 1 + len(argument_pieces(json.dumps(block["input"])))
    return size


def message(body: Body, said: Said, seq: int, report: Body | None) -> Body:
    whole = {
        "id": f"msg_emu{seq:08d}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": said.blocks,
        "stop_reason": said.stop_reason,
        "stop_sequence": said.stop_sequence,
        "stop_details": said.stop_details,
    }
    return whole if report is None else whole | {"usage": report}


def event(type_: str, **fields: Any) -> bytes:
    data = json.dumps({"type": type_, **fields}, separators=(",", ":"), ensure_ascii=False)
    return f"event: {type_}\ndata: {data}\n\n".encode()


def events(body: Body, said: Said, seq: int, report: Body | None) -> list[bytes]:
    """The stream: input counts and the split of the cache at its start, the final ones at its end."""
    first = None if report is None else {**report, "output_tokens": 1}
    if first is not None:
        first.pop("output_tokens_details", None)
    begun = message(body, Said(), seq, first) | {"content": [], "stop_reason": None}
    made = [event("message_start", message=begun)]
    for index, block in enumerate(said.blocks):
        made += _streamed(index, block)
        if index == 0:
            made.append(event("ping"))
    delta = {"stop_reason": said.stop_reason, "stop_sequence": said.stop_sequence}
    if said.stop_details is not None:
        delta["stop_details"] = said.stop_details
    if report is None:
        made.append(event("message_delta", delta=delta))
    else:
        left_out = ("cache_creation", "service_tier", "inference_geo")
        last = {name: value for name, value in report.items() if name not in left_out}
        made.append(event("message_delta", delta=delta, usage=last))
    return [*made, event("message_stop")]


def _streamed(index: int, block: Block) -> list[bytes]:
    match block["type"]:
        case "text":
            empty = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": token} for token in tokens(block["text"])]
        case "thinking":
            empty = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": token} for token in tokens(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use":
            empty = {**block, "input": {}}
            pieces = ["", *argument_pieces(json.dumps(block["input"]))]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        case _:
            empty, deltas = block, []
    return [
        event("content_block_start", index=index, content_block=empty),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]
