"""A process that posts to the ledger, with a writer of its own: for races between processes, and to be killed.

    python -m tests.domain.billing.poster race NAME TASKS     one call from each of so many tasks at once
    python -m tests.domain.billing.poster load NAME TASKS     call after call, until it is killed

Each call that is committed is printed, flushed, as `take <call> <held>` and `settle <call> <charge>`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from app.base.clock import now_us
from app.base.writer import Refused
from tests.domain.billing.ledger_desk import LedgerDesk, give, opened_desk, settle, take

CHARGE = 10


async def _race(desk: LedgerDesk, name: str, tasks: int) -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

    async def call(n: int) -> None:
        taking = take(f"{name}{n}", CHARGE, now=now_us())
        failure = await desk.refusal(taking)
        assert failure is None or isinstance(failure, Refused), failure
        if failure is None:
            print(f"take {taking.call_id} {taking.held_nano}", flush=True)
            await asyncio.sleep(random.random() / 100)
            await desk.done(settle(taking.call_id, CHARGE, now=now_us()))
            print(f"settle {taking.call_id} {CHARGE}", flush=True)

    await asyncio.gather(*(call(n) for n in range(tasks)))


async def _load(desk: LedgerDesk, name: str, tasks: int) -> None:
    async def call_on(task: int) -> None:
        n = 0
        while True:
            n += 1
            call = f"{name}-{task}-{n}"
            if n % 20 == 0:
                await desk.done(give(call, CHARGE, now=now_us()))
                print(f"give {call} {CHARGE}", flush=True)
            taking = take(call, CHARGE, now=now_us())
            await desk.done(taking)
            print(f"take {call} {taking.held_nano}", flush=True)
            charge = random.randint(1, 2 * CHARGE)
            await desk.done(settle(call, charge, now=now_us(), overdraft_nano=CHARGE))
            print(f"settle {call} {charge}", flush=True)

    await asyncio.gather(*(call_on(task) for task in range(tasks)))


async def _main(what: str, name: str, tasks: int) -> None:
    environ = {key: os.environ[key] for key in ("HUB_DATA_DIR", "DATABASE_URL") if key in os.environ}
    async with opened_desk(environ) as desk:
        await (_race if what == "race" else _load)(desk, name, tasks)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
