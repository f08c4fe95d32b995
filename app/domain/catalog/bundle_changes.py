"""What a price bundle would change in the hub's rates, and making it so.

Costs come from the bundle; a price that an admin has set stays as it is. So does a cost that somebody has entered
(a file, the console), unless the admin asks for the bundle's: it may be what was agreed with the provider.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.catalog import conditions, rates
from app.domain.catalog.bundle import RATE_SOURCE, Bundle, Row
from app.domain.catalog.models import Deployment, Model, Provider, Rate

Why = Literal["new", "changed", "ended"]

_IDS_PER_QUERY = 500
"""SQLite takes 32766 parameters, older ones 999."""

_SECOND = timedelta(seconds=1)

_Key = tuple[str, str]
"""Meter and condition, as `Row.key`."""


class Change(Struct, frozen=True, kw_only=True):
    """One line that is to be added. Costs in nano-USD per `per_units`; None is unknown."""

    deployment_id: str
    provider: str
    model: str
    """The public name."""
    upstream_model: str
    meter: str
    condition: Mapping[str, Any]
    per_units: int
    why: Why
    old_cost_nano: int | None
    new_cost_nano: int | None
    review_cost_nano: int | None
    """The higher cost, where the bundle's sources disagree."""
    price_nano: int | None
    """An explicit price, which stays."""
    effective_from: datetime | None
    """None: at once."""

    @property
    def line(self) -> rates.NewLine:
        return rates.NewLine(
            meter=self.meter,
            cost_nano=self.new_cost_nano,
            price_nano=self.price_nano,
            condition=self.condition,
            review_cost_nano=self.review_cost_nano,
        )


class Kept(Struct, frozen=True, kw_only=True):
    """A cost that somebody has entered and that the bundle says otherwise."""

    provider: str
    model: str
    meter: str
    condition: Mapping[str, Any]
    cost_nano: int
    bundle_cost_nano: int
    source: str


class Unmatched(Struct, frozen=True, kw_only=True):
    """A deployment that the bundle does not know."""

    provider: str
    model: str
    upstream_model: str
    has_rates: bool


class Difference(Struct, frozen=True, kw_only=True):
    version: str
    """Of the bundle."""
    changes: tuple[Change, ...]
    kept: tuple[Kept, ...]
    unmatched: tuple[Unmatched, ...]


class _Served(Struct, frozen=True):
    deployment_id: str
    upstream_model: str
    model: str
    provider: str
    kind: str


async def diff(
    session: AsyncSession,
    bundle: Bundle,
    *,
    provider_name: str | None = None,
    is_replacing: bool = False,
) -> Difference:
    """What `apply` would add, for all deployments or those of one provider.

    `is_replacing`: also costs that somebody has entered.
    """
    now = await rates.moment(session)
    served = await _served(session, provider_name)
    lines = await _lines(session, [one.deployment_id for one in served])
    changes: list[Change] = []
    kept: list[Kept] = []
    unmatched: list[Unmatched] = []
    for one in served:
        rows = bundle.match(one.kind, one.upstream_model)
        old = lines[one.deployment_id]
        if not rows:
            unmatched.append(
                Unmatched(
                    provider=one.provider, model=one.model, upstream_model=one.upstream_model, has_rates=bool(old)
                )
            )
            continue
        found, left = _of_deployment(one, rows, old, now, is_replacing=is_replacing)
        changes += found
        kept += left
    return Difference(version=bundle.version, changes=tuple(changes), kept=tuple(kept), unmatched=tuple(unmatched))


async def apply(
    session: AsyncSession, bundle: Bundle, *, provider_name: str | None = None, is_replacing: bool = False
) -> Difference:
    """Add the lines that the bundle says otherwise, and give what was done. Applied again, it adds nothing."""
    done = await diff(session, bundle, provider_name=provider_name, is_replacing=is_replacing)
    by_target: dict[tuple[str, datetime | None], list[rates.NewLine]] = {}
    for change in done.changes:
        by_target.setdefault((change.deployment_id, change.effective_from), []).append(change.line)
    # In the order in which they begin: each is compared with what is in force then.
    for (deployment_id, effective_from), lines in sorted(by_target.items(), key=_by_beginning):
        await rates.add_lines(session, deployment_id, lines, source=bundle.rate_source, effective_from=effective_from)
    return done


def lines_now(found: Difference) -> dict[str, list[rates.NewLine]]:
    """What of it would be added at once, by deployment."""
    lines: dict[str, list[rates.NewLine]] = {}
    for change in found.changes:
        if change.effective_from is None:
            lines.setdefault(change.deployment_id, []).append(change.line)
    return lines


def _of_deployment(
    one: _Served, rows: Iterable[Row], old: Mapping[_Key, Sequence[Rate]], now: datetime, *, is_replacing: bool
) -> tuple[list[Change], list[Kept]]:
    wanted: dict[_Key, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.valid_from or date.min):
        wanted.setdefault(row.key, []).append(row)
    changes: list[Change] = []
    kept: list[Kept] = []
    for key in dict.fromkeys((*wanted, *old)):
        said, history = wanted.get(key, ()), old.get(key, ())
        line = _begun(history, now)
        if line is not None and line.cost_nano is not None and not is_replacing and _is_entered(line, history):
            row = _due(said, now)
            if row is not None and row.cost_nano != line.cost_nano:
                kept.append(_kept(one, row, line, line.cost_nano))
        else:
            changes += _of_line(one, said, history, now)
    return changes, kept


