"""Which price bundle the hub goes by: the one that was imported into the data folder, or the one that it came with."""

from __future__ import annotations

import os
from pathlib import Path

from app.adapters.prices import feed
from app.base.config import Settings
from app.base.errors import BadValue
from app.domain.catalog import bundle
from app.domain.catalog.bundle import Bundle

FILE = "prices.json"


def current(settings: Settings) -> Bundle:
    """The imported bundle, unless the hub has come with a newer one since.

    Raises:
        BadValue: the file in the data folder is no bundle.
    """
    shipped = bundle.shipped()
    path = settings.data_dir / FILE
    if not path.exists():
        return shipped
    imported = read(path)
    return imported if _age(imported) >= _age(shipped) else shipped


def read(path: Path) -> Bundle:
    """
    Raises:
        BadValue: no bundle; the sentence names the file.
    """
    try:
        return bundle.parse(path.read_bytes())
    except BadValue as fault:
        raise BadValue(f"{path}: {fault.sentence}") from None


def store(settings: Settings, raw: bytes) -> Bundle:
    """Make this the bundle that the hub goes by, also in place of a newer one. Whatever is wrong, the one before stays.

    Raises:
        BadValue: it is no bundle, or older than the one that the hub came with.
    """
    wanted = bundle.parse(raw)
    _refuse_older(wanted, bundle.shipped())
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.data_dir / FILE
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return wanted


async def refresh(settings: Settings) -> tuple[Bundle, bool]:
    """The bundle at `HUB_PRICES_URL`, stored, and whether it is another one than before.

    Raises:
        BadValue: no address is set, or what it gives is no bundle, or an older one.
        FeedFailed: it gives nothing.
    """
    if not settings.prices_url:
        raise BadValue("HUB_PRICES_URL is not set: there is nowhere to get prices from.", param="HUB_PRICES_URL")
    raw = await feed.fetch(settings.prices_url, max_bytes=bundle.MAX_BYTES)
    before = current(settings)
    try:
        _refuse_older(bundle.parse(raw), before)
        found = store(settings, raw)
    except BadValue as fault:
        raise BadValue(
            f"{settings.prices_url}: {fault.sentence} The hub goes on with the prices of {before.version}."
        ) from None
    return found, (found.version, found.rows) != (before.version, before.rows)


def _refuse_older(wanted: Bundle, than: Bundle) -> None:
    if _age(wanted) < _age(than):
        raise BadValue(f"This bundle is of {wanted.version}; the hub has that of {than.version}.")


def _age(one: Bundle) -> tuple[str, int]:
    """`2026-11-20.2` is newer than `2026-11-20`."""
    day, _, count = one.version.partition(".")
    return day, int(count or 0)
