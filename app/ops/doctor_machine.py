"""Checks of the machine and its settings, before any table is read."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.base import clock, migrations, vault
from app.base.config import MEBIBYTE, Settings
from app.base.errors import AppError
from app.base.vault import KeyRing, VaultError
from app.ops import local_answer, schema
from app.ops.findings import Finding, fatal, ok, warning

_FATAL_FREE_BYTES = 100 * MEBIBYTE
_WARN_FREE_BYTES = 1024 * MEBIBYTE
_WRITTEN_AT = datetime(2026, 11, 1, tzinfo=UTC)
_ANSWER_SECONDS = 2.0


async def data_folder(settings: Settings) -> Sequence[Finding]:
    folder = settings.data_dir
    if folder.exists() and not folder.is_dir():
        return [fatal(f"{folder} is not a folder.", "Set HUB_DATA_DIR to a folder.")]
    nearest = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        return [
            fatal(
                f"{nearest} cannot be written to: {error.strerror}.",
                f"Run: chown $(id -un) {nearest}, or set HUB_DATA_DIR to a folder that is yours.",
            )
        ]
    return [ok(f"{folder} can be written to." if folder.exists() else f"{folder} will be made.")]


async def disk(settings: Settings) -> Sequence[Finding]:
    free = shutil.disk_usage(_nearest(settings.data_dir)).free
    sentence = f"{free // MEBIBYTE} MiB are free."
    if free < _FATAL_FREE_BYTES:
        return [fatal(sentence, "Make room: without it calls cannot be written down and are refused.")]
    if free < _WARN_FREE_BYTES:
        return [warning(sentence, "Make room soon, or move the data folder (HUB_DATA_DIR).")]
    return [ok(sentence)]


async def clock_(_settings: Settings) -> Sequence[Finding]:
    now = clock.now()
    if now < _WRITTEN_AT:
        return [
            fatal(
                f"The clock says {now:%Y-%m-%d %H:%M} UTC, which is before this version was written.",
                "Set the clock; calls, keys and links carry its time.",
            )
        ]
    return [ok(f"{now:%Y-%m-%d %H:%M:%S} UTC.")]


async def port(settings: Settings) -> Sequence[Finding]:
    host, number = settings.host, settings.port
    if number == 0:
        return [ok("A free port will be taken.")]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            reason = error.strerror
        else:
            return [ok(f"{host}:{number} is free.")]
    if await _is_hub(host, number):
        return [ok(f"A hub answers on {host}:{number}.")]
    return [fatal(f"{host}:{number} cannot be used: {reason}.", "Set HUB_PORT to another one, or stop what uses it.")]


async def database(settings: Settings) -> Sequence[Finding]:
    where = str(settings.sqlite_path) if settings.database_url is None else "PostgreSQL"
    try:
        await schema.check_reachable(settings)
        missing = await migrations.pending(settings)
    except AppError as error:
        return [fatal(error.sentence, "Mend DATABASE_URL, start the database, or start the version that knows it.")]
    if missing:
        return [fatal(f"{where} lacks {len(missing)} migration(s): {', '.join(missing)}.", "Run: hub migrate")]
    return [ok(f"{where} answers and has this version's schema.")]


async def master_key(settings: Settings) -> Sequence[Finding]:
    try:
        found = ring(settings)
    except VaultError as error:
        return [fatal(str(error))]
    except OSError as error:
        return [fatal(f"{error.filename}: {error.strerror}.", "Give the file to the user that runs the hub.")]
    path = vault.key_file(settings)
    if found is None:
        return [ok(f"{path} will be made at the first start.")]
    if settings.master_key is not None:
        source = "HUB_MASTER_KEY"
    elif settings.blocklet_app_ek is not None:
        source = "Blocklet Server"
    else:
        source = f"{path}, which only its owner can read"
    findings = [ok(f"Master key {found.primary_id} from {source}.")]
    if len(found.keys) > 1:
        findings.append(warning("A rotation of the master key has not finished.", "Run: hub rotate-master-key"))
    return findings


def ring(settings: Settings) -> KeyRing | None:
    """The key ring; None when the key file is still to be made. A look must not make it.

    Raises:
        VaultError: as `vault.load_ring`.
    """
    is_own_file = settings.master_key is None and settings.blocklet_app_ek is None
    if is_own_file and not vault.key_file(settings).exists():
        return None
    return vault.load_ring(settings)


async def has_database(settings: Settings) -> bool:
    """Whether there are tables to look into."""
    return settings.database_url is not None or settings.sqlite_path.exists()


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


async def _is_hub(host: str, number: int) -> bool:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return bool(await local_answer.of(reachable, number, "/healthz", _ANSWER_SECONDS))
