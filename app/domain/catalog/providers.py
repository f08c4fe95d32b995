"""Providers: companies and servers that run models. Several of one kind are fine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base import clock
from app.base.errors import BadValue, Conflict, NotFound
from app.base.ids import new_id
from app.domain.catalog.models import Provider
from app.domain.catalog.settings import check_markup

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def check_name(name: str) -> str:
    """
    Raises:
        BadValue: not a slug.
    """
    if not _NAME.fullmatch(name):
        raise BadValue(
            "A provider's name has 1 to 63 small letters, digits and hyphens, and does not begin with a hyphen.",
            param="name",
        )
    return name


def check_base_url(url: str) -> str:
    """The URL without a slash at its end. The sentence of a refusal does not repeat it: it may hold a password.

    Raises:
        BadValue: not an http(s) URL, or one with a user, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadValue("base_url is not a URL.", param="base_url") from None
    if not is_http or not url.isprintable() or " " in url or "\\" in url:
        raise BadValue("base_url must be a URL that begins with http:// or https://.", param="base_url")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise BadValue(
            "base_url must have no user or password, no query and no fragment; secrets belong into credentials.",
            param="base_url",
        )
    return url.rstrip("/")


def check_region(region: str) -> str:
    """
    Raises:
        BadValue: not like us-east-1.
    """
    if not _NAME.fullmatch(region):
        raise BadValue("A region is small letters, digits and hyphens, such as us-east-1.", param="region")
    return region


async def get(session: AsyncSession, provider_id: str) -> Provider:
    """
    Raises:
        NotFound: there is no such provider.
    """
    provider = await session.get(Provider, provider_id)
    if provider is None:
        raise NotFound("There is no such provider.")
    return provider


async def find_by_name(session: AsyncSession, name: str) -> Provider | None:
    return await session.scalar(select(Provider).where(Provider.name == name))


async def listed(session: AsyncSession) -> Sequence[Provider]:
    """All providers by name."""
    return (await session.scalars(select(Provider).order_by(Provider.name))).all()


async def add(
    session: AsyncSession,
    *,
    name: str,
    kind: str,
    base_url: str | None = None,
    region: str | None = None,
    is_enabled: bool = True,
) -> Provider:
    """`kind` is the name of a row of the registry, which the caller has looked up.

    Raises:
        BadValue: the name or the URL cannot be.
        Conflict: the name is taken.
    """
    check_name(name)
    if await find_by_name(session, name) is not None:
        raise Conflict(f'There is already a provider "{name}".', param="name")
    provider = Provider(
        id=new_id(),
        name=name,
        kind=kind,
        base_url=None if base_url is None else check_base_url(base_url),
        region=region,
        is_enabled=is_enabled,
        created_at=clock.now(),
    )
    session.add(provider)
    await session.flush()
    return provider


async def change(
    session: AsyncSession,
    provider_id: str,
    *,
    kind: str,
    base_url: str | None,
    region: str | None,
    is_enabled: bool,
) -> None:
    """
    Raises:
        BadValue: the URL cannot be.
        NotFound: there is no such provider.
    """
    provider = await get(session, provider_id)
    provider.kind = kind
    provider.base_url = None if base_url is None else check_base_url(base_url)
    provider.region = region
    provider.is_enabled = is_enabled
    await session.flush()


async def set_markup(session: AsyncSession, provider_id: str, markup_basis_points: int | None) -> None:
    """What its deployments are sold at above cost, where their model has no markup; None takes it away.

    Raises:
        BadValue: not a markup.
        NotFound: there is no such provider.
    """
    provider = await get(session, provider_id)
    provider.markup_basis_points = None if markup_basis_points is None else check_markup(markup_basis_points)
    await session.flush()


async def remove(session: AsyncSession, provider_id: str) -> None:
    """Remove a provider with its credentials and deployments. Rate lines stay: they explain old calls.

    Raises:
        NotFound: there is no such provider.
    """
    if await session.scalar(delete(Provider).where(Provider.id == provider_id).returning(Provider.id)) is None:
        raise NotFound("There is no such provider.")
