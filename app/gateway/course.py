"""The course of one call: what is known of it so far, and how it is stopped.

The parts of the walk (`attempt`, `relay`, `settlement`) read it and note in it what they find; `call.py` conducts them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from time import monotonic
from typing import Literal

from msgspec import Raw, Struct

from app.base.clock import now_us
from app.base.errors import AppError, Busy, ProviderFailed, ProviderRefused, ProviderTimedOut
from app.base.ids import new_id
from app.domain.calls.recorder import Tried
from app.domain.catalog.serving import CallableModel
from app.domain.identity.callers import Caller
from app.gateway import fidelity
from app.gateway.bill import Bill
from app.gateway.deadline import Deadline, Overdue
from app.gateway.door import Door
from app.gateway.limits import limit_headers
from app.gateway.limits.limiter import Places
from app.gateway.request import CallRequest
from app.gateway.routing import Candidate
from app.gateway.shared import Shared
from app.wire.faces import Tap
from app.wire.neutral import Audio, Conversation, File, Image, Source
from app.wire.notes import Note

DRAIN_SECONDS = 60.0
"""How long an answer is read on after its client has left, where the provider bills it anyway."""
MAX_DRAINING = 64
"""More than so many at once are cancelled instead."""

Stop = Literal["client_gone", "first_byte", "idle", "total", "interrupted"]


class Outcome(Struct):
    """What was read from the answer, for the record."""

    usage: Raw | None = None
    """The provider's report, as it came."""
    finish_reason: str | None = None
    upstream_id: str | None = None
    characters: int = 0
    """Produced text, as far as it was seen."""
    count_characters: Callable[[], int] | None = None
    """The same of an answer that came in one piece."""
    items: int = 0
    seconds: float | None = None
    service_tier: str | None = None
    """As the provider says it served the call."""
    kept: bytes = b""
    """The answer, for teams that keep contents and for Idempotency-Keys."""


class Turn(Struct, frozen=True):
    """A call of the Responses API, as far as the next one may need it."""

    own: Raw
    """What the caller sent as `input`."""
    previous: bytes | None
    """The digest of the turn before, see `response_store`."""
    is_kept: bool


