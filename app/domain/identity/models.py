"""Who: users, teams, memberships, API keys, and the sessions of people who are signed in."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, Id, Json, LongText, Moment, MomentUs, Name, Ref


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
    __table_args__ = (
        UniqueConstraint("team_id", "name"),
        Index("ix_api_key_prefix", "prefix"),
        Index("ix_api_key_parent_id", "parent_id"),
    )

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
    denied_models: Mapped[Json] = mapped_column(server_default=text("'[]'"))
    """Globs of those that it may not call all the same."""
    endpoints: Mapped[Json] = mapped_column(server_default=text("'[]'"))
    """Tasks that it may be used for, such as `["conversation", "embedding"]`; empty for all."""
    addresses: Mapped[Json] = mapped_column(server_default=text("'[]'"))
    """Networks that it may be used from, such as `["10.0.0.0/8"]`; empty for all."""
    parent_id: Mapped[Ref | None]
    """The key that made this one. It can never do more, and ends with it."""
    previous_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """The secret before it was rolled, valid until `previous_until`."""
    previous_until: Mapped[Moment | None]
    disabled_at: Mapped[Moment | None]
    """Switched off for a while; can be switched on again."""
    used_us: Mapped[MomentUs | None]
    """When it was last used, to the minute."""
    used_from: Mapped[Name | None]
    """The address that it was last used from."""
    used_by: Mapped[Name | None]
    """The client that it was last used by: its User-Agent, cut."""
    is_strict: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[Moment | None]
    created_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]


class OneTimeLink(Base):
    """A link that signs one person in, or lets them choose a new password, once. The digest of its token is the key."""

    __tablename__ = "one_time_link"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    purpose: Mapped[Name] = mapped_column(server_default=text("'sign_in'"))
    """`sign_in` or `reset`."""
    expires_at: Mapped[Moment]
    used_at: Mapped[Moment | None]


class Session(Base):
    """A signed-in browser. The digest of its cookie is the key, so the table opens nothing."""

    __tablename__ = "session"
    __table_args__ = (Index("ix_session_user_id", "user_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    level: Mapped[Name]
    """`full`, or `second` while the second factor is asked for: then it opens nothing else."""
    csrf_token: Mapped[Name]
    created_at: Mapped[Moment]
    proved_at: Mapped[Moment]
    """When this browser last proved who it is: by password, second factor or link."""
    seen_at: Mapped[Moment]
    """When it last opened a page, to the minute."""
    idle_until: Mapped[Moment]
    """When it ends, if it opens no page before."""
    expires_at: Mapped[Moment]
    """When it ends whatever it does."""
    network: Mapped[Name | None]
    """Where it was started: the /24 of an address of IPv4, the /64 of one of IPv6."""
    client: Mapped[Name | None]
    """With what: `Firefox on Linux`."""


class Password(Base):
    """argon2id of somebody's password. Who has none signs in by links."""

    __tablename__ = "password"

    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    hash: Mapped[LongText]
    is_long: Mapped[bool]
    """Whether it is long enough without a second factor."""
    changed_at: Mapped[Moment]


class SecondFactor(Base):
    """The secret that somebody's authenticator app makes its codes from."""

    __tablename__ = "second_factor"

    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[LongText]
    last_step: Mapped[int] = mapped_column(BigInteger)
    """The newest time step whose code was used. None at or before it is taken again."""
    created_at: Mapped[Moment]
    confirmed_at: Mapped[Moment | None]
    """When the first code was right; before that nobody is asked for one."""


class RecoveryCode(Base):
    """Stands in for the authenticator app, once."""

    __tablename__ = "recovery_code"
    __table_args__ = (Index("ix_recovery_code_user_id", "user_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    used_at: Mapped[Moment | None]


class SignInTries(Base):
    """How often somebody tried to sign in, of one kind, in the window that runs."""

    __tablename__ = "sign_in_tries"

    bucket: Mapped[Name] = mapped_column(primary_key=True)
    """Rule and digest of the account or address."""
    began_us: Mapped[MomentUs]
    until_us: Mapped[MomentUs]
    count: Mapped[int]


class AuditEvent(Base):
    """Who did what to what. Added, never changed; each row carries the hash of the one before it."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_at_us", "at_us"),
        Index("ix_audit_event_object", "object_kind", "object_id"),
        Index("ix_audit_event_actor_id", "actor_id"),
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Counts up from 1 without gaps."""
    at_us: Mapped[MomentUs]
    actor_kind: Mapped[Name]
    """`user`, `key`, `command` (whoever may run the hub's commands on its machine) or `hub`."""
    actor_id: Mapped[Ref | None]
    actor: Mapped[Name]
    """As people know them: an address, a key's name, a system user."""
    as_whom: Mapped[Name | None]
    """Whom an admin looked at the hub as."""
    action: Mapped[Name]
    """What was done: `key.create`, `settings.set`, `credits.grant`, …"""
    object_kind: Mapped[Name]
    object_id: Mapped[Name]
    object: Mapped[Name]
    """As people know it."""
    team_id: Mapped[Ref | None]
    """Whose it is, for those who may see their own team's events."""
    before: Mapped[LongText | None]
    """JSON of what changed, as it was; secrets are masked."""
    after: Mapped[LongText | None]
    """JSON of what changed, as it is."""
    source: Mapped[Name]
    """Where it came from: an address, or `shell`."""
    request_id: Mapped[Name | None]
    prev: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class HubSetting(Base):
    """What an owner sets at run time, and the hub's own sealed secrets, by key."""

    __tablename__ = "hub_setting"

    key: Mapped[Name] = mapped_column(primary_key=True)
    value: Mapped[LongText]
