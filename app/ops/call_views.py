"""Calls as people and programs read them, and the tail that follows them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec import structs

from app.base.clock import MICROSECONDS, from_us
from app.base.usage import METERS
from app.domain.calls import reports
from app.domain.calls.models import Attempt, Call
from app.domain.identity import api_keys, teams
from app.gateway import fidelity
from app.ops.house import House

POLL_SECONDS = 0.5

# A call is written down shortly after its start, and processes do not write in the order of the starts.
_OVERLAP_US = 10 * MICROSECONDS

_HIDDEN = frozenset({"boot_id", "team_id", "api_key_id", "started_us", *METERS})


class Names:
    """Names of teams and keys by id, as they are when the command starts; a later one is looked up when it is met."""

    def __init__(self, hub: House) -> None:
        self._hub = hub
        self._names: dict[str, str] = {}

    async def learn(self, calls: Sequence[Call]) -> None:
        if all(call.team_id in self._names and call.api_key_id in self._names for call in calls):
            return
        async with self._hub.db.reading() as session:
            self._names |= {team.id: team.name for team in await teams.listed(session)}
            self._names |= {key.id: key.name for key in await api_keys.listed(session)}

    def of(self, id_: str) -> str:
        return self._names.get(id_, id_)


def view(call: Call, names: Names) -> dict[str, Any]:
    """A call as JSON has it: names beside ids, moments as text, the meters that are not zero."""
    columns = {column.key: getattr(call, column.key) for column in Call.__table__.columns}
    return {
        **{name: value for name, value in columns.items() if name not in _HIDDEN},
        "fidelity": [structs.asdict(note) for note in fidelity.from_record(call.fidelity)],
        "started_at": from_us(call.started_us),
        "team_id": call.team_id,
        "team": names.of(call.team_id),
        "api_key_id": call.api_key_id,
        "api_key": names.of(call.api_key_id),
        "usage": {meter: columns[meter] for meter in METERS if columns[meter]},
    }


def view_attempt(attempt: Attempt) -> dict[str, Any]:
    columns = {column.key: getattr(attempt, column.key) for column in Attempt.__table__.columns}
    del columns["call_id"], columns["started_us"]
    return {**columns, "started_at": from_us(attempt.started_us)}


def show_usage(call: Call) -> str:
    """`12 in, 5 out`; what else was counted by its name."""
    parts: list[str] = []
    total_in = sum(getattr(call, name) for name in ("input", "cache_read", "cache_write_5m", "cache_write_1h"))
    if total_in or call.output:
        parts = [f"{total_in} in", f"{call.output} out"]
    shown = {"input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "requests"}
    parts += [f"{getattr(call, meter)} {meter}" for meter in METERS if meter not in shown and getattr(call, meter)]
    return ", ".join(parts) + (" (estimated)" if call.usage_source == "estimated" else "")


def show_duration(microseconds: int | None) -> str:
    """Milliseconds below ten seconds, seconds above."""
    if microseconds is None:
        return ""
    return (
        f"{microseconds / 1000:.0f} ms" if microseconds < 10 * MICROSECONDS else f"{microseconds / MICROSECONDS:.1f} s"
    )


async def follow(hub: House, team_id: str | None, shown: Sequence[Call]) -> AsyncIterator[Sequence[Call]]:
    """What is new since `shown`, again and again: calls that begin, and calls that end.

    A call that ended between two looks comes once.
    """
    seen = {call.id: call.status for call in shown}
    newest_us = max((call.started_us for call in shown), default=0)
    running = {call.id for call in shown if call.status == "running"}
    while True:
        await asyncio.sleep(POLL_SECONDS)
        async with hub.db.reading() as session:
            fresh = await reports.latest(session, team_id, 1000, (newest_us - _OVERLAP_US, ""))
            watched = await reports.of_ids(session, sorted(running - {call.id for call in fresh}))
        news = [call for call in (*watched, *fresh) if seen.get(call.id) != call.status]
        for call in news:
            seen[call.id] = call.status
            newest_us = max(newest_us, call.started_us)
            (running.add if call.status == "running" else running.discard)(call.id)
        if news:
            yield news
