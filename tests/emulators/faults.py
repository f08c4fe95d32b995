"""What can go wrong upstream, asked for by the model's name, by the key or by POST /_script.

A name is `+`-separated: `gpt-4o-mini+fault-429-once`, `slow-20+fault-cut-after-5`, `fault-no-usage`. Any fault may end
in `-once` or `-times-N`: then only the first calls that name it suffer (until POST /_reset). N of `-after-N` counts
events of a stream; without a stream half of the body goes out first.

Before the answer  : fault-<status> (429 with Retry-After, `-after-N` sets its seconds; 429-quota; 429-date; 5xx; 4xx),
                     fault-content-policy, fault-leaky-error[-<status>], fault-html-502, fault-redirect,
                     fault-never-answers, fault-close-before-answer, fault-empty-200, fault-wrong-type
While it goes out  : slow-N (N ms before each event), fault-cut, fault-reset, fault-stall, fault-error-mid-stream,
                     fault-no-done, fault-garbage, fault-half-utf8, fault-drip, fault-one-byte-chunks,
                     fault-huge-line, fault-comment-flood, fault-crlf, fault-no-space, fault-gzip, fault-gzip-bomb;
                     of responses alone: fault-failed, fault-no-end
In the usage       : fault-no-usage, fault-usage-null, fault-zero-usage, fault-negative-usage, fault-huge-usage,
                     fault-string-usage, fault-usage-twice, fault-usage-every-chunk
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate
from time import time
from typing import Any

from tests.emulators.chat import DONE, event
from tests.emulators.checks import Refusal
from tests.emulators.journal import Memory

ORGANISATION = "org-EmulatedAccount7f3a"
_FORM = re.compile(r"(?P<name>.+?)(?:-after-(?P<after>\d+))?(?:-(?P<once>once)|-times-(?P<times>\d+))?")


@dataclass(frozen=True)
class Fault:
    name: str
    after: int | None = None


class Faults:
    """The faults of one request."""

    def __init__(self, found: list[Fault]) -> None:
        self._found = {fault.name: fault for fault in found}

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def __str__(self) -> str:
        return "+".join(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def without(self, name: str) -> Faults:
        """The others."""
        return Faults([fault for fault in self._found.values() if fault.name != name])

    def after(self, name: str, default: int) -> int | None:
        """After how many events fault `name` strikes; None where it is not asked for."""
        fault = self._found.get(name)
        return None if fault is None else default if fault.after is None else fault.after

    @property
    def refusing(self) -> Fault | None:
        """The fault that refuses with a status, if any."""
        for fault in self._found.values():
            if re.match(r"\d{3}|leaky-error|content-policy", fault.name):
                return fault
        return None


def plain_model(model: str) -> str | None:
    """The part of the name that is a model; None where the name holds only faults."""
    parts = [part for part in model.split("+") if not part.startswith(("fault-", "slow-"))]
    return parts[0] if parts else None


def wanted(memory: Memory, *names: str | None) -> Faults:
    """The faults that `names` (model, key's fault, scripted fault) ask for and that are due."""
    found: list[Fault] = []
    for part in "+".join(name for name in names if name).split("+"):
        if part.startswith("slow-"):
            found.append(Fault("slow", int(part.removeprefix("slow-"))))
        elif part.startswith("fault-"):
            form = _FORM.fullmatch(part.removeprefix("fault-"))
            assert form is not None
            limit = 1 if form["once"] else int(form["times"]) if form["times"] else None
            if limit is None or memory.fault_is_due(part, limit):
                found.append(Fault(form["name"], int(form["after"]) if form["after"] else None))
    return Faults(found)


def refusal(fault: Fault, key: str) -> Refusal:
    """The error answer of a refusing fault."""
    if fault.name == "content-policy":
        return Refusal(
            "Your request was rejected as a result of our safety system.",
            code="content_policy_violation",
            type_="image_generation_user_error",
        )
    if fault.name.startswith("leaky-error"):
        status = int(fault.name.rpartition("-")[2]) if fault.name != "leaky-error" else 400
        said = f"Project proj_Emulated1 of {ORGANISATION} refused key {key} at http://10.1.2.3:8080/internal"
        headers = {"openai-organization": ORGANISATION, "set-cookie": "__cf_bm=emulated-cookie"}
        return Refusal(said, status=status, param="model", code="leaky", headers=headers)
    status = int(fault.name[:3])
    if status == 429:
        return _limited(fault)
    if status == 401:
        masked = f"{key[:8]}{'*' * 8}{key[-4:]}"
        return Refusal(f"Incorrect API key provided: {masked}.", status=401, code="invalid_api_key")
    words: dict[int, tuple[str, str, str | None]] = {
        400: ("Something in the request is wrong.", "invalid_request_error", "invalid_value"),
        402: ("Insufficient Balance", "unknown_error", "insufficient_balance"),
        403: (f"{ORGANISATION} does not have access to this model.", "invalid_request_error", "model_not_found"),
        404: ("The model does not exist or you do not have access to it.", "invalid_request_error", "model_not_found"),
    }
    message, type_, code = words.get(
        status, (f"The server had an error while processing your request (req_emulated{status}).", "server_error", None)
    )
    return Refusal(message, status=status, type_=type_, code=code)


def _limited(fault: Fault) -> Refusal:
    if fault.name == "429-quota":
        said = "You exceeded your current quota, please check your plan and billing details."
        return Refusal(said, status=429, type_="insufficient_quota", code="insufficient_quota")
    seconds = 7 if fault.after is None else fault.after
    wait = formatdate(time() + seconds, usegmt=True) if fault.name == "429-date" else str(seconds)
    headers = {
        "retry-after": wait,
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{seconds}s",
    }
    said = f"Rate limit reached for the model in organization {ORGANISATION} on requests per min (RPM): Limit 500."
    return Refusal(said, status=429, type_="requests", code="rate_limit_exceeded", headers=headers)


def spoil_usage(faults: Faults, usage: dict[str, Any]) -> dict[str, Any] | None:
    """The usage report as the faults leave it; None: it is missing."""
    if "no-usage" in faults:
        return None
    changes: dict[str, Any] = {
        "zero-usage": 0,
        "negative-usage": -1_000,
        "huge-usage": 10**17,
        "string-usage": "12",
        "usage-null": None,
    }
    for name, value in changes.items():
        if name in faults:
            return usage | {"prompt_tokens": value, "completion_tokens": value, "total_tokens": value}
    return usage


def spoil_events(faults: Faults, events: list[bytes]) -> list[bytes]:
    """The pieces of a stream as the faults leave them."""
    if "no-done" in faults:
        events = [one for one in events if one != DONE]
    if (at := faults.after("error-mid-stream", 3)) is not None:
        error = {"message": f"The server had an error ({ORGANISATION}).", "type": "server_error", "code": None}
        events = [*events[:at], event({"error": error | {"param": None}})]
    if "garbage" in faults:
        events = [*events[:2], *_GARBAGE, *events[2:]]
    if "half-utf8" in faults:
        events = [*events[:2], b'data: {"choices":[{"index":0,"delta":{"content":"\xf0\x9f\x98"}}]}\n\n', *events[2:]]
    if "huge-line" in faults:
        delta = {"index": 0, "delta": {"content": "x" * (8 << 20)}, "finish_reason": None}
        events = [*events[:2], event({"id": "chatcmpl-huge", "choices": [delta]}), *events[2:]]
    if "comment-flood" in faults:
        events = [*events[:2], *[b": waiting\n\n" * 1_000] * 200, *events[2:]]
    if "crlf" in faults:
        events = [one.replace(b"\n", b"\r\n") for one in events]
    if "no-space" in faults:
        events = [one.replace(b"data: ", b"data:", 1) for one in events]
    return events


_GARBAGE = [
    b"data: {not json\n\n",
    b"data: \xff\xfe\x00\x01\n\n",
    b"\x00\x01\x02 a line without a field\n\n",
    b"event: strange\nid: 7\nretry: 1\ndata: \n\n",
    b"data: null\n\n",
    b'data: "text"\n\n',
    b"data: [1,\n\n",
    b'data: {"choices":"none","usage":[]}\n\n',
]
