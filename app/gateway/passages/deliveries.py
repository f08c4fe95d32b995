"""Pictures on their way through the hub: fetched where a provider takes bytes alone, delivered as the client asked.

What a provider gives by address lives there for an hour or a day, and often without any protection; a client that wants
the bytes gets them inlined. What comes as bytes and is wanted as an address is stored and linked (`media.py`).
"""

from __future__ import annotations

import asyncio
import base64

import structlog
from msgspec.structs import replace

from app.adapters.fetching import media as media_types
from app.adapters.fetching.fetcher import FetchFailed, NotFetchable
from app.adapters.files.store import StoreFailed
from app.adapters.providers.kinds import Kind
from app.base.errors import AppError, Busy, NotExpressible, ProviderFailed
from app.gateway.course import Course
from app.wire import pictures
from app.wire.neutral import Source
from app.wire.orders import ImageOrder, Order, Picture, Pictures

MAX_BYTES = 20_000_000
"""Of a picture that a caller names by URL."""
SECONDS = 10.0
MAX_RESULT_BYTES = 40_000_000
"""Of a picture that a provider made."""
RESULT_SECONDS = 60.0

_log = structlog.stdlib.get_logger(__name__)


async def with_bytes(course: Course, order: Order, kind: Kind, endpoint: str) -> Order:
    """The order with the bytes of its pictures, where the provider does not fetch them itself.

    Raises:
        NotExpressible: a URL that the hub does not go to, or that gives no picture.
        ProviderFailed: the server that should have it failed.
    """
    if not isinstance(order, ImageOrder) or f"image@{endpoint}" in kind.fetches_urls:
        return order
    images = tuple([await fetched(course, source, order.at("images")) for source in order.images])
    mask = order.mask if order.mask is None else await fetched(course, order.mask, order.at("mask"))
    return replace(order, images=images, mask=mask)


async def delivered(course: Course, made: Pictures, order: ImageOrder) -> tuple[Pictures, AppError | None]:
    """The pictures as the client wants them, and what is wrong if they cannot be had so: they are billed all the same.

    Where the client does not say, it gets bytes, as from OpenAI's own models, and addresses only if nothing else can
    be had.
    """
    problem: AppError | None = None
    delivered: list[Picture] = []
    sources = await asyncio.gather(*(_delivered(course, picture.source, order) for picture in made.pictures))
    for picture, source in zip(made.pictures, sources, strict=True):
        if isinstance(source, AppError):
            problem, source = source, picture.source
        delivered.append(replace(picture, source=source))
    return replace(made, pictures=tuple(delivered)), problem


async def _delivered(course: Course, source: Source, order: ImageOrder) -> Source | AppError:
    if order.delivery == "url" and source.data is not None:
        media_type = source.media_type or pictures.media_type_of(source.data)
        content = pictures.bytes_of(source, "data")
        media = course.shared.media
        try:
            file_id = await media.keep(content, media_type, team_id=course.caller.team_id, call_id=course.id)
        except StoreFailed as failure:
            _log.error("picture.not_stored", call=course.id, reason=str(failure)[:200])
            return Busy(
                f"{course.model.name} drew the picture, but the hub's file store does not take it.",
                code="file_store_failed",
            )
        return Source(url=media.link(file_id, course.request.address), media_type=media_type)
    if order.delivery == "url" or source.url is None:
        return source
    try:
        content, said = await course.shared.fetcher.fetch(
            source.url, max_bytes=MAX_RESULT_BYTES, seconds=RESULT_SECONDS
        )
    except (NotFetchable, FetchFailed) as failure:
        _log.warning("picture.not_fetched", call=course.id, reason=str(failure))
        if order.delivery is None:
            return source
        return ProviderFailed(
            f"{course.model.name} drew the picture, but its address {failure}.", code="provider_bad_answer"
        )
    media_type = media_types.media_type(content, said) or "image/png"
    return Source(data=base64.b64encode(content).decode(), media_type=media_type)


async def fetched(course: Course, source: Source, at: str) -> Source:
    """A picture that a caller names by URL, with its bytes.

    Raises:
        NotExpressible, ProviderFailed: as `with_bytes`.
    """
    if source.url is None:
        return source
    try:
        content, said = await course.shared.fetcher.fetch(source.url, max_bytes=MAX_BYTES, seconds=SECONDS)
    except NotFetchable as reason:
        raise NotExpressible(f"The URL at {at} {reason}.", param=at, code="url_refused") from None
    except FetchFailed as failure:
        raise ProviderFailed(f"The URL at {at} {failure}.", param=at, code="url_not_fetched") from None
    media_type = media_types.media_type(content, said) or ""
    if not media_type.startswith("image/"):
        raise NotExpressible(f"The URL at {at} gives no picture.", param=at, code="url_refused")
    return Source(data=base64.b64encode(content).decode(), media_type=media_type)
