"""What a provider's error says, in any of the shapes that are met: its words, its codes, and how long to stay away."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, cast

import msgspec
from msgspec import Struct

MAX_COOL_SECONDS = 3_600


class Said(Struct):
    """What an error's body and headers say, in one shape."""

    message: str = ""
    code: str | None = None
    type: str | None = None
    param: str | None = None
    status: int | None = None
    """A code that is a number: OpenRouter repeats the status there, also inside a 200."""
    has_flags: bool = False
    """OpenRouter's moderation says what was flagged."""
    wait_seconds: int | None = None
    """Google says in the body how long to stay away."""


def read(body: bytes, headers: Mapping[str, str]) -> Said:
    """The error in any of the shapes that are met: OpenAI's, a text (xAI, Ollama), or the fields at the top.

    Amazon says its type in a header, with an address after it:
    https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization
    """
    said = _read_body(body)
    if said.type is None:
        header = next((value for name, value in headers.items() if name.lower() == "x-amzn-errortype"), "")
        said.type = header.partition(":")[0] or None
    return said


def _read_body(body: bytes) -> Said:
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # An HTML page of a proxy says nothing that anyone could use.
        return Said()
    if isinstance(decoded, list) and len(cast(list[Any], decoded)) == 1:
        # Google's streams that are JSON arrays.
        decoded = cast(list[Any], decoded)[0]
    if not isinstance(decoded, dict):
        return Said()
    outer = cast(dict[str, Any], decoded)
    inner: Any = outer.get("error")
    if isinstance(inner, str):
        return _said({"message": inner, "code": outer.get("code")})
    if isinstance(inner, dict):
        return _said(cast(dict[str, Any], inner))
    if isinstance(outer.get("detail"), str):
        outer = {"message": outer["detail"], **outer}
    return _said(outer)


def _said(fields: Mapping[str, Any]) -> Said:
    def text(name: str) -> str | None:
        value = fields.get(name)
        return value if isinstance(value, str) and value else None

    number = fields.get("code")
    metadata: Any = fields.get("metadata")
    flags = cast(dict[str, Any], metadata).get("reasons") if isinstance(metadata, dict) else None
    google = _google_details(fields.get("details"))
    return Said(
        # Amazon's gateway in front of its services writes it large.
        message=text("message") or text("Message") or "",
        code=text("code") or google.reason,
        # Google's status is a word: https://google.aip.dev/193
        type=text("type") or text("status"),
        param=text("param") or google.field,
        status=number if type(number) is int else None,
        has_flags=isinstance(flags, list),
        wait_seconds=google.wait_seconds,
    )


class _GoogleDetails(Struct):
    reason: str | None = None
    field: str | None = None
    wait_seconds: int | None = None


def _google_details(details: Any) -> _GoogleDetails:
    """What stands in `details`: ErrorInfo, RetryInfo and BadRequest of google.rpc, each under its `@type`."""
    found = _GoogleDetails()
    for one in cast(list[Any], details) if isinstance(details, list) else ():
        entry = cast(dict[str, Any], one) if isinstance(one, dict) else {}
        reason, delay, violations = entry.get("reason"), entry.get("retryDelay"), entry.get("fieldViolations")
        if isinstance(reason, str) and reason:
            found.reason = reason
        if isinstance(delay, str) and (seconds := _number(delay.removesuffix("s"), divisor=1)) is not None:
            found.wait_seconds = _bounded(seconds)
        if isinstance(violations, list) and violations and isinstance(violations[0], dict):
            field: Any = cast(dict[str, Any], violations[0]).get("field")
            found.field = field if isinstance(field, str) and field else None
    return found


def wait_seconds(headers: Mapping[str, str]) -> int | None:
    """How long the provider wants us to stay away: whole seconds, 1 to `MAX_COOL_SECONDS`; None: it says nothing.

    `retry-after-ms` (OpenAI, Azure) and `Retry-After` (RFC 9110: seconds or a date) say it plainly; else the reset of
    the limit that is used up (https://developers.openai.com/api/docs/guides/rate-limits), or OpenRouter's moment.
    """
    given = {name.lower(): value.strip() for name, value in headers.items()}
    seconds = _number(given.get("retry-after-ms"), divisor=1_000)
    if seconds is None:
        seconds = _after(given.get("retry-after"))
    if seconds is None:
        used_up = [
            _span(given.get(f"x-ratelimit-reset-{limit}"))
            for limit in ("requests", "tokens")
            if given.get(f"x-ratelimit-remaining-{limit}") == "0"
        ]
        seconds = max((span for span in used_up if span is not None), default=None)
    if seconds is None and given.get("x-ratelimit-remaining") == "0":
        # https://openrouter.ai/docs/api-reference/limits: a moment in milliseconds.
        moment = _number(given.get("x-ratelimit-reset"), divisor=1_000)
        seconds = None if moment is None else moment - time.time()
    if seconds is None:
        return None
    return _bounded(seconds)


def _bounded(seconds: float) -> int:
    return max(1, min(MAX_COOL_SECONDS, -int(-seconds // 1)))


def _number(text: str | None, *, divisor: int) -> float | None:
    return float(text) / divisor if text and re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text) else None


def _after(text: str | None) -> float | None:
    seconds = _number(text, divisor=1)
    if seconds is not None or not text:
        return seconds
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None


_SPAN = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?")


def _span(text: str | None) -> float | None:
    """Go's way of writing a duration: `6m0s`, `7.66s`, `12ms`; plain seconds too."""
    if not text:
        return None
    seconds = _number(text, divisor=1)
    found = _SPAN.fullmatch(text)
    if seconds is not None or found is None:
        return seconds
    hours, minutes, whole, thousandths = (float(part or 0) for part in found.groups())
    return hours * 3_600 + minutes * 60 + whole + thousandths / 1_000
