"""The house is put together here: every long-lived object is built once, and the doors are hung.

Nothing is opened before the lifespan runs, so a test can make a second house beside the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from time import monotonic

import structlog
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp

from app.adapters.fetching.fetcher import Fetcher
from app.adapters.mail.sender import Sender
from app.adapters.providers.client import ProviderClient
from app.base import log
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.ids import new_id
from app.base.sqlite_writer import SqliteWriter
from app.base.vault import load_ring
from app.base.writer import Writer
from app.domain.calls.upkeep import BEAT_SECONDS, Presence
from app.domain.identity.hashing import Hasher
from app.gateway import media, polling
from app.gateway.charging import checkpoints, recovery
from app.gateway.forecasts import Forecasts
from app.gateway.gateway import Gateway
from app.gateway.health import Health
from app.gateway.limits.limiter import Limiter
from app.gateway.media import Media
from app.gateway.metrics import Metrics
from app.gateway.routing import Router
from app.gateway.shared import Shared
from app.gateway.snapshot import SnapshotKeeper
from app.gateway.turn_memory import TurnMemory
from app.ops import house, jobs
from app.ops.house import House
from app.web import doors
from app.web.api.authentication import Authentication
from app.web.api.programs import ProgramsDoor
from app.web.api.routes import ROOTS
from app.web.mount_point import MountPoint
from app.web.portal.resets import Resets
from app.web.trail import Refusals

_log = structlog.stdlib.get_logger(__name__)


def create() -> ASGIApp:
    """For the server: the application that the environment describes."""
    settings = read_settings(os.environ)
    log.configure(settings.log_format, settings.log_level)
    return create_app(settings)


def create_app(settings: Settings) -> MountPoint:
    """The whole hub as one ASGI application."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None, None]:
        async with house.opened(settings) as opened, _running(opened) as gateway:
            app.state.settings, app.state.db, app.state.gateway = settings, opened.db, gateway
            app.state.refusals = Refusals()
            app.state.programs_door = ProgramsDoor(settings, gateway, Authentication(opened.pepper, gateway.snapshots))
            app.state.hasher, app.state.resets = Hasher(), Resets(settings, opened.db, _sender(settings))
            try:
                yield
            finally:
                await app.state.resets.finish()
                app.state.hasher.close()

    litestar = Litestar(
        route_handlers=doors.doors(),
        lifespan=[lifespan],
        dependencies={name: Provide(give, sync_to_thread=False) for name, give in _GIVEN.items()},
        exception_handlers=doors.EXCEPTION_HANDLERS,
        template_config=doors.template_config(),
        openapi_config=None,
        logging_config=None,
    )
    return MountPoint(litestar, settings.mount_prefix, ROOTS)


def _sender(settings: Settings) -> Sender | None:
    return None if settings.smtp_url is None else Sender(settings.smtp_url, settings.mail_from)


def _db(state: State) -> Database:
    return state.db


def _gateway(state: State) -> Gateway:
    return state.gateway


def _hasher(state: State) -> Hasher:
    return state.hasher


def _resets(state: State) -> Resets:
    return state.resets


_GIVEN: Mapping[str, Callable[[State], object]] = {
    "db": _db,
    "gateway": _gateway,
    "hasher": _hasher,
    "resets": _resets,
}
"""What handlers may ask for by name."""


@asynccontextmanager
async def _running(opened: House) -> AsyncGenerator[Gateway, None]:
    """The gateway with everything that works beside it, from the first snapshot to the last settlement."""
    settings, db, vault = opened.settings, opened.db, opened.vault
    writer: Writer = SqliteWriter(db) if db.is_sqlite else _postgres_writer(settings)
    presence = Presence(settings.data_dir, new_id())
    client = ProviderClient()
    fetcher = Fetcher(allows_private=settings.fetch_private_addresses)
    snapshots = SnapshotKeeper(db, vault, reload_ring=lambda: vault.reload(load_ring(settings)))
    await writer.start()
    orphans = await recovery.end_orphans(db, settings.data_dir)
    async with db.writing() as session:
        await presence.announce(session)
    if orphans:
        _log.warning("calls.interrupted", count=orphans, reason="the process that carried them is gone")
    await client.open()
    await fetcher.open()
    if settings.fetch_private_addresses:
        _log.warning("fetch.private_addresses", reason="URLs in requests may lead into this network")
    await snapshots.load()
    health = Health(monotonic)
    shared = Shared(
        boot_id=presence.boot_id,
        db=db,
        vault=vault,
        writer=writer,
        client=client,
        fetcher=fetcher,
        media=Media(db, media.store_of(settings), opened.pepper, settings.files_keep_days),
        health=health,
        router=Router(health),
        metrics=Metrics(),
        turn_memory=TurnMemory(db, vault, monotonic),
        snapshots=snapshots,
        forecasts=Forecasts(),
        limiter=_limiter(settings, presence.boot_id),
    )
    gateway = Gateway(shared, snapshots, max_in_flight=settings.max_in_flight)
    beside = [
        asyncio.create_task(snapshots.watch()),
        asyncio.create_task(_beat(db, presence)),
        asyncio.create_task(jobs.run(db, settings, presence.boot_id)),
        asyncio.create_task(polling.run(shared, snapshots)),
        asyncio.create_task(checkpoints.run(gateway.running, writer)),
        asyncio.create_task(shared.last_uses.run(writer)),
    ]
    _log.info("hub.ready", boot=presence.boot_id, models=len(snapshots.current.catalogue()))
    try:
        yield gateway
    finally:
        await gateway.drain(settings.interrupt_grace_seconds)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await shared.limiter.close()
        await client.close()
        await fetcher.close()
        await writer.close()
        with contextlib.suppress(Exception):  # a database that is gone ends the process's row by its beat
            async with db.writing() as session:
                await presence.leave(session)
        _log.info("hub.stopped", boot=presence.boot_id)


def _postgres_writer(settings: Settings) -> Writer:
    # Its driver takes time and memory that a hub on SQLite need not spend.
    from app.base.postgres_writer import PostgresWriter

    return PostgresWriter(settings)


def _limiter(settings: Settings, boot_id: str) -> Limiter:
    is_closed = settings.limits_on_failure == "closed"
    if settings.redis_url is None:
        return Limiter(is_closed_on_failure=is_closed)
    # For the same reason.
    from app.adapters.counting.shared_counts import SharedCounts

    return Limiter(SharedCounts(settings.redis_url, boot_id), is_closed_on_failure=is_closed)


async def _beat(db: Database, presence: Presence) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            async with db.writing() as session:
                await presence.beat(session)
        except Exception as failure:  # the next beat may succeed; the lease is several beats long
            _log.warning("process.not_beating", reason=type(failure).__name__)
