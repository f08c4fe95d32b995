"""Adding a provider that was found on this machine, with the models that it says it has and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from app.adapters.providers import probe
from app.adapters.providers.probe import ProbeResult
from app.base.errors import BadValue, Conflict, CredentialRefused
from app.domain.catalog import bundle_changes, credentials, deployments, providers
from app.ops import price_bundles
from app.ops.discovery import Found
from app.ops.house import House

_SAYS_NOTHING_ABOUT_THE_KEY = (404, 405, 408, 429)


class Adopted(Struct, frozen=True, kw_only=True):
    """A provider that was added."""

    provider: str
    source: str
    models: list[str]
    """Public names."""
    note: str
    """What went differently than one would wish; empty when nothing did."""


async def adopt(hub: House, found: Found) -> Adopted:
    """Add the provider under its kind's name, its credential `main`, and its models as `<provider>/<id>`.

    Where its list of models cannot be read, the starter models of its kind are added.

    Raises:
        Conflict: there is a provider of that name.
        CredentialRefused: the provider does not take the key; nothing was added.
    """
    async with hub.db.reading() as session:
        if await providers.find_by_name(session, found.name) is not None:
            raise Conflict(f"Provider {found.name} is there already. See: hub provider check {found.name}")
    result = await probe.check(found.kind, None, found.parts, region=found.region)
    if _is_refusal(result):
        raise CredentialRefused(f"{found.kind.title} refused the key from {found.source}: {result.sentence}")
    models = _offered(found, result)
    async with hub.changing() as deed:
        session = deed.session
        provider = await providers.add(session, name=found.name, kind=found.name, region=found.region)
        if found.parts or not found.kind.is_local():
            await credentials.add(
                session,
                hub.vault,
                hub.pepper,
                provider_id=provider.id,
                label=credentials.DEFAULT_LABEL,
                parts=found.parts,
            )
        names: list[str] = []
        for upstream_model, type_ in models:
            name = f"{found.name}/{upstream_model}"
            model = await deployments.find_model(session, name)
            if model is None:
                model = await deployments.add_model(session, name=name, type=type_)
            await deployments.add(session, model_id=model.id, provider_id=provider.id, upstream_model=upstream_model)
            names.append(name)
        # What the provider charges is known from the start, so that costs show and a markup makes prices.
        await bundle_changes.apply(session, price_bundles.current(hub.settings), provider_name=found.name)
        after: dict[str, object] = {"kind": found.name, "region": found.region, "from": found.source, "models": names}
        if found.parts:
            after["secret"] = found.parts
        deed.tell("provider.adopt", "provider", provider.id, found.name, after=after)
    return Adopted(provider=found.name, source=found.source, models=names, note=_note(found, result))


def _offered(found: Found, result: ProbeResult) -> Sequence[tuple[str, str]]:
    """(upstream model, type) of what is added. What cannot be a name here is left out."""
    if not result.models:
        return found.kind.starter_models
    offered: list[tuple[str, str]] = []
    for model in dict.fromkeys(result.models):
        with suppress(BadValue):
            deployments.check_model_name(f"{found.name}/{model}")
            offered.append((model, probe.guess_type(model)))
    return offered


def _is_refusal(result: ProbeResult) -> bool:
    """xAI, for one, answers a wrong key with 400."""
    if result.is_ok or result.status is None:
        return False
    return 400 <= result.status < 500 and result.status not in _SAYS_NOTHING_ABOUT_THE_KEY


def _note(found: Found, result: ProbeResult) -> str:
    if not result.is_ok:
        return f"It could not be asked for its models: {result.sentence}"
    return ""


async def not_yet_there(hub: House, found: Sequence[Found]) -> list[Found]:
    """Those whose name no provider has."""
    async with hub.db.reading() as session:
        taken = {row.name for row in await providers.listed(session)}
    return [one for one in found if one.name not in taken]
