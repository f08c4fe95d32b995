"""The two faces of a format, and how one is followed untranslated: what each wire's modules offer to the gateway.

    client face      what callers send us and expect back      wire/<format>/…client.py
    upstream face    what we send to a provider and get        wire/<format>/…upstream.py
    passing          the same format on both sides             wire/<format>/…passing.py

They are modules with these functions. All are pure: bytes and our own words, no network, no clock.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw, Struct

from app.base.errors import AppError
from app.base.usage import Usage
from app.wire.answers import AnswerFacts
from app.wire.endpoint import Endpoint
from app.wire.neutral import Conversation
from app.wire.neutral_answer import Answer, Event, Reply
from app.wire.notes import Notes
from app.wire.orders import Order, Result
from app.wire.request import Deviation, Incoming, Outgoing, Request
from app.wire.rules import UsageRule


class Speaker(Protocol):
    """How callers of a format are read and answered, before and beside any conversation."""

    def read(self, endpoint: Endpoint, incoming: Incoming) -> Request:
        """
        Raises:
            BadRequest, MediaTypeRefused: `param` names the field.
        """
        ...

    def error_body(self, error: AppError, call_id: str | None) -> bytes: ...

    def error_event(self, error: AppError, call_id: str | None) -> bytes:
        """An error as the last event of a stream that had begun."""
        ...


class StreamWriter(Protocol):
    """Writes one stream for a client: an explicit state machine. Any sequence of events gives a valid stream."""

    def begin(self) -> bytes:
        """What comes before the first event."""
        ...

    def write(self, events: list[Event]) -> bytes:
        """`Finished` is kept for `end`; after it nothing may come."""
        ...

    def beat(self) -> bytes:
        """Something that the client's parser passes over, to keep the connection alive."""
        ...

    def end(self, usage: Usage | None) -> bytes:
        """What waits for the settlement: the finish reason, the usage and whatever ends the format's streams."""
        ...


class ConversationClient(Protocol):
    """The client face of a format in which people converse."""

    def read_conversation(self, request: Request) -> Conversation:
        """
        Raises:
            BadRequest: `param` names the field.
        """
        ...

    def write_answer(self, answer: Answer, reply: Reply, usage: Usage | None) -> bytes: ...

    def stream_writer(self, reply: Reply) -> StreamWriter: ...

    def most_output(self, request: Request) -> int | None:
        """The caller's own bound in tokens, over all answers that it wants; None where there is none, or none that can
        be read."""
        ...


class Target(Struct, frozen=True, kw_only=True):
    """Who a request is written for."""

    model: str
    """The provider's own name of it."""
    origin: str
    """The kind of provider: whose `Opaque` values may go there, and whose come back."""
    is_streamed: bool
    deviations: tuple[Deviation, ...] = ()
    reasoning_field: str | None = None
    """OpenAI's wire has no word for thoughts; some providers take them back under one of their own."""
    efforts: tuple[str, ...] | None = None
    """The words for an effort that the model knows; empty where its thinking cannot be set, None where nobody knows."""
    call_id: str
    """Ours; for ids that the provider does not give."""


class StreamReader(Protocol):
    """Reads one stream of a provider."""

    upstream_id: str | None

    error: Raw | None
    """An error event's JSON value; nothing after it is read."""
    has_begun: bool
    """Whether an event of the answer has come, rather than comments alone."""
    is_complete: bool
    """Whether the provider said that this was all."""

    @property
    def usage(self) -> Raw | None:
        """The report, complete once the stream is."""
        ...

    @property
    def service_tier(self) -> str | None:
        """As in `Tap`."""
        ...

    def feed(self, chunk: bytes) -> list[Event]:
        """
        Raises:
            BrokenStream: it cannot be followed further.
        """
        ...

    def finish(self) -> list[Event]:
        """The connection has ended."""
        ...


class ConversationUpstream(Protocol):
    """The upstream face of a format in which people converse."""

    def write_request(self, conversation: Conversation, target: Target, notes: Notes) -> Outgoing:
        """
        Raises:
            BadRequest: what cannot be expressed at all; `param` is the path in the client's document.
        """
        ...

    def read_answer(self, content: bytes, target: Target) -> Answer:
        """
        Raises:
            BrokenStream: not as documented.
            ErrorInside: an error in place of an answer.
        """
        ...

    def stream_reader(self, target: Target) -> StreamReader: ...


class OrderClient(Protocol):
    """The client face of a task that is one question and one answer."""

    def read_order(self, request: Request) -> Order:
        """
        Raises:
            BadRequest: `param` names the field.
        """
        ...

    def write_result(self, result: Result, order: Order, reply: Reply, usage: Usage | None) -> bytes: ...


class OrderUpstream(Protocol):
    """The upstream face of such a task."""

    def write_order(self, order: Order, target: Target, notes: Notes) -> Outgoing:
        """
        Raises:
            BadRequest: what cannot be expressed at all.
        """
        ...

    def read_result(self, content: bytes, target: Target) -> Result:
        """
        Raises:
            BrokenStream: not as documented.
            ErrorInside: an error in place of an answer.
        """
        ...


class UsageReader(Protocol):
    def __call__(self, report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
        """
        Raises:
            NotAPartition: it cannot be true.
        """
        ...


class Tap(Protocol):
    """Follows one stream on its way to the client.

    `feed` gives what may go out now; `tail` waits for the settlement.
    """

    @property
    def upstream_id(self) -> str | None: ...

    @property
    def usage(self) -> Raw | None: ...

    @property
    def error(self) -> Raw | None: ...

    @property
    def finish_reason(self) -> str | None: ...

    @property
    def has_begun(self) -> bool: ...

    @property
    def is_complete(self) -> bool: ...

    @property
    def is_done(self) -> bool:
        """Whether the provider said that nothing comes any more, so that its connection need not be waited for."""
        ...

    @property
    def characters(self) -> int:
        """Of text, reasoning and tool arguments that went by, for the estimate when no usage comes."""
        ...

    @property
    def service_tier(self) -> str | None:
        """As the provider says it serves the call (`tiers.USUAL` and others); None where it says nothing."""
        ...

    @property
    def tail(self) -> bytes: ...

    def feed(self, chunk: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    def cut(self, usage: Usage | None) -> bytes:
        """The hub ends the stream here, because the credits ran out: all that closes it legally, with the format's word
        for an answer that grew too long.

        Waits for the settlement in place of `finish` and `tail`: after it `tail` is empty, `feed` and `finish` give
        nothing, `is_complete` is True, and `finish_reason` is the word. What the provider has ended already is not cut:
        it gets its own end, and keeps its own reason.

        Args:
            usage: What the client is told; None where nobody knows.
        """
        ...


class Passing(Protocol):
    """The same format on both sides: values and bytes stay as they are."""

    def write(
        self,
        request: Request,
        endpoint: Endpoint,
        upstream_model: str,
        deviations: tuple[Deviation, ...],
        most_output: int | None = None,
    ) -> Outgoing:
        """
        Args:
            most_output: Tokens over all answers together, to which the caller's own bound is lowered. Each answer has
                room for one at least, and for what the format insists on.
        """
        ...

    def most_output(self, request: Request) -> int | None:
        """As in `ConversationClient`, for endpoints that nobody translates as well."""
        ...

    def follow(self, request: Request, endpoint: Endpoint) -> Tap: ...

    def read_facts(self, content: bytes) -> AnswerFacts:
        """Never fails: what is not there or not as documented is None."""
        ...

    def characters_of(self, content: bytes) -> int:
        """Of an answer that came in one piece, for an estimate of its usage."""
        ...
