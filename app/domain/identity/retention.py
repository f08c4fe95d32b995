"""What is forgotten about people's ways in: links, sessions and counted tries whose time is over."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, or_
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.domain.identity.models import OneTimeLink, SecondFactor, Session, SignInTries

_UNCONFIRMED = timedelta(days=1)


async def forget_expired(session: AsyncSession) -> int:
    """Delete expired links, used or not, expired sessions, tries whose window is over, and second factors that were
    begun and never confirmed; how many rows went."""
    now = clock.now()
    gone = [
        await session.execute(delete(OneTimeLink).where(OneTimeLink.expires_at < now).returning(OneTimeLink.user_id)),
        await session.execute(
            delete(Session).where(or_(Session.expires_at < now, Session.idle_until < now)).returning(Session.user_id)
        ),
        await session.execute(
            delete(SignInTries).where(SignInTries.until_us < clock.to_us(now)).returning(SignInTries.bucket)
        ),
        await session.execute(
            delete(SecondFactor)
            .where(SecondFactor.confirmed_at.is_(None), SecondFactor.created_at < now - _UNCONFIRMED)
            .returning(SecondFactor.user_id)
        ),
    ]
    return sum(len(rows.all()) for rows in gone)
