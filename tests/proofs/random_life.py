"""The random life of a ledger with another copy of the application: `python random_life.py APP_PARENT DATA OPERATIONS`.

Ends with 0 when nothing is wrong, else with 3 and what was found as the last line.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


async def _live(data: str, operations: int) -> None:
    from tests.domain.billing.invariants import wrong_in
    from tests.domain.billing.ledger_desk import LedgerDesk
    from tests.domain.billing.random_ledger import RandomLedger, live

    ledger = RandomLedger(LedgerDesk({"HUB_DATA_DIR": data}))
    await ledger.start()
    chance = random.Random(7)
    for _ in range(0, operations, 50):
        await live(ledger, chance, 50)
        wrong = await wrong_in(ledger.desk.url)
        assert not wrong, wrong
    await ledger.desk.close()


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1], str(ROOT)]
    try:
        asyncio.run(_live(sys.argv[2], int(sys.argv[3])))
    except BaseException as failure:
        where = traceback.extract_tb(failure.__traceback__)[-1]
        said = f"{type(failure).__name__}: {str(failure) or where.line}"
        print(said.replace("\n", " ")[:200], flush=True)
        # Not an end in order: the writer may wait for what will never come.
        os._exit(3)
