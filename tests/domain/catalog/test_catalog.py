"""Providers, credentials, models and deployments as pages, commands and files change them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, Conflict, NotFound
from app.base.secret import Secret
from app.base.vault import KeyRing, Vault, VaultError
from app.domain.catalog import credentials, deployments, providers, rates, settings
from app.domain.catalog.models import Rate

VAULT = Vault(KeyRing((("aaaaaaaa", b"a" * 32),)))
PEPPER = b"p" * 32
PARTS = {"secret": Secret("sk-proj-aVerySecretSecret")}


@pytest.fixture
async def session(hub_environ: dict[str, str]) -> AsyncIterator[AsyncSession]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as writing:
        yield writing
    await db.close()


async def test_a_credential_is_sealed_into_its_row(session: AsyncSession):
    provider = await providers.add(session, name="openai", kind="openai")
    one = await credentials.add(session, VAULT, PEPPER, provider_id=provider.id, label="one", parts=PARTS)
    two = await credentials.add(session, VAULT, PEPPER, provider_id=provider.id, label="two", parts={})

    assert "aVerySecretSecret" not in one.sealed + one.fingerprint + one.hint
    assert one.hint == "sk-…cret"
    assert credentials.reveal(VAULT, one) == PARTS
    assert (credentials.reveal(VAULT, two), two.hint) == ({}, "")
    one.sealed, two.sealed = two.sealed, one.sealed
    with pytest.raises(VaultError):
        credentials.reveal(VAULT, one)
    with pytest.raises(Conflict):
        await credentials.add(session, VAULT, PEPPER, provider_id=provider.id, label="one", parts={})
    with pytest.raises(NotFound):
        await credentials.add(session, VAULT, PEPPER, provider_id="nobody", label="one", parts={})


def test_a_fingerprint_tells_secrets_apart_and_depends_on_the_pepper():
    parts = {"access_key_id": Secret("a"), "secret_access_key": Secret("b")}
    turned = dict(reversed(parts.items()))

    assert credentials.fingerprint(PEPPER, parts) == credentials.fingerprint(PEPPER, turned)
    others = [parts | {"session_token": Secret("c")}, {"secret": Secret("a")}, {}]
    assert len({credentials.fingerprint(PEPPER, one) for one in (parts, *others)}) == 4
    assert credentials.fingerprint(b"q" * 32, parts) != credentials.fingerprint(PEPPER, parts)


async def test_a_late_refusal_of_the_old_secret_does_not_disable_the_new_one(session: AsyncSession):
    provider = await providers.add(session, name="openai", kind="openai")
    row = await credentials.add(session, VAULT, PEPPER, provider_id=provider.id, label="main", parts=PARTS)
    old = row.fingerprint
    assert await credentials.disable(session, row.id, "401", of_fingerprint=old)
    assert not await credentials.disable(session, row.id, "402")
    assert await credentials.enable(session, row.id)
    assert not await credentials.enable(session, row.id)

    await credentials.replace(session, VAULT, PEPPER, row.id, {"secret": Secret("sk-new")})

    assert not await credentials.disable(session, row.id, "401", of_fingerprint=old)
    await session.refresh(row)
    assert row.disabled_reason is None and row.disabled_at is None


async def test_a_provider_goes_with_its_credentials_and_deployments_but_rate_lines_stay(session: AsyncSession):
    provider = await providers.add(session, name="openai", kind="openai")
    await credentials.add(session, VAULT, PEPPER, provider_id=provider.id, label="main", parts=PARTS)
    model = await deployments.add_model(session, name="m", type="chat")
    await deployments.set_alias(session, model.id, "nick")
    route = await deployments.add(session, model_id=model.id, provider_id=provider.id, upstream_model="m")
    await rates.set_card(session, route.id, {"input": (1, 2)}, "file")

    await providers.remove(session, provider.id)

    assert await credentials.listed(session) == []
    assert await deployments.listed(session) == []
    assert len((await session.scalars(select(Rate))).all()) == 1
    await deployments.remove_model(session, model.id)
    assert await deployments.aliases(session) == []


async def test_a_public_name_means_one_model(session: AsyncSession):
    model = await deployments.add_model(session, name="m", type="chat")
    other = await deployments.add_model(session, name="n", type="chat")
    await deployments.set_alias(session, model.id, "nick")

    for name in ("m", "nick"):
        with pytest.raises(Conflict):
            await deployments.add_model(session, name=name, type="chat")
    with pytest.raises(Conflict):
        await deployments.set_alias(session, model.id, "n")
    await deployments.set_alias(session, other.id, "nick")
    assert [(row.alias, row.model_id) for row in await deployments.aliases(session)] == [("nick", other.id)]


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\u00a0b", "a\x00", "x" * 201])
async def test_a_model_cannot_have_every_name(session: AsyncSession, name: str):
    with pytest.raises(BadValue):
        await deployments.add_model(session, name=name, type="chat")


async def test_only_what_differs_gets_a_new_rate_line(session: AsyncSession):
    assert await rates.set_card(session, "d", {"input": (1, 2), "images": (3, None)}, "file") == 2
    assert await rates.set_card(session, "d", {"images": (3, None), "input": (1, 2)}, "file") == 0
    assert await rates.set_card(session, "d", {"input": (1, 0)}, "file") == 2
    assert await rates.set_card(session, "d", {"input": (1, 0)}, "file") == 0

    assert await rates.newest(session, ["d", "e"]) == {"d": {"input": rates.Line(1, 0)}, "e": {}}
    lines = (await session.scalars(select(Rate).order_by(Rate.effective_from, Rate.meter.desc()))).all()
    assert [(line.meter, line.per_units, line.cost_nano, line.price_nano) for line in lines] == [
        ("input", 1_000_000, 1, 2),
        ("images", 1, 3, None),
        ("input", 1_000_000, 1, 0),
        ("images", 1, None, None),
    ]


async def test_a_clock_that_was_set_back_does_not_keep_the_old_rate(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
):
    for year in (2030, 2029, 2028):
        monkeypatch.setattr("app.base.clock.now", lambda year=year: datetime(year, 1, 1, tzinfo=UTC))
        await rates.set_card(session, "d", {"input": (year, None)}, "file")

    assert (await rates.newest(session, ["d"]))["d"]["input"].cost_nano == 2028


@pytest.mark.parametrize("card", [{"reasoning": (1, 1)}, {"tokens": (1, 1)}, {"input": (-1, 1)}, {"input": (1, -1)}])
async def test_a_rate_that_cannot_be_is_refused(session: AsyncSession, card: dict[str, tuple[int, int]]):
    with pytest.raises(BadValue):
        await rates.set_card(session, "d", card, "file")


async def test_billing_is_off_until_somebody_says_otherwise(session: AsyncSession):
    assert await settings.billing_mode(session) == "off"
    await settings.set_billing_mode(session, "cost")
    await settings.set_billing_mode(session, "credits")
    assert await settings.billing_mode(session) == "credits"
    with pytest.raises(BadValue):
        await settings.set_billing_mode(session, "free")
