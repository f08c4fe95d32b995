"""A writer with accounts, for the tests of the ledger: movements are posted as the hub posts them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from sqlalchemy import select

from app.base.config import read_settings
from app.base.db import Database
from app.base.ids import new_id
from app.base.postgres_writer import PostgresWriter
from app.base.sqlite_writer import SqliteWriter
from app.base.writer import Movement, Posting, Refused, Writer
from app.domain.billing import accounts, book
from app.domain.billing.giving import Give
from app.domain.billing.models import Account, CreditGrant, Entry, Hold
from app.domain.billing.movements import Extend, Settle, Take
from tests.domain.billing.invariants import wrong_in

NOW = 1_800_000_000_000_000
"""Some moment."""
MINUTE = 60_000_000


class Balance(Struct, frozen=True):
    posted: int
    held: int
    overage: int
    is_frozen: bool = False


class LedgerDesk:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self.settings = read_settings(environ)
        self.db = Database(self.settings)
        self.url = environ.get("DATABASE_URL") or f"sqlite:///{self.db.sqlite_path}"
        self.writer: Writer = SqliteWriter(self.db) if self.db.is_sqlite else PostgresWriter(self.settings)

    async def start(self) -> None:
        await self.writer.start()

    async def close(self) -> None:
        await self.writer.close()
        await self.db.close()

    def post(self, movement: Movement) -> Posting:
        return self.writer.post(movement=movement)

    async def refusal(self, movement: Movement) -> BaseException | None:
        """Post it and wait: why it was refused, if it was."""
        posting = self.post(movement)
        assert await posting.ended_within(30), "it waits for its commit"
        return posting.failure

    async def done(self, *movements: Movement) -> None:
        for movement in movements:
            failure = await self.refusal(movement)
            assert failure is None, failure

    async def open(self, *teams: str, line: int = 0) -> None:
        for team_id in teams:
            await self.writer.post(book.opening(team_id, NOW)).committed()
            if line:
                async with self.db.writing() as session:
                    await accounts.set_credit_line(session, team_id, line)

    async def freeze(self, team_id: str) -> None:
        async with self.db.writing() as session:
            await accounts.freeze(session, team_id)

    async def balance(self, team_id: str = "acme") -> Balance:
        async with self.db.reading() as session:
            columns = (Account.posted_nano, Account.held_nano, Account.overage_nano, Account.is_frozen)
            row = (await session.execute(select(*columns).where(Account.team_id == team_id))).one()
        return Balance(*row)

    async def left(self, team_id: str = "acme") -> dict[str, int]:
        """What each grant that has something left has left, by its number."""
        async with self.db.reading() as session:
            rows = await session.execute(
                select(CreditGrant.source_ref, CreditGrant.remaining_nano).where(
                    CreditGrant.team_id == team_id, CreditGrant.remaining_nano > 0
                )
            )
            return dict(rows.tuples().all())

    async def house(self) -> dict[str, int]:
        """What the accounts of the house have come to."""
        async with self.db.reading() as session:
            rows = await session.execute(select(Entry.account, Entry.amount_nano).where(Entry.account != "wallet"))
            sums: dict[str, int] = {}
            for account, amount in rows.tuples():
                sums[account] = sums.get(account, 0) + amount
        return sums

    async def holds(self) -> dict[str, tuple[str, int]]:
        async with self.db.reading() as session:
            rows = await session.execute(select(Hold.call_id, Hold.state, Hold.amount_nano))
            return {call_id: (state, amount) for call_id, state, amount in rows}

    async def wrong(self, *, chains: bool = True) -> list[str]:
        return await wrong_in(self.url, chains=chains)


@asynccontextmanager
async def opened_desk(environ: Mapping[str, str]) -> AsyncIterator[LedgerDesk]:
    desk = LedgerDesk(environ)
    await desk.start()
    try:
        yield desk
    finally:
        await desk.close()


def give(ref: str, amount: int, *, team: str = "acme", now: int = NOW, **fields: Any) -> Give:
    """A grant; bought where `category` says `paid`."""
    values: dict[str, Any] = {"category": "promo", "reason": "test", "actor": "hub", "source": "test"} | fields
    if values["category"] == "paid":
        values.setdefault("house", "sold")
    return Give(team_id=team, grant_id=new_id(), source_ref=ref, amount_nano=amount, now_us=now, **values)


def take(call: str, wish: int, least: int | None = None, *, team: str = "acme", now: int = NOW, **fields: Any) -> Take:
    return Take(
        call_id=call,
        team_id=team,
        boot_id="boot",
        now_us=now,
        expires_us=now + 15 * MINUTE,
        wish_nano=wish,
        least_nano=wish if least is None else least,
        **fields,
    )


def extend(call: str, wish: int, least: int, *, team: str = "acme", now: int = NOW) -> Extend:
    return Extend(call_id=call, team_id=team, now_us=now, wish_nano=wish, least_nano=least)


def settle(call: str, charge: int = 0, *, team: str = "acme", now: int = NOW, **fields: Any) -> Settle:
    return Settle(call_id=call, team_id=team, now_us=now, charge_nano=charge, **fields)


def is_refused(failure: BaseException | None) -> bool:
    return isinstance(failure, Refused)
