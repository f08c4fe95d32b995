"""The Responses API of the stand-in: what it answers, whole and as the events of a stream.

A message with the words `please refuse` is answered with a refusal; custom tools are called like functions, by their
names in the last message.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.emulators import answers
from tests.emulators.answers import Choice
from tests.emulators.chat import Spoil
from tests.emulators.faults import ORGANISATION, Faults
from tests.emulators.kinds import Kind
from tests.emulators.response_checks import ENCRYPTED, as_chat, sealed

Json = dict[str, Any]

_CREATED = 1_795_000_000


class Made:
    """One answer: the response without its end, and its output."""

    def __init__(self, kind: Kind, body: Json, seq: int, spoil: Spoil) -> None:
        chat = as_chat(body)
        self.choice = answers.choices(chat)[0]
        self.usage = _usage(kind, chat, self.choice, spoil)
        self.is_refused = "please refuse" in json.dumps(chat["messages"][-1])
        self._custom = {tool["name"] for tool in body.get("tools") or [] if tool.get("type") == "custom"}
        self._kind, self._body, self._seq = kind, body, seq
        self.head: Json = {
            "id": f"resp_emu{seq:08d}",
            "object": "response",
            "created_at": _CREATED,
            "model": body["model"],
            "error": None,
            "incomplete_details": None,
            "instructions": body.get("instructions"),
            "metadata": body.get("metadata") or {},
            "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
            "previous_response_id": None,
            "store": body.get("store") is not False,
            "temperature": body.get("temperature", 1.0),
            "text": body.get("text") or {"format": {"type": "text"}},
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": body.get("tools") or [],
            "top_p": body.get("top_p", 1.0),
        }

    def output(self) -> list[Json]:
        items: list[Json] = []
        if self.choice.thought:
            item: Json = {"id": f"rs_emu{self._seq:08d}", "type": "reasoning", "summary": []}
            if (self._body.get("reasoning") or {}).get("summary"):
                item["summary"] = [{"type": "summary_text", "text": "".join(self.choice.thought)}]
            if ENCRYPTED in (self._body.get("include") or []):
                item["encrypted_content"] = sealed(self._kind, self._seq)
            items.append(item)
        for n, call in enumerate(self.choice.tool_calls):
            items.append(self._call(n, call["id"], call["function"]))
        if not self.choice.tool_calls:
            part: Json = {"type": "output_text", "text": self.choice.text, "annotations": [], "logprobs": []}
            if self.is_refused:
                part = {"type": "refusal", "refusal": "I will not do that."}
            status = "incomplete" if self.choice.finish_reason == "length" else "completed"
            items.append(
                {
                    "id": f"msg_emu{self._seq:08d}",
                    "type": "message",
                    "status": status,
                    "role": "assistant",
                    "content": [part],
                }
            )
        return items

    def _call(self, n: int, call_id: str, function: Json) -> Json:
        id_ = f"emu{self._seq:08d}{n}"
        if function["name"] in self._custom:
            text = f'*** Begin Patch\n+for {function["name"]} "{n}"\n*** End Patch'
            start: Json = {"id": f"ctc_{id_}", "type": "custom_tool_call", "status": "completed"}
            return start | {"call_id": call_id, "name": function["name"], "input": text}
        start = {"id": f"fc_{id_}", "type": "function_call", "status": "completed"}
        return start | {"call_id": call_id, "name": function["name"], "arguments": function["arguments"]}

    def whole(self) -> Json:
        cut = self.choice.finish_reason == "length"
        ending: Json = {"status": "incomplete" if cut else "completed", "output": self.output(), "usage": self.usage}
        if cut:
            ending["incomplete_details"] = {"reason": "max_output_tokens"}
        return self.head | ending


def _usage(kind: Kind, chat: Json, choice: Choice, spoil: Spoil) -> Json | None:
    counts = answers.counts(chat, [choice])
    made = counts.completion + counts.reasoning
    plain = {"prompt_tokens": counts.prompt, "completion_tokens": made, "total_tokens": counts.prompt + made}
    spoilt = spoil(plain)
    if spoilt is None:
        return None
    usage: Json = {
        "input_tokens": spoilt["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": 0},
        "output_tokens": spoilt["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": spoilt["total_tokens"],
    }
    if kind.name == "xai":
        usage |= {"num_sources_used": 0, "cost_in_usd_ticks": counts.prompt * 2_000 + made * 5_000}
    if kind.name == "openrouter":
        usage |= {"cost": (counts.prompt * 15 + made * 60) / 100_000_000, "is_byok": False}
    return usage


def whole(kind: Kind, body: Json, seq: int, spoil: Spoil, faults: Faults) -> Json:
    """The answer to a request that does not stream."""
    made = Made(kind, body, seq, spoil)
    if "failed" in faults:
        return made.head | _failed()
    return made.whole()


def stream(kind: Kind, body: Json, seq: int, spoil: Spoil, faults: Faults) -> list[bytes]:
    """The events of a stream."""
    made = Made(kind, body, seq, spoil)
    events = list(_events(made))
    if (at := faults.after("failed", 4)) is not None:
        events = [*events[:at], {"type": "response.failed", "response": made.head | _failed() | {"usage": made.usage}}]
    if (at := faults.after("error-mid-stream", 4)) is not None:
        error = {
            "type": "server_error",
            "code": "server_error",
            "message": f"An error ({ORGANISATION}).",
            "param": None,
        }
        events = [*events[:at], {"type": "error", "error": error}]
    if "no-end" in faults:
        events = events[:-1]
    return [_sse(number, one) for number, one in enumerate(events)]


def _failed() -> Json:
    error = {"code": "server_error", "message": f"The model of {ORGANISATION} failed."}
    return {"status": "failed", "error": error, "output": [], "usage": None}


def _sse(number: int, payload: Json) -> bytes:
    text = json.dumps({"type": payload["type"], "sequence_number": number} | payload, ensure_ascii=False)
    return f"event: {payload['type']}\ndata: {text}\n\n".encode()


def _events(made: Made) -> Iterator[Json]:
    started = made.head | {"status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": started}
    yield {"type": "response.in_progress", "response": started}
    final = made.whole()
    for index, item in enumerate(final["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        empty = {"summary": [], "content": [], "arguments": "", "input": ""}
        added = item | {name: value for name, value in empty.items() if name in item}
        if "status" in item:
            added["status"] = "in_progress"
        yield {"type": "response.output_item.added", "output_index": index, "item": added}
        match item["type"]:
            case "reasoning":
                yield from _summary(place, item["summary"])
            case "message":
                yield from _message(place, item["content"][0], made.choice)
            case "function_call":
                for piece in answers.argument_pieces(item["arguments"]):
                    yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
                yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}
            case _:
                for piece in answers.argument_pieces(item["input"]):
                    yield {"type": "response.custom_tool_call_input.delta", **place, "delta": piece}
                yield {"type": "response.custom_tool_call_input.done", **place, "input": item["input"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{final['status']}", "response": final}


def _summary(place: Json, summary: list[Json]) -> Iterator[Json]:
    for n, part in enumerate(summary):
        where = place | {"summary_index": n}
        yield {"type": "response.reasoning_summary_part.added", **where, "part": part | {"text": ""}}
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": part["text"]}
        yield {"type": "response.reasoning_summary_text.done", **where, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **where, "part": part}


def _message(place: Json, part: Json, choice: Choice) -> Iterator[Json]:
    where = place | {"content_index": 0}
    if part["type"] == "refusal":
        yield {"type": "response.content_part.added", **where, "part": part | {"refusal": ""}}
        yield {"type": "response.refusal.delta", **where, "delta": part["refusal"]}
        yield {"type": "response.refusal.done", **where, "refusal": part["refusal"]}
    else:
        yield {"type": "response.content_part.added", **where, "part": part | {"text": ""}}
        for token in choice.tokens:
            yield {"type": "response.output_text.delta", **where, "delta": token, "logprobs": []}
        yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}
