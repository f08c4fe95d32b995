"""Fetching by URL: what is fetched, what is refused, and that nobody is led to where only the hub can go."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from app.adapters.fetching.fetcher import Fetcher, FetchFailed, NotFetchable

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


class Site:
    """A server on this machine, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.port = port
        self.asked: list[web.Request] = []


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        match request.path:
            case "/picture":
                return web.Response(body=_PNG, content_type="image/png", headers={"Set-Cookie": "a=b"})
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                while True:
                    await response.write(bytes(1000))
            case "/long":
                return web.Response(body=bytes(5000))
            case "/packed":
                return web.Response(body=gzip.compress(bytes(5000)), headers={"Content-Encoding": "gzip"})
            case "/slow":
                await asyncio.sleep(30)
            case "/broken":
                response = web.StreamResponse(headers={"Content-Length": "100"})
                await response.prepare(request)
                await response.write(b"half")
                assert request.transport is not None
                request.transport.abort()
                return response
            case path if path.startswith("/hop/"):
                left = int(path.removeprefix("/hop/"))
                target = f"/hop/{left - 1}" if left > 1 else "/picture"
                return web.Response(status=302, headers={"Location": target})
            case path if path.startswith("/to/"):
                return web.Response(status=307, headers={"Location": request.query["url"]})
            case path if path.startswith("/status/"):
                return web.Response(status=int(path.removeprefix("/status/")))
            case _:
                pass
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    made = Site(runner.addresses[0][1])
    made.asked = asked
    yield made
    await runner.cleanup()


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    """One that may reach this machine."""
    made = Fetcher(allows_private=True)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def strict() -> AsyncIterator[Fetcher]:
    made = Fetcher()
    await made.open()
    yield made
    await made.close()


async def _fetch(fetcher: Fetcher, url: str, max_bytes: int = 1000, seconds: float = 5) -> tuple[bytes, str]:
    return await fetcher.fetch(url, max_bytes=max_bytes, seconds=seconds)


def _resolves(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The system's resolver gives these, one list for each question; gives the names that were asked for."""
    asked: list[str] = []
    left = list(answers)

    async def getaddrinfo(host: str, port: int, **_more: Any) -> list[Any]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


async def test_what_a_url_gives_comes_with_what_its_server_calls_it(fetcher: Fetcher, site: Site) -> None:
    assert await _fetch(fetcher, f"{site.root}/picture#part") == (_PNG, "image/png")


async def test_a_server_learns_nothing_but_the_url(
    fetcher: Fetcher, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    await _fetch(fetcher, f"{site.root}/picture")
    await _fetch(fetcher, f"{site.root}/picture")

    names = {name.lower() for request in site.asked for name in request.headers}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert site.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("path", ["/endless", "/long"])
async def test_more_than_the_bound_is_refused_whether_or_not_its_length_is_said(
    fetcher: Fetcher, site: Site, path: str
) -> None:
    with pytest.raises(NotFetchable, match="gives more than"):
        await _fetch(fetcher, site.root + path)


async def test_something_compressed_is_refused(fetcher: Fetcher, site: Site) -> None:
    with pytest.raises(NotFetchable, match="compressed"):
        await _fetch(fetcher, f"{site.root}/packed")


async def test_a_server_that_is_slow_is_left(fetcher: Fetcher, site: Site) -> None:
    with pytest.raises(FetchFailed, match=r"within 0\.2 s"):
        await _fetch(fetcher, f"{site.root}/slow", seconds=0.2)


@pytest.mark.parametrize("path", ["/broken", "/status/500", "/status/503", "/status/429"])
async def test_a_server_that_fails_is_not_the_callers_fault(fetcher: Fetcher, site: Site, path: str) -> None:
    with pytest.raises(FetchFailed):
        await _fetch(fetcher, site.root + path)


@pytest.mark.parametrize("path", ["/status/404", "/status/403", "/status/204"])
async def test_a_url_that_gives_nothing_is_the_callers_fault(fetcher: Fetcher, site: Site, path: str) -> None:
    with pytest.raises(NotFetchable, match=r"answered \d+"):
        await _fetch(fetcher, site.root + path)


async def test_three_redirects_are_followed_and_no_fourth(fetcher: Fetcher, site: Site) -> None:
    assert (await _fetch(fetcher, f"{site.root}/hop/3"))[0] == _PNG
    with pytest.raises(NotFetchable, match="more than 3 times"):
        await _fetch(fetcher, f"{site.root}/hop/4")


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://example.com/",
        "http://user:word@example.com/",
        "http://169.254.169.254/latest/meta-data",
        "http://metadata.google.internal/",
        "http://[fe80::1]/",
    ],
)
async def test_a_redirect_is_looked_at_like_the_first_url(fetcher: Fetcher, site: Site, target: str) -> None:
    with pytest.raises(NotFetchable):
        await fetcher.fetch(f"{site.root}/to/?url={target}", max_bytes=1000, seconds=5)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/a",
        "http://",
        "http:///path",
        "https://user@example.com/",
        "https://:word@example.com/",
        "http://example.com:22/",
        "http://example.com:99999/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://127.1/",
        "http://localhost/",
        "http://localhost./",
        "http://METADATA.google.internal/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://1⁠27.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://a" + "b" * 9000,
    ],
)
async def test_a_url_that_leads_inside_or_is_none_is_refused(strict: Fetcher, url: str) -> None:
    with pytest.raises(NotFetchable):
        await strict.fetch(url, max_bytes=1000, seconds=5)


