"""Who: users, teams, memberships, API keys, and the sessions of people who are signed in."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, Id, Json, LongText, Moment, Name, Ref


class Team(Base):
    """The tenant and the payer. Every call belongs to one."""

    __tablename__ = "team"

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    keep_content_days: Mapped[int] = mapped_column(default=0)
    """How long prompts and answers are stored; 0 stores none."""
    markup_basis_points: Mapped[int | None]
    """What this team pays above cost, in hundredths of a percent; None: as everybody does."""
    created_at: Mapped[Moment]


class User(Base):
    __tablename__ = "user_account"

    id: Mapped[Id]
    email: Mapped[Name] = mapped_column(unique=True)
    """Lower case."""
    hub_role: Mapped[Name]
    """`owner`, `admin`, `member` or `guest` of this hub."""
    created_at: Mapped[Moment]
    disabled_at: Mapped[Moment | None]


class Membership(Base):
    __tablename__ = "membership"

    team_id: Mapped[Ref] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[Name]
    """`admin` or `member` of the team."""


class ApiKey(Base):
    """Lets a program call for a team. Only a keyed digest is stored; the key itself is shown once."""

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("team_id", "name"), Index("ix_api_key_prefix", "prefix"))

    id: Mapped[Id]
    team_id: Mapped[Ref] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"))
    user_id: Mapped[Ref | None]
    """Whose key it is; None for a program's. No foreign key: SQLite adds none to a table that stands."""
    name: Mapped[Name]
    prefix: Mapped[Name]
    """The first characters, shown in lists so that a person recognises the key."""
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    """HMAC-SHA-256 of the key under the hub's pepper."""
    models: Mapped[Json]
    """Globs of the public model names that it may call, such as `["openai/*"]`."""
    is_strict: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[Moment | None]
    created_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]


class OneTimeLink(Base):
    """A link that signs one person in, once. The digest of its token is the key."""

    __tablename__ = "one_time_link"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


class Session(Base):
    """A signed-in browser. The digest of its cookie is the key, so the table opens nothing."""

    __tablename__ = "session"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    csrf_token: Mapped[Name]
    created_at: Mapped[Moment]
    expires_at: Mapped[Moment]


class HubSetting(Base):
    """What an owner sets at run time, and the hub's own sealed secrets, by key."""

    __tablename__ = "hub_setting"

    key: Mapped[Name] = mapped_column(primary_key=True)
    value: Mapped[LongText]
