"""What people type into forms."""

from __future__ import annotations

from typing import Any

from litestar import Request

_MOST = 4000


async def read(request: Request[Any, Any, Any], *names: str) -> tuple[str, ...]:
    """The fields of these names, in their order: empty where one is missing or a file, cut where one is too long."""
    form = await request.form()
    return tuple(_text(form.get(name, "")) for name in names)


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    # No database takes a NUL or half a character.
    return value[:_MOST].replace("\0", "").encode("utf-8", "replace").decode()
