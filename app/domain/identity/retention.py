"""What is forgotten about people's ways in: links and sessions whose time is over."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.domain.identity.models import OneTimeLink, Session


async def forget_expired(session: AsyncSession) -> int:
    """Delete expired links, used or not, and expired sessions; how many rows went."""
    now = clock.now()
    links = await session.execute(
        delete(OneTimeLink).where(OneTimeLink.expires_at < now).returning(OneTimeLink.user_id)
    )
    sessions = await session.execute(delete(Session).where(Session.expires_at < now).returning(Session.user_id))
    return len(links.all()) + len(sessions.all())
