"""Checkpoints: how far the streams that are paid for have come, so that a crash of this process loses a second at most.

A mark is written when a stream begins, then once a second what has gone by. After a crash `recovery.py` charges by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec
import structlog
from msgspec import Struct

from app.base.errors import Busy
from app.base.usage import Usage
from app.base.writer import Step, Writer
from app.domain.billing import progress
from app.domain.catalog import cards
from app.domain.catalog.cards import Card
from app.gateway.charging import holding
from app.gateway.course import Course

EVERY_SECONDS = 1.0
_CHARACTERS_PER_TOKEN = 4

_encode = msgspec.json.Encoder().encode
_log = structlog.stdlib.get_logger(__name__)


class Progress(Struct, frozen=True, kw_only=True):
    """As it stands in the hold."""

    deployment_id: str
    provider: str
    upstream_model: str
    credential_id: str
    card_id: str | None
    card: Card | None
    """The card itself: its row is written when a call is settled by it, and this may be the first."""
    price_facts: str | None
    overdraft_nano: int
    usage: Usage


def mark(course: Course) -> None:
    """A stream begins. Nobody waits for this: the mark is on its way before the first byte is."""
    if course.bill.is_held and course.bill.counts:
        course.shared.writer.post(_step(course), must_take=True)


async def run(running: Callable[[], Iterable[Course]], writer: Writer) -> None:
    """Write down how far all streams have come, once a second, until cancelled."""
    told: dict[str, int] = {}
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        now: dict[str, int] = {}
        steps: list[Step] = []
        for course in running():
            tap = course.tap
            if tap is None or course.is_settled or not course.bill.is_held:
                continue
            now[course.id] = tap.characters
            if told.get(course.id) != tap.characters:
                steps.append(_step(course))
        told = now
        if steps:
            try:
                writer.post(*steps)
            except Busy:
                _log.warning("checkpoints.late", streams=len(steps))


def _step(course: Course) -> Step:
    assert course.candidate is not None and course.tap is not None
    route, bill = course.candidate.route, course.bill
    card = bill.cards.get(route.id)
    usage = Usage(input=bill.forecast.input, output=-(-course.tap.characters // _CHARACTERS_PER_TOKEN), requests=1)
    told = Progress(
        deployment_id=route.id,
        provider=route.source.name,
        upstream_model=route.upstream_model,
        credential_id=course.candidate.credential.id,
        card_id=card.id if card is not None else None,
        card=card if card is not None and card.id not in course.shared.known_cards else None,
        price_facts=cards.facts_json(bill.facts),
        overdraft_nano=holding.overdraft_nano(bill),
        usage=usage,
    )
    return progress.note(course.id, _encode(told).decode())
