"""The deadlines of a call, on one timer."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from app.adapters.providers.kinds import Deadlines
from app.gateway import deadline
from app.gateway.deadline import Deadline, Overdue


class Watch:
    """A deadline, and what it said when."""

    def __init__(self, total_seconds: float = 60.0) -> None:
        self.began = monotonic()
        self.said: list[Overdue] = []
        self.heard = asyncio.Event()
        self.deadline = Deadline(self._hear, self.began + total_seconds)

    def _hear(self, what: Overdue) -> None:
        self.said.append(what)
        self.heard.set()

    async def wait(self) -> tuple[Overdue, float]:
        """What was overdue, and after how many tenths of a second."""
        async with asyncio.timeout(3):
            await self.heard.wait()
        return self.said[0], round(monotonic() - self.began, 1)


LIMITS = Deadlines(first_byte=0.2, whole=0.4, idle=0.1, total=5.0)


async def test_a_stream_must_begin_in_its_time() -> None:
    watch = Watch()
    watch.deadline.ask(LIMITS, is_streamed=True)
    assert await watch.wait() == ("first_byte", 0.2)


async def test_an_answer_in_one_piece_has_longer() -> None:
    watch = Watch()
    watch.deadline.ask(LIMITS, is_streamed=False)
    assert await watch.wait() == ("first_byte", 0.4)


async def test_between_two_bytes_the_time_is_its_own_however_long_that_for_the_first() -> None:
    watch = Watch()
    watch.deadline.ask(Deadlines(first_byte=30.0, idle=0.2, total=60.0), is_streamed=True)
    watch.deadline.progress()
    assert await watch.wait() == ("idle", 0.2)


async def test_progress_puts_it_off() -> None:
    watch = Watch()
    watch.deadline.ask(LIMITS, is_streamed=True)
    for _ in range(6):
        watch.deadline.progress()
        await asyncio.sleep(0.05)
    assert not watch.said
    assert (await watch.wait())[0] == "idle"


async def test_the_total_is_that_of_the_call_over_all_its_tries() -> None:
    watch = Watch(total_seconds=0.3)
    watch.deadline.ask(LIMITS, is_streamed=False)
    await asyncio.sleep(0.2)
    watch.deadline.ask(LIMITS, is_streamed=False)
    assert await watch.wait() == ("total", 0.3)


async def test_a_client_that_takes_nothing_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "CLIENT_STALL_SECONDS", 0.2)
    watch = Watch()
    watch.deadline.ask(Deadlines(first_byte=30.0, idle=30.0, total=60.0), is_streamed=True)
    watch.deadline.progress()
    for _ in range(3):
        watch.deadline.giving()
        watch.deadline.given()
    watch.deadline.giving()
    assert await watch.wait() == ("client", 0.2)


async def test_while_the_client_is_waited_for_the_provider_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    watch.deadline.ask(LIMITS, is_streamed=True)
    watch.deadline.progress()
    watch.deadline.giving()
    await asyncio.sleep(0.3)
    assert not watch.said
    watch.deadline.given()
    assert (await watch.wait())[0] == "idle"


async def test_closed_it_says_nothing_more() -> None:
    watch = Watch()
    watch.deadline.ask(LIMITS, is_streamed=True)
    watch.deadline.close()
    await asyncio.sleep(0.3)
    assert not watch.said
