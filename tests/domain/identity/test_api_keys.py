from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.config import read_settings
from app.base.db import Database
from app.base.errors import BadValue, Conflict, NotFound
from app.base.secret import Secret
from app.domain.identity import api_keys, teams

PEPPER = b"p" * 32
GIVEN = Secret("aKeyThatSomebodyBringsAlong0123456789")


@pytest.fixture
async def session(hub_environ: dict[str, str]) -> AsyncIterator[AsyncSession]:
    db = Database(read_settings(hub_environ))
    async with db.writing() as writing:
        yield writing
    await db.close()


async def test_a_key_of_ours_is_shown_once_and_stored_as_a_digest(session: AsyncSession):
    team = await teams.create(session, name="acme")

    key, secret = await api_keys.create(session, PEPPER, team_id=team.id, name="ci", models=["*"])

    assert len(secret.reveal()) == 52 and not api_keys.is_mistyped(secret.reveal())
    assert key.digest == api_keys.digest(PEPPER, secret.reveal())
    assert secret.reveal().startswith(key.prefix) and len(key.prefix) == 10
    assert (await api_keys.listed(session, team.id))[0] is key
    assert await api_keys.find_by_name(session, team.id, "ci") is key


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x" * 31, "31 characters"),
        ("x" * 31 + " ", "without spaces"),
        ("x" * 31 + "\n", "without spaces"),
        ("x" * 31 + "é", "ASCII"),
        ("hk-" + "x" * 49, "mistyped"),
    ],
)
async def test_a_given_secret_that_cannot_be_a_key_is_refused(session: AsyncSession, text: str, complaint: str):
    team = await teams.create(session, name="acme")

    with pytest.raises(BadValue, match=complaint) as refused:
        await api_keys.create(session, PEPPER, team_id=team.id, name="ci", models=["*"], secret=Secret(text))

    assert refused.value.param == "secret"
    assert await api_keys.listed(session) == []


async def test_a_given_secret_of_32_characters_is_taken(session: AsyncSession):
    team = await teams.create(session, name="acme")

    key, secret = await api_keys.create(
        session, PEPPER, team_id=team.id, name="ci", models=["*"], secret=Secret("x" * 32)
    )

    assert secret.reveal() == "x" * 32 and key.prefix == "xxxx"


async def test_a_foreign_id_finds_nothing(session: AsyncSession):
    acme, other = await teams.create(session, name="acme"), await teams.create(session, name="other")
    key, _ = await api_keys.create(session, PEPPER, team_id=acme.id, name="ci", models=["*"])

    for attempt in (
        api_keys.of_team(session, other.id, key.id),
        api_keys.revoke(session, other.id, key.id),
        api_keys.remove(session, other.id, key.id),
        api_keys.replace_secret(session, PEPPER, other.id, key.id, GIVEN),
        api_keys.change(session, other.id, key.id, models=["*"], expires_at=None, is_strict=True, user_id=None),
        api_keys.create(session, PEPPER, team_id="nobody", name="ci", models=["*"]),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await api_keys.listed(session, other.id) == []
    assert await api_keys.find_by_name(session, other.id, "ci") is None
    assert key.revoked_at is None


async def test_names_and_secrets_are_taken_once(session: AsyncSession):
    acme, other = await teams.create(session, name="acme"), await teams.create(session, name="other")
    await api_keys.create(session, PEPPER, team_id=acme.id, name="ci", models=["*"], secret=GIVEN)

    with pytest.raises(Conflict):
        await api_keys.create(session, PEPPER, team_id=acme.id, name="ci", models=["*"])
    with pytest.raises(Conflict):
        await api_keys.create(session, PEPPER, team_id=other.id, name="ci", models=["*"], secret=GIVEN)
    await api_keys.create(session, PEPPER, team_id=other.id, name="ci", models=["*"])


async def test_a_key_is_revoked_once_and_its_secret_stays_refused(session: AsyncSession):
    team = await teams.create(session, name="acme")
    key, secret = await api_keys.create(session, PEPPER, team_id=team.id, name="ci", models=["*"])

    assert await api_keys.revoke(session, team.id, key.id)
    assert not await api_keys.revoke(session, team.id, key.id)
    with pytest.raises(Conflict):
        await api_keys.replace_secret(session, PEPPER, team.id, key.id, secret)
    await api_keys.replace_secret(session, PEPPER, team.id, key.id, GIVEN)
    await session.refresh(key)
    assert key.revoked_at is None and key.digest == api_keys.digest(PEPPER, GIVEN.reveal())


@pytest.mark.parametrize("models", [[], [""], ["a b"], ["x" * 201]])
async def test_models_that_match_nothing_are_refused(session: AsyncSession, models: list[str]):
    team = await teams.create(session, name="acme")

    with pytest.raises(BadValue) as refused:
        await api_keys.create(session, PEPPER, team_id=team.id, name="ci", models=models)

    assert refused.value.param == "models"


async def test_what_a_key_may_do_can_change(session: AsyncSession):
    team = await teams.create(session, name="acme")
    key, _ = await api_keys.create(session, PEPPER, team_id=team.id, name="ci", models=["*"])
    end = datetime(2099, 1, 1, tzinfo=UTC)

    await api_keys.change(session, team.id, key.id, models=["openai/*"], expires_at=end, is_strict=True, user_id=None)

    await session.refresh(key)
    assert (key.models, key.expires_at, key.is_strict) == (["openai/*"], end, True)


async def test_members_are_found_by_address_whatever_its_case(session: AsyncSession):
    team = await teams.ensure(session, "acme")
    assert await teams.ensure(session, "acme") is team

    await teams.set_member(session, team.id, "A@Example.com", "member")
    await teams.set_member(session, team.id, "a@example.com", "admin")

    assert await teams.members(session, team.id) == {"a@example.com": "admin"}
    with pytest.raises(BadValue):
        await teams.set_member(session, team.id, "a@example.com", "boss")
    with pytest.raises(NotFound):
        await teams.set_member(session, "nobody", "a@example.com", "admin")
    await teams.remove_member(session, team.id, "A@example.com")
    assert await teams.members(session, team.id) == {}
    with pytest.raises(NotFound):
        await teams.remove_member(session, team.id, "a@example.com")
