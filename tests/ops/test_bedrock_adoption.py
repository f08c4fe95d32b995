"""`hub provider adopt bedrock`: Amazon's own variables of the environment, with the region that they name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from app.adapters.providers.registry import KINDS
from app.domain.catalog import credentials, providers
from app.ops import house
from tests.emulators.bedrock import signatures
from tests.emulators.bedrock.handle import Bedrock, running_bedrock
from tests.ops.conftest import HubCommand

pytestmark = pytest.mark.databases("sqlite")

ACCESS_KEY = {
    "AWS_ACCESS_KEY_ID": signatures.ACCESS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": signatures.SECRET_ACCESS_KEY,
    "AWS_SESSION_TOKEN": signatures.SESSION_TOKEN,
}
API_KEY = {"AWS_BEARER_TOKEN_BEDROCK": signatures.API_KEY}


@pytest.fixture(scope="module")
def the_bedrock() -> Iterator[Bedrock]:
    with running_bedrock() as started:
        yield started


@pytest.fixture
def bedrock(the_bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch, without_ollama: None) -> Bedrock:
    """The network: Amazon's hosts lead to the emulator."""
    row = replace(KINDS["bedrock"], base_url=the_bedrock.root, lists_url=the_bedrock.root)
    monkeypatch.setitem(KINDS, "bedrock", row)  # type: ignore[arg-type]
    return the_bedrock


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        (ACCESS_KEY | {"AWS_REGION": signatures.REGION}, {"access_key_id", "secret_access_key", "session_token"}),
        (API_KEY | {"AWS_DEFAULT_REGION": signatures.REGION}, {"api_key"}),
    ],
)
def test_what_amazons_tools_would_find_is_adopted_with_its_region_and_models(
    hub: HubCommand, bedrock: Bedrock, variables: dict[str, str], parts: set[str]
) -> None:
    hub.environ |= variables

    adopted = hub.json("provider", "adopt", "bedrock")[0]

    assert adopted["models"] == [
        "bedrock/amazon.nova-lite-v1:0",
        "bedrock/amazon.titan-embed-text-v2:0",
        "bedrock/amazon.nova-canvas-v1:0",
        "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ]
    assert not adopted["note"]

    async def read() -> tuple[str | None, set[str]]:
        async with house.opened(hub.settings) as opened, opened.db.reading() as session:
            row = await providers.find_by_name(session, "bedrock")
            assert row is not None
            credential = (await credentials.listed(session, row.id))[0]
            return row.region, set(credentials.reveal(opened.vault, credential))

    assert asyncio.run(read()) == (signatures.REGION, parts)
    assert [row["is_ok"] for row in hub.json("provider", "check", "bedrock")] == [True]


def test_a_key_that_amazon_refuses_is_not_adopted(hub: HubCommand, bedrock: Bedrock) -> None:
    hub.environ |= {"AWS_BEARER_TOKEN_BEDROCK": "ABSKwrong", "AWS_REGION": signatures.REGION}
    refused = hub("provider", "adopt", "bedrock", expect=1)
    assert "refused the key" in refused.output
    assert "ABSKwrong" not in refused.output
    assert hub.json("provider", "list")[0]["name"] == "demo"
