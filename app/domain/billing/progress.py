"""The last checkpoint of a hold: text that the gateway writes and reads."""

from __future__ import annotations

from sqlalchemy import bindparam, literal_column, update

from app.base.writer import Statement, Step
from app.domain.billing.models import Hold

_NOTE = Statement(
    update(Hold)
    .where(Hold.call_id == bindparam("of_call"), Hold.state == literal_column("'open'"))
    .values(progress=bindparam("new_progress")),
    ("of_call", "new_progress"),
    is_independent=True,
)


def note(call_id: str, text: str) -> Step:
    """A hold that has ended keeps what it had."""
    return Step(_NOTE, (call_id, text))
