"""The memory of what providers want back unread: this process's own, bounded, before the table of all processes.

A turn that this process has carried itself costs no query. What a query did not find is remembered for a moment too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog
from msgspec import Struct

from app.base.clock import MICROSECONDS, now_us
from app.base.db import Database
from app.base.secret import Secret
from app.base.vault import Vault, VaultError
from app.domain.calls import turns
from app.domain.calls.turns import Kept
from app.wire.neutral import Opaque, Reasoning

MAX_ENTRIES = 20_000
MAX_CHARACTERS = 32 * 1024 * 1024
_FOUND_SECONDS = turns.KEPT_US / MICROSECONDS
_MISSED_SECONDS = 30.0
"""The row may be on its way, from another process."""

_log = structlog.stdlib.get_logger(__name__)


class State(Struct, frozen=True):
    """Of one tool call."""

    thoughts: tuple[Reasoning, ...] = ()
    """Of its whole turn; only with the first of several calls."""
    opaque: Opaque | None = None


class Remembered(Struct, frozen=True):
    state: State | None = None
    credential_id: str | None = None
    """None: there is nothing about it anywhere."""

    @property
    def characters(self) -> int:
        if self.state is None:
            return 0
        marks = [thought.opaque for thought in self.state.thoughts] + [self.state.opaque]
        texts = sum(len(thought.text) for thought in self.state.thoughts)
        return texts + sum(len(mark.value) for mark in marks if mark is not None)


_NOTHING = Remembered()


class TurnMemory:
    """One per process."""

    def __init__(self, db: Database, vault: Vault, clock: Callable[[], float]) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[Remembered, float]] = OrderedDict()
        self._characters = 0

    def seal(self, digest: bytes, team_id: str, state: State | None, credential_id: str) -> Kept:
        """The row of a state, which is remembered here as well."""
        self._put(digest, Remembered(state, credential_id), _FOUND_SECONDS)
        sealed = None
        if state is not None:
            sealed = self._vault.seal(Secret(msgspec.json.encode(state).decode()), turns.place(digest, team_id))
        return Kept(
            digest=digest,
            team_id=team_id,
            credential_id=credential_id,
            sealed=sealed,
            expires_us=now_us() + turns.KEPT_US,
        )

    def note_empty(self, digest: bytes) -> None:
        """A turn of this process had nothing to keep: nobody need look for it."""
        self._put(digest, _NOTHING, _FOUND_SECONDS)

    async def find(self, team_id: str, digests: Collection[bytes]) -> dict[bytes, Remembered]:
        """What is known of them, by at most one query."""
        found: dict[bytes, Remembered] = {}
        missing: list[bytes] = []
        for digest in digests:
            known = self._get(digest)
            if known is None:
                missing.append(digest)
            elif known.credential_id is not None:
                found[digest] = known
        if missing:
            found |= await self._read(team_id, missing)
        return found

    async def _read(self, team_id: str, digests: Sequence[bytes]) -> dict[bytes, Remembered]:
        try:
            async with self._db.reading() as session:
                rows = {row.digest: row for row in await turns.find(session, digests)}
        except Exception as failure:  # a call that lacks a signature may go well all the same
            _log.warning("turn.not_read", reason=type(failure).__name__)
            return {}
        found: dict[bytes, Remembered] = {}
        for digest in digests:
            row = rows.get(digest)
            if row is None or row.team_id != team_id:
                self._put(digest, _NOTHING, _MISSED_SECONDS)
            else:
                found[digest] = self._open(row)
                self._put(digest, found[digest], (row.expires_us - now_us()) / MICROSECONDS)
        return found

    def _open(self, row: Kept) -> Remembered:
        if row.sealed is None:
            return Remembered(None, row.credential_id)
        try:
            text = self._vault.open(row.sealed, turns.place(row.digest, row.team_id))
        except VaultError as failure:
            _log.warning("turn.unreadable", reason=str(failure))
            return Remembered(None, row.credential_id)
        return Remembered(msgspec.json.decode(text.reveal(), type=State), row.credential_id)

    def _get(self, digest: bytes) -> Remembered | None:
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if entry[1] < self._clock():
            self._drop(digest)
            return None
        self._entries.move_to_end(digest)
        return entry[0]

    def _put(self, digest: bytes, remembered: Remembered, seconds: float) -> None:
        if digest in self._entries:
            self._drop(digest)
        self._entries[digest] = remembered, self._clock() + seconds
        self._characters += remembered.characters
        while len(self._entries) > MAX_ENTRIES or self._characters > MAX_CHARACTERS:
            self._drop(next(iter(self._entries)))

    def _drop(self, digest: bytes) -> None:
        self._characters -= self._entries.pop(digest)[0].characters
