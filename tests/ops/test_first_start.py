"""What the start prints, and that it works as pasted."""

from __future__ import annotations

import json
import shlex
import signal
from pathlib import Path

import httpx
import pytest

from app.base.config import read_settings
from app.domain.catalog import deployments, providers
from app.domain.identity import links, users
from app.ops import discovery, first_start, house
from app.ops.discovery import Found
from tests.ops.conftest import HubCommand
from tests.ops.serving import serving


def _curl(lines: list[str]) -> str:
    return next(line.strip() for line in lines if line.strip().startswith("curl "))


def _send(curl: str) -> httpx.Response:
    """What curl would send, from the words of its line."""
    words = shlex.split(curl)
    headers = dict(words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H")
    body = words[words.index("-d") + 1]
    return httpx.post(words[2], headers=headers, content=body, timeout=30, trust_env=False)


@pytest.mark.databases("sqlite")
def test_the_first_start_prints_a_call_that_works_and_later_ones_how_to_make_a_key(
    hub_environ: dict[str, str], tmp_path: Path
) -> None:
    with serving(hub_environ, tmp_path / "first") as (process, lines):
        curl = _curl(lines)
        answer = _send(curl)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text.rstrip().endswith("data: [DONE]")
        assert any("DEMO" in line for line in lines)
        assert any("/sign-in/" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    key = curl.split("Bearer ")[1].split('"')[0]

    with serving(hub_environ, tmp_path / "later") as (_, later):
        assert key not in "\n".join(later)
        assert "$API_KEY" in _curl(later)
        assert any("hub key create" in line or "key create --team" in line for line in later)
        assert _send(_curl(later).replace("$API_KEY", key)).status_code == 200


@pytest.mark.databases("sqlite")
def test_a_port_in_use_is_said_before_anything_is_made(hub: HubCommand) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        refused = hub("serve", "--port", port, expect=1)

    assert "--port" in refused.stderr
    assert refused.stdout == ""
    assert hub.json("key", "list") == []


async def test_only_the_very_first_start_makes_a_key(hub: HubCommand) -> None:
    async with house.opened(hub.settings) as opened:
        assert await first_start.is_first(opened)
        first = await first_start.greet(opened)
        assert not await first_start.is_first(opened)
        second = await first_start.greet(opened)

    assert first.has_key and first.curl is not None and "hk-" in first.curl
    assert not second.has_key and second.curl is not None and "hk-" not in second.curl
    assert first.is_demo and first.model == "demo/chat"


async def test_the_link_is_for_the_owner_and_ends_when_staff_has_signed_in(hub: HubCommand) -> None:
    async with house.opened(hub.settings) as opened:
        first = await first_start.greet(opened)
        second = await first_start.greet(opened)
        assert first.sign_in is not None and second.sign_in is not None and first.sign_in != second.sign_in
        async with opened.db.writing() as session:
            user = await links.use(session, second.sign_in.rpartition("/")[2])
        third = await first_start.greet(opened)
        async with opened.db.reading() as session:
            everybody = await users.listed(session)

    assert (user.email, user.hub_role) == (users.FIRST_OWNER, "owner")
    assert third.sign_in is None
    assert len(everybody) == 1


async def test_an_owner_that_is_there_gets_the_link(hub: HubCommand) -> None:
    async with house.opened(hub.settings) as opened:
        async with opened.db.writing() as session:
            await users.ensure(session, "ada@example.com", "owner")
        greeting = await first_start.greet(opened)
        assert greeting.sign_in is not None
        async with opened.db.writing() as session:
            assert (await links.use(session, greeting.sign_in.rpartition("/")[2])).email == "ada@example.com"


async def test_without_a_chat_model_there_is_no_curl_line(hub: HubCommand) -> None:
    async with house.opened(hub.settings) as opened:
        async with opened.db.writing() as session:
            lab = await providers.add(session, name="lab", kind="ollama")
            model = await deployments.add_model(session, name="lab/embed", type="embedding")
            await deployments.add(session, model_id=model.id, provider_id=lab.id, upstream_model="embed")
        greeting = await first_start.greet(opened)
        async with opened.db.writing() as session:
            model = await deployments.add_model(session, name="lab/it's", type="chat")
            await deployments.add(session, model_id=model.id, provider_id=lab.id, upstream_model="chat")
        second = await first_start.greet(opened)

    assert greeting.curl is None
    assert "No chat model" in "\n".join(first_start.lines(greeting, [], "hub"))
    assert second.model == "lab/it's" and not second.is_demo and second.curl is not None
    words = shlex.split(second.curl)
    assert json.loads(words[words.index("-d") + 1])["model"] == "lab/it's"


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"HUB_HOST": "0.0.0.0", "HUB_PORT": "80"}, "http://127.0.0.1:80"),
        ({"HUB_HOST": "::1"}, "http://[::1]:8080"),
        ({"HUB_MOUNT_PREFIX": "/hub"}, "http://127.0.0.1:8080/hub"),
        ({"HUB_PUBLIC_URL": "https://hub.example.com", "HUB_MOUNT_PREFIX": "/hub"}, "https://hub.example.com"),
    ],
)
def test_the_address_is_one_that_can_be_opened(environ: dict[str, str], address: str) -> None:
    assert first_start.address(read_settings(environ)) == address


async def test_what_is_found_is_offered_with_the_command_to_use_it(without_ollama: None) -> None:
    found: list[Found] = await discovery.find({"OPENAI_API_KEY": "sk-secret-000000000000", "ANTHROPIC_API_KEY": "x"})
    greeting = first_start.Greeting(
        address="http://h", sign_in=None, model="demo/chat", is_demo=True, curl="curl -N", has_key=False
    )

    text = "\n".join(first_start.lines(greeting, found, "hub"))

    assert "Found OPENAI_API_KEY. Use OpenAI:\n  hub provider adopt openai" in text
    assert "Found ANTHROPIC_API_KEY. Use Anthropic:\n  hub provider adopt anthropic" in text
    assert "sk-secret" not in text
