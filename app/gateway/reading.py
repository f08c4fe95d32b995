"""What the caller says, read once for all that need it, and only where somebody has to."""

from __future__ import annotations

import re

from app.adapters.providers.kinds import Kind
from app.base.errors import BadRequest
from app.gateway import inlining
from app.gateway.course import Course
from app.gateway.formats import FORMATS
from app.wire.neutral import Conversation

_MAY_HOLD_URLS = frozenset({"chat.completions", "messages", "responses"})
_HISTORIES = ("messages", "input", "contents")
_FOREIGN = re.compile(rb'"(?:hub1r?\.|aHViMS4|aHViMXIu|rs_[0-9a-f]{32}_\d)')
"""The marks under which formats give out what another vendor has signed, in Gemini's as base64; and the ids that
thoughts have as items of responses, where there was nothing to sign."""


def conversation_of(course: Course) -> Conversation:
    """
    Raises:
        BadRequest: it cannot be read; `param` is the path.
    """
    if course.conversation is None:
        client = FORMATS[course.request.endpoint.name].client
        assert client is not None
        course.conversation = client.read_conversation(course.request.body)
    return course.conversation


def must_be_read(course: Course, kind: Kind, upstream_model: str) -> bool:
    """Whether a request must be understood although the provider speaks its format: turns of another vendor, a schema
    that it cannot promise, or a picture by URL that it does not fetch."""
    document, endpoint = course.request.body.document, course.request.endpoint.name
    if document is None:
        return False
    # Responses know how to leave the thoughts of others out, and hold items that only their own provider can read.
    is_foreign = any(_FOREIGN.search(raw) for name in _HISTORIES if (raw := document.get(name)) is not None)
    if is_foreign and endpoint != "responses":
        return True
    foreign = kind.foreign_fields.get(endpoint)
    if foreign is not None and not foreign.isdisjoint(document):
        return True
    if endpoint == "chat.completions":
        wanted = document.get("response_format")
        if wanted is not None and b'"json_schema"' in bytes(wanted) and kind.structured(upstream_model) != "native":
            return True
    if endpoint not in _MAY_HOLD_URLS or {"image", "file"} <= kind.fetches_urls:
        return False
    return inlining.may_name_urls(document) and _must_be_fetched(course, kind, endpoint)


def _must_be_fetched(course: Course, kind: Kind, endpoint: str) -> bool:
    try:
        return inlining.is_needed(conversation_of(course), kind, endpoint)
    except BadRequest:
        # What we cannot read goes to the provider as it is, which judges it.
        return False
