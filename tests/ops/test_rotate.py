"""Rotation of the master key: everything sealed opens afterwards, with the new key alone."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.base import resealing, vault
from app.base.clock import now_us
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.errors import BadValue
from app.base.secret import Secret
from app.base.vault import Place, Vault, VaultError, load_ring
from app.domain.calls.models import CallContent, IdempotentAnswer
from app.domain.catalog import credentials, providers
from app.domain.catalog.models import Credential
from app.domain.identity import hub_secrets, receipt_key
from app.ops import house, rotation
from app.ops.house import House
from app.ops.sealed import SEALED
from app.ops.tables import METADATA
from tests.ops.conftest import HubCommand
from tests.ops.serving import serving

OLD, NEW = "ab" * 32, "cd" * 32


@pytest.fixture
def settings(hub_environ: dict[str, str]) -> Settings:
    return read_settings(hub_environ)


@pytest.fixture
async def hub(settings: Settings) -> AsyncIterator[House]:
    async with house.opened(settings) as opened:
        yield opened


async def _seal_one_of_each(hub: House, how_many: int = 1) -> None:
    """A row for every sealed column, by the names and places that the product uses."""
    async with hub.db.writing() as session:
        provider = await providers.add(session, name="lab", kind="custom", base_url="http://lab.example/v1")
        for n in range(how_many):
            await credentials.add(
                session,
                hub.vault,
                hub.pepper,
                provider_id=provider.id,
                label=f"main{n}",
                parts={"secret": Secret(f"sk-the-key-of-the-lab-{n}")},
            )
        session.add(
            CallContent(
                call_id="call",
                team_id="team",
                sealed_request=hub.vault.seal(
                    Secret("question"), Place("call_content", "sealed_request", "call", "team")
                ),
                sealed_answer=hub.vault.seal(Secret("answer"), Place("call_content", "sealed_answer", "call", "team")),
                expires_us=now_us() + 10**12,
            )
        )
        session.add(
            IdempotentAnswer(
                digest=b"d" * 32,
                body_digest=b"b" * 32,
                call_id="call",
                sealed_answer=hub.vault.seal(Secret("same"), Place("idempotent_answer", "sealed_answer", "call")),
                expires_us=now_us() + 10**12,
            )
        )
        session.add(
            IdempotentAnswer(digest=b"r" * 32, body_digest=b"b" * 32, call_id="running", expires_us=now_us() + 10**12)
        )


async def _opened(db: Database, opener: Vault) -> dict[str, list[str]]:
    """Column → what its texts hold."""
    found: dict[str, list[str]] = {}
    async with db.reading() as session:
        for sealed in SEALED:
            texts = await resealing.next_texts(session, sealed, None, 1000)
            found[sealed.name] = [opener.open(text.text, text.place).reveal() for text in texts]
    return found


def test_every_sealed_column_is_in_the_registry() -> None:
    known = {(sealed.model.__tablename__, sealed.column.key) for sealed in SEALED}
    named = {
        (table.name, column.name)
        for table in METADATA.tables.values()
        for column in table.columns
        if column.name.startswith("sealed")
    }

    assert named <= known
    assert known - named == {("hub_setting", "value")}


def test_the_hubs_own_secrets_are_in_the_registry() -> None:
    only = next(sealed.only for sealed in SEALED if sealed.model.__tablename__ == "hub_setting")

    assert only == {hub_secrets.CANARY, hub_secrets.PEPPER, receipt_key.RECEIPT_KEY}


async def test_a_key_file_is_rotated_and_everything_opens_with_the_new_key_alone(hub: House) -> None:
    await _seal_one_of_each(hub)
    before, old_id = await _opened(hub.db, hub.vault), hub.vault.primary_id

    done = await rotation.rotate(hub.settings, hub.db, hub.vault, wait_seconds=0)

    assert done.key_id != old_id
    assert done.unopened == []
    assert sum(done.rewrapped.values()) == 6
    ring = load_ring(hub.settings)
    assert [key_id for key_id, _ in ring.keys] == [done.key_id]
    assert await _opened(hub.db, Vault(ring)) == before
    async with hub.db.writing() as session:
        assert await hub_secrets.prepare(session, Vault(ring)) == hub.pepper


@pytest.mark.databases("sqlite")
async def test_more_rows_than_a_batch_are_all_rewrapped(hub: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "BATCH", 7)
    await _seal_one_of_each(hub, how_many=30)

    done = await rotation.rotate(hub.settings, hub.db, hub.vault, wait_seconds=0)

    assert done.rewrapped["credential.sealed"] == 30


async def test_a_rotation_that_was_cut_short_goes_on_with_the_same_new_key(hub: House) -> None:
    await _seal_one_of_each(hub)
    rotation.begin(hub.settings)
    new_id = load_ring(hub.settings).primary_id

    done = await rotation.rotate(hub.settings, hub.db, hub.vault, wait_seconds=0)

    assert done.key_id == new_id
    assert len(load_ring(hub.settings).keys) == 1


async def test_a_secret_that_is_replaced_meanwhile_stands(hub: House) -> None:
    await _seal_one_of_each(hub)
    sealed = next(one for one in SEALED if one.model is Credential)
    async with hub.db.reading() as session:
        (old,) = await resealing.next_texts(session, sealed, None, 10)
    async with hub.db.writing() as session:
        await credentials.replace(session, hub.vault, hub.pepper, old.key, {"secret": Secret("sk-the-newer-key-0000")})

    async with hub.db.writing() as session:
        assert not await resealing.swap(session, sealed, old, "something else")

    async with hub.db.reading() as session:
        row = await credentials.get(session, old.key)
        assert credentials.reveal(hub.vault, row)["secret"] == Secret("sk-the-newer-key-0000")


async def test_a_text_that_no_key_opens_is_reported_and_stops_nothing(hub: House) -> None:
    await _seal_one_of_each(hub, how_many=2)
    async with hub.db.writing() as session:
        row = (await credentials.listed(session))[0]
        row.sealed = row.sealed[:-4] + "AAAA"
        broken = await session.get(CallContent, "call")
        assert broken is not None
        broken.sealed_answer = "v1.00000000.AAAA.AAAA"

    done = await rotation.rotate(hub.settings, hub.db, hub.vault, wait_seconds=0)

    # Damage inside the ciphertext is below the wrapping, so only the unknown key is met here.
    assert len(done.unopened) == 1
    assert "00000000" in done.unopened[0]
    assert done.rewrapped["credential.sealed"] == 2


async def test_keys_of_the_environment_are_rotated_with_both_given(hub_environ: dict[str, str]) -> None:
    async with house.opened(read_settings({**hub_environ, "HUB_MASTER_KEY": OLD})) as hub:
        await _seal_one_of_each(hub)
        before = await _opened(hub.db, hub.vault)
        with pytest.raises(BadValue, match="HUB_MASTER_KEY_OLD"):
            await rotation.rotate(hub.settings, hub.db, hub.vault)

    both = read_settings({**hub_environ, "HUB_MASTER_KEY": NEW, "HUB_MASTER_KEY_OLD": OLD})
    async with house.opened(both) as hub:
        await rotation.rotate(both, hub.db, hub.vault)

    async with house.opened(read_settings({**hub_environ, "HUB_MASTER_KEY": NEW})) as hub:
        assert await _opened(hub.db, hub.vault) == before
    with pytest.raises(VaultError):
        async with house.opened(read_settings({**hub_environ, "HUB_MASTER_KEY": OLD})):
            pass


@pytest.mark.databases("sqlite")
async def test_a_key_that_blocklet_server_gives_is_not_rotated_here(hub_environ: dict[str, str]) -> None:
    environ = {**hub_environ, "BLOCKLET_APP_EK": "secret of the app", "BLOCKLET_DID": "z8ia"}
    async with house.opened(read_settings(environ)) as hub:
        with pytest.raises(BadValue, match="Blocklet Server"):
            await rotation.rotate(hub.settings, hub.db, hub.vault)


@pytest.mark.databases("sqlite")
async def test_what_a_server_seals_under_the_old_key_meanwhile_is_found_by_the_next_pass(
    hub: House, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = Vault(load_ring(settings))
    await _seal_one_of_each(hub)

    async def while_waiting(_seconds: float) -> None:
        async with hub.db.writing() as session:
            row = (await credentials.listed(session))[0]
            await credentials.replace(session, stale, hub.pepper, row.id, {"secret": Secret("sk-sealed-late-000000")})

    monkeypatch.setattr("app.ops.rotation.asyncio.sleep", while_waiting)

    done = await rotation.rotate(settings, hub.db, hub.vault)

    assert done.rewrapped["credential.sealed"] == 2
    fresh = Vault(load_ring(settings))
    async with hub.db.reading() as session:
        row = (await credentials.listed(session))[0]
    assert credentials.reveal(fresh, row)["secret"] == Secret("sk-sealed-late-000000")
    assert vault.key_file(settings).stat().st_mode & 0o777 == 0o600


@pytest.mark.databases("sqlite")
def test_a_running_server_goes_on_with_the_new_key(hub_environ: dict[str, str], tmp_path: Path) -> None:
    """What it had sealed opens for it, and what it seals from now on opens with the new key alone."""
    with serving(hub_environ, tmp_path / "printed") as (_, lines):
        words = shlex.split(next(line for line in lines if "curl " in line))
        headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")

        def ask(idempotency_key: str) -> str:
            answer = httpx.post(
                words[2],
                headers={**headers, "Idempotency-Key": idempotency_key},
                json={"model": "demo/chat", "messages": [{"role": "user", "content": "Hello"}]},
                trust_env=False,
            )
            assert answer.status_code == 200, answer.text
            return answer.json()["id"]

        before = ask("first")
        HubCommand(hub_environ)("rotate-master-key")
        assert ask("first") == before
        ask("second")
        ask("third")

    async def all_open() -> dict[str, list[str]]:
        settings = read_settings(hub_environ)
        ring = load_ring(settings)
        assert len(ring.keys) == 1
        db = Database(settings)
        try:
            return await _opened(db, Vault(ring))
        finally:
            await db.close()

    assert len(asyncio.run(all_open())["idempotent_answer.sealed_answer"]) == 3
