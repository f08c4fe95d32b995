"""Every column that holds sealed texts. A test walks the schema and fails when a `sealed…` column is missing here."""

from __future__ import annotations

from app.base.resealing import SealedColumn
from app.base.vault import Place
from app.domain.calls import stored_responses, turns
from app.domain.calls.models import CallContent, IdempotentAnswer, StoredResponse, TurnState
from app.domain.catalog.models import Credential
from app.domain.identity import second_factors
from app.domain.identity.models import HubSetting, SecondFactor


def _of_credential(row: Credential) -> Place:
    return Place("credential", "sealed", row=row.id)


def _of_setting(row: HubSetting) -> Place:
    return Place("hub_setting", "value", row=row.key)


def of_request(row: CallContent) -> Place:
    return Place("call_content", "sealed_request", row=row.call_id, team=row.team_id)


def of_answer(row: CallContent) -> Place:
    return Place("call_content", "sealed_answer", row=row.call_id, team=row.team_id)


def _of_turn(row: TurnState) -> Place:
    return turns.place(row.digest, row.team_id)


def _of_response(row: StoredResponse) -> Place:
    return stored_responses.place(row.digest, row.team_id)


def _of_factor(row: SecondFactor) -> Place:
    return second_factors.place(row.user_id)


def _of_idempotent(row: IdempotentAnswer) -> Place:
    return Place("idempotent_answer", "sealed_answer", row=row.call_id)


SEALED = (
    SealedColumn(
        model=HubSetting,
        key=HubSetting.key,
        column=HubSetting.value,
        place=_of_setting,
        only=frozenset({"vault.canary", "keys.pepper", "receipts.key"}),
    ),
    SealedColumn(model=Credential, key=Credential.id, column=Credential.sealed, place=_of_credential),
    SealedColumn(model=CallContent, key=CallContent.call_id, column=CallContent.sealed_request, place=of_request),
    SealedColumn(model=CallContent, key=CallContent.call_id, column=CallContent.sealed_answer, place=of_answer),
    SealedColumn(
        model=IdempotentAnswer,
        key=IdempotentAnswer.digest,
        column=IdempotentAnswer.sealed_answer,
        place=_of_idempotent,
    ),
    SealedColumn(model=StoredResponse, key=StoredResponse.digest, column=StoredResponse.sealed, place=_of_response),
    SealedColumn(model=SecondFactor, key=SecondFactor.user_id, column=SecondFactor.sealed, place=_of_factor),
    SealedColumn(model=TurnState, key=TurnState.digest, column=TurnState.sealed, place=_of_turn),
)
