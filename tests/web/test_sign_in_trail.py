"""What the audit trail tells of people's ways in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.identity import audit_reading
from app.domain.identity.models import AuditEvent
from app.web import trail
from tests.web.hub_of_pages import Hub, csrf_token, opened


async def _events(hub: Hub) -> Sequence[audit_reading.Told]:
    async with hub.db.reading() as session:
        rows = (await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))).all()
        return [audit_reading.told(row) for row in rows]


async def test_who_signs_in_and_out_is_recorded_with_where_from(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        link, browser = await hub.link(), hub.browser()
        await browser.get(link)
        assert await _events(hub) == []

        await browser.post(link, headers={"User-Agent": "Firefox/144"})
        await browser.post("/sign-out", data={"csrf_token": csrf_token(await browser.get("/"))})

        events = await _events(hub)
        assert [event.action for event in events] == ["sign_in", "sign_out"]
        for event in events:
            assert (event.actor_kind, event.actor, event.source) == ("user", "ada@example.com", "192.0.2.7")
            assert event.actor_id == event.object_id and event.object_kind == "user"
        assert events[0].after == {"by": "link", "browser": "Firefox/144"}
        assert link.rpartition("/")[2] not in str(events)


async def test_a_failed_sign_in_is_recorded_with_whose_link_it_was(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        link = await hub.link()
        await hub.browser().post(link)

        assert (await hub.browser(client=("203.0.113.5", 1)).post(link)).status_code == 401
        assert (await hub.browser().post("/sign-in/nobody-made-this")).status_code == 401

        used, unknown = (await _events(hub))[1:]
        assert (used.action, used.actor, used.source) == ("sign_in.refuse", "ada@example.com", "203.0.113.5")
        assert (unknown.action, unknown.actor, unknown.actor_id) == ("sign_in.refuse", "somebody", None)
        assert used.after is not None and "was used" in used.after["why"]


async def test_signing_out_without_a_session_records_nothing(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await hub.browser().post("/sign-out")

        assert await _events(hub) == []


@pytest.mark.databases("sqlite")
async def test_whoever_guesses_links_does_not_fill_the_trail(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        for n in range(trail.REFUSALS_PER_ADDRESS + 5):
            assert (await hub.browser().post(f"/sign-in/guess-{n}")).status_code == 401
        await hub.browser(client=("203.0.113.5", 1)).post("/sign-in/guess")

        sources = [event.source for event in await _events(hub)]
        assert sources == ["192.0.2.7"] * trail.REFUSALS_PER_ADDRESS + ["203.0.113.5"]


def test_refusals_are_counted_anew_after_a_while_and_limited_in_all() -> None:
    now = 0.0
    refusals = trail.Refusals(clock=lambda: now)

    def recorded(sources: Sequence[Any]) -> int:
        return sum(refusals.is_recorded(str(source)) for source in sources)

    assert recorded(["one"] * 50) == trail.REFUSALS_PER_ADDRESS
    assert recorded(range(1000)) == trail.REFUSALS_IN_ALL - trail.REFUSALS_PER_ADDRESS
    now = trail.WINDOW_SECONDS
    assert recorded(["one"] * 50) == trail.REFUSALS_PER_ADDRESS
