"""What can be called, where, and at what price: providers, credentials, models, deployments, rates."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.base.orm import Base, Id, Json, LongText, Moment, Name, Nano, Ref


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


class SnapshotRevision(Base):
    """One row, counted up by triggers whenever something that the snapshot holds changes, whoever changes it."""

    __tablename__ = "snapshot_revision"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int]
