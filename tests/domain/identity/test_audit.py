"""The audit trail: a chain under many writers, damage that is found, secrets that do not get in, retention."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.exc import DBAPIError

from app.base import clock
from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, NotFound
from app.base.secret import Secret
from app.base.wrongs import Enough, Report
from app.domain.identity import audit, audit_masking, audit_reading, audit_upkeep
from app.domain.identity.audit import Actor
from app.domain.identity.audit_reading import Filters
from app.domain.identity.models import AuditEvent, HubSetting

ADA = Actor("user", "ada@example.com", "u1")
_DAY_US = 86_400 * clock.MICROSECONDS


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    await database.close()


async def _record(db: Database, action: str = "key.create", object: str = "acme/web", **said: Any) -> int:
    async with db.writing() as session:
        return await audit.record(session, ADA, action, "key", f"id of {object}", object, source="192.0.2.1", **said)


async def _events(db: Database) -> list[AuditEvent]:
    async with db.reading() as session:
        return list((await session.scalars(select(AuditEvent).order_by(AuditEvent.seq))).all())


async def _verified(db: Database, most: int = 50) -> list[tuple[str, str]]:
    """What is wrong: the check, and the event."""
    report = Report(most)
    async with db.reading() as session:
        with contextlib.suppress(Enough):
            await audit_upkeep.verify(session, report)
    return [(wrong.check, wrong.key) for wrong in report.wrong]


async def _damage(db: Database, *statements: str) -> None:
    """As somebody with the database in their hands, who drops the trigger first."""
    async with db.writing() as session:
        if session.get_bind().dialect.name == "postgresql":
            await session.execute(text("ALTER TABLE audit_event DISABLE TRIGGER ALL"))
        else:
            await session.execute(text("DROP TRIGGER IF EXISTS append_only_audit_event_update"))
        for statement in statements:
            await session.execute(text(statement))


async def test_an_event_says_who_did_what_to_what_and_what_changed(db: Database) -> None:
    seq = await _record(
        db,
        "key.change",
        team_id="t1",
        before={"models": ["a"], "strict": False, "expires": None},
        after={"models": ["a", "b"], "strict": False, "expires": None},
        request_id="r1",
    )

    async with db.reading() as session:
        told = audit_reading.told(await audit_reading.get(session, seq))
    assert (told.seq, told.actor, told.actor_kind, told.actor_id) == (1, "ada@example.com", "user", "u1")
    assert (told.action, told.object_kind, told.object, told.team_id) == ("key.change", "key", "acme/web", "t1")
    assert (told.source, told.request_id) == ("192.0.2.1", "r1")
    # Only what changed.
    assert (told.before, told.after) == ({"models": ["a"]}, {"models": ["a", "b"]})


async def test_a_change_that_is_undone_leaves_no_event(db: Database) -> None:
    await _record(db)

    with pytest.raises(RuntimeError):
        async with db.writing() as session:
            await audit.record(session, ADA, "key.revoke", "key", "k1", "acme/web", source="192.0.2.1")
            raise RuntimeError("the change failed")

    assert [event.action for event in await _events(db)] == ["key.create"]
    assert await _record(db) == 2


async def test_events_of_32_writers_at_once_make_one_chain(db: Database) -> None:
    async def writer(n: int) -> None:
        for _ in range(4):
            await _record(db, object=f"acme/{n}")

    await asyncio.gather(*(writer(n) for n in range(32)))

    assert [event.seq for event in await _events(db)] == list(range(1, 129))
    assert await _verified(db) == []


async def test_changes_of_the_same_row_at_once_do_not_wait_for_each_other_in_a_circle(db: Database) -> None:
    async with db.writing() as session:
        session.add(HubSetting(key="contested", value="0"))

    async def change(n: int) -> None:
        async with db.writing() as session:
            row = await session.get(HubSetting, "contested")
            assert row is not None
            # Not sent yet: recording sends it before it waits for its turn.
            row.value = str(n)
            await audit.record(session, ADA, "settings.set", "setting", "contested", "contested", source="192.0.2.1")

    await asyncio.gather(*(change(n) for n in range(1, 25)))

    assert len(await _events(db)) == 24
    assert await _verified(db) == []


async def test_no_event_can_be_changed(db: Database) -> None:
    await _record(db)

    with pytest.raises(DBAPIError, match="audit_event is not changed"):
        async with db.writing() as session:
            await session.execute(text("UPDATE audit_event SET actor = 'mallory'"))

    assert [event.actor for event in await _events(db)] == ["ada@example.com"]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        pytest.param(["UPDATE audit_event SET actor = 'eve' WHERE seq = 3"], ("hash", "3"), id="edited"),
        pytest.param(["UPDATE audit_event SET after = NULL WHERE seq = 3"], ("hash", "3"), id="emptied"),
        pytest.param(["DELETE FROM audit_event WHERE seq = 3"], ("seq", "4"), id="deleted"),
        pytest.param(["DELETE FROM audit_event WHERE seq = 1"], ("anchor", "2"), id="the first deleted"),
        pytest.param(
            [
                "UPDATE audit_event SET seq = 99 WHERE seq = 3",
                "UPDATE audit_event SET seq = 3 WHERE seq = 4",
                "UPDATE audit_event SET seq = 4 WHERE seq = 99",
            ],
            ("chain", "3"),
            id="reordered",
        ),
    ],
)
async def test_damage_is_found_and_named(db: Database, damage: list[str], found: tuple[str, str]) -> None:
    for n in range(6):
        await _record(db, object=f"acme/{n}", after={"n": n})
    assert await _verified(db) == []

    await _damage(db, *damage)

    assert await _verified(db, most=1) == [found]


async def test_an_edited_event_with_a_new_hash_breaks_the_chain_behind_it(db: Database) -> None:
    for n in range(4):
        await _record(db, object=f"acme/{n}")
    second = (await _events(db))[1]
    row = {"prev": second.prev, **{name: getattr(second, name) for name in audit.COLUMNS}, "actor": "eve"}
    forged = audit.hash_of(row)

    async with db.writing() as session:
        is_postgres = session.get_bind().dialect.name == "postgresql"
    digest = f"'\\x{forged.hex()}'" if is_postgres else f"X'{forged.hex()}'"
    await _damage(db, f"UPDATE audit_event SET actor = 'eve', hash = {digest} WHERE seq = 2")

    assert await _verified(db) == [("chain", "3")]


async def test_events_that_are_cut_off_the_end_are_missed_once_the_hub_has_noted_them(db: Database) -> None:
    for n in range(4):
        await _record(db, object=f"acme/{n}")
    async with db.writing() as session:
        assert not await audit_upkeep.is_head_noted(session)
        await audit_upkeep.note_head(session)
        assert await audit_upkeep.is_head_noted(session)

    await _damage(db, "DELETE FROM audit_event WHERE seq >= 3")

    assert await _verified(db) == [("head", "4")]


async def test_old_events_are_forgotten_and_the_rest_still_stands_on_them(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_us = clock.now_us()
    monkeypatch.setattr(audit.clock, "now_us", lambda: now_us - 10 * _DAY_US)
    for n in range(5):
        await _record(db, object=f"old/{n}")
    monkeypatch.setattr(audit.clock, "now_us", lambda: now_us)
    for n in range(3):
        await _record(db, object=f"new/{n}")

    async with db.writing() as session:
        assert await audit_upkeep.forget(session, 0, now_us) == 0
        assert await audit_upkeep.forget(session, 30, now_us) == 0
        assert await audit_upkeep.forget(session, 7, now_us) == 5
        assert await audit_upkeep.forget(session, 7, now_us) == 0

    assert [(event.seq, event.action) for event in await _events(db)] == [
        (6, "key.create"),
        (7, "key.create"),
        (8, "key.create"),
        (9, "audit.forget"),
    ]
    assert await _verified(db) == []
    assert await _record(db) == 10
    # More than was forgotten is missed.
    await _damage(db, "DELETE FROM audit_event WHERE seq = 6")
    assert await _verified(db, most=1) == [("anchor", "7")]


async def test_a_trail_that_is_forgotten_whole_goes_on_from_its_hash(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        await _record(db, object=f"acme/{n}")
    much_later = clock.now_us() + 400 * _DAY_US
    monkeypatch.setattr(audit.clock, "now_us", lambda: much_later)

    async with db.writing() as session:
        assert await audit_upkeep.forget(session, 30, much_later) == 3

    assert [(event.seq, event.action) for event in await _events(db)] == [(4, "audit.forget")]
    assert await _verified(db) == []
    # What only tells of forgetting is not forgotten by itself, day after day.
    async with db.writing() as session:
        assert await audit_upkeep.forget(session, 30, much_later + 100 * _DAY_US) == 0


async def test_a_cut_that_the_hub_did_not_make_is_found(db: Database) -> None:
    for n in range(4):
        await _record(db, object=f"acme/{n}")
    second = (await _events(db))[1]

    async with db.writing() as session:
        await session.execute(delete(AuditEvent).where(AuditEvent.seq <= 2))
        session.add(HubSetting(key=audit.ANCHOR, value=f"2:{second.hash.hex()}"))

    assert await _verified(db) == [("anchor", "2")]


async def test_events_are_found_by_what_they_say(db: Database) -> None:
    await _record(db, "key.create", "acme/web", team_id="t1", after={"models": ["openai/*"]})
    await _record(db, "key.revoke", "acme/web", team_id="t1")
    async with db.writing() as session:
        bob = Actor("command", "bob")
        await audit.record(session, bob, "settings.set", "setting", "markup", "markup", source="shell", after={"x": 1})
        await audit.record(session, bob, "keyring.open", "hub", "hub", "100% of_it", source="shell")

    async def found(**filters: Any) -> list[int]:
        async with db.reading() as session:
            return [event.seq for event in await audit_reading.page(session, Filters(**filters))]

    assert await found() == [4, 3, 2, 1]
    assert await found(actor="bob") == [4, 3]
    assert await found(actor="u1") == [2, 1]
    assert await found(action="key.") == [2, 1]
    assert await found(action="key.c") == [1]
    assert await found(object="key") == await found(object="key:acme/web") == [2, 1]
    assert await found(object="setting:markup") == [3]
    assert await found(object="setting:acme/web") == []
    assert await found(team_id="t1", action="key.revoke") == [2]
    assert await found(text="OPENAI/") == [1]
    assert await found(text="%") == await found(text="of_") == [4]
    assert await found(text="_") == [4]
    later = clock.now_us() + clock.MICROSECONDS
    assert await found(until_us=later) == [4, 3, 2, 1] and await found(from_us=later) == []
    with pytest.raises(BadValue):
        await found(text="x" * 65)


@pytest.mark.databases("postgresql")
async def test_a_search_that_takes_too_long_is_given_up_with_a_sentence(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_reading, "_SEARCH_MS", 100)
    async with db.writing() as other:
        await other.execute(text("LOCK TABLE audit_event"))
        async with db.reading() as session:
            with pytest.raises(BadValue, match="takes too long"):
                await audit_reading.page(session, Filters(text="x"))


async def test_pages_follow_each_other_while_events_come(db: Database) -> None:
    for n in range(5):
        await _record(db, object=f"acme/{n}")
    async with db.reading() as session:
        first = await audit_reading.page(session, Filters(), limit=2)
    await _record(db)

    async with db.reading() as session:
        second = await audit_reading.page(session, Filters(), before_seq=first[-1].seq, limit=10)

    assert [event.seq for event in (*first, *second)] == [5, 4, 3, 2, 1]


async def test_an_event_of_another_team_is_not_found(db: Database) -> None:
    seq = await _record(db, team_id="t1")

    async with db.reading() as session:
        assert (await audit_reading.get(session, seq, team_id="t1")).seq == seq
        for team_id, number in (("t2", seq), ("t1", seq + 1)):
            with pytest.raises(NotFound):
                await audit_reading.get(session, number, team_id=team_id)


async def test_an_export_has_all_events_that_fit_oldest_first(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_reading, "_ROWS_PER_QUERY", 2)
    for n in range(5):
        await _record(db, object=f"acme/{n}", after={"n": n})
    await _record(db, "team.create", object='=HYPERLINK("http://evil.example")')

    async def exported(format: audit_reading.Format, **filters: Any) -> str:
        async with db.reading() as session:
            return b"".join(
                [piece async for piece in audit_reading.export(session, Filters(**filters), format)]
            ).decode()

    lines = [json.loads(line) for line in (await exported("jsonl", action="key.")).splitlines()]
    assert [(line["seq"], line["after"]) for line in lines] == [(n + 1, {"n": n}) for n in range(5)]
    rows = list(csv.DictReader(io.StringIO(await exported("csv"), newline="")))
    assert [row["seq"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert json.loads(rows[0]["after"]) == {"n": 0}
    # A spreadsheet takes it for text.
    assert rows[5]["object"] == '\'=HYPERLINK("http://evil.example")'


CANARIES = {
    "secret": "canary-secret-000001",
    "api_key": "canary-secret-000002",
    "apiKey": "canary-secret-000003",
    "secret_access_key": "canary-secret-000004",
    "Password": "canary-secret-000005",
    "session token": "canary-secret-000006",
    "digest": b"canary-secret-000007",
    "sealed_request": "canary-secret-000008",
    "anything": Secret("canary-secret-000009"),
    "authorization": "Bearer canary-secret-000010",
    "parts": {"client_secret": ["canary-secret-000011"]},
    "list": [{"totp_seed": "canary-secret-000012"}],
}


async def test_no_secret_gets_into_an_event_whatever_it_is_called(db: Database) -> None:
    await _record(db, before=CANARIES, after=dict.fromkeys(CANARIES))
    await _record(db, after=CANARIES)

    for event in await _events(db):
        assert "canary" not in str({name: getattr(event, name) for name in audit.COLUMNS})
    assert (await _events(db))[1].after is not None


@pytest.mark.parametrize(
    "written",
    [
        "https://ada:hunter2@example.com/v1",
        "curl -H 'Authorization: Bearer hunter2hunter2'",
        "api_key=hunter2hunter2",
        "sk-hunter2hunter2",
        "hk-hunter2hunter2_x",
        "password: hunter2",
        "http://hub.test/sign-in/hunter2hunter2",
        "whsec_hunter2hunter2",
    ],
)
async def test_what_looks_like_a_secret_is_masked_wherever_it_stands(db: Database, written: str) -> None:
    await _record(db, object=written, after={"note": written, "notes": [written], written: 1})

    (event,) = await _events(db)
    assert "hunter2" not in f"{event.object}{event.object_id}{event.after}"


def test_what_is_no_secret_stays_readable() -> None:
    said = {
        "key_id": "0192f0c1a2b3c4d5e6f708192a3b4c5d",
        "tokens": 5000,
        "api_key_name": "acme/web",
        "models": ["openai/*"],
        "reason": "paid by invoice 2026-0042, thanks",
        "token": None,
        "base_url": "https://api.openai.com/v1",
        "stored": f"sha256:{'ab12' * 16}",
    }
    assert audit_masking.masked(said) == said


async def test_odd_and_long_texts_are_recorded_and_still_verify(db: Database) -> None:
    odd = "a\x00b\udcff" + "é" * 300

    await _record(db, object=odd, after={"note": odd * 20, "many": list(range(1000)), odd: {"deep": {"er": odd}}})

    (event,) = await _events(db)
    assert len(event.object) == 200
    assert len(event.after or "") < 20_000
    assert await _verified(db) == []
