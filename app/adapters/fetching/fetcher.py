"""Fetching of what a URL names that somebody else has written: a caller (a picture by URL) or a provider (its result).

Such a URL must not reach what only the hub can reach. http and https alone, on their own ports, without credentials;
the host's name is resolved once for each connection, every address must be public (`addresses.py`), and the connection
goes to what was looked at. The same at each redirect. No proxy of the environment, no cookies, no decompression, no
connection that is used twice.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from app.adapters.fetching import addresses

MAX_REDIRECTS = 3
_MAX_URL = 8192
_MAX_AT_ONCE = 32
"""Fetches of one process at one time; more wait."""
_PORTS = frozenset({80, 443})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FAILED = frozenset({408, 425, 429})
"""Beside 5xx: what says that the same URL may work later."""
_IDENTITY = ("", "identity")


class NotFetchable(Exception):
    """The URL cannot be used: a fault of whoever wrote it. The text goes on after "The URL …"."""


class FetchFailed(Exception):
    """The server that should have it failed; the same URL may work later. The text goes on after "The URL …"."""


def _free(_count: int) -> None:
    """Counts nothing."""


class Fetcher:
    """Opened and closed by the lifespan."""

    def __init__(self, *, allows_private: bool = False) -> None:
        """`allows_private` lets it reach this machine and private networks, on any port: for development."""
        self._allows_private = allows_private
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore(_MAX_AT_ONCE)

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_CheckingResolver(self._allows_private),
                use_dns_cache=False,
                # A connection belongs to one fetch: the next one looks at the addresses again.
                force_close=True,
                limit=0,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": "aigne-hub", "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(
        self, url: str, *, max_bytes: int, seconds: float, spend: Callable[[int], None] = _free
    ) -> tuple[bytes, str]:
        """What the URL gives, and the Content-Type that its server says, which may be empty or wrong.

        `spend` hears of each piece's size as it comes; it may raise to end the fetch.

        Raises:
            NotFetchable, FetchFailed
        """
        try:
            async with self._places, asyncio.timeout(seconds):
                return await self._follow(url, max_bytes, spend)
        except TimeoutError:
            raise FetchFailed(f"did not give its content within {seconds:g} s") from None
        except aiohttp.InvalidURL:
            raise NotFetchable("is not valid") from None
        except aiohttp.ClientConnectorDNSError as failure:
            if failure.os_error.errno == socket.EAI_AGAIN:
                raise FetchFailed("names a host that could not be looked up") from None
            raise NotFetchable("names a host that cannot be found") from None
        except aiohttp.ClientSSLError:
            raise FetchFailed("is at a server that could not prove who it is (TLS)") from None
        except (aiohttp.ClientError, OSError):
            raise FetchFailed("is at a server that could not be reached, or broke off") from None

    async def _follow(self, url: str, max_bytes: int, spend: Callable[[int], None]) -> tuple[bytes, str]:
        assert self._session is not None, "open() comes first"
        at = self._checked(url)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._session.get(at, allow_redirects=False) as answer:
                if answer.status not in _REDIRECTS:
                    return await _read(answer, max_bytes, spend), answer.headers.get("Content-Type", "")
                location = answer.headers.get("Location")
            if location is None:
                raise FetchFailed("redirects to nowhere")
            onward = self._checked(location, at)
            if at.scheme == "https" and onward.scheme != "https":
                raise NotFetchable("redirects from https to http")
            at = onward
        raise NotFetchable(f"redirects more than {MAX_REDIRECTS} times")

    def _checked(self, text: str, base: URL | None = None) -> URL:
        """
        Raises:
            NotFetchable: not one that we go to, by what stands in it.
        """
        if len(text) > _MAX_URL:
            raise NotFetchable(f"has more than {_MAX_URL} characters")
        try:
            url = URL(text) if base is None else base.join(URL(text))
            host, port = url.raw_host, url.port
        except ValueError:
            raise NotFetchable("is not valid") from None
        if url.scheme not in ("http", "https"):
            raise NotFetchable("must begin with http:// or https://")
        if not host:
            raise NotFetchable("names no host")
        if url.raw_user is not None or url.raw_password is not None:
            raise NotFetchable("must not hold a user name or password")
        if port not in _PORTS and not self._allows_private:
            raise NotFetchable("must use port 80 or 443")
        if addresses.is_metadata_name(host):
            raise NotFetchable("points to a host that is not public")
        if _is_address(host):
            # These do not pass the resolver.
            _check(host, self._allows_private)
        return url

    def _socket(self, found: tuple[Any, ...]) -> socket.socket:
        """The last look, at the address that is dialled."""
        family, kind, protocol, _, address = found
        if not addresses.is_allowed(address[0], private=self._allows_private):
            raise PermissionError("an address that is not public")
        return socket.socket(family, kind, protocol)


class _CheckingResolver(AbstractResolver):
    """The system's resolver; one address that is not public refuses the whole name."""

    def __init__(self, allows_private: bool) -> None:
        self._allows_private = allows_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        for _, _, _, _, address in found:
            _check(str(address[0]), self._allows_private)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Holds nothing."""


def _check(address: str, allows_private: bool) -> None:
    if not addresses.is_allowed(address, private=allows_private):
        raise NotFetchable("points to a host that is not public")


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


async def _read(answer: aiohttp.ClientResponse, max_bytes: int, spend: Callable[[int], None]) -> bytes:
    if answer.status >= 500 or answer.status in _FAILED:
        raise FetchFailed(f"is at a server that failed with status {answer.status}")
    if answer.status != 200:
        raise NotFetchable(f"gives nothing: its server answered {answer.status}")
    if answer.headers.get("Content-Encoding", "").lower() not in _IDENTITY:
        raise NotFetchable("gives something compressed, which was not asked for")
    too_large = NotFetchable(f"gives more than {max_bytes // 1_000_000} MB")
    if answer.content_length is not None and answer.content_length > max_bytes:
        raise too_large
    content = bytearray()
    async for piece in answer.content.iter_any():
        spend(len(piece))
        content += piece
        if len(content) > max_bytes:
            raise too_large
    return bytes(content)
