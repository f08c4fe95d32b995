"""The faults of `tests/emulators/faults.py` as Anthropic would show them."""

from __future__ import annotations

from typing import Any

from tests.emulators.anthropic.answers import event
from tests.emulators.checks import Refusal
from tests.emulators.faults import Fault, Faults, refusal

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_ORGANISATION = "org-Emulated"


def refused(fault: Fault, key: str) -> Refusal:
    """The refusal of a fault, in words and headers of this provider."""
    problem = refusal(fault, key)
    if problem.status == 429:
        wait = problem.headers.get("retry-after")
        problem.headers = {"anthropic-ratelimit-requests-remaining": "0", **({"retry-after": wait} if wait else {})}
        problem.message = f"This request would exceed the rate limit for {_ORGANISATION} of 50 requests per minute."
    elif problem.status == 529:
        problem.message = "Overloaded"
    return problem


def error_body(status: int, message: str, request_id: str) -> dict[str, Any]:
    type_ = _TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": type_, "message": message}, "request_id": request_id}


def spoil_usage(faults: Faults, report: dict[str, Any]) -> dict[str, Any] | None:
    if "no-usage" in faults:
        return None
    for name, value in (("negative-usage", -1_000), ("huge-usage", 10**17), ("string-usage", "12"), ("zero-usage", 0)):
        if name in faults:
            return report | {"input_tokens": value, "output_tokens": value}
    return report


def spoil_events(faults: Faults, events: list[bytes]) -> tuple[Faults, list[bytes]]:
    """The events as the faults of content leave them, and the faults of the connection, which are left to do."""
    done = {"error-mid-stream", "no-done", "garbage", "half-utf8"}
    if "no-done" in faults:
        events = [one for one in events if not one.startswith((b"event: message_delta", b"event: message_stop"))]
    if (at := faults.after("error-mid-stream", 3)) is not None:
        error = {"type": "overloaded_error", "message": f"Overloaded ({_ORGANISATION})"}
        events = [*events[:at], event("error", error=error)]
    if "garbage" in faults:
        events = [*events[:2], *_GARBAGE, *events[2:]]
    if "half-utf8" in faults:
        broken = b'data: {"type":"content_block_delta","index":0,"delta":{"text":"\xf0\x9f"}}\n\n'
        events = [*events[:2], broken, *events[2:]]
    for name in done:
        faults = faults.without(name)
    return faults, events


_GARBAGE = [
    b"event: content_block_delta\ndata: {not json\n\n",
    b"data: \xff\xfe\x00\x01\n\n",
    b"\x00\x01\x02 a line without a field\n\n",
    b"event: strange\nid: 7\nretry: 1\ndata: \n\n",
    b"data: null\n\n",
    b"data: [1,\n\n",
]
