"""What a provider cannot be told: in the answer's header, in the record, and refused for strict keys."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.wire.notes import Note
from tests.emulators.handle import Upstream
from tests.hubs import HUB_KEY, described, quick, running_hub

pytestmark = pytest.mark.databases("sqlite")

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}
WANTED = {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True}}
"""A provider that cannot promise a schema is asked in another way, so its request has to be understood."""


def asking(**more: Any) -> dict[str, Any]:
    return {"response_format": WANTED, "messages": [{"role": "user", "content": "in json, please"}], **more}


def strict_keys() -> list[dict[str, Any]]:
    return [{"name": "ci", "secret": HUB_KEY, "strict": True}]


@pytest.fixture
def translating(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of provider that has JSON mode and no schemas."""
    quick(monkeypatch, "custom", structured=lambda _model: "json_mode")


@pytest.mark.usefixtures("translating")
async def test_what_was_left_out_is_in_the_header_and_in_the_record(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, kind="custom")) as hub:
        answer = await hub.chat(**asking(n=2))

        assert answer.status_code == 200, answer.text
        assert "n" not in upstream.last()["body"]
        header = answer.headers["x-hub-fidelity"]
        assert 'dropped=("n")' in header and 'emulated=("response_format")' in header
        call = await hub.last_call()
        assert call.fidelity is not None
        notes = msgspec.json.decode(call.fidelity, type=list[Note])
        assert {(note.path, note.what) for note in notes} == {
            ("n", "dropped"),
            ("response_format", "emulated"),
        }


async def test_a_call_that_was_passed_on_as_it_is_has_nothing_to_tell(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, keys=strict_keys())) as hub:
        answer = await hub.chat()

        assert answer.status_code == 200 and "x-hub-fidelity" not in answer.headers
        assert (await hub.last_call()).fidelity is None


@pytest.mark.usefixtures("translating")
async def test_a_strict_key_is_refused_with_the_path_before_anybody_is_asked(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = described(upstream, kind="custom", keys=strict_keys())
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat(**asking(n=2))

        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "not_expressible", "n")
        assert error["owner"] == "you" and upstream.calls() == []
        call = await hub.last_call()
        assert (call.status, call.error_code, call.http_status) == ("refused", "not_expressible", 400)


@pytest.mark.usefixtures("translating")
async def test_a_strict_key_may_have_done_in_another_way_what_is_done_all_the_same(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with running_hub(hub_environ, described(upstream, kind="custom", keys=strict_keys())) as hub:
        answer = await hub.chat(**asking())

        assert answer.status_code == 200, answer.text
        assert answer.headers["x-hub-fidelity"] == 'emulated=("response_format")'


@pytest.mark.usefixtures("translating")
async def test_where_one_provider_cannot_be_told_one_that_can_is_asked(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    providers = {"one": ["sk-one-a-0123456789abcdef", "sk-one-b-0123456789abcdef"], "two": ["sk-two-0123456789abcdef"]}
    file = described(
        upstream,
        kind="custom",
        providers=providers,
        models={"chat": ["one/gpt-4o-mini", "two/gpt-4o-mini"]},
        keys=strict_keys(),
    )
    file["providers"][1] |= {"kind": "openrouter", "base_url": upstream.base_url("openrouter")}
    file["models"][0]["routes"][1]["upstream_model"] = "meta-llama/llama-3.3-70b-instruct"
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat(**asking(n=2))

        assert (answer.status_code, answer.headers["x-hub-provider"]) == (200, "two"), answer.text
        assert [entry["kind"] for entry in upstream.calls()] == ["openrouter"]
        tried = await hub.attempts(await hub.last_call())
        # Once: another credential of the same provider could not be told either.
        assert [(one.provider, one.error_code) for one in tried] == [("one", "not_expressible"), ("two", None)]


@pytest.mark.usefixtures("translating")
async def test_a_failure_is_told_rather_than_that_another_could_not_be_asked(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    providers = {"one": ["sk-one-a-0123456789abcdef"], "two": ["sk-two-0123456789abcdef"]}
    file = described(
        upstream,
        kind="custom",
        providers=providers,
        models={"chat": ["one/gpt-4o-mini", "two/fault-500"]},
        keys=strict_keys(),
    )
    file["providers"][1] |= {"kind": "openrouter", "base_url": upstream.base_url("openrouter")}
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat(**asking(n=2))

        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_failed")
