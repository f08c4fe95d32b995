"""The store behind the Responses API: what the hub keeps of a turn, and the history that it puts before the next one.

No provider stores anything: whoever answered the last turn, the next may go to another. What is kept is what the caller
sent and what they got, sealed, for thirty days; a turn names the one before it and does not repeat it.
"""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec
import structlog
from msgspec import Raw, Struct

from app.base.db import Database
from app.base.errors import BadRequest, NotFound
from app.base.secret import Secret
from app.base.vault import Vault, VaultError
from app.base.writer import Step
from app.domain.calls import stored_responses
from app.domain.calls.stored_responses import Stored
from app.gateway.course import Course, Turn
from app.wire.request import Document, flag, raw_of
from app.wire.responses.answers import whole_of

MAX_BYTES = 32 * 1024 * 1024
"""Of one turn; a larger one is answered and not kept."""

_ID = re.compile(r"[\x21-\x7e]{1,200}")
_NOBODY = "hub1.nobody."
"""Before thoughts that nobody has sealed: no provider takes them back as its own."""
_log = structlog.stdlib.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class Kept(Struct):
    """A turn that was opened."""

    input: list[dict[str, Any]]
    response: dict[str, Any]


async def recall(course: Course) -> None:
    """Put the history that the caller names before what they send. Once per call, before anybody is asked.

    Raises:
        BadRequest: `previous_response_id` or an item reference names nothing that this team has stored.
    """
    body = course.request.body
    document = body.document
    if course.request.endpoint.name != "responses" or document is None or course.turn is not None:
        return
    own = document["input"]
    previous_id = _text(document, "previous_response_id")
    history: list[Any] = []
    previous = None
    if previous_id is not None:
        previous = stored_responses.digest_of(course.caller.team_id, previous_id)
        history = await _history(course, previous, previous_id)
    course.turn = Turn(own, previous, _is_wanted(document))
    items = _items(own)
    if _has_references(own):
        items = await _dereferenced(course, items)
    elif not history:
        return
    body.document = {**document, "input": raw_of([*history, *items])}
    body.recalled = len(history)


def steps(course: Course, response: bytes, origin: str) -> list[Step]:
    """What the settlement writes about an answer; `origin` is the kind of provider whose own marks are in it."""
    turn = course.turn
    if turn is None or not turn.is_kept or len(turn.own) + len(response) > MAX_BYTES:
        return []
    whole = whole_of(response)
    id_ = whole.get("id")
    if not isinstance(id_, str) or not _ID.fullmatch(id_):
        return []
    team_id = course.caller.team_id
    digest = stored_responses.digest_of(team_id, id_)
    text = _encode({"input": _with_ids(_items(turn.own), course.id), "response": Raw(response)})
    sealed = course.shared.vault.seal(Secret(text.decode()), stored_responses.place(digest, team_id))
    stored = Stored(digest=digest, team_id=team_id, previous=turn.previous, origin=origin, sealed=sealed)
    found: list[Any] = [item.get("id") for item in _objects(whole.get("output"))]
    ids = {item_id for item_id in found if isinstance(item_id, str) and _ID.fullmatch(item_id)}
    return stored_responses.keep(stored, sorted(ids), course.started_us)


async def find(db: Database, vault: Vault, team_id: str, id_: str) -> list[Kept]:
    """A stored turn and those before it, the oldest first.

    Raises:
        NotFound: this team has none of that id.
    """
    async with db.reading() as session:
        rows = await stored_responses.history(session, stored_responses.digest_of(team_id, id_))
    kept = [_opened(vault, row) for row in rows]
    if not kept or kept[-1] is None:
        raise _not_found(id_)
    return [one for one in kept if one is not None]


async def remove(db: Database, team_id: str, id_: str) -> None:
    """
    Raises:
        NotFound: this team has none of that id.
    """
    async with db.writing() as session:
        was_there = await stored_responses.remove(session, stored_responses.digest_of(team_id, id_))
    if not was_there:
        raise _not_found(id_)


def _not_found(id_: str) -> NotFound:
    return NotFound(f"Response with id '{id_[:200]}' not found.", code="response_not_found", param="response_id")


