"""Checks of what the hub has stored: can it be opened, and can every model be called."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.adapters.providers.registry import KINDS
from app.base import clock, server_version
from app.base.config import Settings
from app.base.db import Database
from app.base.vault import Vault, VaultError
from app.domain.calls import reports
from app.domain.catalog import credentials, deployments, pricing, providers, settings
from app.domain.identity import api_keys, hub_secrets
from app.domain.identity.models import HubSetting
from app.gateway.desk import price_checks
from app.ops.findings import Finding, fatal, ok, warning

_SHOWN = 5
"""Names in a sentence; more are counted."""

_FAULTS_SHOWN = 20
"""Of prices; there may be one for every model."""

_OLDEST_SQLITE = (3, 35)
"""The first with RETURNING."""
_MENDED_SQLITE = (3, 51, 3)


class Hub(Struct, frozen=True):
    """What there is to look into. No vault: the master key is made at the first start."""

    settings: Settings
    db: Database
    vault: Vault | None


async def database_version(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        name, version = await server_version.of(session)
    shown = f"{name} {'.'.join(map(str, version))}."
    if name != "SQLite":
        return [ok(shown)]
    if version < _OLDEST_SQLITE:
        return [fatal(shown, "Use a Python that comes with SQLite 3.35 or newer.")]
    if version < _MENDED_SQLITE:
        return [ok(f"{shown} It can lose pages when two connections checkpoint; the hub lets only one do so.")]
    return [ok(shown)]


async def time_of_calls(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        newest = await reports.latest(session, None, 1)
    if newest and newest[-1].started_us > clock.now_us() + 60 * clock.MICROSECONDS:
        return [
            warning(
                f"Call {newest[-1].id} began in the future: {clock.from_us(newest[-1].started_us):%Y-%m-%d %H:%M} UTC.",
                "Set the clock of this machine, or of the one that took the call, by NTP.",
            )
        ]
    return [ok("No call is later than now.")]


async def canary(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        is_there = await session.get(HubSetting, hub_secrets.CANARY) is not None
    if not is_there:
        return [ok("It will be made at the first start.")]
    if hub.vault is None:
        return [
            fatal(
                "The master key is gone: there is no master.key in the data folder and no HUB_MASTER_KEY.",
                "Put master.key back, or set HUB_MASTER_KEY. Without it every provider key must be entered again.",
            )
        ]
    try:
        async with hub.db.writing() as session:
            await hub_secrets.prepare(session, hub.vault)
    except VaultError as error:
        return [fatal(str(error), "Give the hub the master key that it was started with.")]
    return [ok("The master key opens what is sealed.")]


async def credentials_(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        names = {row.id: row.name for row in await providers.listed(session)}
        rows = await credentials.listed(session)
    findings: list[Finding] = []
    for row in rows:
        name = f"{names.get(row.provider_id, '?')}/{row.label}"
        if hub.vault is not None:
            try:
                credentials.reveal(hub.vault, row)
            except VaultError as error:
                findings.append(warning(f"{name} cannot be opened: {error}", "Enter its secret again: hub apply FILE"))
                continue
        if row.disabled_reason is not None:
            provider = names.get(row.provider_id, "")
            findings.append(
                warning(
                    f"{name} is disabled: {row.disabled_reason}",
                    f"Mend it at the provider, then: hub provider check {provider} --enable; or apply another secret.",
                )
            )
    return findings or [ok(f"{len(rows)} can be opened and used.")]


async def providers_(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        rows = await providers.listed(session)
        with_credential = {row.provider_id for row in await credentials.listed(session)}
    if not rows:
        return [
            warning(
                "No provider has been added; the built-in demo answers with made-up text.",
                "Run: hub provider adopt, or hub apply FILE",
            )
        ]
    findings: list[Finding] = []
    for row in rows:
        kind = KINDS.get(row.kind)
        if kind is None:
            findings.append(warning(f"{row.name} has the unknown kind {row.kind}.", "Start the version that added it."))
        elif row.id not in with_credential and not kind.is_local():
            findings.append(warning(f"{row.name} has no credential.", "Add one: hub apply FILE"))
    return findings or [ok(f"{len(rows)} can be called.")]


async def models(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        rows = await deployments.models(session)
        routes = await deployments.listed(session)
        enabled = {row.id for row in await providers.listed(session) if row.is_enabled}
    routed = {route.model_id for route in routes}
    usable = {route.model_id for route in routes if route.provider_id in enabled}
    findings: list[Finding] = []
    if bare := [row.name for row in rows if row.id not in routed]:
        findings.append(warning(f"Without any route: {_some(bare)}.", "Add routes: hub apply FILE"))
    if stuck := [row.name for row in rows if row.id in routed and row.id not in usable]:
        findings.append(
            warning(f"All routes lead to disabled providers: {_some(stuck)}.", "Enable the provider, or add a route.")
        )
    return findings or [ok(f"{len(rows)} have a route.")]


async def prices(hub: Hub) -> Sequence[Finding]:
    async with hub.db.reading() as session:
        billing = await settings.billing_mode(session)
        faults = await price_checks.faults(session, billing, await pricing.load(session))
    if not faults:
        return [ok("No call is refused, and none sold at a loss, for want of a price.")]
    findings = [warning(fault.sentence, f"Run: {fault.command}") for fault in faults[:_FAULTS_SHOWN]]
    if len(faults) > _FAULTS_SHOWN:
        findings.append(warning(f"And {len(faults) - _FAULTS_SHOWN} more.", "See them with: hub prices notices"))
    return findings


async def keys(hub: Hub) -> Sequence[Finding]:
    now = clock.now()
    async with hub.db.reading() as session:
        rows = await api_keys.listed(session)
    active = [
        row
        for row in rows
        if row.revoked_at is None and row.disabled_at is None and (row.expires_at is None or row.expires_at > now)
    ]
    if not active:
        return [warning("No API key works, so nobody can call.", "Run: hub key create --team TEAM --name NAME")]
    return [ok(f"{len(active)} work.")]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
