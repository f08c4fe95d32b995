"""Whether the database is there and has this version's schema."""

from __future__ import annotations

from app.base import migrations
from app.base.config import Settings
from app.base.db import Database
from app.base.errors import AppError


class DatabaseUnreachable(AppError):
    status, code, owner = 503, "database_unreachable", "admin"


class MigrationsPending(AppError):
    """The database lacks what this version needs."""

    status, code, owner = 503, "migrations_pending", "admin"


async def check(settings: Settings) -> None:
    """Refuse a database that is not there or not at this version's schema.

    Raises:
        DatabaseUnreachable, MigrationsPending, SchemaIsNewer
    """
    await check_reachable(settings)
    if await migrations.pending(settings):
        raise MigrationsPending("The database is not prepared for this version of the hub. Run: hub migrate")


async def check_reachable(settings: Settings) -> None:
    """Refuse a database that does not answer. A SQLite file that is not there yet is no fault.

    Raises:
        DatabaseUnreachable: with the driver's own words, which hold no password.
    """
    if settings.database_url is None and not settings.sqlite_path.exists():
        return
    if settings.database_url is not None and not settings.database_url.reveal().startswith("postgres"):
        raise DatabaseUnreachable(
            "DATABASE_URL must begin with postgresql://. Without it the hub uses SQLite in its data folder."
        )
    db = Database(settings)
    try:
        async with db.reading() as session:
            await session.connection()
    except Exception as error:  # each driver has its own; its words are what helps
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        where = settings.sqlite_path if settings.database_url is None else "DATABASE_URL"
        raise DatabaseUnreachable(f"The database does not answer: {reason}. Check {where}.") from None
    finally:
        await db.close()
