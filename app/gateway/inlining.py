"""Parts that are named by a URL, for providers that do not fetch them: the hub does, and sends the bytes.

Nobody sees a difference, so there is no note of it. What was fetched stays with the call: a second attempt at another
provider does not fetch again.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from app.adapters.fetching.fetcher import FetchFailed, NotFetchable
from app.adapters.fetching.media import media_type
from app.adapters.providers.kinds import Kind
from app.base.errors import NotExpressible, ProviderFailed
from app.gateway.course import Course
from app.wire.neutral import Audio, Conversation, File, Image, Message, Part, Source, ToolResult
from app.wire.request import Document

MAX_BYTES = 20_000_000
"""Of one part."""
MAX_ALL_BYTES = 50_000_000
"""Of all parts of a call together."""
MAX_PARTS = 20
SECONDS = 10.0
"""For one part, redirects included."""
_AT_ONCE = 4

_TITLES = {Image: "a picture", Audio: "a sound", File: "a document"}
_SORTS: dict[type[Part], tuple[str, ...]] = {
    Image: ("image/",),
    Audio: ("audio/",),
    File: ("application/", "text/", "video/"),
}


class _Wanted(Struct, frozen=True):
    url: str
    sort: type[Image | Audio | File]
    is_video: bool
    at: str


class _Purse:
    """The bytes that one call may fetch."""

    def __init__(self) -> None:
        self._left = MAX_ALL_BYTES

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise NotFetchable(f"is one too many: all together give more than {MAX_ALL_BYTES // 1_000_000} MB")


def is_fetched_by(kind: Kind, endpoint: str, part: Image | Audio | File) -> bool:
    """Whether a provider fetches such a part itself where it is asked at `endpoint`."""
    word = {Image: "image", Audio: "audio", File: "file"}[part.__class__]
    return word in kind.fetches_urls or f"{word}@{endpoint}" in kind.fetches_urls


def is_needed(said: Conversation, kind: Kind, endpoint: str) -> bool:
    """Whether there is anything that the hub has to fetch."""
    return next(_wanted(said, kind, endpoint), None) is not None


_MAY_NAME = re.compile(rb'"(?:url|image_url|video_url|file_data|file_url)"\s*:\s*"https?:')


def may_name_urls(document: Document) -> bool:
    """Whether there may be parts by URL in a request that nobody has read yet; never False where there are."""
    return any(
        raw is not None and _MAY_NAME.search(raw) is not None
        for raw in (document.get("messages"), document.get("input"))
    )


async def inlined(course: Course, said: Conversation, kind: Kind, endpoint: str) -> Conversation:
    """The same conversation with the bytes of what a provider does not fetch itself.

    Raises:
        NotExpressible: a URL that the hub does not go to, or that gives something else than its part should be.
        ProviderFailed: the server that should have it failed.
    """
    wanted = {(one.url, one.sort, one.is_video): one for one in _wanted(said, kind, endpoint)}
    if not wanted:
        return said
    missing = [one for key, one in wanted.items() if key not in course.fetched]
    if len(course.fetched) + len(missing) > MAX_PARTS:
        last = missing[-1]
        raise NotExpressible(f"At most {MAX_PARTS} parts can be given by URL for {kind.title}.", param=last.at)
    await _fetch_all(course, missing)

    def put(part: Part) -> Part:
        if isinstance(part, ToolResult):
            return replace(part, parts=tuple(put(inner) for inner in part.parts))
        if not isinstance(part, Image | Audio | File):
            return part
        source = course.fetched.get(_key(part))
        return part if source is None or is_fetched_by(kind, endpoint, part) else replace(part, source=source)

    return replace(said, messages=tuple(_changed(message, put) for message in said.messages))


def _wanted(said: Conversation, kind: Kind, endpoint: str) -> Iterator[_Wanted]:
    for message in said.messages:
        for outer in message.parts:
            for part in outer.parts if isinstance(outer, ToolResult) else (outer,):
                if not isinstance(part, Image | Audio | File) or part.source.url is None:
                    continue
                if not is_fetched_by(kind, endpoint, part):
                    yield _Wanted(*_key(part), at=part.at or message.at)


def _key(part: Image | Audio | File) -> tuple[str, type[Image | Audio | File], bool]:
    source = part.source
    return source.url or "", part.__class__, (source.media_type or "").startswith("video/")


def _changed(message: Message, put: Callable[[Part], Part]) -> Message:
    parts = tuple(put(part) for part in message.parts)
    return message if parts == message.parts else replace(message, parts=parts)


async def _fetch_all(course: Course, wanted: list[_Wanted]) -> None:
    """Side by side; the first that fails ends the others."""
    purse, places = _Purse(), asyncio.Semaphore(_AT_ONCE)

    async def fetch(one: _Wanted) -> None:
        async with places:
            course.fetched[one.url, one.sort, one.is_video] = await _fetch(course, one, purse)

    tasks = [asyncio.create_task(fetch(one)) for one in wanted]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _fetch(course: Course, one: _Wanted, purse: _Purse) -> Source:
    try:
        content, said = await course.shared.fetcher.fetch(
            one.url, max_bytes=MAX_BYTES, seconds=SECONDS, spend=purse.spend
        )
    except NotFetchable as reason:
        raise NotExpressible(f"The URL at {one.at} {reason}.", param=one.at, code="url_refused") from None
    except FetchFailed as reason:
        failed = ProviderFailed(f"The URL at {one.at} {reason}.", param=one.at, code="url_not_fetched")
        failed.owner = "you"
        raise failed from None
    found = media_type(content, said)
    sorts = ("video/",) if one.is_video else _SORTS[one.sort]
    if found is None or not found.startswith(sorts) or not content:
        shown = "nothing" if not content else found or "something unknown"
        title = "a video" if one.is_video else _TITLES[one.sort]
        raise NotExpressible(f"The URL at {one.at} gives {shown[:100]}, not {title}.", param=one.at, code="url_refused")
    return Source(data=base64.b64encode(content).decode(), media_type=found)
