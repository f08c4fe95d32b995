"""Which database answers, for people who look after the hub."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def of(session: AsyncSession) -> tuple[str, tuple[int, ...]]:
    """Name and version, such as `("SQLite", (3, 40, 1))`."""
    if session.get_bind().dialect.name == "sqlite":
        name, version = "SQLite", await session.scalar(text("SELECT sqlite_version()"))
    else:
        # "16.4 (Debian 16.4-1)"
        name, version = "PostgreSQL", await session.scalar(text("SHOW server_version"))
    return name, tuple(int(part) for part in str(version).split(" ")[0].split(".") if part.isdigit())
