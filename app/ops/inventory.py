"""The providers of a hub as lists show them: with the hints and states of their credentials, never a secret."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from msgspec import Struct

from app.adapters.providers import demo
from app.domain.catalog import credentials, deployments, providers
from app.ops.house import House


class CredentialRow(Struct, frozen=True, kw_only=True):
    label: str
    hint: str
    weight: int
    is_usable: bool
    reason: str | None
    """Why it is not used."""
    disabled_at: datetime | None


class ProviderRow(Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    base_url: str | None
    region: str | None
    is_enabled: bool
    is_demo: bool
    """Built in or of kind `demo`: its answers are made up."""
    deployments: int
    credentials: list[CredentialRow]


async def providers_of(hub: House) -> list[ProviderRow]:
    """Every provider; the built-in demo while there is no other."""
    async with hub.db.reading() as session:
        rows = await providers.listed(session)
        counts = Counter(row.provider_id for row in await deployments.listed(session))
        own: dict[str, list[CredentialRow]] = {}
        for one in await credentials.listed(session):
            own.setdefault(one.provider_id, []).append(
                CredentialRow(
                    label=one.label,
                    hint=one.hint,
                    weight=one.weight,
                    is_usable=one.disabled_at is None,
                    reason=one.disabled_reason,
                    disabled_at=one.disabled_at,
                )
            )
    listed = [
        ProviderRow(
            name=row.name,
            kind=row.kind,
            base_url=row.base_url,
            region=row.region,
            is_enabled=row.is_enabled,
            is_demo=row.kind == "demo",
            deployments=counts[row.id],
            credentials=own.get(row.id, []),
        )
        for row in rows
    ]
    return listed or [_BUILT_IN]


_BUILT_IN = ProviderRow(
    name="demo",
    kind="demo",
    base_url=None,
    region=None,
    is_enabled=True,
    is_demo=True,
    deployments=len(demo.MODELS),
    credentials=[],
)
