"""What can be called, where, and at what price: providers, credentials, models, deployments, rates."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, Id, Json, LongText, Moment, MomentUs, Name, Nano, Ref


class Provider(Base):
    """A company or server that runs models. Several of one kind are fine."""

    __tablename__ = "provider"

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    kind: Mapped[Name]
    """A row of `adapters/providers/registry.py`."""
    base_url: Mapped[LongText | None]
    """None: the address that the kind has."""
    region: Mapped[Name | None]
    is_enabled: Mapped[bool] = mapped_column(default=True)
    markup_basis_points: Mapped[int | None]
    """For its deployments, where their model has none of its own."""
    created_at: Mapped[Moment]


class Credential(Base):
    """A secret that opens one provider. A provider that needs none (Ollama) has one with an empty secret."""

    __tablename__ = "credential"
    __table_args__ = (UniqueConstraint("provider_id", "label"),)

    id: Mapped[Id]
    provider_id: Mapped[Ref] = mapped_column(ForeignKey("provider.id", ondelete="CASCADE"))
    label: Mapped[Name]
    sealed: Mapped[LongText]
    """A sealed JSON object: `{"secret": …}`, or for Bedrock its access key parts."""
    fingerprint: Mapped[Name]
    """A keyed digest of the secret: tells whether a file brings another one, without opening it."""
    hint: Mapped[Name]
    weight: Mapped[int] = mapped_column(default=100)
    disabled_reason: Mapped[LongText | None]
    """Set when the provider refused it, or an admin switched it off; None is usable."""
    disabled_at: Mapped[Moment | None]
    created_at: Mapped[Moment]


class Model(Base):
    """A public name that programs ask for."""

    __tablename__ = "model"

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    type: Mapped[Name]
    """`chat embedding image video speech transcription moderation`"""
    markup_basis_points: Mapped[int | None]
    """Price as cost plus this, in hundredths of a percent; None where prices are explicit or absent."""
    created_at: Mapped[Moment]


class ModelAlias(Base):
    __tablename__ = "model_alias"

    alias: Mapped[Name] = mapped_column(primary_key=True)
    model_id: Mapped[Ref] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))


class Deployment(Base):
    """A model served by one provider: a route."""

    __tablename__ = "deployment"
    __table_args__ = (UniqueConstraint("model_id", "provider_id", "upstream_model"),)

    id: Mapped[Id]
    model_id: Mapped[Ref] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    provider_id: Mapped[Ref] = mapped_column(ForeignKey("provider.id", ondelete="CASCADE"))
    upstream_model: Mapped[Name]
    weight: Mapped[int] = mapped_column(default=100)
    priority: Mapped[int] = mapped_column(default=0)
    """Lower is tried first."""


class Rate(Base):
    """One line of a rate card. Added, never edited: the newest of a meter is in force, older ones explain old calls.

    A line whose cost and price are both None ends the meter.
    """

    __tablename__ = "rate"
    __table_args__ = (Index("ix_rate_deployment_id_meter", "deployment_id", "meter", "effective_from"),)

    id: Mapped[Id]
    deployment_id: Mapped[Ref]
    """No foreign key: the line explains old calls after its deployment is gone."""
    meter: Mapped[Name]
    per_units: Mapped[int]
    """1000000 for tokens and characters, 1 for images, seconds and requests."""
    cost_nano: Mapped[Nano | None]
    """nano-USD per `per_units`."""
    price_nano: Mapped[Nano | None]
    """nano-credits per `per_units`, where the price is explicit."""
    condition: Mapped[Json]
    """What must hold for the line to apply; `{}` always does."""
    effective_from: Mapped[Moment]
    source: Mapped[Name]
    """Who said so: `file`, `console`, a price bundle's name."""
    review_cost_nano: Mapped[Nano | None]
    """The higher cost, where sources disagree: nothing is sold below it until somebody has looked."""
    change_id: Mapped[Ref | None]
    """The price change that added it."""


class PriceCard(Base):
    """The lines that priced a call, with all that went into them. Added once, never changed; the id is its digest."""

    __tablename__ = "price_card"

    id: Mapped[Id]
    deployment_id: Mapped[Ref]
    content: Mapped[LongText]
    """JSON, see `cards.py`."""
    created_us: Mapped[MomentUs]


class PriceChange(Base):
    """A named version of prices: what was repriced, by which rule, from when on."""

    __tablename__ = "price_change"

    id: Mapped[Id]
    name: Mapped[Name]
    scope: Mapped[Json]
    rule: Mapped[Json]
    effective_from: Mapped[Moment]
    created_at: Mapped[Moment]
    created_by: Mapped[Name]
    reverted_at: Mapped[Moment | None]
    before: Mapped[Json]
    """What was in force, for going back."""


class PriceNotice(Base):
    """Something about a deployment's prices that an admin should look at: told once, until it is mended."""

    __tablename__ = "price_notice"
    __table_args__ = (UniqueConstraint("deployment_id", "kind"),)

    id: Mapped[Id]
    deployment_id: Mapped[Ref]
    kind: Mapped[Name]
    """`drift` (the provider charges otherwise than its rate says), `unpriced` (a call could not be priced)"""
    text: Mapped[LongText]
    created_us: Mapped[MomentUs]


class SnapshotRevision(Base):
    """One row, counted up by triggers whenever something that the snapshot holds changes, whoever changes it."""

    __tablename__ = "snapshot_revision"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int]
