"""Receipts: what a call was charged, item by item, from the books, signed with the hub's key.

Nothing is written in one that does not agree with the rest: a call that its rates, its journal and its row do not
explain alike gets no receipt, and `hub verify` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec

from app.base import clock, money, signed
from app.base.clock import from_us
from app.base.db import AsyncSession, Database
from app.base.errors import BadValue, NotFound
from app.base.usage import meters
from app.base.vault import Vault
from app.domain.billing import proofs
from app.domain.calls import bills, reports
from app.domain.calls.bills import Billed
from app.domain.calls.models import Call
from app.domain.catalog import cards, cards_store, policy, providers
from app.domain.catalog.cards import Card
from app.domain.identity import api_keys, receipt_key
from app.gateway.desk import receipt_form, verifying
from app.gateway.desk.receipt_form import Called, Document, Item, Receipt, ReportedCost


async def make(db: Database, vault: Vault, call_id: str, address: str) -> Document:
    """The signed receipt of a call that has ended. `address` is where people reach this hub; may be empty.

    Raises:
        NotFound: there is no such call.
        BadValue: it still runs, credits were off, or the books do not explain its charge.
        VaultError: the key cannot be opened.
    """
    async with db.writing() as session:
        seed = await receipt_key.prepare(session, vault)
    async with db.reading() as session:
        receipt = await _receipt(session, call_id, address)
    return Document(receipt=receipt, signature=signed.sign(seed, msgspec.to_builtins(receipt)))


async def public_key(db: Database, vault: Vault) -> bytes:
    """32 bytes, for whoever wants to check receipts."""
    async with db.writing() as session:
        return signed.public_key(await receipt_key.prepare(session, vault))


async def _receipt(session: AsyncSession, call_id: str, address: str) -> Receipt:
    row = await reports.find(session, call_id)
    if row is None:
        raise NotFound(f"There is no call {call_id}.", param="call")
    if row.status == "running":
        raise BadValue(f"Call {call_id} still runs. It has a receipt when it has ended.", param="call")
    if row.billing != "credits" or row.charge_nano is None:
        raise BadValue(f"Call {call_id} was not charged in credits, so there is no receipt of it.", param="call")
    call = await bills.one(session, call_id)
    assert call is not None
    card = await cards_store.find(session, call.card_id) if call.card_id is not None else None
    journal = await proofs.settlement(session, call_id)
    refunds = await proofs.refunds(session, call_id, call.refunded_nano)
    refunded = -sum(proof.of("revenue") for proof in refunds)
    charged = journal.of("revenue") if journal is not None else 0
    if not verifying.expected(call, card)[1] == row.charge_nano == charged or refunded != call.refunded_nano:
        raise BadValue(f"The books do not explain the charge of call {call_id}. Run: hub verify", param="call")
    items, reported = _items(call, card)
    return Receipt(
        version=receipt_form.VERSION,
        issued_at=clock.now().isoformat(timespec="seconds"),
        hub=address,
        call=await _called(session, row, call),
        price_card=call.card_id,
        items=items,
        reported_cost=reported,
        rounding="0" if reported is not None else receipt_form.rounding_of(row.charge_nano, items),
        charge=money.show_nano(row.charge_nano),
        charge_nano=row.charge_nano,
        paid_from=receipt_form.paid_from(journal) if journal is not None else [],
        journal=journal,
        refunds=refunds,
        refunded=money.show_nano(refunded),
    )


def _items(call: Billed, card: Card | None) -> tuple[Sequence[Item], ReportedCost | None]:
    """What makes up the charge. Nothing for a call that was free by the policy, or of which a part has no price."""
    action = cast(policy.Action, (call.charged_as or "").rpartition(" ")[2])
    charged = policy.charged(call.usage, action)
    if card is None or charged is None or not call.charge_nano:
        return [], None
    if call.usage_source == "reported_cost" and call.provider_cost_nano is not None:
        points = card.markup_basis_points if card.sells_below_cost else max(card.markup_basis_points, 0)
        return [], ReportedCost(
            cost_usd=money.show_nano(call.provider_cost_nano),
            markup_percent=money.show_basis_points(points),
            credit_price_usd=money.show_nano(card.credit_price_nano),
        )
    items: list[Item] = []
    for one in cards.items(card, charged, cards.read_facts(call.price_facts, call.started_us)):
        line = one.line
        if line is None:
            items.append(receipt_form.item(one.meter, one.units, 1, 0, {}))
        else:
            price = line.price_nano or 0
            items.append(receipt_form.item(one.meter, one.units, line.per_units, price, line.condition.as_json()))
    return items, None


async def _called(session: AsyncSession, row: Call, call: Billed) -> Called:
    names = (await api_keys.names(session, [row.api_key_id])).get(row.api_key_id)
    provider = await providers.find_by_name(session, row.provider) if row.provider is not None else None
    return Called(
        id=call.id,
        at=from_us(call.started_us).isoformat(),
        team_id=call.team_id,
        team=names[1] if names is not None else None,
        api_key=names[0] if names is not None else None,
        project=row.project,
        endpoint=row.endpoint,
        model=row.model,
        provider=provider.kind if provider is not None else None,
        status=row.status,
        finish_reason=row.finish_reason,
        usage={meter: count for meter, count in meters(call.usage).items() if count},
        usage_source=call.usage_source,
        charged_as=call.charged_as,
    )
