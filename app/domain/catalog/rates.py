"""Rate lines: what a deployment's meters cost and are sold at, from when on and under which condition.

Lines are added, never edited; the database refuses anything else. Of the lines of one meter and condition the one that
began last is in force. What a call is priced with is a card (`cards.py`), made from the lines in force (`pricing.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue
from app.base.ids import new_id
from app.base.money import MAX_NANO, show_nano
from app.base.usage import PER_MILLION_METERS, PER_UNIT_METERS
from app.domain.catalog import conditions, notices, settings
from app.domain.catalog.conditions import ALWAYS, Condition
from app.domain.catalog.models import Rate

MILLION = 1_000_000

_IDS_PER_QUERY = 500
"""SQLite takes 32766 parameters, older ones 999."""


class Line(Struct, frozen=True):
    """What one meter costs and is sold at, in nano per its unit. None: unknown; zero: free."""

    cost_nano: int | None
    price_nano: int | None


class NewLine(Struct, frozen=True):
    """A line to be added. Neither cost nor price: it ends the meter under that condition."""

    meter: str
    cost_nano: int | None
    price_nano: int | None
    """None: from the cost, with a markup."""
    condition: Mapping[str, Any] = {}
    review_cost_nano: int | None = None
    """The higher cost, where sources disagree."""


class InForce(Struct, frozen=True, kw_only=True):
    """A line with all that is known of it, as `Rate`."""

    id: str
    deployment_id: str
    meter: str
    per_units: int
    cost_nano: int | None
    price_nano: int | None
    condition: Condition
    effective_from: datetime
    source: str
    review_cost_nano: int | None
    change_id: str | None

    @property
    def line(self) -> Line:
        return Line(self.cost_nano, self.price_nano)

    @property
    def is_ended(self) -> bool:
        return self.cost_nano is None and self.price_nano is None

    @property
    def key(self) -> tuple[str, str]:
        """Lines with the same key replace each other."""
        return self.meter, self.condition.key


Card = Mapping[str, Line]
"""Unconditional lines by meter."""

_A_SECOND = timedelta(seconds=1)
_COLUMNS: tuple[Any, ...] = tuple(getattr(Rate, name) for name in InForce.__struct_fields__)

_log = structlog.stdlib.get_logger(__name__)


def per_units(meter: str) -> int:
    """For how many units a meter's rate is quoted.

    Raises:
        BadValue: there is no such meter, or it is never charged by itself.
    """
    if meter in PER_MILLION_METERS:
        return MILLION
    if meter in PER_UNIT_METERS:
        return 1
    raise BadValue(f'"{meter}" is not a meter that has a rate.', param=meter)


async def moment(session: AsyncSession) -> datetime:
    """Now, but never before the last line was added: a clock that was set back must not keep old rates in force."""
    added_at = await _last_added(session)
    # A second more: lines that replace one of the same moment begin a little later than that.
    return clock.now() if added_at is None else max(clock.now(), added_at + _A_SECOND)


async def in_force(
    session: AsyncSession, deployment_ids: Collection[str], at: datetime
) -> Mapping[str, Sequence[InForce]]:
    """The lines in force then, by deployment; of each meter and condition one, ended ones left out."""
    ids = list(dict.fromkeys(deployment_ids))
    found: dict[str, Sequence[InForce]] = {id_: [] for id_ in ids}
    for start in range(0, len(ids), _IDS_PER_QUERY):
        begun = await _begun(session, at, Rate.deployment_id.in_(ids[start : start + _IDS_PER_QUERY]))
        found |= {id_: [one for one in lines.values() if not one.is_ended] for id_, lines in begun.items()}
    return found


async def all_in_force(session: AsyncSession, at: datetime) -> Mapping[str, Sequence[InForce]]:
    """As `in_force`, of every deployment that ever had a rate."""
    begun = await _begun(session, at)
    return {id_: [one for one in lines.values() if not one.is_ended] for id_, lines in begun.items()}


async def next_change(session: AsyncSession, after: datetime) -> datetime | None:
    """The first moment after this one at which a line comes into force."""
    return await session.scalar(select(func.min(Rate.effective_from)).where(Rate.effective_from > after))


async def count(session: AsyncSession) -> int:
    """Of all lines that were ever added."""
    return await session.scalar(select(func.count()).select_from(Rate)) or 0


async def newest(session: AsyncSession, deployment_ids: Collection[str]) -> Mapping[str, Card]:
    """What is in force now of each of the deployments without any condition."""
    found = await in_force(session, deployment_ids, await moment(session))
    return {
        deployment_id: {one.meter: one.line for one in lines if one.condition.is_empty}
        for deployment_id, lines in found.items()
    }


async def add_lines(
    session: AsyncSession,
    deployment_id: str,
    lines: Iterable[NewLine],
    *,
    source: str,
    effective_from: datetime | None = None,
    change_id: str | None = None,
    allows_below_cost: bool = False,
) -> int:
    """Add the lines that differ from what will be in force at `effective_from`; gives how many were added.

    None, or a moment that has passed, is now: what was charged is never priced again. Lines of the same meter and
    condition that begin later stay as they are, but a price change (`change_id`) that is to begin takes a new cost
    over, and a cost that is announced takes over the price that a change sets.

    What was told of the deployment's prices (`notices.py`) is forgotten.

    Raises:
        BadValue: a meter that is not charged, a condition or an amount that cannot be, two lines for the same; or a
            price that is new and lies below cost, unless that is allowed here or by the hub's setting. A price of zero
            is free of charge and no mistake.
    """
    wanted = _checked(lines)
    now = clock.now()
    at = max(now, await _last_added(session) or now, effective_from or now)
    # A line that replaces one of the same moment begins a little later than that, so within a second the last counts.
    known_at = max(at + _A_SECOND, await moment(session))
    begun = (await _begun(session, known_at, Rate.deployment_id == deployment_id)).get(deployment_id, {})
    terms = None
    added = 0
    changed: dict[tuple[str, str], tuple[InForce | NewLine, NewLine]] = {}
    for key, (line, condition) in wanted.items():
        old = begun.get(key)
        if _says(old, line):
            continue
        if line.price_nano and not allows_below_cost and (old is None or line.price_nano != old.price_nano):
            terms = terms or await settings.terms(session)
            _refuse_below_cost(line, terms)
        session.add(
            Rate(
                id=new_id(),
                deployment_id=deployment_id,
                meter=line.meter,
                per_units=per_units(line.meter),
                cost_nano=line.cost_nano,
                price_nano=line.price_nano,
                condition=condition.as_json(),
                effective_from=at if old is None else max(at, old.effective_from + timedelta(microseconds=1)),
                source=source,
                review_cost_nano=line.review_cost_nano,
                change_id=change_id,
            )
        )
        added += 1
        changed[key] = (old or NewLine(line.meter, None, None), line)
    if added:
        await session.flush()
        await _carry_on(session, deployment_id, known_at, changed, change_id)
        await notices.forget(session, deployment_id)
    return added


async def set_card(
    session: AsyncSession,
    deployment_id: str,
    card: Mapping[str, tuple[int | None, int | None]] | Card,
    source: str,
    *,
    conditional: Iterable[NewLine] | None = None,
) -> int:
    """Make `card` (meter → cost and price in nano) the one in force; gives the number of lines that were added.

    A meter that is not in `card` gets a line that ends it. Conditional lines stay as they are, unless `conditional`
    says them all. A cost that is said again stays in doubt if it was.

    Raises:
        BadValue: as `add_lines`.
    """
    known = (await in_force(session, [deployment_id], await moment(session)))[deployment_id]
    lines = [NewLine(meter, *_amounts(line)) for meter, line in card.items()]
    lines += [NewLine(one.meter, None, None) for one in known if one.condition.is_empty and one.meter not in card]
    if conditional is not None:
        more = list(conditional)
        said = {(line.meter, conditions.read(line.condition).key) for line in more}
        more += [
            NewLine(one.meter, None, None, one.condition.as_json())
            for one in known
            if not one.condition.is_empty and one.key not in said
        ]
        lines += more
    doubts = {(one.key, one.cost_nano): one.review_cost_nano for one in known}
    kept = [
        replace(line, review_cost_nano=doubts.get(((line.meter, conditions.read(line.condition).key), line.cost_nano)))
        for line in lines
    ]
    return await add_lines(session, deployment_id, kept, source=source)


def _amounts(line: Line | tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    return (line.cost_nano, line.price_nano) if isinstance(line, Line) else line


def _checked(lines: Iterable[NewLine]) -> dict[tuple[str, str], tuple[NewLine, Condition]]:
    wanted: dict[tuple[str, str], tuple[NewLine, Condition]] = {}
    for line in lines:
        per_units(line.meter)
        amounts = (line.cost_nano, line.price_nano, line.review_cost_nano)
        if any(amount is not None and not 0 <= amount <= MAX_NANO for amount in amounts):
            raise BadValue(f"The rate of {line.meter} must be zero or more.", param=line.meter)
        condition = conditions.read(line.condition)
        key = (line.meter, condition.key)
        if key in wanted:
            raise BadValue(f"There are two rates of {line.meter} under the same condition.", param=line.meter)
        wanted[key] = (line, condition)
    return wanted


def _says(old: InForce | None, line: NewLine) -> bool:
    if old is None:
        return line.cost_nano is None and line.price_nano is None
    return (old.cost_nano, old.price_nano, old.review_cost_nano) == (
        line.cost_nano,
        line.price_nano,
        line.review_cost_nano,
    )


def _cost(line: InForce | NewLine | Rate) -> tuple[int | None, int | None]:
    return line.cost_nano, line.review_cost_nano


async def _carry_on(
    session: AsyncSession,
    deployment_id: str,
    after: datetime,
    changed: Mapping[tuple[str, str], tuple[InForce | NewLine, NewLine]],
    change_id: str | None,
) -> None:
    """Tell lines that begin later what has changed: those of price changes the cost, the others the price."""
    rows = await session.scalars(
        select(Rate)
        .where(Rate.deployment_id == deployment_id, Rate.effective_from > after)
        .order_by(Rate.effective_from, Rate.id)
    )
    for row in rows.all():
        condition = _condition(row.condition, row.id)
        if condition is None or (row.meter, condition.key) not in changed:
            continue
        old, new = changed[row.meter, condition.key]
        cost, price = _cost(row), row.price_nano
        if change_id is None:
            if row.change_id is None or cost != _cost(old):
                continue
            cost = _cost(new)
            # Where the meter has ended there is nothing to sell.
            price = None if new.cost_nano is None and new.price_nano is None else price
        else:
            if row.change_id is not None or price != old.price_nano or cost == (None, None):
                continue
            price = new.price_nano
        if (cost, price) == (_cost(row), row.price_nano):
            continue
        session.add(
            Rate(
                id=new_id(),
                deployment_id=deployment_id,
                meter=row.meter,
                per_units=row.per_units,
                cost_nano=cost[0],
                price_nano=price,
                condition=row.condition,
                effective_from=row.effective_from + timedelta(microseconds=1),
                source=row.source,
                review_cost_nano=cost[1],
                change_id=row.change_id,
            )
        )
    await session.flush()


def _refuse_below_cost(line: NewLine, terms: settings.Terms) -> None:
    if line.cost_nano is None or line.price_nano is None or terms.sells_below_cost:
        return
    floor = terms.price_of(max(line.cost_nano, line.review_cost_nano or 0), 0)
    if line.price_nano < floor:
        raise BadValue(
            f"The price of {line.meter}, {show_nano(line.price_nano)}, lies below its cost: it must be "
            f"{show_nano(floor)} credits or more. To sell at a loss, set sell_below_cost to on.",
            param=line.meter,
        )


async def _last_added(session: AsyncSession) -> datetime | None:
    newest_id = await session.scalar(select(func.max(Rate.id)))
    # An id begins with the milliseconds at which it was made.
    return None if newest_id is None else datetime.fromtimestamp((int(newest_id[:12], 16) + 1) / 1000, UTC)


async def _begun(
    session: AsyncSession, at: datetime, *of: ColumnElement[bool]
) -> dict[str, dict[tuple[str, str], InForce]]:
    """Deployment → key → the line that began last, ended ones too."""
    found: dict[str, dict[tuple[str, str], InForce]] = {}
    rows = await session.execute(
        select(*_COLUMNS).where(Rate.effective_from <= at, *of).order_by(Rate.effective_from, Rate.id)
    )
    for id_, deployment, meter, units, cost, price, written, begins, source, review, change in rows:
        condition = _condition(written, id_)
        if condition is None:
            continue
        line = InForce(
            id=id_,
            deployment_id=deployment,
            meter=meter,
            per_units=units,
            cost_nano=cost,
            price_nano=price,
            condition=condition,
            effective_from=begins,
            source=source,
            review_cost_nano=review,
            change_id=change,
        )
        found.setdefault(deployment, {})[line.key] = line
    return found


def _condition(written: Mapping[str, Any], rate_id: str) -> Condition | None:
    """None where this version cannot read it: such a line never applies. It cannot be removed, so it must not harm."""
    if not written:
        return ALWAYS
    try:
        return conditions.read(written)
    except BadValue as refusal:
        _log.error("rate.unreadable", rate=rate_id, reason=refusal.sentence)
        return None
