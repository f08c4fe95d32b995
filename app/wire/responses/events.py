"""What both who follow a provider's stream (`tap`) and who translate it (`upstream`) read of its events and answers."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from app.wire.responses.usage import report_of

BEFORE = frozenset({"response.created", "response.queued", "response.in_progress"})
"""Events that come before anything is said. What fails after them alone can still be tried elsewhere."""
LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
NULL = Raw(b"null")
"""`Raw | None` would take nothing but null."""
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Incomplete(Struct):
    reason: str | None = None


class Whole(Struct):
    """A `response`."""

    id: str | None = None
    status: str | None = None
    error: Raw = NULL
    incomplete_details: Incomplete | None = None
    output: list[Raw] | None = None
    usage: Raw = NULL
    tool_usage: Raw = NULL
    service_tier: Any = None

    @property
    def report(self) -> Raw | None:
        return report_of(self.usage, self.tool_usage)

    @property
    def failure(self) -> Raw | None:
        """Why there is no answer."""
        if bytes(self.error) != b"null":
            return self.error.copy()
        return Raw(b'{"message":"The response failed."}') if self.status in ("failed", "cancelled") else None

    @property
    def finish(self) -> str | None:
        """The word for the record: why it is incomplete, else its status."""
        if self.status == "incomplete" and self.incomplete_details is not None:
            return self.incomplete_details.reason or self.status
        return self.status


decode_whole = msgspec.json.Decoder(Whole).decode


def error_of(data: bytes) -> Raw:
    """The error inside an `error` event: its fields stand at the top, or in `error`."""
    value: Any = msgspec.json.decode(data)
    outer = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    inner: Any = outer.get("error")
    if isinstance(inner, dict):
        return Raw(msgspec.json.encode(inner))
    told = {name: outer.get(name) for name in ("code", "message", "param")}
    return Raw(msgspec.json.encode(told))
