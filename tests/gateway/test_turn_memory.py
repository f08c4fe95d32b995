"""The memory before the table: a warm turn reads nothing, and it never grows beyond its bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Engine, event

from app.base.config import read_settings
from app.base.db import Database
from app.base.sqlite_writer import SqliteWriter
from app.base.vault import KeyRing, Vault, load_ring
from app.domain.calls import turns
from app.gateway import turn_memory
from app.gateway.turn_memory import State, TurnMemory
from app.wire.neutral import Opaque, Reasoning

pytestmark = pytest.mark.databases("sqlite")

THOUGHT = State((Reasoning(text="hm", opaque=Opaque("anthropic", "sig")),), Opaque("google", "s2"))


class House:
    def __init__(self, environ: dict[str, str]) -> None:
        settings = read_settings(environ)
        self.now = 0.0
        self.db = Database(settings)
        self.vault = Vault(load_ring(settings))
        self.writer = SqliteWriter(self.db)

    def memory(self) -> TurnMemory:
        """Of another process."""
        return TurnMemory(self.db, self.vault, lambda: self.now)

    async def keep(self, memory: TurnMemory, n: int, state: State | None = THOUGHT) -> bytes:
        row = memory.seal(digest(n), "acme", state, "c1")
        await self.writer.post(turns.keep(row)).committed()
        return row.digest


@pytest.fixture
async def house(hub_environ: dict[str, str]) -> AsyncIterator[House]:
    made = House(hub_environ)
    await made.writer.start()
    yield made
    await made.writer.close()
    await made.db.close()


def digest(n: int) -> bytes:
    return turns.digest_of_call("acme", "google", f"call_{n}", b"{}")


@contextmanager
def queries() -> Generator[list[str]]:
    """The reads of the table, as they are made."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "turn_state" in statement:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_process_that_carried_a_turn_reads_nothing(house: House) -> None:
    memory = house.memory()
    known = await house.keep(memory, 1)
    memory.note_empty(digest(2))

    with queries() as seen:
        found = await memory.find("acme", [known, digest(2)])

    assert seen == [] and [one.state for one in found.values()] == [THOUGHT]


async def test_another_process_reads_once_for_all_and_then_knows(house: House) -> None:
    first = house.memory()
    known = [await house.keep(first, n) for n in range(3)]
    other = house.memory()

    with queries() as seen:
        found = await other.find("acme", [*known, digest(9)])
        again = await other.find("acme", [*known, digest(9)])

    assert len(seen) == 1 and found == again
    assert [(one.state, one.credential_id) for one in found.values()] == [(THOUGHT, "c1")] * 3


async def test_what_was_not_there_is_looked_for_again_after_a_moment(house: House) -> None:
    other = house.memory()
    assert await other.find("acme", [digest(1)]) == {}
    await house.keep(house.memory(), 1)

    with queries() as seen:
        assert await other.find("acme", [digest(1)]) == {}
        house.now += 31
        assert len(await other.find("acme", [digest(1)])) == 1
    assert len(seen) == 1


async def test_what_has_expired_is_not_given_from_memory_either(house: House) -> None:
    memory = house.memory()
    known = memory.seal(digest(1), "acme", THOUGHT, "c1").digest
    house.now += turns.KEPT_US / 1_000_000 + 1

    assert await memory.find("acme", [known]) == {}


async def test_a_row_of_another_team_is_not_given(house: House) -> None:
    known = await house.keep(house.memory(), 1)

    assert await house.memory().find("globex", [known]) == {}


async def test_a_row_that_the_vault_does_not_open_is_passed_over(house: House) -> None:
    known = await house.keep(house.memory(), 1)
    house.vault = Vault(KeyRing((("00000000", bytes(32)),)))

    [found] = (await house.memory().find("acme", [known])).values()
    assert (found.state, found.credential_id) == (None, "c1")


async def test_who_made_a_value_that_the_client_carries_is_known(house: House) -> None:
    known = await house.keep(house.memory(), 1, None)

    [found] = (await house.memory().find("acme", [known])).values()
    assert (found.state, found.credential_id) == (None, "c1")


async def test_it_stays_within_its_bounds_and_forgets_what_was_used_longest_ago(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_memory, "MAX_ENTRIES", 3)
    memory = house.memory()
    known = [memory.seal(digest(n), "acme", THOUGHT, "c1").digest for n in range(3)]
    await memory.find("acme", [known[0]])

    memory.note_empty(digest(3))

    with queries() as seen:
        assert list(await memory.find("acme", [known[0], known[2]])) == [known[0], known[2]]
        assert seen == []
        await memory.find("acme", [known[1]])
        assert len(seen) == 1


async def test_long_thoughts_count_by_their_length(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_memory, "MAX_CHARACTERS", 1000)
    memory = house.memory()
    long = replace(THOUGHT, thoughts=(Reasoning(text="x" * 600),))

    known = [memory.seal(digest(n), "acme", long, "c1").digest for n in range(2)]

    assert list(await memory.find("acme", known)) == [known[1]]


async def test_a_database_that_does_not_answer_is_looked_into_again_the_next_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await house.keep(house.memory(), 1)
    other = house.memory()

    def away() -> Any:
        raise OSError("away")

    with monkeypatch.context() as patched:
        patched.setattr(house.db, "reading", away)
        assert await other.find("acme", [known]) == {}
    assert len(await other.find("acme", [known])) == 1
