from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import delete, select

from app.base.config import read_settings
from app.base.db import Database
from app.base.vault import KeyRing, Vault, VaultError
from app.domain.identity import hub_secrets
from app.domain.identity.models import HubSetting

VAULT = Vault(KeyRing((("aaaaaaaa", b"a" * 32),)))
OTHER = Vault(KeyRing((("bbbbbbbb", b"b" * 32),)))


@pytest.fixture
async def db(hub_environ: dict[str, str]) -> AsyncIterator[Database]:
    database = Database(read_settings(hub_environ))
    yield database
    await database.close()


async def prepared(db: Database, vault: Vault = VAULT) -> bytes:
    async with db.writing() as session:
        return await hub_secrets.prepare(session, vault)


async def test_an_empty_hub_gets_a_pepper_that_stays(db: Database):
    pepper = await prepared(db)

    assert len(pepper) == 32
    assert await prepared(db) == pepper
    async with db.reading() as session:
        stored = (await session.scalars(select(HubSetting.value))).all()
    assert len(stored) == 2 and all(value.startswith("v1.aaaaaaaa.") for value in stored)


async def test_processes_that_start_at_once_agree_on_the_pepper(db: Database, hub_environ: dict[str, str]):
    others = [Database(read_settings(hub_environ)) for _ in range(4)]

    peppers = await asyncio.gather(*(prepared(one) for one in (db, *others)))

    assert len(set(peppers)) == 1
    for one in others:
        await one.close()


async def test_another_master_key_is_refused_and_told_what_to_do(db: Database):
    pepper = await prepared(db)

    with pytest.raises(VaultError) as refused:
        await prepared(db, OTHER)

    for word in ("bbbbbbbb", "aaaaaaaa", "HUB_MASTER_KEY", "master.key", "Nothing was changed"):
        assert word in str(refused.value)
    assert await prepared(db) == pepper


async def test_a_ring_that_still_has_the_old_key_opens_the_hub(db: Database):
    pepper = await prepared(db)

    assert await prepared(db, Vault(KeyRing((("bbbbbbbb", b"b" * 32), ("aaaaaaaa", b"a" * 32))))) == pepper


@pytest.mark.parametrize("lost", [hub_secrets.CANARY, hub_secrets.PEPPER])
async def test_a_lost_row_is_not_made_anew_because_no_key_would_open_any_more(db: Database, lost: str):
    await prepared(db)
    async with db.writing() as session:
        await session.execute(delete(HubSetting).where(HubSetting.key == lost))

    with pytest.raises(VaultError, match=f"{lost} .* backup"):
        await prepared(db)
