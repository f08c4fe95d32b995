"""`hub provider`: what is found on this machine, adding it, and trying its credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace

from app.adapters.providers.registry import KINDS
from app.base.secret import Secret
from app.domain.catalog import credentials, providers
from app.ops import discovery, house
from tests.emulators.handle import Upstream, running_upstream
from tests.ops.conftest import HubCommand

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(scope="module")
def the_upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def upstream(the_upstream: Upstream, monkeypatch: pytest.MonkeyPatch, without_ollama: None) -> Upstream:
    """The network: the addresses of OpenAI and DeepSeek lead to the upstream of the tests."""
    the_upstream.reset()
    for name in ("openai", "deepseek"):
        monkeypatch.setitem(KINDS, name, replace(KINDS[name], base_url=the_upstream.base_url(name)))  # type: ignore[arg-type]
    return the_upstream


def _add(hub: HubCommand, upstream: Upstream, key: str) -> Callable[[], credentials.Credential]:
    """A provider `lab` with one credential; gives what reads its row."""

    async def add() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            lab = await providers.add(session, name="lab", kind="openai", base_url=upstream.base_url("openai"))
            await credentials.add(
                session, opened.vault, opened.pepper, provider_id=lab.id, label="main", parts={"secret": Secret(key)}
            )

    async def read() -> credentials.Credential:
        async with house.opened(hub.settings) as opened, opened.db.reading() as session:
            return (await credentials.listed(session))[0]

    asyncio.run(add())
    return lambda: asyncio.run(read())


def test_the_built_in_demo_is_listed_as_demo_while_there_is_nothing_else(hub: HubCommand) -> None:
    listed = hub("provider", "list")

    assert "demo" in listed.stdout
    assert "hub provider adopt" in listed.stdout
    assert [(row["name"], row["is_demo"]) for row in hub.json("provider", "list")] == [("demo", True)]


def test_adopting_reads_the_models_and_the_key_is_never_shown(hub: HubCommand, upstream: Upstream) -> None:
    hub.environ["OPENAI_API_KEY"] = upstream.key("openai")

    (adopted,) = hub.json("provider", "adopt", "openai")

    assert adopted["provider"] == "openai"
    assert adopted["source"] == "OPENAI_API_KEY"
    assert adopted["note"] == ""
    assert "openai/gpt-4o-mini" in adopted["models"]
    listed = hub("provider", "list")
    (row,) = hub.json("provider", "list")
    assert (row["name"], row["is_demo"], row["deployments"]) == ("openai", False, len(adopted["models"]))
    assert row["credentials"][0]["is_usable"]
    assert upstream.key("openai") not in listed.stdout
    assert "made-up text" not in listed.stdout


def test_an_adopted_provider_brings_its_costs_from_the_price_bundle(hub: HubCommand, upstream: Upstream) -> None:
    hub.environ["OPENAI_API_KEY"] = upstream.key("openai")
    hub("provider", "adopt", "openai")
    hub("key", "create", "--team", "acme", "--name", "ci")

    told = hub.json("explain", "acme/ci", "openai/gpt-4o-mini")

    (route,) = told["routes"]
    costs = {line["meter"]: line["cost_nano"] for line in route["price"]["lines"] if not line["condition"]}
    assert (costs["input"], costs["output"]) == (150_000_000, 600_000_000)
    assert hub.json("prices", "diff")["changes"] == []


def test_a_key_that_the_provider_refuses_adds_nothing(hub: HubCommand, upstream: Upstream) -> None:
    hub.environ["OPENAI_API_KEY"] = "sk-this-key-is-wrong-000000"

    refused = hub("provider", "adopt", "openai", expect=1)

    assert "refused the key from OPENAI_API_KEY" in refused.stderr
    assert "sk-this-key-is-wrong" not in refused.stderr
    assert [row["name"] for row in hub.json("provider", "list")] == ["demo"]


def test_where_no_list_can_be_read_the_starter_models_are_added(
    hub: HubCommand, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "openai", replace(KINDS["openai"], base_url="http://127.0.0.1:1/v1"))  # type: ignore[arg-type]
    hub.environ["OPENAI_API_KEY"] = "sk-nobody-can-check-this-0000"

    (adopted,) = hub.json("provider", "adopt", "openai")

    assert adopted["models"] == [f"openai/{name}" for name, _ in KINDS["openai"].starter_models]
    assert "could not be asked" in adopted["note"]


def test_adopt_all_takes_what_is_found_and_not_there(hub: HubCommand, upstream: Upstream) -> None:
    hub.environ |= {
        "OPENAI_API_KEY": upstream.key("openai"),
        "DEEPSEEK_API_KEY": upstream.key("deepseek"),
    }
    hub("provider", "adopt", "openai")

    assert [one["provider"] for one in hub.json("provider", "adopt", "--all")] == ["deepseek"]
    assert hub.json("provider", "adopt", "--all") == []
    assert "is there already" in hub("provider", "adopt", "openai", expect=1).stderr


def test_what_is_not_found_is_said_with_what_is(hub: HubCommand, upstream: Upstream) -> None:
    assert "no provider key in the environment" in hub("provider", "adopt", "openai", expect=1).stderr
    hub.environ["DEEPSEEK_API_KEY"] = "sk-deepseek-000000000000"

    assert "deepseek (DEEPSEEK_API_KEY)" in hub("provider", "adopt", expect=1).stderr


def test_check_tells_a_good_key_from_a_bad_one(hub: HubCommand, upstream: Upstream) -> None:
    _add(hub, upstream, "sk-this-key-is-wrong-000000")

    (bad,) = hub.json("provider", "check", expect=1)
    upstream.set_keys({"sk-this-key-is-wrong-000000": ""})
    (good,) = hub.json("provider", "check", "lab")

    assert (bad["provider"], bad["credential"], bad["is_ok"], bad["status"]) == ("lab", "main", False, 401)
    assert (good["is_ok"], good["status"]) == (True, 200)
    assert "sk-this-key-is-wrong" not in str(bad) + str(good)
    assert "no provider other" in hub("provider", "check", "other", expect=1).stderr


def test_a_credential_that_works_again_is_enabled_on_demand_only(hub: HubCommand, upstream: Upstream) -> None:
    read = _add(hub, upstream, upstream.key("openai"))

    async def disable() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            await credentials.disable(session, (await credentials.listed(session))[0].id, "OpenAI refused it.")

    asyncio.run(disable())

    assert "OpenAI refused it." in hub("provider", "check").stdout
    assert read().disabled_reason is not None
    assert hub.json("provider", "check", "--enable")[0]["was_enabled"]
    assert read().disabled_reason is None
    assert not hub.json("provider", "check", "--enable")[0]["was_enabled"]


def test_a_bad_credential_is_not_enabled(hub: HubCommand, upstream: Upstream) -> None:
    read = _add(hub, upstream, "sk-this-key-is-wrong-000000")

    async def disable() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            await credentials.disable(session, (await credentials.listed(session))[0].id, "Refused.")

    asyncio.run(disable())
    hub("provider", "check", "--enable", expect=1)

    assert read().disabled_reason == "Refused."


async def test_keys_are_found_by_the_names_of_the_registry(without_ollama: None) -> None:
    environ = {
        "OPENAI_API_KEY": "sk-1",
        "ARK_API_KEY": "ark-1",
        "GEMINI_API_KEY": " ",
        "AWS_ACCESS_KEY_ID": "AKIA1",
        "AWS_SECRET_ACCESS_KEY": "aws-1",
        "AWS_REGION": "eu-west-1",
        "OLLAMA_API_KEY": "cloud-only",
    }

    found = {one.name: one for one in await discovery.find(environ)}

    assert list(found) == ["openai", "bedrock", "doubao"]
    assert found["openai"].parts == {"secret": Secret("sk-1")}
    assert found["bedrock"].parts == {"access_key_id": Secret("AKIA1"), "secret_access_key": Secret("aws-1")}
    assert found["bedrock"].region == "eu-west-1"
    assert await discovery.find({"AWS_ACCESS_KEY_ID": "AKIA1"}) == []


@pytest.mark.parametrize(
    ("answer", "is_one"),
    [
        (b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"version":"0.12.6"}', True),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>another program</html>", False),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", False),
        (b"", False),
    ],
)
async def test_an_ollama_is_known_by_its_answer(answer: bytes, is_one: bool) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(answers, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    async with server:
        assert await discovery.is_ollama(*address) is is_one
        assert [one.name for one in await discovery.find({}, ollama_address=address)] == ["ollama"] * is_one


async def test_a_port_that_never_answers_costs_a_third_of_a_second() -> None:
    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    async with server:
        started = asyncio.get_running_loop().time()
        assert not await discovery.is_ollama(*server.sockets[0].getsockname())
        assert asyncio.get_running_loop().time() - started < 0.6


@pytest.mark.parametrize(("answer", "provider"), [(True, "openai"), (False, "demo")])
def test_at_the_first_start_a_person_is_asked_and_a_yes_adds_the_provider(
    hub: HubCommand, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, answer: bool, provider: str
) -> None:
    asked: list[str] = []

    def confirm(question: str, default: bool) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr("app.ops.console.is_terminal", lambda: True)
    monkeypatch.setattr("app.ops.commands.serve.click.confirm", confirm)
    monkeypatch.setattr("app.ops.serve.serve", lambda _settings, *, reload: 0)
    hub.environ["OPENAI_API_KEY"] = upstream.key("openai")

    said = hub("serve", "--port", "0").stdout
    hub("serve", "--port", "0")

    assert asked == ["Found OPENAI_API_KEY. Use OpenAI?"], "asked once"
    assert [row["name"] for row in hub.json("provider", "list")] == [provider]
    assert ('"model": "openai/' in said) is answer
    assert ("DEMO" in said) is not answer
    assert ("provider adopt openai" in said) is not answer


def test_without_a_terminal_nobody_is_asked(
    hub: HubCommand, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ops.serve.serve", lambda _settings, *, reload: 0)
    hub.environ["OPENAI_API_KEY"] = upstream.key("openai")

    assert hub.json("serve", "--port", "0")["offers"] == ["openai"]
    assert [row["name"] for row in hub.json("provider", "list")] == ["demo"]
