"""Signed links to files: whoever has one may read that file until the moment that stands in it, and nothing else.

HMAC-SHA-256 over the file's id and the moment, with a key that is derived from the hub's own secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_PURPOSE = b"hub file links v1"


def key_from(pepper: bytes) -> bytes:
    """The key of the links: another one than any that the hub uses elsewhere."""
    return hmac.digest(pepper, _PURPOSE, "sha256")


def query(key: bytes, file_id: str, expires: int) -> str:
    """`expires=…&signature=…` for a link; `expires` in seconds since 1970."""
    return f"expires={expires}&signature={_signature(key, file_id, expires)}"


def is_valid(key: bytes, file_id: str, expires: str, signature: str, now: float) -> bool:
    """Whether a link's two values were made by `query` and its moment has not come. Takes the same time either way."""
    is_number = expires.isascii() and expires.isdigit() and len(expires) <= 12
    moment = int(expires) if is_number else 0
    is_ours = hmac.compare_digest(_signature(key, file_id, moment).encode(), signature.encode("utf-8", "replace"))
    return is_ours and is_number and str(moment) == expires and now < moment


def _signature(key: bytes, file_id: str, expires: int) -> str:
    digest = hmac.digest(key, f"{file_id}\n{expires}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
