"""A price bundle from the address that an operator has set. Asked for by a command, never on the way of a call."""

from __future__ import annotations

import asyncio

import httpx

from app.base.errors import AppError

SECONDS = 60
MAX_REDIRECTS = 3


class FeedFailed(AppError):
    """Nothing came, or not all of it."""

    status, code, owner = 502, "price_feed_failed", "admin"


async def fetch(url: str, *, max_bytes: int, transport: httpx.AsyncBaseTransport | None = None) -> bytes:
    """What the address gives. No proxy of the environment, no cookies.

    Raises:
        FeedFailed: it does not answer with 200 within a minute, or with more than `max_bytes`.
    """
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(
                transport=transport,
                trust_env=False,
                follow_redirects=True,
                max_redirects=MAX_REDIRECTS,
                timeout=SECONDS,
            ) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise FeedFailed(f"{url} answered {answer.status_code}.")
            content = bytearray()
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > max_bytes:
                    raise FeedFailed(f"{url} gave more than {max_bytes} bytes.")
            return bytes(content)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as failure:
        raise FeedFailed(f"{url} could not be read: {str(failure) or type(failure).__name__}.") from None
