"""Credits: so far the grants that a file or an admin gave."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, Id, LongText, Moment, Name, Nano, Ref


class CreditGrant(Base):
    """Credits given to a team. Added, never edited; a correction is a row of the opposite sign."""

    __tablename__ = "credit_grant"
    __table_args__ = (Index("ix_credit_grant_team_id_source", "team_id", "source"),)

    id: Mapped[Id]
    team_id: Mapped[Ref] = mapped_column(ForeignKey("team.id", ondelete="RESTRICT"))
    amount_nano: Mapped[Nano]
    source: Mapped[Name]
    """`file` for `hub apply`."""
    reason: Mapped[LongText]
    created_at: Mapped[Moment]
