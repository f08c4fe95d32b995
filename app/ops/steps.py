"""What `apply` can do to the hub, one value per step. Steps are made by `plan` and carried out by `apply`.

Things that the plan itself adds have no id yet, so steps name them; what goes or changes is named by its id.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from app.base.secret import Secret
from app.domain.billing.budget_rules import Terms
from app.domain.calls.limit_rules import Terms as LimitTerms
from app.domain.catalog import rates
from app.domain.catalog.settings import BillingMode


class SetBilling(Struct, frozen=True):
    mode: BillingMode


class SetSetting(Struct, frozen=True):
    name: str
    text: str


class AddProvider(Struct, frozen=True):
    name: str
    kind: str
    base_url: str | None
    region: str | None
    is_enabled: bool


class ChangeProvider(Struct, frozen=True):
    id: str
    kind: str
    base_url: str | None
    region: str | None
    is_enabled: bool


class SetProviderMarkup(Struct, frozen=True):
    provider: str
    basis_points: int | None


class RemoveProvider(Struct, frozen=True):
    id: str


class AddCredential(Struct, frozen=True):
    provider: str
    label: str
    parts: dict[str, Secret]
    weight: int


class ReplaceCredential(Struct, frozen=True):
    id: str
    parts: dict[str, Secret]


class WeighCredential(Struct, frozen=True):
    id: str
    weight: int


class RemoveCredential(Struct, frozen=True):
    id: str


class AddModel(Struct, frozen=True):
    name: str
    type: str
    markup_basis_points: int | None


class ChangeModel(Struct, frozen=True):
    id: str
    type: str
    markup_basis_points: int | None


class RemoveModel(Struct, frozen=True):
    id: str


class SetAlias(Struct, frozen=True):
    model: str
    alias: str


class RemoveAlias(Struct, frozen=True):
    alias: str


class AddRoute(Struct, frozen=True):
    model: str
    provider: str
    upstream_model: str
    weight: int
    priority: int


class ChangeRoute(Struct, frozen=True):
    id: str
    weight: int
    priority: int


class RemoveRoute(Struct, frozen=True):
    id: str


class SetCard(Struct, frozen=True):
    model: str
    provider: str
    upstream_model: str
    card: dict[str, rates.Line]
    conditional: tuple[rates.NewLine, ...] | None
    """All lines with a condition; None where they stay."""


class AddTeam(Struct, frozen=True):
    name: str
    keep_content_days: int


class SetRetention(Struct, frozen=True):
    id: str
    keep_content_days: int


class SetTeamMarkup(Struct, frozen=True):
    team: str
    basis_points: int | None


class RemoveTeam(Struct, frozen=True):
    id: str
    name: str


class SetMember(Struct, frozen=True):
    team: str
    email: str
    role: str


class RemoveMember(Struct, frozen=True):
    team_id: str
    email: str


class Grant(Struct, frozen=True):
    team: str
    amount_nano: int


class KeyTerms(Struct, frozen=True, kw_only=True):
    """What a key may do, as the file has it."""

    models: list[str]
    denied_models: list[str]
    endpoints: list[str]
    networks: list[str]
    expires_at: datetime | None
    is_strict: bool
    is_enabled: bool
    user: str | None
    """E-mail address."""


class AddKey(Struct, frozen=True):
    team: str
    name: str
    secret: Secret
    terms: KeyTerms


class ChangeKey(Struct, frozen=True):
    team_id: str
    id: str
    terms: KeyTerms


class ReplaceKeySecret(Struct, frozen=True):
    team_id: str
    id: str
    secret: Secret


class RemoveKey(Struct, frozen=True):
    team_id: str
    id: str


class SetBudget(Struct, frozen=True):
    """Also takes the place of the one of the same scope, unit and window."""

    terms: Terms
    """With what it is of by name."""


class EndBudget(Struct, frozen=True):
    id: str


class SetLimit(Struct, frozen=True):
    """Also takes the place of the one of the same scope, unit and time."""

    terms: LimitTerms
    """With what it is of by name."""


class EndLimit(Struct, frozen=True):
    id: str


ProviderStep: TypeAlias = (
    AddProvider
    | ChangeProvider
    | SetProviderMarkup
    | RemoveProvider
    | AddCredential
    | ReplaceCredential
    | WeighCredential
    | RemoveCredential
)
ModelStep: TypeAlias = (
    AddModel | ChangeModel | RemoveModel | SetAlias | RemoveAlias | AddRoute | ChangeRoute | RemoveRoute | SetCard
)
TeamStep: TypeAlias = (
    AddTeam
    | SetRetention
    | SetTeamMarkup
    | RemoveTeam
    | SetMember
    | RemoveMember
    | Grant
    | AddKey
    | ChangeKey
    | ReplaceKeySecret
    | RemoveKey
)
BudgetStep: TypeAlias = SetBudget | EndBudget
LimitStep: TypeAlias = SetLimit | EndLimit
Step: TypeAlias = SetBilling | SetSetting | ProviderStep | ModelStep | TeamStep | BudgetStep | LimitStep
