"""What `explaining.py` finds out about a call that somebody might make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from app.gateway.desk.budgeting import Standing
from app.gateway.limits.limit_names import Used


class KeyFacts(Struct, frozen=True, kw_only=True):
    team: str
    name: str
    prefix: str
    user: str | None
    state: str
    """`active`, `disabled`, `expired` or `revoked`, with what becomes of the keys above it."""
    expires_at: datetime | None
    models: list[str]
    denied_models: list[str]
    endpoints: list[str]
    """Tasks; empty for all."""
    networks: list[str]
    """Empty for everywhere."""
    is_strict: bool
    above: list[str]
    """The keys that it was made by, the nearest first: what they may not, it may not."""


class ModelFacts(Struct, frozen=True, kw_only=True):
    name: str
    type: str
    aliases: Sequence[str]


class CredentialFacts(Struct, frozen=True, kw_only=True):
    label: str
    state: str
    """`ready`, or what is wrong with it."""
    is_usable: bool


class LineFacts(Struct, frozen=True, kw_only=True):
    """A line of a price card, for this team. Amounts in nano per `per_units`; None: unknown."""

    meter: str
    per_units: int
    cost_nano: int | None
    price_nano: int | None
    condition: str
    """JSON; empty where it always applies."""


class PriceFacts(Struct, frozen=True, kw_only=True):
    """The price card of a deployment."""

    is_whole: bool
    """Whether whatever a call may use has a price."""
    lines: list[LineFacts]


class RouteFacts(Struct, frozen=True, kw_only=True):
    provider: str
    upstream_model: str
    priority: int
    weight: int
    is_enabled: bool
    credentials: list[CredentialFacts]
    price: PriceFacts

    @property
    def takes_calls(self) -> bool:
        return self.is_enabled and any(one.is_usable for one in self.credentials)


class BudgetFacts(Struct, frozen=True, kw_only=True):
    of: str
    standing: Standing


class LimitFacts(Struct, frozen=True, kw_only=True):
    of: str
    used: Used


class AccountFacts(Struct, frozen=True, kw_only=True):
    """nano-credits of the key's team."""

    free_nano: int
    """What a call can be let in with."""
    needed_nano: int
    """What the least call of the model has to have: a short answer, a picture, a second."""
    held_nano: int
    credit_line_nano: int
    is_frozen: bool


class Explanation(Struct, frozen=True, kw_only=True):
    refusals: list[str]
    """Why the call would not pass, in the words that a caller or an admin gets; empty when it would."""
    billing: str
    key: KeyFacts
    model: ModelFacts | None
    """None where there is no such model."""
    routes: list[RouteFacts]
    budgets: list[BudgetFacts]
    limits: list[LimitFacts]
    """Of whoever calls, of the model, and of the credentials that may serve it."""
    account: AccountFacts | None
    """None where the balance plays no part."""

    @property
    def passes(self) -> bool:
        return not self.refusals
