"""A hub that charges credits and is killed in the middle of its work: nothing is charged twice, nothing for nothing.

`MONEY_KILLS` is how often it is killed on each database: 100 in `make prove`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import subprocess
import time
from typing import Any

import pytest
from msgspec import Struct, field

from tests.credit_hubs import TOKEN, priced
from tests.emulators.handle import Upstream
from tests.faults.books import Books, right_books
from tests.faults.server import HUB, Server, open_stream, serving
from tests.proofs import figures

KILLS = int(os.environ.get("MONEY_KILLS", "2"))
STREAMS = 40
LOST_SECONDS = 1.0
"""Of output that may be missing in the charge of a call whose hub was killed."""
_LATE_SECONDS = 0.8
"""What the machine may be late: the mark was due, and the processor somewhere else."""

_SAID = re.compile(rb'"content":"([^"]*)"')
_CALL_ID = re.compile(rb"x-hub-call-id: ([0-9a-f]+)", re.IGNORECASE)


class Heard(Struct):
    """What one client got of one call."""

    call_id: str
    is_complete: bool = False
    said: list[tuple[float, int]] = field(default_factory=list)
    """When (monotonic) how many characters of the answer had come."""

    def said_before(self, moment: float) -> int:
        return max((characters for when, characters in self.said if when <= moment), default=0)


@pytest.mark.prove
@pytest.mark.timeout(60 + 30 * KILLS)
async def test_a_hub_killed_under_load_has_charged_every_call_once_and_holds_nothing(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    chooser = random.Random(KILLS)
    file = priced(upstream, "100000", models={"chat": "one/slow-25", "quick": "one/gpt-4o-mini"})
    file["budgets"] = [{"scope": "team", "of": "acme", "amount": 10**9, "unit": "tokens", "window": "total"}]
    heard: dict[str, Heard] = {}
    async with serving(hub_environ, file) as server:
        for kill in range(KILLS):
            ids, moment = await _work_and_kill(server, chooser, heard)
            if kill % 4 == 3:
                await _kill_while_it_recovers(server, chooser)
            await server.start()
            books = await right_books(server.db, server.settings)
            _check(books, [heard[call_id] for call_id in ids], moment)
        books = await right_books(server.db, server.settings)
        recovered = [call for call in books.calls.values() if call.usage_source == "recovered" and call.charge_nano]
        complete = sum(one.is_complete for one in heard.values())
        assert complete and recovered
        await asyncio.to_thread(_check_command, hub_environ)
    database = "PostgreSQL" if "DATABASE_URL" in hub_environ else "SQLite"
    figures.note(
        f"kill -9 under {STREAMS} streams, {database}",
        f"{KILLS} kills, {len(books.calls)} calls, {complete} complete answers charged once each, "
        f"{len(recovered)} charged by their last mark, 0 wrong, 0 held",
    )


async def _work_and_kill(server: Server, chooser: random.Random, heard: dict[str, Heard]) -> tuple[list[str], float]:
    """The calls that clients have heard of, and when the hub was gone."""
    ids: list[str] = []

    async def call_again_and_again(number: int) -> None:
        while True:
            length = chooser.choice((8, 20, 300)) if number % 8 else 12
            messages = [{"role": "user", "content": f"count to {length}"}]
            fields: dict[str, Any] = {"messages": messages, "stream": number % 8 != 0}
            one = await _listen(server, "chat" if number % 8 else "quick", fields)
            if one is None:
                return
            heard[one.call_id] = one
            ids.append(one.call_id)

    working = [asyncio.create_task(call_again_and_again(number)) for number in range(STREAMS)]
    await asyncio.sleep(chooser.uniform(1.0, 3.0))
    moment = time.monotonic()
    await server.kill()
    await asyncio.gather(*working)
    return ids, moment


async def _listen(server: Server, model: str, fields: dict[str, Any]) -> Heard | None:
    """None once the hub is gone and nothing was heard."""
    one: Heard | None = None
    characters = 0
    with contextlib.suppress(OSError):
        stream = await open_stream(server, model, **fields)
        text = b""
        async for piece in stream.pieces():
            text += piece
            if one is None and b"\r\n\r\n" in text:
                found = _CALL_ID.search(text)
                assert found is not None, text
                one = Heard(call_id=found[1].decode())
            if one is not None:
                characters += sum(len(said) for said in _SAID.findall(piece))
                one.said.append((time.monotonic(), characters))
        if one is not None:
            one.is_complete = b"data: [DONE]" in text or (not fields["stream"] and b'"finish_reason"' in text)
    return one


def _check(books: Books, of_round: list[Heard], killed_at: float) -> None:
    for one in of_round:
        call = books.calls[one.call_id]
        if one.is_complete:
            assert one.call_id in books.charged, (call.status, call.usage_source)
        if call.status == "succeeded":
            assert call.charge_nano == call.output * TOKEN + call.input * 1000
            continue
        assert (call.status, call.error_code) == ("interrupted", "hub_stopped")
        # At four characters a token; what came in the last second may be missing, what never came may not be there.
        assert call.output * 4 >= one.said_before(killed_at - LOST_SECONDS - _LATE_SECONDS), call.id
        assert (call.output - 1) * 4 <= max((characters for _, characters in one.said), default=0) + 400
        assert (call.charge_nano or 0) == (call.output * TOKEN + call.input * 1000 if call.output else 0)


async def _kill_while_it_recovers(server: Server, chooser: random.Random) -> None:
    starting = asyncio.create_task(server.start())
    await asyncio.sleep(chooser.uniform(0.5, 1.5))
    await server.kill()
    with contextlib.suppress(AssertionError):
        await starting


def _check_command(environ: dict[str, str]) -> None:
    """`hub verify`, as a person asks it, beside the serving hub."""
    done = subprocess.run(
        [*HUB, "verify"], env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["ok"] is True
