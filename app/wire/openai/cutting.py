"""The end of a stream of completions that the hub cuts: what OpenAI's clients take for an answer that grew too long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from app.base.usage import Usage
from app.wire.openai.chat_client_answer import usage_entry

CHAT, TEXT = "chat.completion.chunk", "text_completion"
"""What chunks call themselves, of chat and of plain completions."""

LENGTH = "length"
DONE = b"data: [DONE]\n\n"

_REPEATED = ("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider")

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Ending:
    """Writes the last chunks, which begin as those before them did."""

    def __init__(self, seen: bytes, object_: str, model: str) -> None:
        """`seen` is the data of a chunk that went out; empty where none did."""
        head: dict[str, Any] = {"id": "", "object": object_, "created": 0, "model": model}
        try:
            fields = _decode_fields(seen) if seen else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            fields = {}
        head |= {name: fields[name] for name in _REPEATED if name in fields}
        self._head = head
        # A message that nobody has begun is begun here.
        delta = {} if seen else {"role": "assistant", "content": ""}
        self._said: dict[str, Any] = {"delta": delta} if object_ == CHAT else {"text": ""}

    def finishes(self, choices: Iterable[int]) -> bytes:
        """One chunk for each choice that is open."""
        return b"".join([self._chunk(choices=[self._finish(index)]) for index in choices])

    def usage(self, usage: Usage | None) -> bytes:
        counted = None if usage is None else usage_entry(usage)
        return self._chunk(choices=[], usage=counted)

    def _finish(self, index: int) -> dict[str, Any]:
        return {"index": index, **self._said, "logprobs": None, "finish_reason": LENGTH}

    def _chunk(self, **fields: Any) -> bytes:
        return b"data: " + _encode({**self._head, **fields}) + b"\n\n"
