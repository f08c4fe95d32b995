"""Mails with a link to choose a new password. Made beside the request, which so takes as long for everybody."""

from __future__ import annotations

import asyncio

import structlog

from app.adapters.mail.sender import Sender
from app.base.config import Settings
from app.base.db import Database
from app.base.secret import Secret
from app.domain.identity import links, users

_log = structlog.stdlib.get_logger(__name__)

_TEXT = """Somebody, perhaps you, asked for a new password for {email} at
{address}

Choose one here, within 15 minutes. The link works once:

{link}

If it was not you, there is nothing to do.
"""


class Resets:
    """Lives as long as its process. Without a mail server it sends nothing."""

    def __init__(self, settings: Settings, db: Database, sender: Sender | None) -> None:
        self._address, self._db, self._sender = settings.public_url, db, sender
        self._running: set[asyncio.Task[None]] = set()

    @property
    def can_mail(self) -> bool:
        return self._sender is not None

    def ask(self, email: str) -> None:
        """Mail a link to whoever has this address, if anybody has."""
        if self._sender is None:
            return
        running = asyncio.create_task(self._send(self._sender, email))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def finish(self) -> None:
        """Wait for what is on its way."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _send(self, sender: Sender, email: str) -> None:
        try:
            async with self._db.writing() as session:
                user = await users.find(session, email)
                if user is None or user.disabled_at is not None:
                    return
                token = await links.create(session, user.id, "reset")
            await sender.send(user.email, "A new password for AIGNE Hub", self._text(user.email, token))
        except Exception as failure:  # nobody waits for it; whoever asked can ask again
            _log.error("mail.not_sent", reason=type(failure).__name__)

    def _text(self, email: str, token: Secret) -> str:
        link = f"{self._address}/reset-password/{token.reveal()}"
        return _TEXT.format(email=email, address=self._address, link=link)
