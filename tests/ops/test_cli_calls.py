"""`hub calls`, on calls that `hub seed` and the recorder have written."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from sqlalchemy import update

from app.base.clock import now_us
from app.base.db import Database
from app.base.ids import new_id
from app.base.secret import Secret
from app.base.usage import METERS
from app.base.vault import Place
from app.domain.calls import reports
from app.domain.calls.models import Call, CallContent
from app.gateway import fidelity
from app.ops import call_views, house
from app.wire.notes import Note
from tests.ops.conftest import HubCommand


def _call(**fields: Any) -> Call:
    given: dict[str, Any] = {
        "id": new_id(),
        "boot_id": "boot",
        "team_id": "team",
        "api_key_id": "key",
        "endpoint": "chat.completions",
        "model": "lab/small",
        "is_streamed": True,
        "status": "running",
        "started_us": now_us(),
        "attempts": 0,
        **dict.fromkeys(METERS, 0),
    }
    return Call(**{**given, **fields})


def test_an_empty_hub_has_no_calls(hub: HubCommand) -> None:
    assert hub("calls", "tail").stdout == "No calls yet.\n"
    assert hub("calls", "tail", "--json").stdout == ""


def test_seeding_makes_a_hub_that_can_be_looked_at(hub: HubCommand) -> None:
    seeded = hub.json("seed", "--calls", "60")

    assert seeded["calls"] == 60
    assert set(seeded["keys"]) == {
        f"{team}/{name}" for team in ("acme", "globex", "initech") for name in ("production", "laptop")
    }
    assert {row["name"] for row in hub.json("provider", "list")} == {"demo", "lab"}
    assert len(hub.json("key", "list")) == 6
    calls = [json.loads(line) for line in hub("calls", "tail", "-n", "100", "--json").stdout.splitlines()]
    assert len(calls) == 60
    assert [call["started_at"] for call in calls] == sorted(call["started_at"] for call in calls)
    assert all(call["status"] != "running" for call in calls)
    assert {call["team"] for call in calls} == {"acme", "globex", "initech"}


def test_seeding_refuses_a_hub_with_data_unless_forced(hub: HubCommand) -> None:
    hub("key", "create", "--team", "acme", "--name", "production")

    assert "--force" in hub("seed", expect=1).stderr
    seeded = hub.json("seed", "--calls", "5", "--force")
    assert "acme/production" not in seeded["keys"]
    hub("seed", "--calls", "5", "--force")
    assert len(hub("calls", "tail", "--json").stdout.splitlines()) == 10


@pytest.mark.databases("sqlite")
def test_seeding_makes_the_same_numbers_each_time(hub: HubCommand) -> None:
    def numbers() -> list[tuple[Any, ...]]:
        lines = hub("calls", "tail", "-n", "40", "--json").stdout.splitlines()
        return [(call["model"], call["status"], call["total_us"], call["usage"]) for call in map(json.loads, lines)]

    hub("seed", "--calls", "20")
    first = numbers()
    hub("seed", "--calls", "20", "--force")

    both = numbers()
    assert len(both) == 40
    assert sorted(map(str, both)) == sorted(map(str, first * 2))


def test_tail_shows_the_newest_of_a_team(hub: HubCommand) -> None:
    hub("seed", "--calls", "30")

    lines = hub("calls", "tail", "--team", "acme", "-n", "3").stdout.splitlines()

    assert len(lines) == 3
    assert all(" acme/" in line for line in lines)
    assert "no team nobody" in hub("calls", "tail", "--team", "nobody", expect=1).stderr


def test_show_gives_the_attempts_and_the_content_that_a_team_keeps(hub: HubCommand) -> None:
    hub("seed", "--calls", "5")
    call_id = json.loads(hub("calls", "tail", "-n", "1", "--json").stdout)["id"]

    async def keep_content() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            texts = {"sealed_request": "What is said\nhere?", "sealed_answer": "A red \x1b[31mword."}
            session.add(
                CallContent(
                    call_id=call_id,
                    team_id="team",
                    expires_us=now_us() + 10**9,
                    **{
                        column: opened.vault.seal(Secret(text), Place("call_content", column, call_id, "team"))
                        for column, text in texts.items()
                    },
                )
            )

    assert hub.json("calls", "show", call_id)["content"] is None
    asyncio.run(keep_content())
    shown = hub.json("calls", "show", call_id)
    text = hub("calls", "show", call_id).stdout

    assert shown["content"] == {"request": "What is said\nhere?", "answer": "A red \x1b[31mword."}
    assert len(shown["tries"]) == shown["attempts"]
    assert "What is said\nhere?" in text
    assert "\x1b" not in text, "text from outside must not steer the terminal"
    assert "There is no call" in hub("calls", "show", "nothing", expect=1).stderr


def test_show_says_what_the_provider_was_not_told(hub: HubCommand) -> None:
    hub("seed", "--calls", "1")
    call_id = json.loads(hub("calls", "tail", "-n", "1", "--json").stdout)["id"]
    assert hub.json("calls", "show", call_id)["fidelity"] == []

    async def note() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            notes = fidelity.record((Note("top_k", "dropped", "it has none"),))
            await session.execute(update(Call).values(fidelity=notes))

    asyncio.run(note())

    assert hub.json("calls", "show", call_id)["fidelity"] == [
        {"path": "top_k", "what": "dropped", "why": "it has none"}
    ]
    assert re.search(r"dropped top_k\s+it has none", hub("calls", "show", call_id).stdout)


async def test_following_tells_when_calls_begin_and_when_they_end(
    hub: HubCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_views, "POLL_SECONDS", 0.01)
    async with house.opened(hub.settings) as opened:
        old, late = _call(started_us=now_us() - 60_000_000), _call(started_us=now_us() - 1_000_000)
        new = _call()
        await _write(opened.db, old)
        async with opened.db.reading() as session:
            shown = await reports.latest(session, None, 10)
        following = call_views.follow(opened, None, shown)

        async def news() -> list[tuple[str, str]]:
            async with asyncio.timeout(5):
                return [(call.id, call.status) for call in await anext(following)]

        await _write(opened.db, new)
        assert await news() == [(new.id, "running")]
        # Began earlier than one that was shown, but was written down later.
        await _write(opened.db, late)
        assert await news() == [(late.id, "running")]
        await _end(opened.db, old.id)
        assert await news() == [(old.id, "succeeded")]
        await _end(opened.db, new.id)
        assert await news() == [(new.id, "succeeded")]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await anext(following)


async def test_a_team_finds_its_own_calls_only(hub: HubCommand) -> None:
    async with house.opened(hub.settings) as opened:
        mine, other = _call(team_id="mine"), _call(team_id="other")
        await _write(opened.db, mine, other)
        async with opened.db.reading() as session:
            assert [call.id for call in await reports.latest(session, "mine", 10)] == [mine.id]
            assert await reports.find(session, other.id, "mine") is None
            assert await reports.find(session, other.id) is not None
            cursor = (mine.started_us, mine.id)
            assert [call.id for call in await reports.latest(session, None, 10, cursor)] == [other.id]


async def _write(db: Database, *calls: Call) -> None:
    async with db.writing() as session:
        session.add_all(calls)


async def _end(db: Database, call_id: str) -> None:
    async with db.writing() as session:
        await session.execute(update(Call).where(Call.id == call_id).values(status="succeeded"))
