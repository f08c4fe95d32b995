"""A hub that charges credits, and what its books say. A token of output costs a thousandth of a credit, input nothing
that matters: so balances can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import select

from app.base.clock import now_us
from app.base.money import nano
from app.domain.billing.models import Account, BudgetSpend, Hold, Journal
from app.gateway.desk import verifying
from tests.emulators.handle import Upstream
from tests.hubs import Json, RunningHub, described, running_hub

CREDIT = nano("1")
TOKEN = nano("0.001")
"""What one token of output is sold for."""
PRICES: Json = {"cost": {"input": "0.5", "output": "500"}, "price": {"input": "1", "output": "1000"}}


def priced(upstream: Upstream, credits: str = "1", *, billing: str = "credits", **more: Any) -> Json:
    """A hub.yaml as `described` makes it, its models priced and its team with so many credits."""
    file = described(upstream, **more)
    for model in file["models"]:
        model |= PRICES
    file["billing"] = billing
    file["teams"][0] |= {"credits": credits}
    return file


@asynccontextmanager
async def credit_hub(
    environ: Mapping[str, str], upstream: Upstream, credits: str = "1", **more: Any
) -> AsyncIterator[RunningHub]:
    """Whatever a test does with it, its books are right at the end."""
    async with running_hub(environ, priced(upstream, credits, **more)) as hub:
        yield hub
        assert (await verifying.verify(hub.db, now_us=now_us(), most=100)).wrong == []


async def account(hub: RunningHub) -> Account:
    """The only team's."""
    async with hub.db.reading() as session:
        found = (await session.scalars(select(Account))).one()
    return found


async def holds(hub: RunningHub) -> list[Hold]:
    async with hub.db.reading() as session:
        return list((await session.scalars(select(Hold).order_by(Hold.call_id))).all())


async def journals(hub: RunningHub) -> list[Journal]:
    async with hub.db.reading() as session:
        return list((await session.scalars(select(Journal).order_by(Journal.seq))).all())


async def spends(hub: RunningHub) -> list[BudgetSpend]:
    async with hub.db.reading() as session:
        return list((await session.scalars(select(BudgetSpend))).all())
