"""The lock of the doors for programs: a key in the header, looked up by its digest in the snapshot. No SQL."""

from __future__ import annotations

from collections.abc import Mapping

from app.base.errors import NotAuthenticated
from app.domain.identity import api_keys
from app.domain.identity.callers import Caller
from app.gateway.snapshot import SnapshotKeeper

_MAX_KEY = 512


class Authentication:
    def __init__(self, pepper: bytes, snapshots: SnapshotKeeper) -> None:
        self._pepper = pepper
        self._snapshots = snapshots

    def caller(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Whose key it is: `Authorization: Bearer …`, or `x-api-key`.

        Raises:
            NotAuthenticated: no key, or one that opens nothing.
        """
        key = _key(headers)
        if not key or len(key) > _MAX_KEY:
            raise NotAuthenticated("Send an API key of this hub as Authorization: Bearer hk-….", code="missing_api_key")
        text = key.decode("latin-1")
        caller = self._snapshots.current.callers.get(api_keys.digest(self._pepper, text))
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
    return headers.get(b"x-api-key", b"").strip()
