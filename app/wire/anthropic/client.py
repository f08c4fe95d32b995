"""What Anthropic's clients send and expect: requests, answers, errors and lists of models.

See `client_request` and `client_answer` for the conversation's two ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw, structs

from app.base.errors import BadRequest
from app.wire.anthropic import bounds, client_answer, client_request, errors
from app.wire.endpoint import Endpoint
from app.wire.request import Incoming, Request, check_required, flag, model_name, read_document

_encode = msgspec.json.Encoder().encode

_PASSED_ON = ("anthropic-beta", "anthropic-version")
_MOST_HEADER = 2000
_PAGE = 20
_MOST_PAGE = 1000

read_conversation = client_request.read_conversation
write_answer = client_answer.write_answer
stream_writer = client_answer.stream_writer
most_output = bounds.most_output
error_body = errors.error_body
error_event = errors.error_event


def read(endpoint: Endpoint, incoming: Incoming) -> Request:
    """The request of `incoming`. A query (`?beta=true`) says nothing that the headers do not.

    Raises:
        MediaTypeRefused: the content type is not JSON.
        BadRequest: no body, not JSON, a field missing or of the wrong type; `param` names it.
    """
    document = read_document(incoming)
    model = model_name(document)
    check_required(endpoint, document)
    return Request(
        model=model,
        is_streamed=endpoint.can_stream and flag(document, "stream"),
        wants_usage=True,
        size=len(incoming.body),
        document=document,
        headers=_passed_on(incoming),
    )


def model_entry(name: str, *, created: int) -> dict[str, Any]:
    """One model of a list. https://platform.claude.com/docs/en/api/models"""
    moment = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": moment, "lifecycle": "active"}


def model_page(entries: Sequence[dict[str, Any]], query: dict[str, str]) -> bytes:
    """The part of the list that `limit`, `after_id` and `before_id` of the query ask for.

    Raises:
        BadRequest: a limit that is none, or the id of a model that is not in the list.
    """
    given = query.get("limit", str(_PAGE))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:6]) <= _MOST_PAGE:
        raise BadRequest(f"The field limit must be a whole number from 1 to {_MOST_PAGE}.", param="limit")
    limit, ids = int(given), [str(entry["id"]) for entry in entries]
    if "before_id" in query:
        end = _place(ids, query["before_id"], "before_id")
        begin = max(0, end - limit)
        has_more = begin > 0
    else:
        begin = _place(ids, query["after_id"], "after_id") + 1 if "after_id" in query else 0
        end = begin + limit
        has_more = end < len(ids)
    page = entries[begin:end]
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return _encode({"data": page, "has_more": has_more, "first_id": first, "last_id": last})


def model_object(entry: dict[str, Any]) -> bytes:
    return _encode(entry)


def counted(request: Request) -> Request:
    """The request whose tokens are asked for, read as if it were made: counting needs no limit of the answer."""
    return structs.replace(request, document={"max_tokens": Raw(b"1"), **(request.document or {})})


def token_count(tokens: int) -> bytes:
    """The answer to a request that asks how many tokens it would be."""
    return _encode({"input_tokens": tokens})


def _place(ids: list[str], wanted: str, param: str) -> int:
    if wanted not in ids:
        raise BadRequest(f"There is no model {wanted[:80]} in this list.", param=param)
    return ids.index(wanted)


def _passed_on(incoming: Incoming) -> dict[str, str]:
    found = {name: incoming.headers.get(name.encode()) for name in _PASSED_ON}
    # Bytes outside of ASCII are no version and no beta; they would only break the request to the provider.
    return {
        name: value.decode("ascii")
        for name, value in found.items()
        if value and value.isascii() and len(value) <= _MOST_HEADER
    }
