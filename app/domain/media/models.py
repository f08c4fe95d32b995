"""Files that models made and generations that take minutes, as rows; the files' bytes are in the store
(`app/adapters/files`)."""

from __future__ import annotations

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, LongText, MomentUs, Name, Ref

_IS_OPEN = text("state IN ('queued', 'in_progress')")


class StoredFile(Base):
    """One file. It belongs to a team and to the call that made it, and goes when its time is over."""

    __tablename__ = "stored_file"
    __table_args__ = (Index("ix_stored_file_expires_us", "expires_us"),)

    id: Mapped[Ref] = mapped_column(primary_key=True)
    team_id: Mapped[Ref]
    call_id: Mapped[Ref]
    media_type: Mapped[Name]
    size: Mapped[int]
    """In bytes."""
    sha256: Mapped[Name]
    """Of the bytes, in hexadecimal digits."""
    created_us: Mapped[MomentUs]
    expires_us: Mapped[MomentUs]


class Generation(Base):
    """A video that its provider works at. There is one to a call, and the call runs as long as it does."""

    __tablename__ = "generation"
    __table_args__ = (
        Index("ix_generation_poll_after_us", "poll_after_us", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index("ix_generation_team_id_call_id", "team_id", "call_id"),
        Index("ix_generation_expires_us", "expires_us"),
    )

    call_id: Mapped[Ref] = mapped_column(primary_key=True)
    team_id: Mapped[Ref]
    model: Mapped[Name]
    """The public name."""
    seconds: Mapped[int]
    """As asked; 0 is the provider's own length, until it says how much it made."""
    size: Mapped[Name]
    """As asked: `1280x720`, or `""`."""
    state: Mapped[Name]
    """`starting` until a provider has taken it, then `queued in_progress`, then `completed` or `failed`."""
    progress: Mapped[int]
    """Percent."""
    format: Mapped[Name]
    """Of the provider, by our name of its endpoint; `""` while starting, as the next four."""
    deployment_id: Mapped[Ref]
    credential_id: Mapped[Ref]
    upstream_model: Mapped[Name]
    job_id: Mapped[Name]
    """The provider's."""
    file_id: Mapped[Ref | None]
    error_code: Mapped[Name | None]
    error_text: Mapped[LongText | None]
    created_us: Mapped[MomentUs]
    poll_after_us: Mapped[MomentUs]
    """Nobody asks the provider before; moved ahead by whoever does, so that nobody else asks as well."""
    ended_us: Mapped[MomentUs | None]
    expires_us: Mapped[MomentUs]
    """When the row goes."""
