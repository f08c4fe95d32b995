"""Videos: the neutral form of an order for one, of the job that a provider makes of it, and the two faces.

A video takes minutes, so an order is answered by a job; whoever ordered asks for the job until it has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from msgspec import Raw, Struct

from app.wire.faces import Target
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.pictures import nearest_shape, shape_of
from app.wire.request import Outgoing, Request

State = Literal["queued", "in_progress", "completed", "failed"]


class VideoOrder(Struct, frozen=True, kw_only=True):
    prompt: str
    seconds: int | None = None
    width: int | None = None
    height: int | None = None
    """Both or none, in pixels."""
    aspect: str | None = None
    """`16:9`, where the client says a shape in place of a size."""
    resolution: str | None = None
    """`480p`, `720p`, `1080p`, `4k`."""
    image: Source | None = None
    """The first frame."""
    last_frame: Source | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    has_sound: bool | None = None
    delivery: Literal["url", "inline"] | None = None
    """How the client wants to get it, where its format hands it over with the job."""
    user: str | None = None
    places: Mapping[str, str] = {}
    """Our name of a setting → its path in the client's document; only of those that stood there."""
    extras: Mapping[str, Raw] = {}
    """As in `ImageOrder`."""
    unread: tuple[str, ...] = ()

    def at(self, setting: str) -> str:
        """Where the client wrote a setting, for a note or an error."""
        return self.places.get(setting, setting)


class VideoJob(Struct, frozen=True, kw_only=True):
    """A job as its client sees it. Moments in seconds since 1970."""

    id: str
    """Ours: 32 hex digits, those of its call."""
    model: str
    state: State
    progress: int
    """Percent."""
    created: int
    completed: int | None = None
    expires: int | None = None
    """When the video is deleted."""
    seconds: int = 0
    size: str = ""
    error_code: str | None = None
    error_text: str | None = None
    address: str | None = None
    """A link to the video, where the client waited for it."""
    content: bytes | None = None
    """The video itself, where the client wants it inlined."""


class Progress(Struct, frozen=True, kw_only=True):
    """What a provider says of its job."""

    state: State
    percent: int | None = None
    url: str | None = None
    """Where the video is, for anybody."""
    path: str | None = None
    """Where it is for whoever has the credential: below the base URL, or a URL at the same server."""
    seconds: int | None = None
    """That were made."""
    usage: Raw | None = None
    error: Raw | None = None
    """The error's JSON value."""


class VideoClient(Protocol):
    """The client face."""

    waits: bool
    """Whether the answer to an order is the video itself, as far as the client has the patience."""

    def read_video(self, request: Request) -> VideoOrder:
        """
        Raises:
            BadRequest: `param` names the field.
        """
        ...

    def write_job(self, job: VideoJob) -> bytes: ...


class VideoUpstream(Protocol):
    """The upstream face."""

    default_seconds: int
    """What is made where nobody says how long; 0: nobody knows."""

    def write_video(self, order: VideoOrder, target: Target, notes: Notes) -> Outgoing:
        """
        Raises:
            BadRequest: what cannot be expressed at all.
        """
        ...

    def read_started(self, content: bytes) -> str:
        """The provider's id of the job.

        Raises:
            BrokenStream, ErrorInside
        """
        ...

    def progress_path(self, job_id: str) -> str | None:
        """Where to ask for it, below the base URL; None: it has ended already."""
        ...

    def read_progress(self, content: bytes, job_id: str) -> Progress:
        """
        Raises:
            BrokenStream
        """
        ...


def seconds_for(order: VideoOrder, offered: tuple[int, ...], notes: Notes) -> int | None:
    """The shortest length offered that is long enough, else the longest."""
    if order.seconds is None:
        return None
    found = next((length for length in offered if length >= order.seconds), offered[-1])
    if found != order.seconds:
        notes.emulated(order.at("seconds"), f"{found} seconds are what it makes")
    return found


def shape_for(order: VideoOrder, offered: tuple[str, ...], notes: Notes) -> str | None:
    """As `pictures.shape_for`."""
    wanted = order.aspect
    if wanted is None and order.width is not None and order.height is not None:
        wanted = shape_of(order.width, order.height)
    if wanted is None:
        return None
    found = nearest_shape(wanted, offered)
    setting = "aspect" if order.aspect is not None else "width"
    if found != order.aspect:
        notes.emulated(order.at(setting), f"asked for as the shape {found}")
    return found


def resolution_for(order: VideoOrder, offered: tuple[str, ...], notes: Notes) -> str | None:
    """`720p` and the like, the lowest offered that is enough for the size that was asked for."""
    if order.resolution is not None:
        wanted = order.resolution.lower()
        if wanted in offered:
            return wanted
        notes.dropped(order.at("resolution"), f"it makes {', '.join(offered)}")
        return None
    if order.width is None or order.height is None:
        return None
    lines = min(order.width, order.height)
    return next((name for name in offered if _lines(name) >= lines), offered[-1])


def drop(order: VideoOrder, notes: Notes, why: str, *settings: str) -> None:
    """Note those settings that the client made and the provider has no word for."""
    for setting in settings:
        if getattr(order, setting) is not None:
            notes.dropped(order.at(setting), why)


def _lines(resolution: str) -> int:
    return 2160 if resolution == "4k" else int(resolution.removesuffix("p"))
