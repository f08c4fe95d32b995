"""What an owner sets at run time for the whole hub: so far the billing mode."""

from __future__ import annotations

from typing import Literal, cast

from sqlalchemy import column, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.errors import BadValue
from app.domain.catalog.models import SnapshotRevision

BillingMode = Literal["off", "cost", "credits"]
BILLING_MODES: tuple[BillingMode, ...] = ("off", "cost", "credits")

_BILLING = "billing"

# The table is declared where the hub's own secrets are; domains do not import each other.
_SETTING = table("hub_setting", column("key"), column("value"))


def check_billing_mode(mode: str) -> BillingMode:
    """
    Raises:
        BadValue: not one of the modes.
    """
    if mode not in BILLING_MODES:
        raise BadValue("billing must be off, cost or credits.", param="billing")
    return mode


async def billing_mode(session: AsyncSession) -> BillingMode:
    """`off` until somebody says otherwise."""
    value = await session.scalar(select(_SETTING.c.value).where(_SETTING.c.key == _BILLING))
    return cast(BillingMode, value or "off")


async def set_billing_mode(session: AsyncSession, mode: str) -> None:
    """
    Raises:
        BadValue: not one of the modes.
    """
    await session.execute(
        text(
            "INSERT INTO hub_setting (key, value) VALUES (:key, :value) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ),
        {"key": _BILLING, "value": check_billing_mode(mode)},
    )


async def lock(session: AsyncSession) -> None:
    """Until this transaction ends, nobody else changes what the snapshot holds.

    Every such change counts up the one row that is locked here. SQLite has one writer anyway.
    """
    await session.execute(select(SnapshotRevision.revision).with_for_update())
