"""Limits as rows: made, ended, never edited. What they count is not in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import asdict
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import NotFound
from app.base.ids import new_id
from app.domain.calls.limit_rules import LimitRuleFacts, Terms
from app.domain.calls.models import LimitRule


async def create(session: AsyncSession, terms: Terms) -> LimitRuleFacts:
    """Put a limit in force. One of the same scope, unit and time ends with that: so is a limit changed."""
    now_us = clock.now_us()
    await session.execute(
        update(LimitRule)
        .where(
            LimitRule.ended_us.is_(None),
            LimitRule.scope == terms.scope,
            LimitRule.scope_id == terms.scope_id,
            LimitRule.unit == terms.unit,
            LimitRule.per == terms.per,
        )
        .values(ended_us=now_us)
        .execution_options(synchronize_session=False)
    )
    row = LimitRule(id=new_id(), **asdict(terms), created_us=now_us, ended_us=None)
    session.add(row)
    await session.flush()
    return _facts(row)


async def end(session: AsyncSession, limit_id: str) -> bool:
    """Take a limit out of force. Returns False if it was ended before.

    Raises:
        NotFound: there is no such limit.
    """
    ended = await session.scalar(
        update(LimitRule)
        .where(LimitRule.id == limit_id, LimitRule.ended_us.is_(None))
        .values(ended_us=clock.now_us())
        .returning(LimitRule.id)
    )
    if ended is None:
        await get(session, limit_id)
    return ended is not None


async def get(session: AsyncSession, limit_id: str) -> LimitRuleFacts:
    """
    Raises:
        NotFound: there is no such limit.
    """
    row = await session.get(LimitRule, limit_id)
    if row is None:
        raise NotFound("There is no such limit. List them with: hub limit list", param="limit")
    return _facts(row)


async def in_force(session: AsyncSession) -> tuple[LimitRuleFacts, ...]:
    """Every limit that binds calls now, oldest first."""
    rows = await session.scalars(
        select(LimitRule).where(LimitRule.ended_us.is_(None)).order_by(LimitRule.created_us, LimitRule.id)
    )
    return tuple(_facts(row) for row in rows)


async def page(
    session: AsyncSession, *, limit: int, skip: int = 0, scope: str | None = None, scope_id: str | None = None
) -> Sequence[LimitRuleFacts]:
    """`limit` limits after the first `skip`, newest first; ended ones too."""
    query = select(LimitRule).order_by(LimitRule.created_us.desc(), LimitRule.id.desc()).limit(limit).offset(skip)
    if scope is not None:
        query = query.where(LimitRule.scope == scope)
    if scope_id is not None:
        query = query.where(LimitRule.scope_id == scope_id)
    return [_facts(row) for row in await session.scalars(query)]


async def end_with(
    session: AsyncSession,
    *,
    team_id: str | None = None,
    key_ids: Collection[str] = (),
    credential_ids: Collection[str] = (),
) -> None:
    """End the limits of what is removed."""
    gone: list[ColumnElement[bool]] = [
        and_(LimitRule.scope == "key", LimitRule.scope_id.in_(list(key_ids))),
        and_(LimitRule.scope == "credential", LimitRule.scope_id.in_(list(credential_ids))),
    ]
    if team_id is not None:
        gone.append(and_(LimitRule.scope == "team", LimitRule.scope_id == team_id))
    await session.execute(
        update(LimitRule)
        .where(LimitRule.ended_us.is_(None), or_(*gone))
        .values(ended_us=clock.now_us())
        .execution_options(synchronize_session=False)
    )


def _facts(row: LimitRule) -> LimitRuleFacts:
    return LimitRuleFacts(**{name: getattr(row, name) for name in LimitRuleFacts.__struct_fields__})
