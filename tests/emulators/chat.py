"""Chat and legacy completions in OpenAI's wire format: one JSON object, or the events of a stream."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from tests.emulators import answers
from tests.emulators.answers import Choice
from tests.emulators.kinds import Kind

_CREATED = 1_795_000_000
Json = dict[str, Any]
Spoil = Callable[[Json], Json | None]
"""What a fault makes of a usage report; None leaves it out."""


def event(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def _head(kind: Kind, body: Json, seq: int, object_: str, prefix: str) -> Json:
    model = str(body["model"])
    # OpenAI answers with the dated name of the snapshot that served, not with the name asked for.
    served = f"{model}-2024-07-18" if kind.name == "openai" and model in kind.models else model
    head: Json = {"id": f"{prefix}-emu{seq:08d}", "object": object_, "created": _CREATED, "model": served}
    if kind.name == "openrouter":
        head |= {"provider": "EmulatedHost"}
    if kind.name in ("openai", "doubao"):
        head |= {"service_tier": "default"}
    if kind.name in ("openai", "deepseek", "xai", "ollama"):
        head |= {"system_fingerprint": "fp_emulated"}
    return head


def whole(kind: Kind, body: Json, seq: int, spoil: Spoil) -> Json:
    """The answer to a chat request that does not stream."""
    made = answers.choices(body)
    answer = _head(kind, body, seq, "chat.completion", "chatcmpl")
    answer["choices"] = [
        {
            "index": index,
            "message": _message(kind, choice),
            "logprobs": _logprobs(choice.tokens, body) if body.get("logprobs") else None,
            "finish_reason": choice.finish_reason,
        }
        for index, choice in enumerate(made)
    ]
    usage = spoil(kind.usage(answers.counts(body, made)))
    return answer if usage is None else answer | {"usage": usage}


def _message(kind: Kind, choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": choice.text or None, "refusal": None}
    if kind.name == "openai":
        message["annotations"] = []
    if choice.thought and kind.reasoning_field:
        message[kind.reasoning_field] = "".join(choice.thought)
    if choice.tool_calls:
        message["tool_calls"] = choice.tool_calls
    return message


def _logprobs(tokens: list[str], body: Json) -> Json:
    return {"content": [_logprob(token, body.get("top_logprobs") or 0) for token in tokens], "refusal": None}


def _logprob(token: str, alternatives: int) -> Json:
    def fact(word: str, rank: int) -> Json:
        return {"token": word, "logprob": round(-0.1 - math.log(rank + 1), 6), "bytes": list(word.encode())}

    others = [fact(token if rank == 0 else f"{token}~{rank}", rank) for rank in range(alternatives)]
    return fact(token, 0) | {"top_logprobs": others}


def stream(kind: Kind, body: Json, seq: int, spoil: Spoil, *, usage_everywhere: bool, usage_twice: bool) -> list[bytes]:
    """The events of a streamed chat, `[DONE]` included."""
    made = answers.choices(body)
    head = _head(kind, body, seq, "chat.completion.chunk", "chatcmpl")
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    usage = spoil(kind.usage(answers.counts(body, made)))
    pieces = [piece for index, choice in enumerate(made) for piece in _pieces(kind, index, choice, body)]
    last_at = len(pieces) - 1
    events = [] if kind.opening_comment is None else [f"{kind.opening_comment}\n\n".encode()]
    for at, piece in enumerate(pieces):
        chunk = head | {"choices": [piece]}
        on_finish = kind.stream_usage == "on_finish" and at == last_at and usage is not None
        if usage_everywhere or on_finish:
            chunk["usage"] = usage
        elif asked and kind.name != "openrouter":
            chunk["usage"] = None
        events.append(event(chunk))
    if usage is not None and kind.stream_usage == "beside_choice":
        empty = {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        events.append(event(head | {"choices": [empty], "usage": usage}))
    if usage is not None and (kind.stream_usage == "always" or (asked and kind.stream_usage == "asked")):
        if usage_twice:
            events.append(event(head | {"choices": [], "usage": usage | {"completion_tokens": 1, "total_tokens": 2}}))
        events.append(event(head | {"choices": [], "usage": usage}))
    return [*events, DONE]


def _pieces(kind: Kind, index: int, choice: Choice, body: Json) -> Iterator[Json]:
    def piece(delta: Json, finish: str | None = None, token: str | None = None) -> Json:
        logprobs = _logprobs([token], body) if token is not None and body.get("logprobs") else None
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    opening: Json = {"role": "assistant", "content": None if choice.tool_calls else ""}
    yield piece(opening | ({"refusal": None} if kind.name == "openai" else {}))
    if kind.reasoning_field:
        for thought in choice.thought:
            yield piece({kind.reasoning_field: thought} | ({"content": None} if kind.name == "deepseek" else {}))
    for token in choice.tokens:
        yield piece({"content": token}, token=token)
    for at, call in enumerate(choice.tool_calls):
        yield from map(piece, _call_deltas(kind, at, call))
    yield piece({"content": "", "role": "assistant"} if kind.name == "openrouter" else {}, choice.finish_reason)


def _call_deltas(kind: Kind, at: int, call: Json) -> Iterator[Json]:
    """xAI sends a call whole; the others send its name first and then its arguments bit by bit."""
    if kind.name == "xai":
        yield {"tool_calls": [{"index": at} | call]}
        return
    function = {"name": call["function"]["name"], "arguments": ""}
    yield {"tool_calls": [{"index": at, "id": call["id"], "type": "function", "function": function}]}
    for bit in answers.argument_pieces(call["function"]["arguments"]):
        yield {"tool_calls": [{"index": at, "function": {"arguments": bit}}]}


def whole_completion(kind: Kind, body: Json, seq: int, spoil: Spoil) -> Json:
    made = answers.completion_choices(body)
    answer = _head(kind, body, seq, "text_completion", "cmpl")
    answer["choices"] = [
        {"index": at, "text": c.text, "logprobs": None, "finish_reason": c.finish_reason} for at, c in enumerate(made)
    ]
    usage = spoil(kind.usage(answers.counts(body, made)))
    return answer if usage is None else answer | {"usage": usage}


def stream_completion(kind: Kind, body: Json, seq: int, spoil: Spoil) -> list[bytes]:
    made = answers.completion_choices(body)
    head = _head(kind, body, seq, "text_completion", "cmpl")
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    blank: Json = {"usage": None} if asked else {}
    events: list[bytes] = []
    for at, choice in enumerate(made):
        rows: list[tuple[str, str | None]] = [(token, None) for token in choice.tokens]
        for text, finish in [*rows, ("", choice.finish_reason)]:
            row = {"index": at, "text": text, "logprobs": None, "finish_reason": finish}
            events.append(event(head | blank | {"choices": [row]}))
    usage = spoil(kind.usage(answers.counts(body, made)))
    if usage is not None and (asked or kind.stream_usage != "asked"):
        events.append(event(head | {"choices": [], "usage": usage}))
    return [*events, DONE]
