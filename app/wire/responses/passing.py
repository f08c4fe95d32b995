"""The Responses API on both sides: what goes out is what came in, except that nothing is stored at the provider.

The hub keeps responses itself, so a conversation can go on at another provider; the history stands in the request, and
the thoughts of it that another vendor has sealed are left out.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from app.wire.endpoint import Endpoint
from app.wire.neutral_answer import Reply
from app.wire.notes import Notes
from app.wire.request import Deviation, Document, Outgoing, Request, raw_of, write_document
from app.wire.responses import bounds, tap
from app.wire.responses.items import REDACTED
from app.wire.responses.tap import StreamTap

ENCRYPTED = "reasoning.encrypted_content"

_NEVER_THINK = re.compile(r"(?:.*/)?(?:gpt-3|gpt-4|chatgpt|gpt-5(?:\.\d)?-chat)")
"""Models that refuse to be asked for sealed thoughts, having none."""

_OURS = re.compile(rb'"hub1\.|"extra_content"|"rs_[0-9a-f]{32}_\d')
"""What the hub itself has put into items that it gave out."""
_OUR_ID = re.compile(r"rs_[0-9a-f]{32}_\d+")

read_facts = tap.read_facts
characters_of = tap.characters_of
most_output = bounds.most_output


def write(
    request: Request,
    endpoint: Endpoint,
    upstream_model: str,
    deviations: tuple[Deviation, ...],
    most_output: int | None = None,
) -> Outgoing:
    """The same request for a provider: its own name of the model, nothing to be stored, its deviations applied."""
    document: Document = dict(request.document or {})
    document["model"] = raw_of(upstream_model)
    document["store"] = Raw(b"false")
    document.pop("previous_response_id", None)
    include(document, upstream_model)
    if most_output is not None:
        bounds.lower(document, most_output)
    return Outgoing("application/json", write_document(document, deviations))


def include(document: Document, upstream_model: str) -> None:
    """Ask for sealed thoughts: without them a history that the provider does not store is one without thoughts."""
    if _NEVER_THINK.match(upstream_model):
        return
    asked: Any = msgspec.json.decode(document.get("include", b"null"))
    wanted = cast(list[Any], asked) if isinstance(asked, list) else []
    if ENCRYPTED not in wanted:
        document["include"] = raw_of([*wanted, ENCRYPTED])


def for_provider(request: Request, origin: str, notes: Notes) -> Request:
    """The same with the thoughts in its input as one kind of provider takes them: its own without our mark, and without
    those that it could not open, which are noted."""
    document = request.document or {}
    given = document.get("input")
    if given is None or _OURS.search(given) is None:
        return request
    items: Any = msgspec.json.decode(given)
    if not isinstance(items, list):
        return request
    kept: list[Any] = []
    for n, entry in enumerate(cast(list[Any], items)):
        item = _own(entry, origin)
        if item is None:
            at = f"input[{n - request.recalled}]" if n >= request.recalled else f"previous_response_id[{n}]"
            notes.dropped(at, "the thought of another provider")
        else:
            kept.append(item)
    return replace(request, document={**document, "input": raw_of(kept)})


def follow(request: Request, endpoint: Endpoint) -> StreamTap:
    """A tap for a stream that answers `request`."""
    asked = request.document or {}
    return StreamTap(Reply(id="", model=request.model, created=0, wants_usage=True, asked=asked))


def _own(entry: Any, origin: str) -> Any:
    if not isinstance(entry, dict):
        return entry
    item = cast(dict[str, Any], entry)
    # A signature of Google's beside a call, for which only translated providers have a use.
    item.pop("extra_content", None)
    if item.get("type") != "reasoning":
        return item
    sealed: Any = item.get("encrypted_content")
    if not isinstance(sealed, str) or not sealed:
        # Made by a provider that seals nothing, and given an id by us. One of the provider's own is its affair.
        return None if _OUR_ID.fullmatch(str(item.get("id"))) else item
    if not sealed.startswith("hub1."):
        return item
    made_by, _, value = sealed.removeprefix("hub1.").partition(".")
    return {**item, "encrypted_content": value.removeprefix(REDACTED)} if made_by == origin else None
