"""The neutral conversation: what is said between any client's format and any provider's.

Each wire reads its requests into a `Conversation` and writes one for its providers; it reads an answer into an `Answer`
or a stream of `Event`s (`neutral_answer.py`) and writes one for its clients. Nothing here knows a format. What only one
vendor understands (a thinking signature, an encrypted item) travels as `Opaque`, with its origin, and is given back to
that vendor alone.

`at` is the place of a thing in the client's own document (`messages[2].content[0]`), for errors and for the list of
what a provider could not be told.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

Role = Literal["system", "user", "assistant"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Finish = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause", "error"]

NO_ARGUMENTS = Raw(b"{}")


class Opaque(Struct, frozen=True):
    """What a vendor wants back unread: a thinking signature, a thought signature, an encrypted item."""

    origin: str
    """The kind of provider that made it; nobody else can use it."""
    value: str


class CacheMark(Struct, frozen=True):
    """The prompt up to here should be cached."""

    ttl: Literal["5m", "1h"] = "5m"


class Source(Struct, frozen=True, kw_only=True):
    """Where the bytes of a picture, sound or document are: exactly one of `url`, `data` and `file_id`."""

    url: str | None = None
    """http or https."""
    data: str | None = None
    """Base64, as it travels."""
    file_id: str | None = None
    """A file kept at the provider of the client's own format."""
    media_type: str | None = None
    """`image/png`; always there with `data`."""


class Text(Struct, frozen=True, kw_only=True):
    text: str
    cache: CacheMark | None = None
    at: str = ""
    opaque: Opaque | None = None
    """Gemini signs text too."""


class Image(Struct, frozen=True, kw_only=True):
    source: Source
    detail: str | None = None
    """`low`, `high`, `auto`: how closely it is looked at."""
    cache: CacheMark | None = None
    at: str = ""


class Audio(Struct, frozen=True, kw_only=True):
    source: Source
    cache: CacheMark | None = None
    at: str = ""


class File(Struct, frozen=True, kw_only=True):
    """A document (PDF, text) or a video, by its media type."""

    source: Source
    name: str | None = None
    cache: CacheMark | None = None
    at: str = ""


class ToolCall(Struct, frozen=True, kw_only=True):
    """The model wants a tool to be run."""

    id: str
    name: str
    arguments: Raw = NO_ARGUMENTS
    """A JSON object. What a model wrote that is none is `{"_raw": "…"}` (`arguments_of`)."""
    opaque: Opaque | None = None
    cache: CacheMark | None = None
    at: str = ""


class ToolResult(Struct, frozen=True, kw_only=True):
    """What the tool gave. It stands in a user message, before anything that the user says."""

    call_id: str
    parts: tuple[Text | Image | Audio | File, ...] = ()
    name: str | None = None
    """Of the tool, where the format says it; else `names_of_calls` knows."""
    is_error: bool = False
    cache: CacheMark | None = None
    at: str = ""


class Reasoning(Struct, frozen=True, kw_only=True):
    """What the model thought. `text` may be empty where the vendor shows nothing but a signature."""

    text: str = ""
    opaque: Opaque | None = None
    is_redacted: bool = False
    """The vendor hides the text: `opaque` holds all of it."""
    at: str = ""


class Refusal(Struct, frozen=True, kw_only=True):
    text: str
    at: str = ""


Part = Text | Image | Audio | File | ToolCall | ToolResult | Reasoning | Refusal


class Message(Struct, frozen=True, kw_only=True):
    role: Role
    """`system` here is an instruction in the middle of the conversation."""
    parts: tuple[Part, ...]
    name: str | None = None
    at: str = ""


class ToolSpec(Struct, frozen=True, kw_only=True):
    name: str
    description: str | None = None
    parameters: Raw = Raw(b'{"type":"object","properties":{}}')
    """A JSON schema."""
    strict: bool | None = None
    cache: CacheMark | None = None
    at: str = ""


class ToolChoice(Struct, frozen=True, kw_only=True):
    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None
    """With `tool`."""


class OutputFormat(Struct, frozen=True, kw_only=True):
    mode: Literal["json", "json_schema"]
    name: str = "answer"
    description: str | None = None
    schema: Raw | None = None
    """With `json_schema`."""
    strict: bool | None = None


