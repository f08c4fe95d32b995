"""One call: its facts, its attempts on a time line, what it consumed."""

from __future__ import annotations

import re
from typing import Any

from litestar import Controller, Request, Response, get

from app.base.db import Database
from app.base.errors import NotFound
from app.domain.calls import reports
from app.domain.catalog import cards_store, credentials
from app.domain.identity import api_keys
from app.gateway import fidelity
from app.web import pages
from app.web.admin import bill_rows, call_rows

_ID = re.compile(r"[0-9a-z]{1,32}")


class CallsController(Controller):
    """`/calls/{id}`; a call that runs is loaded again by htmx until it has ended."""

    path = "/calls"
    include_in_schema = False

    @get("/{call_id:str}")
    async def show(self, request: Request[Any, Any, Any], call_id: str, db: Database) -> Response[Any]:
        async with db.reading() as session:
            call = await reports.find(session, call_id) if _ID.fullmatch(call_id) else None
            if call is None:
                raise NotFound("There is no such call. It may be older than the hub keeps calls.")
            attempts = await reports.attempts(session, call_id)
            names = await api_keys.names(session, [call.api_key_id])
            card = await cards_store.find(session, call.card_id) if call.card_id is not None else None
            labels = {row.id: (row.label, row.hint) for row in await credentials.listed(session)}
        [row] = call_rows.call_rows([call], names)
        template = "admin/calls/_call.html" if pages.wanted_part(request) == "call" else "admin/calls/show.html"
        return pages.page(
            request,
            template,
            row=row,
            call=call,
            attempts=call_rows.attempt_rows(call, attempts, labels),
            usage=call_rows.usage_rows(call),
            titles=call_rows.METER_TITLES,
            bill=bill_rows.bill_view(call, card),
            notes=call_rows.note_rows(fidelity.from_record(call.fidelity)),
            speed=call_rows.tokens_per_second(call),
        )