def _of_line(one: _Served, said: Sequence[Row], history: Sequence[Rate], now: datetime) -> Iterator[Change]:
    """What to add at once, and at each later moment at which the bundle, or a bundle before it, says something new."""
    begins = {_midnight(row.valid_from) for row in said}
    # A line that replaces one of the same moment begins a microsecond later: within a second the last one counts.
    begins |= {rate.effective_from.replace(microsecond=0) for rate in history if _is_ours(rate)}
    added: Change | None = None
    for moment in (now, *sorted(begin for begin in begins if begin > now)):
        row, line = _due(said, moment), _begun(history, moment if moment == now else moment + _SECOND)
        if line is None and row is None:
            continue
        old: tuple[int | None, int | None] = (None, None)
        if added is not None and (line is None or line.effective_from <= (added.effective_from or now) + _SECOND):
            old = added.new_cost_nano, added.review_cost_nano
        elif line is not None:
            old = line.cost_nano, line.review_cost_nano
        if row is None and (line is None or line.cost_nano is None or _is_entered(line, history)):
            continue
        new = (None, None) if row is None else (row.cost_nano, row.review_cost_nano)
        if new != old:
            added = _change(one, row, line, old[0], None if moment == now else moment)
            yield added


def _change(
    one: _Served, row: Row | None, line: Rate | None, old_cost_nano: int | None, effective_from: datetime | None
) -> Change:
    about = row or line
    assert about is not None
    return Change(
        deployment_id=one.deployment_id,
        provider=one.provider,
        model=one.model,
        upstream_model=one.upstream_model,
        meter=about.meter,
        condition=about.condition,
        per_units=about.per_units,
        why="ended" if row is None else "new" if old_cost_nano is None else "changed",
        old_cost_nano=old_cost_nano,
        new_cost_nano=None if row is None else row.cost_nano,
        review_cost_nano=None if row is None else row.review_cost_nano,
        price_nano=None if line is None else line.price_nano,
        effective_from=effective_from,
    )


def _due(rows: Sequence[Row], moment: datetime) -> Row | None:
    """The row that holds then; `rows` in the order of their beginning."""
    return next((row for row in reversed(rows) if _midnight(row.valid_from) <= moment), None)


def _begun(history: Sequence[Rate], moment: datetime) -> Rate | None:
    """The line that is in force then; `history` in the order of their beginning."""
    return next((rate for rate in reversed(history) if rate.effective_from <= moment), None)


def _is_ours(line: Rate) -> bool:
    return line.source.startswith(RATE_SOURCE)


def _is_entered(line: Rate, history: Sequence[Rate]) -> bool:
    """Whether somebody has entered the cost of this line. One that only sets a price carries on the bundle's."""
    if _is_ours(line):
        return False
    before = [rate for rate in history if _is_ours(rate) and rate.effective_from <= line.effective_from]
    return not before or before[-1].cost_nano != line.cost_nano


def _kept(one: _Served, row: Row, line: Rate, cost_nano: int) -> Kept:
    return Kept(
        provider=one.provider,
        model=one.model,
        meter=row.meter,
        condition=row.condition,
        cost_nano=cost_nano,
        bundle_cost_nano=row.cost_nano,
        source=line.source,
    )


def _by_beginning(target: tuple[tuple[str, datetime | None], object]) -> datetime:
    return target[0][1] or _midnight(None)


def _midnight(day: date | None) -> datetime:
    return datetime.combine(day or date.min, time.min, UTC)


async def _served(session: AsyncSession, provider_name: str | None) -> list[_Served]:
    query = (
        select(Deployment.id, Deployment.upstream_model, Model.name, Provider.name, Provider.kind)
        .join(Model, Model.id == Deployment.model_id)
        .join(Provider, Provider.id == Deployment.provider_id)
        .order_by(Provider.name, Model.name, Deployment.id)
    )
    if provider_name is not None:
        query = query.where(Provider.name == provider_name)
    return [_Served(*row) for row in await session.execute(query)]


async def _lines(session: AsyncSession, deployment_ids: Collection[str]) -> dict[str, dict[_Key, list[Rate]]]:
    """All lines of the deployments by what they are about, the oldest first."""
    found: dict[str, dict[_Key, list[Rate]]] = {deployment_id: {} for deployment_id in deployment_ids}
    ids = list(found)
    for start in range(0, len(ids), _IDS_PER_QUERY):
        rows = await session.scalars(
            select(Rate)
            .where(Rate.deployment_id.in_(ids[start : start + _IDS_PER_QUERY]))
            .order_by(Rate.effective_from, Rate.id)
        )
        for row in rows:
            found[row.deployment_id].setdefault((row.meter, conditions.read(row.condition).key), []).append(row)
    return found
