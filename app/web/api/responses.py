"""`/v1/responses/{id}` and its input items: what the hub has stored of a team's responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from app.base.errors import BadRequest
from app.gateway import response_store
from app.gateway.response_store import Kept
from app.web.api.visit import Visit

_MOST_ITEMS = 100
_USUAL_ITEMS = 20

_encode = msgspec.json.Encoder().encode


async def answer(visit: Visit) -> None:
    """
    Raises:
        NotAuthenticated
        NotFound: this team has stored no such response.
        BadRequest: it is asked for as a stream.
    """
    query = _query(visit)
    if query.get("stream", "false") != "false":
        raise BadRequest(
            "A stored response is not streamed again; ask for it without stream.", param="stream", code="not_supported"
        )
    turns = await _turns(visit)
    await visit.answer(_encode(turns[-1].response))


async def remove(visit: Visit) -> None:
    """
    Raises:
        NotAuthenticated
        NotFound: this team has stored no such response.
    """
    id_, shared = visit.variables["id"], visit.gateway.shared
    await response_store.remove(shared.db, visit.caller().team_id, id_)
    await visit.answer(_encode({"id": id_, "object": "response", "deleted": True}))


async def list_input(visit: Visit) -> None:
    """All that the response was made from, earlier turns included; the newest first unless asked otherwise.

    Raises:
        NotAuthenticated
        NotFound: this team has stored no such response.
        BadRequest: `limit`, `order` or `after` is not possible; `param` names it.
    """
    query = _query(visit)
    order, limit = query.get("order", "desc"), query.get("limit", str(_USUAL_ITEMS))
    if order not in ("asc", "desc"):
        raise BadRequest("The parameter order must be asc or desc.", param="order")
    if not limit.isdecimal() or len(limit) > 3 or not 1 <= int(limit) <= _MOST_ITEMS:
        raise BadRequest(f"The parameter limit must be a whole number from 1 to {_MOST_ITEMS}.", param="limit")
    items = _input_of(await _turns(visit))
    if order == "desc":
        items.reverse()
    if (after := query.get("after")) is not None:
        place = next((n for n, item in enumerate(items) if item.get("id") == after), None)
        if place is None:
            raise BadRequest("The parameter after must be the id of one of the items.", param="after")
        items = items[place + 1 :]
    page = items[: int(limit)]
    listed = {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(items) > len(page),
    }
    await visit.answer(_encode(listed))


async def _turns(visit: Visit) -> list[Kept]:
    shared = visit.gateway.shared
    return await response_store.find(shared.db, shared.vault, visit.caller().team_id, visit.variables["id"])


def _query(visit: Visit) -> Mapping[str, str]:
    """The last of several values counts."""
    return {name: values[-1] for name, values in parse_qs(visit.query).items()}


def _input_of(turns: list[Kept]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for turn in turns[:-1]:
        items += [_listed(item) for item in turn.input] + list(turn.response.get("output") or ())
    return [*items, *(_listed(item) for item in turns[-1].input)]


def _listed(item: dict[str, Any]) -> dict[str, Any]:
    """An item with what a caller may leave out: a text alone is a part."""
    if item.get("type") != "message" or not isinstance(item.get("content"), str):
        return item
    type_ = "output_text" if item.get("role") == "assistant" else "input_text"
    part: dict[str, Any] = {"type": type_, "text": item["content"]}
    if type_ == "output_text":
        part["annotations"] = []
    return {"status": "completed", **item, "content": [part]}
