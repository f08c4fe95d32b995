"""Writes down when a key was last used, from where and by what: through the writer, far from the calls."""

from __future__ import annotations

from sqlalchemy import bindparam, or_, update

from app.base.writer import Statement, Step
from app.domain.identity.models import ApiKey

_FIELDS = ("used_us", "used_from", "used_by")
_USED = Statement(
    update(ApiKey)
    # Another process may have seen it later.
    .where(ApiKey.id == bindparam("key_id"), or_(ApiKey.used_us.is_(None), ApiKey.used_us < bindparam("before_us")))
    .values({name: bindparam(f"new_{name}") for name in _FIELDS}),
    ("key_id", "before_us", *(f"new_{name}" for name in _FIELDS)),
    is_independent=True,
    replaces=True,
)


def used(key_id: str, used_us: int, used_from: str | None, used_by: str | None) -> Step:
    """`used_us` in microseconds, `used_by` at most 200 characters. Nothing changes where a later use is known."""
    return Step(_USED, (key_id, used_us, used_us, used_from, used_by))