async def test_a_name_with_one_private_address_among_public_ones_is_refused(
    strict: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _resolves(monkeypatch, ["93.184.216.34", "10.0.0.1"])

    with pytest.raises(NotFetchable, match="not public"):
        await strict.fetch("http://rebind.example/", max_bytes=1000, seconds=5)
    assert asked == ["rebind.example"]


async def test_a_name_is_resolved_once_and_the_connection_goes_to_the_address_that_was_looked_at(
    fetcher: Fetcher, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second question would be answered with an address that is refused.
    asked = _resolves(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])

    assert (await _fetch(fetcher, f"http://pictures.example:{site.port}/picture"))[0] == _PNG
    assert asked == ["pictures.example"]
    assert site.asked[0].headers["Host"] == f"pictures.example:{site.port}"


async def test_a_name_that_changes_its_address_is_refused_at_the_redirect(
    fetcher: Fetcher, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolves(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])

    with pytest.raises(NotFetchable, match="not public"):
        await _fetch(fetcher, f"http://pictures.example:{site.port}/hop/1")
    assert len(site.asked) == 1


@pytest.mark.parametrize(("errno", "raised"), [(socket.EAI_NONAME, NotFetchable), (socket.EAI_AGAIN, FetchFailed)])
async def test_a_name_that_does_not_exist_is_the_callers_fault_and_a_resolver_that_fails_is_not(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch, errno: int, raised: type[Exception]
) -> None:
    async def getaddrinfo(*_asked: Any, **_more: Any) -> list[Any]:
        raise socket.gaierror(errno, "not found")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)

    with pytest.raises(raised):
        await _fetch(fetcher, "http://pictures.example/")


async def test_a_redirect_from_https_to_http_is_refused(fetcher: Fetcher, site: Site) -> None:
    # Asked as the session asks: the step from one URL to the next is what is looked at.
    class Redirecting:
        status = 302
        headers = {"Location": f"{site.root}/picture"}  # noqa: RUF012

        async def __aenter__(self) -> Redirecting:
            return self

        async def __aexit__(self, *_error: object) -> None: ...

    class Session:
        def get(self, *_url: object, **_options: object) -> Redirecting:
            return Redirecting()

    other = Fetcher(allows_private=True)
    other._session = Session()  # type: ignore[assignment]
    with pytest.raises(NotFetchable, match="from https to http"):
        await _fetch(other, "https://pictures.example/")


async def test_whoever_pays_can_end_a_fetch(fetcher: Fetcher, site: Site) -> None:
    spent: list[int] = []

    def spend(count: int) -> None:
        spent.append(count)
        if sum(spent) > 2000:
            raise NotFetchable("is one too many")

    with pytest.raises(NotFetchable, match="one too many"):
        await fetcher.fetch(f"{site.root}/endless", max_bytes=10**9, seconds=5, spend=spend)
