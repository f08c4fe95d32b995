"""What an owner sets at run time for the whole hub: the billing mode, and on what terms credits are charged.

Values are texts in one form each, so that equal values are equal texts. A change counts the snapshot's revision up, so
every process hears of it within a second. Switching the billing mode touches nothing that was recorded before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, cast

from msgspec import Struct
from sqlalchemy import column, delete, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import money
from app.base.errors import BadValue, NotFound
from app.base.money import MAX_NANO, NANO
from app.domain.catalog import policy
from app.domain.catalog.models import SnapshotRevision

BillingMode = Literal["off", "cost", "credits"]
BILLING_MODES: tuple[BillingMode, ...] = ("off", "cost", "credits")

MIN_MARKUP_POINTS, MAX_MARKUP_POINTS = -10_000, 10_000_000
_MAX_LINK = 2000
_MOST_DAYS = 36_500
_WHOLE = 10_000
"""Basis points of one."""
_LEAST_CREDIT_NANO, _MOST_CREDIT_NANO = 1_000, 1_000_000 * NANO

# The table is declared where the hub's own secrets are; domains do not import each other.
_SETTING = table("hub_setting", column("key"), column("value"))


class Setting(Struct, frozen=True, kw_only=True):
    name: str
    default: str
    about: str
    """One sentence for lists: what it is, and in which unit."""
    read: Callable[[str], Any]
    """The value of a text. Raises BadValue."""
    show: Callable[[Any], str]
    """The one text of a value."""

    def tidy(self, written: str) -> str:
        """The text as it is stored.

        Raises:
            BadValue: it cannot be a value of this setting; `param` is its name.
        """
        try:
            return self.show(self.read(written))
        except BadValue as refusal:
            raise BadValue(refusal.sentence, param=self.name) from None


class Starter(Struct, frozen=True, kw_only=True):
    """What new people are given."""

    amount_nano: int
    days: int
    """0: it never ends."""
    daily_limit_nano: int
    """0: none."""


class Terms(Struct, frozen=True, kw_only=True):
    """On what terms credits are charged."""

    credit_price_nano: int
    """nano-USD that one credit stands for."""
    markup_basis_points: int
    """Where neither team, model nor provider has one of its own."""
    sells_below_cost: bool

    def price_of(self, cost_nano: int, markup_basis_points: int) -> int:
        """Cost in nano-USD with a markup, in nano-credits, rounded up; not below cost unless that is allowed."""
        points = markup_basis_points if self.sells_below_cost else max(markup_basis_points, 0)
        price = -(-cost_nano * (_WHOLE + points) * NANO // (_WHOLE * self.credit_price_nano))
        return min(price, MAX_NANO)


def check_billing_mode(mode: str) -> BillingMode:
    """
    Raises:
        BadValue: not one of the modes.
    """
    if mode not in BILLING_MODES:
        raise BadValue("billing must be off, cost or credits.", param="billing")
    return mode


def check_markup(points: int) -> int:
    """
    Raises:
        BadValue: not a markup; below zero is a rebate, -100 percent is free.
    """
    if not MIN_MARKUP_POINTS <= points <= MAX_MARKUP_POINTS:
        raise BadValue("A markup is a percentage from -100 to 100000.", param="markup")
    return points


def _read_switch(written: str) -> bool:
    if written not in ("on", "off"):
        raise BadValue("This is either on or off.")
    return written == "on"


def _show_switch(is_on: bool) -> str:
    return "on" if is_on else "off"


def _read_credit_price(written: str) -> int:
    price = money.nano(written)
    if not _LEAST_CREDIT_NANO <= price <= _MOST_CREDIT_NANO:
        raise BadValue("A credit costs from 0.000001 to 1000000 dollars.")
    return price


def _read_link(written: str) -> str:
    if written and not written.startswith(("https://", "http://")):
        raise BadValue("A link begins with https:// or http://.")
    if len(written) > _MAX_LINK or any(mark.isspace() or not mark.isprintable() for mark in written):
        raise BadValue("A link has no spaces and is not longer than 2000 characters.")
    return written


def _read_markup(written: str) -> int:
    return check_markup(money.basis_points(written))


def _read_credits(written: str) -> int:
    amount = money.nano(written)
    if amount < 0:
        raise BadValue("This is zero or more credits.")
    return amount


def _read_days(written: str) -> int:
    if not (written.isascii() and written.isdigit()) or len(written) > 5 or int(written) > _MOST_DAYS:
        raise BadValue(f"This is a whole number of days, 0 to {_MOST_DAYS}.")
    return int(written)


_ALL = (
    Setting(
        name="billing",
        default="off",
        about="off: no money anywhere. cost: what providers charge, in USD. credits: teams pay in credits.",
        read=check_billing_mode,
        show=str,
    ),
    Setting(
        name="credit_price",
        default="1",
        about="USD that one credit stands for.",
        read=_read_credit_price,
        show=money.show_nano,
    ),
    Setting(
        name="markup",
        default="0",
        about="Percent above cost, where team, model and provider have no markup of their own.",
        read=_read_markup,
        show=money.show_basis_points,
    ),
    Setting(
        name="sell_below_cost",
        default="off",
        about="on: prices may lie below cost. off: they are raised to it, except those of zero.",
        read=_read_switch,
        show=_show_switch,
    ),
    Setting(
        name="charging_policy",
        default="",
        about="What differs from the usual charging policy, as row=action pairs: client_gone.some=input_only, …",
        read=policy.read_changes,
        show=policy.show_changes,
    ),
    Setting(
        name="purchase_link",
        default="",
        about="Where people who have no credits can buy some; it stands in the 402 that their programs get.",
        read=_read_link,
        show=str,
    ),
    Setting(
        name="starter_credits",
        default="0",
        about="Credits that the team of a new person is given, once per person.",
        read=_read_credits,
        show=money.show_nano,
    ),
    Setting(
        name="starter_credit_days",
        default="0",
        about="Days after which starter credits end; 0: never.",
        read=_read_days,
        show=str,
    ),
    Setting(
        name="starter_daily_limit",
        default="0",
        about="Credits that are given as starter credits on one UTC day at most; 0: no limit.",
        read=_read_credits,
        show=money.show_nano,
    ),
    Setting(
        name="audit_keep_days",
        default="0",
        about="Days (UTC) for which the audit trail is kept; 0: for ever.",
        read=_read_days,
        show=str,
    ),
    Setting(
        name="require_second_factor",
        default="off",
        about="on: owners and admins see nothing before they have set up a second factor.",
        read=_read_switch,
        show=_show_switch,
    ),
)

SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _ALL}


def find(name: str) -> Setting:
    """
    Raises:
        NotFound: there is no such setting.
    """
    setting = SETTINGS.get(name)
    if setting is None:
        raise NotFound(f'There is no setting "{name[:80]}"; there are {", ".join(SETTINGS)}.', param="name")
    return setting


async def values(session: AsyncSession, names: Collection[str] = tuple(SETTINGS)) -> Mapping[str, str]:
    """The texts of settings in force, defaults among them, in the order of `names`."""
    rows = await session.execute(select(_SETTING.c.key, _SETTING.c.value).where(_SETTING.c.key.in_(list(names))))
    stored = {row.key: row.value for row in rows}
    return {name: stored.get(name, SETTINGS[name].default) for name in names}


async def get(session: AsyncSession, name: str) -> str:
    """
    Raises:
        NotFound: there is no such setting.
    """
    find(name)
    return (await values(session, (name,)))[name]


async def put(session: AsyncSession, name: str, written: str) -> None:
    """Set it, whatever it was.

    Raises:
        NotFound: there is no such setting.
        BadValue: the text cannot be its value.
    """
    setting = find(name)
    value = setting.tidy(written)
    if value == setting.default:
        await session.execute(delete(_SETTING).where(_SETTING.c.key == name))
        return
    await session.execute(
        text(
            "INSERT INTO hub_setting (key, value) VALUES (:key, :value) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        ),
        {"key": name, "value": value},
    )


async def billing_mode(session: AsyncSession) -> BillingMode:
    """`off` until somebody says otherwise."""
    return cast(BillingMode, await get(session, "billing"))


async def set_billing_mode(session: AsyncSession, mode: str) -> None:
    """
    Raises:
        BadValue: not one of the modes.
    """
    await put(session, "billing", mode)


async def terms(session: AsyncSession) -> Terms:
    found = await values(session, ("credit_price", "markup", "sell_below_cost"))
    return Terms(
        credit_price_nano=_read_credit_price(found["credit_price"]),
        markup_basis_points=_read_markup(found["markup"]),
        sells_below_cost=_read_switch(found["sell_below_cost"]),
    )


async def starter(session: AsyncSession) -> Starter:
    """Nothing, unless the hub bills in credits."""
    found = await values(session, ("billing", "starter_credits", "starter_credit_days", "starter_daily_limit"))
    return Starter(
        amount_nano=_read_credits(found["starter_credits"]) if found["billing"] == "credits" else 0,
        days=_read_days(found["starter_credit_days"]),
        daily_limit_nano=_read_credits(found["starter_daily_limit"]),
    )


async def audit_keep_days(session: AsyncSession) -> int:
    """0: for ever."""
    return _read_days(await get(session, "audit_keep_days"))


async def lock(session: AsyncSession) -> None:
    """Until this transaction ends, nobody else changes what the snapshot holds.

    Every such change counts up the one row that is locked here. SQLite has one writer anyway.
    """
    await session.execute(select(SnapshotRevision.revision).with_for_update())