class Course:
    def __init__(
        self, shared: Shared, caller: Caller, model: CallableModel, request: CallRequest, door: Door, bill: Bill
    ) -> None:
        self.id = new_id()
        self.bill = bill
        self.shared = shared
        self.caller = caller
        self.model = model
        self.request = request
        self.door = door
        self.started_us = now_us()
        self.attempts: list[Tried] = []
        self.tap: Tap | None = None
        """Of an answer that streams, while it does."""
        self.candidate: Candidate | None = None
        """Who answered, or was asked last."""
        self.asked_at: float | None = None
        """When the first provider was asked, on the monotonic clock."""
        self.first_byte_at: float | None = None
        self.conversation: Conversation | None = None
        """What the caller says, once a provider of another format is asked."""
        self.fetched: dict[tuple[str, type[Image | Audio | File], bool], Source] = {}
        """What the hub fetched for parts that are named by a URL: see `inlining`."""
        self.turn: Turn | None = None
        """Of a call of the Responses API: what the next one may need of it."""
        self.notes: tuple[Note, ...] = ()
        """What the provider asked last could not be told as it was asked."""
        self.places: Places | None = None
        """Under the limits of whoever calls, if there are any."""
        self.credential_places: Places | None = None
        """Under those of the credential that is asked."""
        self.credential_wait: int | None = None
        """Seconds until one of those credentials has room that were passed over."""
        self.outcome = Outcome()
        self.error: AppError | None = None
        self.http_status: int | None = None
        self.has_started = False
        """Whether the client has got the head of an answer."""
        self.is_begun = False
        """Whether its row is written, or may be."""
        self.is_settled = False
        self.is_client_gone = False
        self.is_waiting = False
        """Whether the call has been handed over to its job, and this one only waits for the job's end."""
        self.stop_reason: Stop | None = None
        self.task: asyncio.Task[None] | None = None
        self.loop = asyncio.get_running_loop()
        timeout = request.timeout_seconds
        self.deadline = Deadline(self._overdue, request.arrived_at + timeout if timeout else float("inf"))
        self.can_stop = False

    @property
    def upstream(self) -> Upstream:
        """`with course.upstream:` is the part that may be stopped."""
        return Upstream(self)

    @property
    @contextlib.contextmanager
    def waiting(self) -> Generator[None]:
        """`with course.waiting:` is ended by the client's leaving and by a shutdown; the job goes on."""
        self.is_waiting = True
        try:
            yield
        finally:
            self.is_waiting = False

    def client_left(self) -> None:
        """The client's connection is closed, or it has its whole answer."""
        if self.is_waiting and self.task is not None:
            self.task.cancel()
        if self.is_settled or self.is_client_gone:
            return
        self.is_client_gone = True
        policy = self._on_disconnect()
        if policy == "cancel" or self.shared.draining >= MAX_DRAINING or self.task is None:
            self.stop("client_gone")
            return
        self.shared.draining += 1
        timer = self.loop.call_later(DRAIN_SECONDS, self.stop, "client_gone")
        self.task.add_done_callback(lambda _: self._drained(timer))

    def stop(self, reason: Stop) -> None:
        """End the upstream part as soon as possible. Once settling has begun, nothing stops it."""
        if self.is_waiting and self.task is not None:
            self.task.cancel()
        if self.stop_reason is not None or self.is_settled:
            return
        self.stop_reason = reason
        if self.can_stop and self.task is not None:
            self.task.cancel()

    def stop_error(self) -> AppError:
        """What the stop is to the caller."""
        name = self.model.name
        match self.stop_reason:
            case "interrupted":
                return Busy(
                    "The hub is restarting. Try again in a moment.", code="server_restarting", retry_after_seconds=2
                )
            case "total":
                return ProviderTimedOut(f"{name} did not finish in the time that this call had.", code="call_timeout")
            case "first_byte":
                return ProviderTimedOut(f"{name} did not begin to answer in time.")
            case "idle":
                return ProviderTimedOut(f"{name} stopped answering in the middle.", code="provider_stalled")
            case _:
                error = ProviderFailed("The client left.", code="client_gone")
                error.owner = "you"
                return error

    def let_go(self) -> None:
        """The call is over. Without this, course, task and timer hold each other, and with them the request's body,
        until the garbage collector comes by."""
        self.deadline.close()
        self.task = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer says about its call."""
        id_ = self.id.encode()
        # The second and third are where the libraries of OpenAI and Anthropic look for what to quote to support.
        headers = [
            (b"x-hub-call-id", id_),
            (b"x-request-id", id_),
            (b"request-id", id_),
            (b"x-hub-attempts", b"%d" % len(self.attempts)),
        ]
        if self.candidate is not None:
            headers.append((b"x-hub-provider", self.candidate.route.source.name.encode()))
        if self.bill.most_output is not None:
            headers.append((b"x-hub-max-output", b"%d" % self.bill.most_output))
        headers += self.limit_headers()
        if self.notes:
            headers.append((b"x-hub-fidelity", fidelity.header(self.notes)))
        if self.asked_at is not None:
            queue_ms = (self.asked_at - self.request.arrived_at) * 1000
            provider_ms = ((self.first_byte_at or monotonic()) - self.asked_at) * 1000
            headers.append((b"server-timing", b"hub;dur=%.2f, provider;dur=%.2f" % (queue_ms, provider_ms)))
        return headers

    def limit_headers(self) -> list[tuple[bytes, bytes]]:
        """What is left of the caller's limits."""
        return [] if self.places is None else limit_headers.headers(self.places, self.request.endpoint.name)

    def error_text(self, error: AppError) -> str:
        """The error for the record. A refusal by the provider may quote the prompt, which only some teams keep."""
        if isinstance(error, ProviderRefused) and self.caller.keep_content_days <= 0:
            return "The provider refused the request; its words went to the caller alone."
        return error.sentence

    def _on_disconnect(self) -> str:
        if self.candidate is None:
            return "cancel"
        # No provider bills less of an answer that comes in one piece, and only its end tells the usage.
        return self.candidate.route.source.kind.on_disconnect if self.request.body.is_streamed else "drain"

    def _overdue(self, what: Overdue) -> None:
        if what == "client":
            self.is_client_gone = True
            self.stop("client_gone")
        elif self.can_stop:
            self.stop(what)

    def _drained(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self.shared.draining -= 1


class Upstream:
    """The part of a call that may be stopped: it waits for the provider, or for the client to take what came.

    Leaving it raises the `AppError` of the stop, where one has come.
    """

    __slots__ = ("_course",)

    def __init__(self, course: Course) -> None:
        self._course = course

    def __enter__(self) -> None:
        if self._course.stop_reason is not None:
            raise self._course.stop_error()
        self._course.can_stop = True

    def __exit__(self, _kind: object, failure: BaseException | None, _trace: object) -> None:
        course = self._course
        course.can_stop = False
        if isinstance(failure, asyncio.CancelledError) and course.stop_reason is not None and course.task is not None:
            # Our own stop: the rest of the walk goes on.
            course.task.uncancel()
            raise course.stop_error() from None
