"""What a row of the registry is: everything that differs between two providers, as data and named functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Literal

import msgspec
from msgspec import Struct

from app.base.secret import Secret
from app.wire.openai.usage import ReportedCost, UsageRule

Wire = Literal["openai", "anthropic", "gemini", "bedrock"]

Document = MutableMapping[str, msgspec.Raw]
"""A request's JSON object, its values still as the bytes that the client sent."""

Deviation = Callable[[Document], None]
"""Changes a request for one provider, in place. Raises `BadRequest` for what cannot be expressed there."""

Headers = MutableMapping[str, str]

Signing = Callable[[Headers, Mapping[str, Secret]], None]
"""Puts a credential's parts into the headers of a request to its provider."""


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
    """Our endpoint's name → path below the base URL."""
    signing: Signing
    secret_parts: tuple[str, ...] = ("secret",)
    """What a credential consists of; empty for a provider that needs none."""
    usage: UsageRule
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
    models_path: str | None = "/models"
    starter_models: tuple[tuple[str, str], ...] = ()
    """(upstream model, type) offered where the provider's own list cannot be read."""

    def is_local(self) -> bool:
        """Whether it runs without any credential."""
        return not self.secret_parts
