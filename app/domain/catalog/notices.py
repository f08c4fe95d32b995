"""What admins should look at in prices: told once, until the deployment's rates change."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import bindparam, delete, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.base.ids import new_id
from app.base.money import show_nano
from app.base.writer import Statement, Step
from app.domain.catalog.models import PriceNotice

_FIELDS = ("id", "deployment_id", "text", "created_us")

# SQLite has the same clause, and SQLAlchemy writes it for both.
_DRIFT = Statement(
    insert(PriceNotice)
    .values(kind=literal_column("'drift'"), **{name: bindparam(name) for name in _FIELDS})
    .on_conflict_do_nothing(),
    _FIELDS,
)


class Notice(Struct, frozen=True):
    deployment_id: str
    kind: str
    text: str
    created_us: int


def drift(deployment_id: str, cost_nano: int, reported_nano: int, call_id: str, now_us: int) -> Step:
    """The provider charges otherwise than the rates say. One that is told already stays as it is."""
    text = (
        f"Its provider says that call {call_id} costs {show_nano(reported_nano)} USD; by the rates here it costs "
        f"{show_nano(cost_nano)} USD."
    )
    return Step(_DRIFT, (new_id(), deployment_id, text, now_us))


async def all_of(session: AsyncSession) -> Sequence[Notice]:
    """Newest first, at most a hundred."""
    rows = await session.execute(
        select(PriceNotice.deployment_id, PriceNotice.kind, PriceNotice.text, PriceNotice.created_us)
        .order_by(PriceNotice.created_us.desc())
        .limit(100)
    )
    return [Notice(*row) for row in rows]


async def forget(session: AsyncSession, deployment_id: str) -> None:
    """The rates of the deployment have changed: what is still wrong will be told again."""
    await session.execute(delete(PriceNotice).where(PriceNotice.deployment_id == deployment_id))
