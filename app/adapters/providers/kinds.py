"""What a row of the registry is: everything that differs between two providers, as data and named functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Literal

from msgspec import Struct

from app.base.secret import Secret
from app.wire.request import Deviation
from app.wire.rules import ReportedCost, UsageRule

Wire = Literal["openai", "anthropic", "gemini", "bedrock", "ideogram"]

Headers = MutableMapping[str, str]


class ToSign(Struct, frozen=True, kw_only=True):
    """A request as it will go out, for those who sign more than a header."""

    method: str
    url: str
    content: bytes
    region: str | None


Signing = Callable[[Headers, Mapping[str, Secret], ToSign], None]
"""Puts a credential's parts into the headers of a request to its provider."""

Structured = Literal["native", "forced_tool", "json_mode", "prompt"]
"""How an answer that must follow a schema is got: the provider does it; a tool that the model has to call; JSON mode
with the schema in the prompt; the prompt alone."""


class Deadlines(Struct, frozen=True, kw_only=True):
    """How long a provider may take, in seconds."""

    connect: float = 5.0
    first_byte: float = 120.0
    """Of a stream."""
    whole: float = 600.0
    """Of an answer that comes in one piece, whose first byte comes when all of it has been made."""
    idle: float = 60.0
    """Between two pieces of an answer."""
    total: float = 1800.0


def always_native(_model: str) -> Structured:
    return "native"


def always_json_mode(_model: str) -> Structured:
    return "json_mode"


def always_prompted(_model: str) -> Structured:
    return "prompt"


def any_effort(_model: str) -> tuple[str, ...] | None:
    return None


Meaning = Literal[
    "bad_key",
    "out_of_credit",
    "no_access",
    "no_model",
    "limited",
    "limited_credential",
    "overloaded",
    "content_policy",
    "refused",
]
"""What an error code of a provider says, whatever status it comes with. `limited` is a limit of one model under one
credential, `limited_credential` one of the whole credential, `refused` a fault of the caller's request."""


class Kind(Struct, frozen=True, kw_only=True):
    """One provider's ways. `paths` lists the endpoints that it has; the others answer `not_served`."""

    name: str
    title: str
    docs: str
    """Where the facts of this row come from, for people."""
    wire: Wire
    base_url: str | None
    """None: whoever adds the provider must say it. `{region}` in it is the provider's region."""
    paths: Mapping[str, str]
    """Our endpoint's name → path below the base URL, `{model}` in it being the model. A stream goes to the path of
    `<name>.stream` where there is one.

    A request whose own endpoint is not here is translated for the first one of the same task that is.
    """
    served_at: Mapping[str, str] = {}
    """Pattern (`*`, `?`) of the provider's own name of a model → our name of the endpoint where alone it is called for
    that endpoint's task."""
    signing: Signing
    secret_parts: tuple[str, ...] = ("secret",)
    """What a credential consists of; empty for a provider that needs none."""
    usage: UsageRule
    structured: Callable[[str], Structured] = always_native
    """By the provider's own name of the model."""
    foreign_fields: Mapping[str, frozenset[str]] = {}
    """Our endpoint's name → fields of its format that this provider does not know. A request with one of them is read
    and written again in the provider's own words, instead of being passed on as it is."""
    fetches_urls: frozenset[str] = frozenset()
    """Of `image`, `audio`, `file`: the parts that the provider itself fetches by URL; the hub fetches the others.
    `file@responses`: at that endpoint alone."""
    reasoning_field: str | None = None
    """On OpenAI's wire: the field of an assistant message under which the provider takes its thoughts back."""
    insists_on_thoughts: bool = False
    """On OpenAI's wire: whether it refuses a tool loop whose thoughts its client has dropped."""
    efforts: Callable[[str], tuple[str, ...] | None] = any_effort
    """On OpenAI's wire, by the provider's own name of the model: which words `reasoning_effort` may be. Empty where it
    may not stand there at all; None where nobody knows, and what a caller wishes is passed on."""
    on_disconnect: Literal["cancel", "drain"]
    """What to do with a stream when the client leaves: cancel where the provider stops billing then, else read on.

    An answer that is not streamed is always read to its end: no provider bills less of it, and only its end tells the
    usage.
    """
    deviations: Mapping[str, tuple[Deviation, ...]] = {}
    """Our endpoint's name → what changes in its requests."""
    deadlines: Deadlines = Deadlines()
    reported_cost: ReportedCost | None = None
    error_codes: Mapping[str, Meaning] = {}
    """Its documented error codes and types, beside those of OpenAI that `failures.py` knows."""
    error_sentences: Mapping[str, Meaning] = {}
    """Beginnings or parts of messages, only where a provider gives one code to faults that are not alike."""
    extra_headers: Mapping[str, str] = {}
    environment: tuple[str, ...] = ()
    """Names under which this provider's own tools look for the key."""
    key_check_path: str | None = None
    """The cheapest GET that needs a valid key; `../` steps out of the base URL's last part."""
    lists_url: str | None = None
    """The base of the two paths above and below, where it is not that of calls."""
    models_path: str | None = "/models"
    starter_models: tuple[tuple[str, str], ...] = ()
    """(upstream model, type) offered where the provider's own list cannot be read."""

    def is_local(self) -> bool:
        """Whether it runs without any credential."""
        return not self.secret_parts
