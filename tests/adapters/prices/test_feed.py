"""Fetching a price bundle: what comes whole is given, everything else is an error that says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from app.adapters.prices import feed
from app.adapters.prices.feed import FeedFailed

URL = "https://prices.example/bundle.json"


def _served(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.MockTransport:
    return httpx.MockTransport(answer)


async def test_what_the_address_gives_is_given() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.path == "/bundle.json":
            return httpx.Response(302, headers={"location": "/newest.json"})
        return httpx.Response(200, content=b"{}")

    assert await feed.fetch(URL, max_bytes=2, transport=_served(answer)) == b"{}"
    assert [request.url.path for request in asked] == ["/bundle.json", "/newest.json"]
    assert not {"cookie", "authorization"} & set(asked[0].headers)


@pytest.mark.parametrize("status", [204, 304, 404, 500])
async def test_anything_but_200_is_an_error_that_says_the_status(status: int) -> None:
    with pytest.raises(FeedFailed, match=f"answered {status}"):
        await feed.fetch(URL, max_bytes=100, transport=_served(lambda _: httpx.Response(status)))


async def test_an_answer_that_does_not_end_is_not_read_to_its_end() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1000

    with pytest.raises(FeedFailed, match="more than 5000 bytes"):
        await feed.fetch(URL, max_bytes=5000, transport=_served(lambda _: httpx.Response(200, content=endless())))
    assert read < 100


async def test_a_circle_of_redirects_ends() -> None:
    with pytest.raises(FeedFailed, match="could not be read"):
        await feed.fetch(URL, max_bytes=10, transport=_served(lambda _: httpx.Response(302, headers={"location": URL})))


async def test_nobody_there_is_an_error_and_not_a_traceback() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("All connection attempts failed", request=request)

    with pytest.raises(FeedFailed, match="All connection attempts failed"):
        await feed.fetch(URL, max_bytes=10, transport=_served(answer))
    with pytest.raises(FeedFailed, match="could not be read"):
        await feed.fetch("http://", max_bytes=10)


async def test_an_address_that_is_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SECONDS", 0.05)

    async def drop() -> AsyncIterator[bytes]:
        import asyncio

        yield b"{"
        await asyncio.sleep(30)

    with pytest.raises(FeedFailed, match="TimeoutError"):
        await feed.fetch(URL, max_bytes=10, transport=_served(lambda _: httpx.Response(200, content=drop())))