class ReasoningWish(Struct, frozen=True, kw_only=True):
    """How much the model should think. Formats say it as a word or as a budget; the other is derived."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    is_shown: bool | None = None
    """Whether the caller wants to read thoughts or their summary."""

    @property
    def is_off(self) -> bool:
        return self.effort == "none" or self.budget_tokens == 0

    def budget(self, most: int | None = None) -> int:
        """In tokens, at most `most`."""
        wanted = self.budget_tokens if self.budget_tokens is not None else _BUDGETS[self.effort or "medium"]
        return wanted if most is None else min(wanted, most)

    def word(self) -> Effort:
        """The effort that is nearest to a budget."""
        if self.effort is not None:
            return self.effort
        if self.budget_tokens is None:
            return "medium"
        for word, most in _WORDS:
            if self.budget_tokens <= most:
                return word
        return "max"


_BUDGETS: Mapping[str, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 63999,
}
_WORDS: tuple[tuple[Effort, int], ...] = (
    ("none", 0),
    ("minimal", 1024),
    ("low", 4096),
    ("medium", 12288),
    ("high", 24576),
    ("xhigh", 49152),
)


class Sampling(Struct, frozen=True, kw_only=True):
    """Absent is None: the provider's own default."""

    max_tokens: int | None = None
    """Of the answer, thinking included."""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int | None = None
    logprobs: int | None = None
    """How many alternatives per token; 0 is the chosen one alone."""
    logit_bias: Raw | None = None


class Conversation(Struct, kw_only=True):
    """Everything that a request for an answer says."""

    system: tuple[Text, ...] = ()
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice | None = None
    has_parallel_tools: bool | None = None
    sampling: Sampling = Sampling()
    output: OutputFormat | None = None
    reasoning: ReasoningWish | None = None
    user: str | None = None
    """The caller's name for whoever asks, hashed or not: providers watch for abuse by it."""
    service_tier: str | None = None
    verbosity: str | None = None
    modalities: tuple[str, ...] = ()
    """`text`, `image`, `audio`, where the caller says what may come out."""
    cache_all: CacheMark | None = None
    """The provider should place the cache marks itself."""
    places: Mapping[str, str] = {}
    """Our name of a setting (`max_tokens`) → its path in the client's document; only of those that stood there."""
    unread: tuple[str, ...] = ()
    """Paths of what stood in the document and has no place in here."""
    extras: Mapping[str, Raw] = {}
    """Settings that the hub has no word for, as the client wrote them: a provider of the same format may know them."""
    emulated: tuple[tuple[str, str], ...] = ()
    """(path, how) of what stands in here in another way than it was asked."""

    def at(self, setting: str) -> str:
        """Where the client wrote a setting, for a note or an error."""
        return self.places.get(setting, setting)


# --- answers


def arguments_of(text: str) -> Raw:
    """A model's arguments as a JSON object, which other vendors insist on; what is none is wrapped."""
    stripped = text.strip()
    if not stripped:
        return NO_ARGUMENTS
    try:
        value: Any = msgspec.json.decode(stripped)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if isinstance(value, dict):
        return Raw(stripped.encode())
    return Raw(msgspec.json.encode({"_raw": text}))


def names_of_calls(conversation: Conversation) -> dict[str, str]:
    """Call id → tool name, over the whole history."""
    return {
        part.id: part.name for message in conversation.messages for part in message.parts if isinstance(part, ToolCall)
    }


_LEGAL_ID = re.compile(r"[A-Za-z0-9_-]+")


def legal_id(id_: str, longest: int = 64) -> str:
    """A tool call's id as Anthropic and Bedrock accept it; the same foreign id always becomes the same legal one."""
    if len(id_) <= longest and _LEGAL_ID.fullmatch(id_):
        return id_
    return f"call_{hashlib.sha256(id_.encode('utf-8', 'replace')).hexdigest()[:32]}"


_SIGNED = "hub1."


def opaque_text(opaque: Opaque, home: str) -> str:
    """An opaque value as a string for a client whose format's own vendor is `home`: marked when it is another's."""
    return opaque.value if opaque.origin == home else f"{_SIGNED}{opaque.origin}.{opaque.value}"


def opaque_from(text: str, home: str) -> Opaque:
    """The opaque value that a client gives back."""
    if text.startswith(_SIGNED):
        origin, _, value = text.removeprefix(_SIGNED).partition(".")
        return Opaque(origin, value)
    return Opaque(home, text)
