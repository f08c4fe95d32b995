"""Trying credentials at their providers."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from app.adapters.providers import probe
from app.adapters.providers.kinds import Kind
from app.adapters.providers.registry import KINDS
from app.base.errors import NotFound
from app.base.vault import VaultError
from app.domain.catalog import credentials, providers
from app.domain.catalog.models import Credential, Provider
from app.ops.house import House


class Checked(Struct, frozen=True, kw_only=True):
    """What came of trying one credential; `credential` is empty for a provider that needs none."""

    provider: str
    credential: str
    hint: str
    is_ok: bool
    status: int | None
    sentence: str
    was_enabled: bool = False
    """It had been disabled, works, and is in use again."""


async def check_providers(hub: House, name: str | None, *, enable: bool) -> list[Checked]:
    """Try every credential of one provider, or with None of all. Demo providers have nothing to try.

    Raises:
        NotFound: there is no provider of that name.
    """
    async with hub.db.reading() as session:
        rows = [row for row in await providers.listed(session) if name is None or row.name == name]
        if name is not None and not rows:
            raise NotFound(f"There is no provider {name}. List them with: hub provider list")
        tries = [
            (row, credential)
            for row in rows
            if row.kind != "demo"
            for credential in (await credentials.listed(session, row.id) or [None])
        ]
    results = await asyncio.gather(*(_try(hub, row, credential) for row, credential in tries))
    if not enable:
        return list(results)
    return [await _enable(hub, credential, result) for (_, credential), result in zip(tries, results, strict=True)]


async def _try(hub: House, row: Provider, credential: Credential | None) -> Checked:
    def checked(is_ok: bool, sentence: str, status: int | None = None) -> Checked:
        label, hint = ("", "") if credential is None else (credential.label, credential.hint)
        if credential is not None and credential.disabled_reason is not None:
            sentence = f"{sentence} It is disabled: {credential.disabled_reason}"
        return Checked(provider=row.name, credential=label, hint=hint, is_ok=is_ok, status=status, sentence=sentence)

    kind: Kind | None = KINDS.get(row.kind)
    if kind is None:
        return checked(False, f"This version does not know the kind {row.kind}.")
    if credential is None and not kind.is_local():
        return checked(False, "It has no credential. Add one with: hub apply FILE")
    try:
        parts = {} if credential is None else credentials.reveal(hub.vault, credential)
    except VaultError as error:
        return checked(False, str(error))
    result = await probe.check(kind, row.base_url, parts, region=row.region)
    return checked(result.is_ok, result.sentence, result.status)


async def _enable(hub: House, credential: Credential | None, result: Checked) -> Checked:
    if credential is None or not result.is_ok:
        return result
    async with hub.changing() as deed:
        was_enabled = await credentials.enable(deed.session, credential.id)
        if was_enabled:
            name, before = f"{result.provider}/{result.credential}", {"disabled": credential.disabled_reason}
            deed.tell("credential.enable", "credential", credential.id, name, before=before, after={"disabled": None})
        else:
            deed.did_nothing()
    return Checked(
        provider=result.provider,
        credential=result.credential,
        hint=result.hint,
        is_ok=True,
        status=result.status,
        sentence=result.sentence,
        was_enabled=was_enabled,
    )
