"""The lock of the doors for programs: a key in the header, looked up by its digest in the snapshot. No SQL."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from time import monotonic

from app.base.errors import NotAuthenticated
from app.domain.identity import api_keys
from app.domain.identity.callers import Caller
from app.gateway.snapshot import Snapshot, SnapshotKeeper
from app.web.api.key_checks import KeyChecks

_MAX_KEY = 512
_MAX_KNOWN = 20_000
_WAIT_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 0.05
"""Who sends keys that nobody has makes the hub ask its database this often and no more."""


class Authentication:
    def __init__(self, pepper: bytes, snapshots: SnapshotKeeper) -> None:
        self.pepper = pepper
        self.checks = KeyChecks()
        self._snapshots = snapshots
        self._known: dict[bytes, Caller] = {}
        self._known_of: Snapshot | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0

    async def meet(self, headers: Mapping[bytes, bytes]) -> None:
        """Let a key that was made a moment ago, perhaps by another process, be known before it is asked for."""
        key = _key(headers)
        if self._find(key) is not None or not api_keys.is_ours(key.decode("latin-1")):
            return
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        looking = self._looking
        await asyncio.wait([looking], timeout=_WAIT_SECONDS)
        if looking.done() and not looking.cancelled():
            # A database that does not answer leaves the snapshot as it is, and readiness tells.
            looking.exception()

    def find(self, key: str) -> Caller | None:
        """Whose key that text is; None where it is nobody's."""
        return self._snapshots.current.callers.get(api_keys.digest(self.pepper, key))

    def caller(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Whose key it is: `Authorization: Bearer …`, `x-api-key` or `x-goog-api-key`.

        Raises:
            NotAuthenticated: no key, or one that opens nothing.
        """
        key = _key(headers)
        if not key or len(key) > _MAX_KEY:
            raise NotAuthenticated("Send an API key of this hub as Authorization: Bearer hk-….", code="missing_api_key")
        caller = self._find(key)
        if caller is None:
            if api_keys.is_mistyped(key.decode("latin-1")):
                raise NotAuthenticated("This API key is cut off or mistyped; its checksum is wrong.")
            raise NotAuthenticated("This API key is not known here, or it was revoked.")
        return caller

    async def _look(self) -> None:
        await asyncio.sleep(max(0.0, self._looked_at + _LOOK_AGAIN_SECONDS - monotonic()))
        # Whoever comes from now on may have a key that this look is too early for.
        self._looking, self._looked_at = None, monotonic()
        await self._snapshots.refresh()

    def _find(self, key: bytes) -> Caller | None:
        snapshot = self._snapshots.current
        if snapshot is not self._known_of:
            self._known_of, self._known = snapshot, {}
        # The keyed digest is dear; a key that was just seen is known by a plain one, as long as nothing has changed.
        seen = hashlib.sha256(key).digest()
        caller = self._known.get(seen)
        if caller is None:
            caller = self.find(key.decode("latin-1"))
            if caller is not None and len(self._known) < _MAX_KNOWN:
                self._known[seen] = caller
        return caller


def _key(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization:
        scheme, _, key = authorization.partition(b" ")
        return key.strip() if scheme.lower() == b"bearer" else b""
    return (headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b"").strip()