async def _history(course: Course, digest: bytes, id_: str) -> list[Any]:
    async with course.shared.db.reading() as session:
        rows = await stored_responses.history(session, digest)
    kept = [_opened(course.shared.vault, row) for row in rows]
    if not rows or kept[-1] is None:
        raise BadRequest(
            f"Previous response with id '{id_[:200]}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if rows[0].previous is not None or None in kept:
        raise BadRequest(
            f"Response '{id_[:200]}' builds on an earlier one that is no longer stored. Send the history as input.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    items: list[Any] = []
    for row, one in zip(rows, kept, strict=True):
        if one is not None:
            items += one.input
            items += [_recalled(item, row.origin) for item in _objects(one.response.get("output"))]
    return items


async def _dereferenced(course: Course, items: list[Any]) -> list[Any]:
    """The caller's items with what is referred to in its place."""
    team_id = course.caller.team_id
    wanted = {reference for item in items if (reference := _reference(item)) is not None}
    digests = [stored_responses.digest_of(team_id, id_) for id_ in sorted(wanted)]
    async with course.shared.db.reading() as session:
        rows = await stored_responses.holding(session, digests)
    known: dict[str, Any] = {}
    for row in rows:
        kept = _opened(course.shared.vault, row)
        for item in _objects(kept.response.get("output")) if kept is not None else ():
            known[str(item.get("id"))] = _recalled(item, row.origin)
    whole: list[Any] = []
    for n, item in enumerate(items):
        reference = _reference(item)
        if reference is not None and reference not in known:
            raise BadRequest(
                f"Item with id '{reference[:200]}' not found. Send the item itself, or store the response it is of.",
                param=f"input[{n}]",
                code="item_not_found",
            )
        whole.append(item if reference is None else known[reference])
    return whole


def _recalled(item: dict[str, Any], origin: str) -> dict[str, Any]:
    """An output item as the input of another call. Nobody upstream knows its id, and a seal says whose it is."""
    if item.get("type") != "reasoning":
        return {name: value for name, value in item.items() if name != "id"}
    sealed: Any = item.get("encrypted_content")
    if not isinstance(sealed, str) or not sealed:
        return {**item, "encrypted_content": _NOBODY}
    return item if sealed.startswith("hub1.") else {**item, "encrypted_content": f"hub1.{origin}.{sealed}"}


def _opened(vault: Vault, row: Stored) -> Kept | None:
    try:
        text = vault.open(row.sealed, stored_responses.place(row.digest, row.team_id))
    except VaultError as failure:
        _log.warning("response.unreadable", reason=str(failure))
        return None
    return msgspec.json.decode(text.reveal(), type=Kept)


def _is_wanted(document: Document) -> bool:
    """Whether the response is to be stored: yes, unless the caller says no."""
    given = document.get("store")
    return given is None or bytes(given) == b"null" or flag(document, "store")


def _text(document: Document, field: str) -> str | None:
    raw = document.get(field)
    value: Any = None if raw is None else msgspec.json.decode(raw)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"The field {field} must be a string.", param=field)
    return value


def _items(own: Raw) -> list[Any]:
    """`input` as items; a text alone is a message."""
    value: Any = msgspec.json.decode(own)
    if isinstance(value, list):
        return cast(list[Any], value)
    return [{"type": "message", "role": "user", "content": value}]


def _with_ids(items: list[Any], call_id: str) -> list[Any]:
    """The same, each with an id, under which it is listed later."""
    named: list[Any] = []
    for n, item in enumerate(_objects(items)):
        kind = item.get("type") or "message"
        named.append({"id": f"{_PREFIXES.get(kind, 'item')}_{call_id}_i{n}", "type": kind, **item})
    return named


_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}
_REFERENCE = re.compile(rb'"item_reference"|\{\s*"id"\s*:\s*"[^"]*"\s*\}')


def _has_references(own: Raw) -> bool:
    """Whether there may be any; never False where there are."""
    return _REFERENCE.search(own) is not None


def _reference(item: Any) -> str | None:
    """The id that an item is nothing but a reference to."""
    fields = cast(dict[str, Any], item) if isinstance(item, dict) else {}
    id_ = fields.get("id")
    is_reference = fields.get("type") == "item_reference" or (set(fields) <= {"id", "type"} and not fields.get("type"))
    return id_ if is_reference and isinstance(id_, str) else None


def _objects(value: Any) -> list[dict[str, Any]]:
    entries = cast(list[Any], value) if isinstance(value, list) else []
    return [cast(dict[str, Any], entry) for entry in entries if isinstance(entry, dict)]
