"""The lock of the doors for programs: a key in the header, looked up by its digest in the snapshot. No SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from app.base.errors import NotAuthenticated
from app.domain.identity import api_keys
from app.domain.identity.callers import Caller
from app.gateway.snapshot import Snapshot, SnapshotKeeper

_MAX_KEY = 512
_MAX_KNOWN = 20_000


class Authentication:
    def __init__(self, pepper: bytes, snapshots: SnapshotKeeper) -> None:
        self._pepper = pepper
        self._snapshots = snapshots
        self._known: dict[bytes, Caller] = {}
        self._known_of: Snapshot | None = None

    def caller(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Whose key it is: `Authorization: Bearer …`, `x-api-key` or `x-goog-api-key`.

        Raises:
            NotAuthenticated: no key, or one that opens nothing.
        """
        key = _key(headers)
        if not key or len(key) > _MAX_KEY:
            raise NotAuthenticated("Send an API key of this hub as Authorization: Bearer hk-….", code="missing_api_key")
        text = key.decode("latin-1")
        snapshot = self._snapshots.current
        if snapshot is not self._known_of:
            self._known_of, self._known = snapshot, {}
        # The keyed digest is dear; a key that was just seen is known by a plain one, as long as nothing has changed.
        seen = hashlib.sha256(key).digest()
        caller = self._known.get(seen)
        if caller is None:
            caller = snapshot.callers.get(api_keys.digest(self._pepper, text))
            if caller is not None and len(self._known) < _MAX_KNOWN:
                self._known[seen] = caller
        if caller is None:
            if api_keys.is_mistyped(text):
                raise NotAuthenticated("This API key is cut off or mistyped; its checksum is wrong.")
            raise NotAuthenticated("This API key is not known here, or it was revoked.")
        return caller


def _key(headers: Mapping[bytes, bytes]) -> bytes:
    authorization = headers.get(b"authorization", b"")
    if authorization:
        scheme, _, key = authorization.partition(b" ")
        return key.strip() if scheme.lower() == b"bearer" else b""
    return (headers.get(b"x-api-key") or headers.get(b"x-goog-api-key") or b"").strip()
