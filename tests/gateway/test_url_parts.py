"""Parts by URL: passed on where the provider fetches them, fetched by the hub where it does not."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.emulators.handle import Upstream
from tests.gateway.pictures import PNG, Files, files
from tests.hubs import described, quick, running_hub

__all__ = ["files"]

pytestmark = pytest.mark.databases("sqlite")


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def asking(*urls: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, *(picture(url) for url in urls)]}]


def sent_urls(upstream: Upstream) -> list[str]:
    content = upstream.last()["body"]["messages"][-1]["content"]
    return [part["image_url"]["url"] for part in content if part["type"] == "image_url"]


def private(hub_environ: dict[str, str]) -> dict[str, str]:
    return {**hub_environ, "HUB_FETCH_PRIVATE_ADDRESSES": "1"}


def ollama(upstream: Upstream) -> dict[str, Any]:
    return described(upstream, kind="ollama", models={"chat": "one/llama3.2:latest"})


_INLINE = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest.mark.parametrize("path", ["/picture", "/unnamed"])
async def test_a_provider_that_does_not_fetch_gets_the_bytes_in_place_of_the_url(
    hub_environ: dict[str, str], upstream: Upstream, files: Files, path: str
) -> None:
    async with running_hub(private(hub_environ), ollama(upstream)) as hub:
        answer = await hub.chat(messages=asking(files.root + path))

        assert answer.status_code == 200, answer.text
        assert sent_urls(upstream) == [_INLINE]
        assert "x-hub-fidelity" not in answer.headers
        assert (await hub.last_call()).fidelity is None


async def test_a_provider_that_fetches_by_itself_gets_the_callers_own_bytes(
    hub_environ: dict[str, str], upstream: Upstream, files: Files
) -> None:
    async with running_hub(private(hub_environ), described(upstream)) as hub:
        url = f"{files.root}/picture"
        answer = await hub.chat(messages=asking(url), seed=7)

        assert answer.status_code == 200, answer.text
        assert sent_urls(upstream) == [url] and files.asked == []
        assert upstream.last()["body"]["seed"] == 7


async def test_pictures_are_fetched_side_by_side_and_each_once(
    hub_environ: dict[str, str], upstream: Upstream, files: Files
) -> None:
    async with running_hub(private(hub_environ), ollama(upstream)) as hub:
        urls = [f"{files.root}/picture/{n % 6}" for n in range(12)]
        answer = await hub.chat(messages=asking(*urls))

        assert answer.status_code == 200, answer.text
        assert sent_urls(upstream) == [_INLINE] * 12
        assert sorted(files.asked) == [f"/picture/{n}" for n in range(6)]
        assert files.most_at_once == 4


async def test_a_second_attempt_does_not_fetch_again(
    hub_environ: dict[str, str], upstream: Upstream, files: Files
) -> None:
    two = {"first": ["sk-first-0123456789abcdef"], "second": ["sk-second-0123456789abcdef"]}
    file = described(
        upstream, kind="ollama", providers=two, models={"chat": ["first/fault-500", "second/llama3.2:latest"]}
    )
    async with running_hub(private(hub_environ), file) as hub:
        answer = await hub.chat(messages=asking(f"{files.root}/picture"))

        assert answer.headers["x-hub-attempts"] == "2" and answer.status_code == 200
        assert files.asked == ["/picture"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/missing", "answered 404"),
        ("/page", "text/html"),
        ("/document", "application/pdf"),
        ("/inside", "not public"),
    ],
)
async def test_a_url_that_gives_no_picture_is_the_callers_fault_and_named(
    hub_environ: dict[str, str], upstream: Upstream, files: Files, path: str, why: str
) -> None:
    async with running_hub(private(hub_environ), ollama(upstream)) as hub:
        answer = await hub.chat(messages=asking(f"{files.root}/picture", files.root + path))

        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["owner"]) == (400, "url_refused", "you")
        assert error["param"] == "messages[0].content[2]" and why in error["message"]
        assert (await hub.last_call()).status == "refused"
        assert upstream.calls() == []


async def test_a_server_that_fails_is_said_to(hub_environ: dict[str, str], upstream: Upstream, files: Files) -> None:
    async with running_hub(private(hub_environ), ollama(upstream)) as hub:
        answer = await hub.chat(messages=asking(f"{files.root}/failing"))

        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (502, "url_not_fetched", "messages[0].content[1]")


async def test_all_parts_together_are_bounded(hub_environ: dict[str, str], upstream: Upstream, files: Files) -> None:
    async with running_hub(private(hub_environ), ollama(upstream)) as hub:
        several = await hub.chat(messages=asking(*(f"{files.root}/large/{n}" for n in range(4))))
        many = await hub.chat(messages=asking(*(f"{files.root}/picture/{n}" for n in range(21))))

        assert several.status_code == 400 and "all together give more than 50 MB" in several.json()["error"]["message"]
        assert many.status_code == 400 and "At most 20" in many.json()["error"]["message"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/picture", "http://localhost:80/", "http://169.254.169.254/"])
async def test_without_the_setting_nobody_is_led_inside(
    hub_environ: dict[str, str], upstream: Upstream, files: Files, url: str
) -> None:
    async with running_hub(hub_environ, ollama(upstream)) as hub:
        answer = await hub.chat(messages=asking(url.format(port=files.root.rpartition(":")[2])))

        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "url_refused")
        assert files.asked == []


async def test_where_one_provider_cannot_be_given_a_url_one_that_fetches_it_itself_is_asked(
    hub_environ: dict[str, str], upstream: Upstream, files: Files
) -> None:
    file = described(upstream, kind="ollama", models={"chat": ["one/llama3.2:latest", "two/gpt-4o-mini"]})
    file["providers"].append(
        {"name": "two", "kind": "openai", "base_url": upstream.base_url("openai"),
         "credentials": [{"label": "c", "secret": upstream.key("openai")}]}
    )  # fmt: skip
    upstream.set_keys({upstream.key("openai"): ""})
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat(messages=asking(f"{files.root}/picture"))

        assert (answer.status_code, answer.headers["x-hub-provider"]) == (200, "two")
        assert sent_urls(upstream) == [f"{files.root}/picture"]


async def test_a_document_by_url_is_sent_as_a_document(
    hub_environ: dict[str, str], upstream: Upstream, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, "custom", fetches_urls=frozenset())
    message = {"role": "user", "content": [{"type": "file", "file": {"file_data": f"{files.root}/document"}}]}
    async with running_hub(private(hub_environ), described(upstream, kind="custom")) as hub:
        answer = await hub.chat(messages=[message])

        assert answer.status_code == 200, answer.text
        [part] = upstream.last()["body"]["messages"][-1]["content"]
        assert part["file"]["file_data"].startswith("data:application/pdf;base64,")


async def test_a_request_that_cannot_be_read_goes_to_a_provider_of_its_format_as_it_is(
    hub_environ: dict[str, str], upstream: Upstream, files: Files
) -> None:
    messages = [*asking(f"{files.root}/picture"), {"role": "oracle", "content": "?"}]
    async with running_hub(private(hub_environ), ollama(upstream)) as hub:
        answer = await hub.chat(messages=messages)

        assert answer.status_code == 400 and files.asked == []
        assert upstream.last()["body"]["messages"] == messages
