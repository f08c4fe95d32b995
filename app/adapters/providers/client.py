"""The connection to providers for model calls: one aiohttp session per process, one pool per host, nothing followed.

No redirects, no proxies from the environment, no cookies, no decompression: a compressed answer is refused, because it
cannot be relayed as it came and can be a bomb. Deadlines other than connecting are the gateway's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol

import aiohttp
from yarl import URL

MAX_ERROR_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024

_IDENTITY = ("", "identity")


class UpstreamAnswer(Protocol):
    """An answer whose head has come. Whoever holds it closes it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in any case."""
        ...

    async def piece(self) -> bytes:
        """The next piece of the body as it arrives; empty at its end."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body, or its first `limit` bytes when it is longer."""
        ...

    def close(self) -> None:
        """Done with it. An answer that was not read to its end is cancelled: its connection is closed."""
        ...


class ProviderClient:
    """Sends requests to providers. Opened and closed by the lifespan."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept"),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(
        self, url: str, headers: Mapping[str, str], content: bytes, *, connect_seconds: float
    ) -> UpstreamAnswer:
        """Send, and wait for the answer's head.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: `failures.from_exception` knows what they mean.
        """
        return await self._ask("POST", url, headers, content, connect_seconds)

    async def get(self, url: str, headers: Mapping[str, str], *, connect_seconds: float) -> UpstreamAnswer:
        """As `post`, without a body: for a job that a provider works at, and for what it has made."""
        return await self._ask("GET", url, headers, None, connect_seconds)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, connect_seconds: float
    ) -> UpstreamAnswer:
        assert self._session is not None, "open() comes first"
        answer = await self._session.request(
            method,
            _parsed(url),
            headers={**headers, "Accept-Encoding": "identity", "User-Agent": "aigne-hub"},
            data=content,
            allow_redirects=False,
            timeout=_timeout(connect_seconds),
        )
        encoding = answer.headers.get("Content-Encoding", "")
        if encoding.lower() not in _IDENTITY:
            answer.close()
            raise aiohttp.ClientPayloadError(f"a compressed answer ({encoding[:40]}) that nobody asked for")
        return _HttpAnswer(answer)


class _HttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def piece(self) -> bytes:
        return await self._response.content.readany()

    async def read(self, limit: int) -> bytes:
        content = self._response.content
        first = await content.readany()
        if content.at_eof():
            return first[:limit]
        pieces, size = [first], len(first)
        while size < limit:
            chunk = await content.readany()
            if not chunk:
                break
            pieces.append(chunk)
            size += len(chunk)
        return b"".join(pieces)[:limit]

    def close(self) -> None:
        # After the end of the body the connection is already back in its pool and this does nothing to it.
        self._response.close()


@lru_cache(maxsize=4096)
def _parsed(url: str) -> URL:
    # What is escaped stays as it is: `%3A` would become a colon, and no longer be what was signed.
    return URL(url, encoded="%" in url)


@lru_cache(maxsize=64)
def _timeout(connect_seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds)
