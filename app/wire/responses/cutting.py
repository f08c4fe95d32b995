"""The end of a passed stream that the hub cuts: what is open is closed, and the response is incomplete.

For that it is remembered what began, what was said since, and what ended.

https://developers.openai.com/api/reference/resources/responses/streaming-events
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from app.base.usage import Usage
from app.wire.neutral_answer import Reply
from app.wire.responses import shape
from app.wire.responses.events import NOT_JSON

TOO_LONG = "max_output_tokens"

_encode = msgspec.json.Encoder().encode

_ARGUED: Mapping[str, tuple[str, str]] = {
    "function_call": ("response.function_call_arguments.done", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input.done", "input"),
    "mcp_call": ("response.mcp_call_arguments.done", "arguments"),
    "code_interpreter_call": ("response.code_interpreter_call_code.done", "code"),
}
"""Type of an item whose deltas belong to itself → the event that ends them, and where they stand in the item."""
_SPOKEN: Mapping[str, tuple[str, str]] = {
    "output_text": ("response.output_text.done", "text"),
    "refusal": ("response.refusal.done", "refusal"),
    "reasoning_text": ("response.reasoning_text.done", "text"),
    "summary_text": ("response.reasoning_summary_text.done", "text"),
}
"""The same of a part."""
_FAIL = frozenset({"web_search_call", "image_generation_call"})
"""Items that cannot be incomplete."""


class _Told(Struct):
    """An event that begins or ends something."""

    type: str = ""
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item: Raw = Raw(b"null")
    part: dict[str, Any] | None = None
    annotation: Any = None


class _Numbered(Struct):
    sequence_number: int = -1


class _Begun(Struct):
    response: dict[str, Raw] = {}


_decode_told = msgspec.json.Decoder(_Told).decode
_decode_item = msgspec.json.Decoder(dict[str, Any]).decode
_decode_number = msgspec.json.Decoder(_Numbered).decode
_decode_begun = msgspec.json.Decoder(_Begun).decode


class _Item(Struct):
    item: dict[str, Any]
    part: dict[str, Any] | None = None
    """The one that is open."""
    number: int = 0
    """Of that part."""
    is_summary: bool = False
    pieces: list[str] = []
    """What was said of the part, else of the item itself."""
    is_said: bool = False
    """Whether the event that ends the pieces has come."""


class Unfinished:
    """What a stream has begun, by the number of its item."""

    def __init__(self) -> None:
        self._begun = b""
        """The data of the newest event that shows the whole response."""
        self._open: dict[int, _Item] = {}
        self._done: dict[int, Raw] = {}

    def begin(self, data: bytes) -> None:
        self._begun = data

    def say(self, index: int | None, delta: str) -> None:
        item = self._open.get(index) if index is not None else None
        if item is not None:
            item.pieces.append(delta)

    def follow(self, data: bytes) -> None:
        """An event that is neither a delta nor shows the whole; what cannot be understood changes nothing."""
        with contextlib.suppress(*NOT_JSON):
            told = _decode_told(data)
            if told.output_index is not None:
                self._follow(told, told.output_index)

    def _follow(self, told: _Told, index: int) -> None:
        if told.type == "response.output_item.added":
            self._open[index] = _Item(_decode_item(told.item))
            return
        if told.type == "response.output_item.done":
            # Raw points into the whole event.
            self._done[index] = told.item.copy()
            self._open.pop(index, None)
            return
        item = self._open.get(index)
        if item is None:
            return
        match told.type:
            case "response.content_part.added" | "response.reasoning_summary_part.added":
                item.is_summary = told.summary_index is not None
                item.number = (told.summary_index if item.is_summary else told.content_index) or 0
                item.part, item.pieces, item.is_said = dict(told.part or {}), [], False
            case "response.content_part.done" | "response.reasoning_summary_part.done":
                _held(item).append(told.part or {})
                item.part, item.pieces, item.is_said = None, [], False
            case "response.output_text.annotation.added" if item.part is not None:
                item.part["annotations"] = [*(item.part.get("annotations") or ()), told.annotation]
            case _ if told.type.endswith(".done"):
                item.is_said = True
            case _:
                pass

    def cut(self, last: bytes, asked: Reply, usage: Usage | None) -> tuple[bytes, bytes]:
        """The events that are missing, and the response as the last of them shows it.

        Args:
            last: The data of the last event that went out, whose number is gone on from.
            asked: For a stream that has not begun.
        """
        writer = _Writer(_number(last) + 1)
        head: dict[str, Any] = self._head()
        if not head:
            head = shape.head(asked)
            started = {**head, "status": "in_progress", "error": None, "incomplete_details": None}
            writer.add("response.created", response={**started, "output": [], "usage": None})
        for index, item in sorted(self._open.items()):
            self._done[index] = Raw(_encode(writer.close(index, item)))
        self._open.clear()
        whole = _encode(
            {
                **head,
                "status": "incomplete",
                "error": None,
                "incomplete_details": {"reason": TOO_LONG},
                "output": [item for _, item in sorted(self._done.items())],
                "usage": None if usage is None else shape.usage_entry(usage),
            }
        )
        writer.add("response.incomplete", response=Raw(whole))
        return writer.said, whole

    def _head(self) -> dict[str, Raw]:
        try:
            return _decode_begun(self._begun).response if self._begun else {}
        except NOT_JSON:
            return {}


class _Writer:
    def __init__(self, number: int) -> None:
        self.said = b""
        self._number = number

    def add(self, type_: str, **fields: Any) -> None:
        payload = {"type": type_, **fields, "sequence_number": self._number}
        self._number += 1
        self.said += b"event: " + type_.encode() + b"\ndata: " + _encode(payload) + b"\n\n"

    def close(self, index: int, open_: _Item) -> dict[str, Any]:
        """End an item; gives it as it is then."""
        item = open_.item
        place: dict[str, Any] = {"item_id": item.get("id"), "output_index": index}
        if open_.part is not None:
            self._close_part(open_, open_.part, place)
        elif (argued := _ARGUED.get(str(item.get("type")))) is not None:
            event, name = argued
            item[name] = "".join(open_.pieces) or item.get(name) or ""
            if not open_.is_said:
                named = {"name": item.get("name")} if item.get("type") == "function_call" else {}
                self.add(event, **place, **named, **{name: item[name]})
        item["status"] = "failed" if item.get("type") in _FAIL else "incomplete"
        self.add("response.output_item.done", output_index=index, item=item)
        return item

    def _close_part(self, open_: _Item, part: dict[str, Any], place: dict[str, Any]) -> None:
        place = {**place, "summary_index" if open_.is_summary else "content_index": open_.number}
        spoken = _SPOKEN.get(str(part.get("type")))
        if spoken is not None:
            event, name = spoken
            part[name] = "".join(open_.pieces) or part.get(name) or ""
            if not open_.is_said:
                odds: dict[str, Any] = {"logprobs": []} if event == "response.output_text.done" else {}
                self.add(event, **place, **{name: part[name]}, **odds)
        done = "response.reasoning_summary_part.done" if open_.is_summary else "response.content_part.done"
        self.add(done, **place, part=part)
        _held(open_).append(part)


def _held(open_: _Item) -> list[Any]:
    """The parts of an item that are done, made where there are none."""
    name = "summary" if open_.is_summary else "content"
    held = open_.item.get(name)
    if not isinstance(held, list):
        held = open_.item[name] = []
    return held  # pyright: ignore[reportUnknownVariableType]


def _number(data: bytes) -> int:
    try:
        return _decode_number(data).sequence_number if data else -1
    except NOT_JSON:
        return -1
