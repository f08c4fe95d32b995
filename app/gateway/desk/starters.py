"""Starter credits on the terms that the owner has set: whoever signs people up calls this."""

from __future__ import annotations

import structlog

from app.base.db import AsyncSession
from app.domain.billing import starters
from app.domain.catalog import settings

_log = structlog.stdlib.get_logger(__name__)


async def give_starter(session: AsyncSession, team_id: str, person: str) -> starters.Outcome:
    """Give a new person's team what there is for new people. Asked again for the same person, it gives nothing more.

    `person` is what `starters.person_of_did` or `starters.person_of_email` makes, of a proven DID or address.
    """
    terms = await settings.starter(session)
    outcome = await starters.give_starter(
        session,
        team_id,
        person,
        amount_nano=terms.amount_nano,
        days=terms.days,
        daily_limit_nano=terms.daily_limit_nano,
    )
    if outcome == "limit":
        _log.warning("starters.daily_limit_reached", team_id=team_id)
    return outcome
