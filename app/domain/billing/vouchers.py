"""Vouchers: codes made in bulk, each of which gives credits to a team that redeems it; once per team, and no more teams
than it has uses. Only digests of the codes are stored."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.base.money import MAX_NANO
from app.domain.billing import grants, voucher_codes
from app.domain.billing.models import Voucher, VoucherUse

SOURCE = "voucher"
MOST_AT_ONCE = 10_000
MOST_USES = 1_000_000
MOST_DAYS = 36_500

_DAY_US = 24 * 3600 * clock.MICROSECONDS
_ROWS_PER_INSERT = 500
_MAX_NAME = 200


class Batch(Struct, frozen=True, kw_only=True):
    """Codes that were made together."""

    name: str
    codes: int
    amount_nano: int
    """Of one use of one code; of batches with several amounts the largest."""
    uses: int
    max_uses: int
    """Of all codes together."""
    expires_us: int | None
    created_us: int
    disabled: int
    """How many of the codes were disabled."""


class Redeemed(Struct, frozen=True, kw_only=True):
    voucher_id: str
    batch: str
    amount_nano: int
    expires_us: int | None
    """When the credits end."""


async def make(
    session: AsyncSession,
    *,
    batch: str,
    count: int,
    amount_nano: int,
    max_uses: int = 1,
    grant_days: int | None = None,
    expires_us: int | None = None,
) -> list[str]:
    """New codes, which nobody can see again. Each gives `amount_nano` to up to `max_uses` teams until `expires_us`;
    the credits last `grant_days` from then on, with None for ever.

    Raises:
        BadValue: a number, the name or the moment cannot be.
        Conflict: there is a batch of that name.
    """
    now_us = clock.now_us()
    name = batch.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise BadValue(f"A batch has a name of at most {_MAX_NAME} characters.", param="batch")
    _check_range(count, 1, MOST_AT_ONCE, "count", "So many codes are made at once")
    _check_range(max_uses, 1, MOST_USES, "uses", "A code has so many uses")
    if grant_days is not None:
        _check_range(grant_days, 1, MOST_DAYS, "days", "Credits last so many days")
    if not 0 < amount_nano <= MAX_NANO:
        raise BadValue("A voucher gives more than zero credits, and not more than a billion.", param="amount")
    if expires_us is not None and expires_us <= now_us:
        raise BadValue("A voucher cannot end in the past.", param="expires")
    if await session.scalar(select(Voucher.id).where(Voucher.batch == name).limit(1)) is not None:
        raise Conflict(f'There are codes of a batch "{name}" already.', param="batch")
    codes = [voucher_codes.make() for _ in range(count)]
    terms = {
        "batch": name,
        "amount_nano": amount_nano,
        "grant_days": grant_days,
        "max_uses": max_uses,
        "uses": 0,
        "expires_us": expires_us,
        "created_us": now_us,
        "disabled_us": None,
    }
    for start in range(0, count, _ROWS_PER_INSERT):
        rows = [
            {"id": new_id(), "digest": voucher_codes.digest(code), "hint": voucher_codes.hint(code), **terms}
            for code in codes[start : start + _ROWS_PER_INSERT]
        ]
        await session.execute(insert(Voucher), rows)
    return codes


async def redeem(session: AsyncSession, code: str, team_id: str, actor: str) -> Redeemed:
    """Give the team what the code is worth. Whatever races, a code is used as often as it may be, and once per team.

    Raises:
        BadValue: `voucher_mistyped`.
        NotFound: `voucher_unknown`.
        Conflict: `voucher_used` (by this team, or as often as it may be), `voucher_expired` (or disabled).
    """
    now_us = clock.now_us()
    digest = voucher_codes.digest(code)
    found = await session.scalar(select(Voucher).where(Voucher.digest == digest))
    if found is None:
        raise NotFound("There is no voucher with this code.", param="code", code="voucher_unknown")
    ends_us = None if found.grant_days is None else now_us + found.grant_days * _DAY_US
    # A caller who catches the refusal must find nothing of it in the transaction.
    async with session.begin_nested():
        await _use(session, found.id, now_us)
        await _use_once(session, found.id, team_id, now_us)
        await grants.grant(
            session,
            team_id=team_id,
            amount_nano=found.amount_nano,
            source=SOURCE,
            source_ref=f"{found.id}:{team_id}",
            reason=f"Voucher {found.hint}… of {found.batch}",
            actor=actor,
            expires_us=ends_us,
        )
    return Redeemed(voucher_id=found.id, batch=found.batch, amount_nano=found.amount_nano, expires_us=ends_us)


async def disable(session: AsyncSession, batch: str) -> int:
    """From here on no code of the batch is redeemed; what was given stays. Gives how many codes that stopped.

    Raises:
        NotFound: there is no such batch.
    """
    stopped = await session.scalars(
        update(Voucher)
        .where(Voucher.batch == batch, Voucher.disabled_us.is_(None))
        .values(disabled_us=clock.now_us())
        .returning(Voucher.id)
        .execution_options(synchronize_session=False)
    )
    number = len(stopped.all())
    if not number:
        await _check_batch(session, batch)
    return number


async def batches(session: AsyncSession, *, limit: int, skip: int = 0) -> Sequence[Batch]:
    """Newest first."""
    made = func.min(Voucher.created_us)
    rows = await session.execute(
        select(
            Voucher.batch,
            func.count(),
            func.max(Voucher.amount_nano),
            func.sum(Voucher.uses),
            func.sum(Voucher.max_uses),
            func.max(Voucher.expires_us),
            made,
            func.count(Voucher.disabled_us),
        )
        .group_by(Voucher.batch)
        .order_by(made.desc(), Voucher.batch)
        .limit(limit)
        .offset(skip)
    )
    return [
        Batch(
            name=name,
            codes=codes,
            amount_nano=amount,
            # PostgreSQL sums integers as a decimal or a larger one.
            uses=int(uses),
            max_uses=int(most),
            expires_us=expires_us,
            created_us=created_us,
            disabled=disabled,
        )
        for name, codes, amount, uses, most, expires_us, created_us, disabled in rows
    ]


async def of_batch(session: AsyncSession, batch: str, *, limit: int, skip: int = 0) -> Sequence[Voucher]:
    """The vouchers of a batch.

    Raises:
        NotFound: there is no such batch.
    """
    rows = await session.scalars(
        select(Voucher).where(Voucher.batch == batch).order_by(Voucher.hint, Voucher.id).limit(limit).offset(skip)
    )
    found = rows.all()
    if not found:
        await _check_batch(session, batch)
    return found


async def _use(session: AsyncSession, voucher_id: str, now_us: int) -> None:
    used = await session.scalar(
        update(Voucher)
        .where(
            Voucher.id == voucher_id,
            Voucher.uses < Voucher.max_uses,
            Voucher.disabled_us.is_(None),
            (Voucher.expires_us.is_(None)) | (Voucher.expires_us > now_us),
        )
        .values(uses=Voucher.uses + 1)
        .returning(Voucher.id)
        .execution_options(synchronize_session=False)
    )
    if used is not None:
        return
    now = (await session.execute(select(Voucher.disabled_us, Voucher.expires_us).where(Voucher.id == voucher_id))).one()
    if now.disabled_us is not None or (now.expires_us is not None and now.expires_us <= now_us):
        raise Conflict("This voucher can no longer be redeemed.", param="code", code="voucher_expired")
    raise Conflict("This voucher has been used up.", param="code", code="voucher_used")


async def _use_once(session: AsyncSession, voucher_id: str, team_id: str, now_us: int) -> None:
    # The PostgreSQL words for an upsert are SQLite's, too.
    first = await session.scalar(
        upsert(VoucherUse)
        .values(voucher_id=voucher_id, team_id=team_id, used_us=now_us)
        .on_conflict_do_nothing()
        .returning(VoucherUse.team_id)
    )
    if first is None:
        raise Conflict("This team has redeemed the voucher already.", param="code", code="voucher_used")


async def _check_batch(session: AsyncSession, batch: str) -> None:
    if await session.scalar(select(Voucher.id).where(Voucher.batch == batch).limit(1)) is None:
        raise NotFound(f'There is no batch "{batch}". List them with: hub voucher list', param="batch")


def _check_range(number: int, low: int, high: int, param: str, what: str) -> None:
    if not low <= number <= high:
        raise BadValue(f"{what}: {low} to {high}.", param=param)
