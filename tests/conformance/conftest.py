"""One emulator and one hub for all conformance tests of a process; the journal is empty at the start of each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import openai
import pytest

from tests.conformance.claude import claude_door, claude_upstream  # noqa: F401
from tests.conformance.doors import Door
from tests.conformance.hub import Hub, hub_yaml, running_hub
from tests.emulators.handle import Upstream, running_upstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as started:
        yield started


@pytest.fixture(scope="session")
def hub(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    data_dir = tmp_path_factory.mktemp("conformance") / "data"
    data_dir.mkdir(mode=0o700)
    with running_hub(hub_yaml(upstream), data_dir) as started:
        yield started


@pytest.fixture(scope="session", params=["straight", "hub"])
def door(request: pytest.FixtureRequest, upstream: Upstream) -> Door:
    """Both ways in, one after the other."""
    return Door(upstream, request.getfixturevalue("hub") if request.param == "hub" else None)


@pytest.fixture
def hub_door(hub: Hub, upstream: Upstream) -> Door:
    """Only through the hub: for what the hub adds or must keep back."""
    return Door(upstream, hub)


@pytest.fixture(autouse=True)
def _empty_journal(request: pytest.FixtureRequest) -> None:
    if "upstream" in request.fixturenames:
        request.getfixturevalue("upstream").clear()


@pytest.fixture
def client(door: Door) -> Iterator[openai.OpenAI]:
    with door.client() as opened:
        yield opened


@pytest.fixture
async def async_client(door: Door) -> AsyncIterator[openai.AsyncOpenAI]:
    async with door.async_client() as opened:
        yield opened


@pytest.fixture
def hub_client(hub_door: Door) -> Iterator[openai.OpenAI]:
    with hub_door.client() as opened:
        yield opened
