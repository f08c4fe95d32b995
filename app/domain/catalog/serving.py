"""What can be served now: models, their routes, and providers with opened credentials, as the snapshot holds them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.adapters.providers import demo
from app.adapters.providers.kinds import Kind
from app.adapters.providers.registry import KINDS
from app.base.secret import Secret
from app.base.vault import Place, Vault, VaultError
from app.domain.catalog.models import Credential, Deployment, Model, ModelAlias, Provider, SnapshotRevision

_log = structlog.stdlib.get_logger(__name__)


BUILT_IN = "demo"
"""The id of the provider that is there while nobody has added one."""


class UsableCredential(Struct, frozen=True, kw_only=True):
    id: str
    label: str
    weight: int
    parts: Mapping[str, Secret]


class Source(Struct, frozen=True, kw_only=True):
    """A provider with the credentials that can be used now."""

    id: str
    name: str
    kind: Kind
    base_url: str | None
    region: str | None
    credentials: tuple[UsableCredential, ...]


class Route(Struct, frozen=True, kw_only=True):
    """A deployment: this model at that provider."""

    id: str
    source: Source
    upstream_model: str
    weight: int
    priority: int


class CallableModel(Struct, frozen=True, kw_only=True):
    name: str
    type: str
    aliases: tuple[str, ...]
    routes: tuple[Route, ...]
    created_at: int
    """Seconds since 1970, as OpenAI's model list has it."""
    is_demo: bool = False


class Opener:
    """Opens credentials, and remembers what it opened so that an unchanged one is not opened again."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._opened: dict[str, tuple[str, Mapping[str, Secret]]] = {}
        """Credential id → its sealed text and what it held."""

    def open(self, credential_id: str, sealed: str) -> Mapping[str, Secret] | None:
        """The parts of a credential; None when the vault cannot open it. Then this one alone is out of use."""
        known = self._opened.get(credential_id)
        if known is not None and known[0] == sealed:
            return known[1]
        try:
            secret = self._vault.open(sealed, Place("credential", "sealed", credential_id))
        except VaultError as failure:
            _log.error("credential.unusable", credential=credential_id, reason=str(failure))
            return None
        fields = msgspec.json.decode(secret.reveal(), type=dict[str, str])
        parts = {name: Secret(text) for name, text in fields.items()}
        self._opened[credential_id] = (sealed, parts)
        return parts


def is_built_in(deployment_id: str) -> bool:
    """Whether it is a route of the demo that has no rows."""
    return deployment_id.startswith(f"{BUILT_IN}-")


async def current_revision(session: AsyncSession) -> int:
    """The number that counts up with every change of what a snapshot holds."""
    return await session.scalar(select(SnapshotRevision.revision)) or 0


async def all_models(session: AsyncSession, opener: Opener) -> tuple[dict[str, CallableModel], tuple[str, ...]]:
    """Every model by public name and alias; and the ids of credentials that the vault could not open.

    While nobody has added a provider, the built-in demo models are there.
    """
    sources, unusable = await _sources(session, opener)
    models = await _models(session, sources)
    if not await _has_provider(session):
        models = {**_demo_models(), **models}
    return models, tuple(unusable)


async def _has_provider(session: AsyncSession) -> bool:
    """Whether anybody has added a real provider, in use or not."""
    return await session.scalar(select(Provider.id).where(Provider.kind != "demo").limit(1)) is not None


async def _sources(session: AsyncSession, opener: Opener) -> tuple[dict[str, Source], list[str]]:
    rows = await session.execute(
        select(Credential.id, Credential.provider_id, Credential.label, Credential.weight, Credential.sealed)
        .where(Credential.disabled_at.is_(None))
        .order_by(Credential.label)
    )
    unusable: list[str] = []
    credentials: dict[str, list[UsableCredential]] = {}
    for id_, provider_id, label, weight, sealed in rows:
        parts = opener.open(id_, sealed)
        if parts is None:
            unusable.append(id_)
            continue
        credentials.setdefault(provider_id, []).append(
            UsableCredential(id=id_, label=label, weight=weight, parts=parts)
        )
    providers = await session.execute(
        select(Provider.id, Provider.name, Provider.kind, Provider.base_url, Provider.region).where(Provider.is_enabled)
    )
    sources: dict[str, Source] = {}
    for id_, name, kind_name, base_url, region in providers:
        kind = KINDS.get(kind_name)
        if kind is None:
            _log.error("provider.unknown_kind", provider=name, kind=kind_name)
            continue
        own = tuple(credentials.get(id_, ()))
        if kind.is_local() and not own:
            own = (UsableCredential(id=id_, label="none", weight=100, parts={}),)
        sources[id_] = Source(id=id_, name=name, kind=kind, base_url=base_url, region=region, credentials=own)
    return sources, unusable


async def _models(session: AsyncSession, sources: Mapping[str, Source]) -> dict[str, CallableModel]:
    aliases: dict[str, list[str]] = {}
    for alias, model_id in await session.execute(
        select(ModelAlias.alias, ModelAlias.model_id).order_by(ModelAlias.alias)
    ):
        aliases.setdefault(model_id, []).append(alias)
    routes: dict[str, list[Route]] = {}
    deployments = await session.execute(
        select(
            Deployment.id,
            Deployment.model_id,
            Deployment.provider_id,
            Deployment.upstream_model,
            Deployment.weight,
            Deployment.priority,
        ).order_by(Deployment.priority, Deployment.id)
    )
    for id_, model_id, provider_id, upstream_model, weight, priority in deployments:
        source = sources.get(provider_id)
        if source is not None:
            route = Route(id=id_, source=source, upstream_model=upstream_model, weight=weight, priority=priority)
            routes.setdefault(model_id, []).append(route)
    models: dict[str, CallableModel] = {}
    for id_, name, type_, created_at in await session.execute(
        select(Model.id, Model.name, Model.type, Model.created_at)
    ):
        own_aliases = tuple(aliases.get(id_, ()))
        own_routes = tuple(routes.get(id_, ()))
        model = CallableModel(
            name=name,
            type=type_,
            aliases=own_aliases,
            routes=own_routes,
            created_at=int(created_at.timestamp()),
            is_demo=bool(own_routes) and all(route.source.kind.name == "demo" for route in own_routes),
        )
        for public_name in (name, *own_aliases):
            models[public_name] = model
    return models


def _demo_models() -> dict[str, CallableModel]:
    """The built-in models, there while nobody has added a provider."""
    source = Source(
        id=BUILT_IN,
        name="demo",
        kind=KINDS["demo"],
        base_url=None,
        region=None,
        credentials=(UsableCredential(id="demo", label="none", weight=100, parts={}),),
    )
    return {
        f"demo/{name}": CallableModel(
            name=f"demo/{name}",
            type=type_,
            aliases=(),
            routes=(Route(id=f"{BUILT_IN}-{name}", source=source, upstream_model=name, weight=100, priority=0),),
            created_at=0,
            is_demo=True,
        )
        for name, type_ in demo.MODELS
    }
