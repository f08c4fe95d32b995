"""When each key was last used: remembered in a call's passing, written beside it, once a minute and key at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from app.base import clock
from app.base.addresses import Address
from app.base.clock import MICROSECONDS
from app.base.errors import Busy
from app.base.writer import Step, Writer
from app.domain.identity import key_uses

EVERY_SECONDS = 5.0
_MINUTE_US = 60 * MICROSECONDS

_log = structlog.stdlib.get_logger(__name__)


class LastUses:
    """The memory of one process."""

    def __init__(self) -> None:
        self._minute = 0
        self._noted: set[str] = set()
        """Keys that were used in this minute."""
        self._steps: dict[str, Step] = {}
        """By key."""

    def note(self, key_id: str, address: Callable[[], Address | None], client: Callable[[], str | None]) -> None:
        """The key is used now. Of a minute only its first use is looked at any closer."""
        minute = clock.now_us() // _MINUTE_US
        if minute != self._minute:
            self._minute, self._noted = minute, set()
        if key_id in self._noted:
            return
        self._noted.add(key_id)
        found, used_by = address(), client()
        self._steps[key_id] = key_uses.used(
            key_id, minute * _MINUTE_US, None if found is None else str(found), _printable(used_by)
        )

    def write(self, writer: Writer) -> None:
        """What was noted since the last time. Nobody waits for it."""
        if not self._steps:
            return
        try:
            writer.post(*self._steps.values())
        except Busy:
            _log.warning("last_uses.late", keys=len(self._steps))
        else:
            self._steps = {}

    async def run(self, writer: Writer) -> None:
        """Write every few seconds, until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(EVERY_SECONDS)
                self.write(writer)
        finally:
            self.write(writer)


def _printable(text: str | None) -> str | None:
    return None if text is None else "".join(letter if letter.isprintable() else "?" for letter in text)
