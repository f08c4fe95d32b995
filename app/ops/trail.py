"""Who runs a command, and the one way in which commands change something: a transaction that tells the audit trail.

A command that writes opens `house.changing()` rather than `db.writing()`, and says in it what it did. One that says
nothing is undone: nothing happens unseen. A test holds both.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from app.base.db import AsyncSession, Database
from app.domain.identity import audit
from app.domain.identity.audit import Actor, Event


class Deed:
    """What one transaction of a command does, and what it tells of it."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.events: list[Event] = []
        self.is_nothing = False

    def tell(
        self,
        action: str,
        object_kind: str,
        object_id: str,
        object: str,
        *,
        team_id: str | None = None,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Goes into the trail at the end of the transaction. What is equal before and after is left out."""
        self.events.append(
            Event(
                actor=command_actor(),
                action=action,
                object_kind=object_kind,
                object_id=object_id,
                object=object,
                team_id=team_id,
                before=before,
                after=after,
                source=audit.SHELL,
            )
        )

    def did_nothing(self) -> None:
        """There was nothing to change after all."""
        self.is_nothing = True


@asynccontextmanager
async def changing(db: Database) -> AsyncGenerator[Deed]:
    """One transaction: its changes and what is told of them are committed together, or neither.

    Raises:
        RuntimeError: it ended without a word. A bug of the command; nothing was changed.
    """
    async with db.writing() as session:
        deed = Deed(session)
        yield deed
        if deed.events:
            await audit.append(session, deed.events)
        elif not deed.is_nothing:
            raise RuntimeError("A command changed something and told the audit trail nothing. Nothing was done.")


def command_actor() -> Actor:
    """Whoever runs this process: the machine's user, not what the environment says; with `sudo`, on whose behalf."""
    name = _user()
    caller = os.environ.get("SUDO_USER", "")
    return Actor("command", caller, as_whom=name) if caller and name == "root" else Actor("command", name)


def _user() -> str:
    try:
        import pwd
    except ImportError:  # Windows
        return getpass.getuser()
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container that runs as a user without a name
        return f"uid {number}"
