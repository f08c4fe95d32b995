"""What people do at the pages, for the audit trail: who, from where."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from litestar.types import HTTPScope

from app.base.config import Settings
from app.base.db import AsyncSession
from app.domain.identity import audit
from app.domain.identity.audit import Actor
from app.domain.identity.models import User
from app.web.mount_point import Connection, client_address

REFUSALS_PER_ADDRESS = 10
REFUSALS_IN_ALL = 200
WINDOW_SECONDS = 300.0


class Refusals:
    """How many failed sign-ins are recorded: whoever tries without an end must not fill the trail."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._window = -1
        self._counts: dict[str, int] = {}
        self._total = 0

    def is_recorded(self, source: str) -> bool:
        """Counts one more from there."""
        window = int(self._clock() // WINDOW_SECONDS)
        if window != self._window:
            self._window, self._counts, self._total = window, {}, 0
        count = self._counts.get(source, 0)
        if self._total >= REFUSALS_IN_ALL or count >= REFUSALS_PER_ADDRESS:
            return False
        self._counts[source] = count + 1
        self._total += 1
        return True


def source(connection: Connection) -> str:
    """The address of whoever sent this."""
    settings: Settings = connection.app.state.settings
    found = client_address(settings, cast(HTTPScope, connection.scope))
    return audit.UNKNOWN if found is None else str(found)


def person(user: User) -> Actor:
    return Actor("user", user.email, user.id)


async def record_sign_in(connection: Connection, session: AsyncSession, user: User, action: str, by: str = "") -> None:
    """A sign-in or its end, in the transaction that does it."""
    await audit.record(
        session,
        person(user),
        action,
        "user",
        user.id,
        user.email,
        after={**({"by": by} if by else {}), **_client(connection)} or None,
        source=source(connection),
    )


async def record_refusal(connection: Connection, session: AsyncSession, user: User | None, by: str, why: str) -> None:
    """A sign-in that failed; None: nobody knows whose it would have been. From one address not without an end."""
    refusals: Refusals = connection.app.state.refusals
    came_from = source(connection)
    if not refusals.is_recorded(came_from):
        return
    name = "somebody" if user is None else user.email
    await audit.record(
        session,
        Actor("user", name, None if user is None else user.id),
        "sign_in.refuse",
        "user",
        "" if user is None else user.id,
        name,
        after={"by": by, "why": why, **_client(connection)},
        source=came_from,
    )


def _client(connection: Connection) -> Mapping[str, Any]:
    agent = connection.headers.get("user-agent", "")
    return {"browser": agent[:200]} if agent else {}
