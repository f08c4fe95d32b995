"""Calls as the pages show them: what became of a call, whose turn it is when it failed, and what it consumed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from app.base.money import show_nano
from app.base.usage import METERS
from app.domain.calls.models import Attempt, Call
from app.web.admin.standing import Badge
from app.wire.notes import Note

_OWNERS = {"you": "the caller", "admin": "an admin of this hub", "provider": "the provider", "hub": "the hub"}
"""The owners of `base/errors.py`, where `you` is whoever calls."""

METER_TITLES = {
    "input": "Input",
    "cache_read": "Read from cache",
    "cache_write_5m": "Written to cache for 5 min",
    "cache_write_1h": "Written to cache for 1 h",
    "output": "Output",
    "reasoning": "of it reasoning",
    "audio_in": "Audio in",
    "audio_out": "Audio out",
    "images": "Images",
    "seconds": "Seconds",
    "characters": "Characters",
    "requests": "Requests",
    "web_searches": "Web searches",
}
_NOTE_BADGES = {
    "dropped": Badge("warn", "Not passed on"),
    "emulated": Badge("info", "In another way"),
    "defaulted": Badge("off", "Filled in"),
}
_UNITS = {"images": "images", "seconds": "s", "characters": "characters", "web_searches": "searches"}


class CallRow(Struct, frozen=True, kw_only=True):
    call: Call
    key_name: str
    team_name: str
    badge: Badge
    owner: str
    """Whose turn it is, when the call went wrong; else empty."""
    usage: str
    money: str
    """Credits or USD, exact; empty where none are counted."""


class Bar(Struct, frozen=True, kw_only=True):
    """A try on the call's time line, in percent of its whole width."""

    start: str
    waited: str
    answered_at: str
    answered: str


class AttemptRow(Struct, frozen=True, kw_only=True):
    attempt: Attempt
    credential: str
    badge: Badge
    bar: Bar


class NoteRow(Struct, frozen=True):
    """A field of the request that the provider was not told as it was asked."""

    note: Note
    badge: Badge


class UsageRow(Struct, frozen=True):
    title: str
    count: int
    is_part: bool
    """Contained in the line above it, not added."""


def call_rows(calls: Sequence[Call], names: Mapping[str, tuple[str, str]]) -> list[CallRow]:
    """`names` are those of key and team by key id; a key that is gone is shown by its id."""
    return [_call_row(call, *names.get(call.api_key_id, (call.api_key_id, call.team_id))) for call in calls]


def money_title(calls: Collection[Call]) -> str:
    """What the column of amounts is called: credits that were charged, else what providers charge; empty for none."""
    if any(call.charge_nano is not None for call in calls):
        return "Charge"
    return "Cost" if any(call.cost_nano is not None for call in calls) else ""


def revision(calls: Collection[Call]) -> str:
    """Changes when the list of calls would look different."""
    told = "\n".join(f"{call.id} {call.status}" for call in calls)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def attempt_rows(
    call: Call, attempts: Sequence[Attempt], credentials: Mapping[str, tuple[str, str]]
) -> list[AttemptRow]:
    """`credentials` are label and hint by id; one that is gone is shown without a name."""
    end_us = max((attempt.started_us + attempt.total_us for attempt in attempts), default=call.started_us)
    span_us = max(1, call.total_us or 0, end_us - call.started_us)
    return [
        AttemptRow(
            attempt=attempt,
            credential=" ".join(credentials.get(attempt.credential_id, ())),
            badge=_attempt_badge(attempt),
            bar=_bar(attempt, call.started_us, span_us),
        )
        for attempt in attempts
    ]


def usage_rows(call: Call) -> list[UsageRow]:
    """The meters that counted something."""
    return [
        UsageRow(METER_TITLES[meter], count, meter == "reasoning")
        for meter in METERS
        if (count := int(getattr(call, meter)))
    ]


def note_rows(notes: Sequence[Note]) -> list[NoteRow]:
    """What was lost first, then what was done in another way, then what was filled in."""
    order = list(_NOTE_BADGES)
    return [NoteRow(note, _NOTE_BADGES[note.what]) for note in sorted(notes, key=lambda note: order.index(note.what))]


def tokens_per_second(call: Call) -> str:
    """Of a stream, from its first byte on; empty where that says nothing."""
    if not call.is_streamed or not call.output or call.first_byte_us is None or call.total_us is None:
        return ""
    seconds = (call.total_us - call.first_byte_us) / 1_000_000
    return f"{call.output / seconds:,.0f} tokens/s" if seconds >= 0.05 else ""


def _call_row(call: Call, key_name: str, team_name: str) -> CallRow:
    return CallRow(
        call=call,
        key_name=key_name,
        team_name=team_name,
        badge=_call_badge(call),
        owner=_OWNERS.get(call.error_owner or "", ""),
        usage=_usage(call),
        money=_money(call),
    )


def _money(call: Call) -> str:
    if call.status == "running" or call.billing not in ("cost", "credits"):
        return ""
    if call.charge_nano is not None:
        return show_nano(call.charge_nano)
    return "unknown" if call.cost_nano is None else f"${show_nano(call.cost_nano)}"


def _call_badge(call: Call) -> Badge:
    status = "" if call.http_status is None else f" {call.http_status}"
    match call.status:
        case "running":
            return Badge("info", "Running")
        case "succeeded":
            return Badge("ok", "Succeeded")
        case "refused":
            return Badge("warn", f"Refused{status}")
        case "client_gone":
            return Badge("off", "Client left")
        case "interrupted":
            return Badge("bad", "Interrupted")
        case _:
            return Badge("bad", f"Failed{status}")


def _usage(call: Call) -> str:
    parts: list[str] = []
    tokens_in = call.input + call.cache_read + call.cache_write_5m + call.cache_write_1h + call.audio_in
    tokens_out = call.output + call.audio_out
    if tokens_in or tokens_out:
        parts.append(f"{tokens_in:,} in · {tokens_out:,} out" if tokens_out else f"{tokens_in:,} in")
    for meter, unit in _UNITS.items():
        count = int(getattr(call, meter))
        if count:
            parts.append(f"{count:,} {unit.removesuffix('s') if count == 1 and len(unit) > 1 else unit}")
    return " · ".join(parts)


def _attempt_badge(attempt: Attempt) -> Badge:
    if attempt.error_code is None:
        return Badge("ok", str(attempt.http_status or "Answered"))
    return Badge("bad", str(attempt.http_status or "No answer"))


def _bar(attempt: Attempt, call_started_us: int, span_us: int) -> Bar:
    start_us = max(0, attempt.started_us - call_started_us)
    waited_us = min(attempt.total_us if attempt.first_byte_us is None else attempt.first_byte_us, attempt.total_us)
    return Bar(
        start=_percent(start_us, span_us),
        # Never so short that it cannot be seen.
        waited=_percent(max(waited_us, span_us // 200), span_us),
        answered_at=_percent(start_us + waited_us, span_us),
        answered=_percent(attempt.total_us - waited_us, span_us),
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}%"
