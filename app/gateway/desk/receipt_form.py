"""A receipt of one call, and how it is checked by whoever has nothing else: no database, no hub, no network.

All amounts are exact decimals in credits. The items come to the charge less `rounding`, which is below one
nano-credit: a charge is rounded up once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from app.base import money, signed
from app.base.errors import BadValue
from app.base.money import NANO
from app.base.signed import BadSignature, Signature
from app.domain.billing.proofs import Proof

VERSION = 1
_PARTS = 1_000_000
"""Of a nano-credit: what a single unit comes to where the price is for a million."""
_WHOLE = 10_000
"""Basis points of one."""
_EXACT = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,15}))?")


class Item(Struct, frozen=True, kw_only=True):
    """Units of one meter."""

    meter: str
    units: int
    per_units: int
    price: str
    """For `per_units`; 0 also where the units are a part of something else that has a price."""
    amount: str
    condition: Mapping[str, Any] = {}
    """Why this price and no other: such as a service tier, or the length of the input."""


class ReportedCost(Struct, frozen=True, kw_only=True):
    """In place of items, where the provider told in money alone what the call used."""

    cost_usd: str
    markup_percent: str
    credit_price_usd: str


class Paid(Struct, frozen=True, kw_only=True):
    """Where a part of the charge came from."""

    source: str
    """`grant`, `overage` (owed by the team) or `written_off` (borne by the hub)."""
    grant: str | None
    amount: str


class Called(Struct, frozen=True, kw_only=True):
    """The call. Times are UTC, ISO 8601."""

    id: str
    at: str
    team_id: str
    team: str | None
    api_key: str | None
    project: str | None
    endpoint: str
    model: str
    provider: str | None
    """What kind it is."""
    status: str
    finish_reason: str | None
    usage: Mapping[str, int]
    usage_source: str | None
    charged_as: str | None
    """The row of the charging policy that applied, and what it does."""


class Receipt(Struct, frozen=True, kw_only=True):
    version: int
    issued_at: str
    hub: str
    """Its address; empty where it has none that others can reach."""
    call: Called
    price_card: str | None
    items: Sequence[Item]
    reported_cost: ReportedCost | None
    rounding: str
    charge: str
    charge_nano: int
    paid_from: Sequence[Paid]
    journal: Proof | None
    """The settlement in the team's ledger, whole: its hash can be worked out again. None where nothing was charged."""
    refunds: Sequence[Proof]
    refunded: str


class Document(Struct, frozen=True, kw_only=True):
    """What is in the file."""

    receipt: Receipt
    signature: Signature


def item(meter: str, units: int, per_units: int, price_nano: int, condition: Mapping[str, Any]) -> Item:
    return Item(
        meter=meter,
        units=units,
        per_units=per_units,
        price=money.show_nano(price_nano),
        amount=show_parts(units * price_nano * (_PARTS // per_units)),
        condition=condition,
    )


def rounding_of(charge_nano: int, items: Sequence[Item]) -> str:
    """What the charge is above the sum of the items.

    Raises:
        BadValue: it is not a rounding.
    """
    rounding = charge_nano * _PARTS - sum(_parts(one.amount) for one in items)
    if not 0 <= rounding < _PARTS:
        raise BadValue("The items do not come to the charge.")
    return show_parts(rounding)


def show_parts(parts: int) -> str:
    """Millionths of a nano-credit as an exact decimal in credits."""
    whole, rest = divmod(parts, _PARTS * NANO)
    decimals = f"{rest:015d}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)


def check(raw: bytes, expected_key: str | None) -> tuple[Receipt, list[str]]:
    """The receipt in a file, and what was checked, in sentences. `expected_key` is a fingerprint or a public key.

    Raises:
        BadValue: it is not a receipt, or not one that this key signed, or it contradicts itself; the sentence says why.
    """
    try:
        document = msgspec.json.decode(raw)
        signature = msgspec.convert(document["signature"], Signature)
        signed.check(signature, document["receipt"])
        receipt = msgspec.convert(document["receipt"], Receipt)
    except BadSignature as bad:
        raise BadValue(str(bad)) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError):
        raise BadValue("This is not a receipt of a hub.") from None
    if receipt.version != VERSION:
        raise BadValue(f"The receipt has the form {receipt.version}, which this version of the hub does not know.")
    told = [f"Signed with the key {signature.fingerprint}; nothing was changed since."]
    if expected_key is not None:
        if expected_key.strip() not in (signature.public_key, signature.fingerprint):
            raise BadValue(f"It was signed with another key: {signature.fingerprint}.", param="key")
        told.append("That is the key which was expected.")
    else:
        told.append("Whose key that is was not checked: compare it with what the hub's operator has told you (--key).")
    told.append(_check_items(receipt))
    told += _check_journal(receipt)
    told += _check_refunds(receipt)
    return receipt, told


def _check_items(receipt: Receipt) -> str:
    charge = receipt.charge_nano
    if receipt.charge != money.show_nano(charge):
        raise BadValue("The charge is written in two ways that differ.")
    if receipt.reported_cost is not None:
        told = receipt.reported_cost
        cost, points = money.nano(told.cost_usd), money.basis_points(told.markup_percent)
        credit_price = money.nano(told.credit_price_usd)
        if credit_price <= 0 or charge != -(-cost * (_WHOLE + points) * NANO // (_WHOLE * credit_price)):
            raise BadValue("The provider's cost with the markup does not come to the charge.")
        return "The provider's cost with the markup comes to the charge, rounded up once."
    for one in receipt.items:
        if one.per_units not in (1, _PARTS) or one.units < 0:
            raise BadValue(f"The item {one.meter} is not one that a hub makes.")
        if _parts(one.amount) != one.units * money.nano(one.price) * (_PARTS // one.per_units):
            raise BadValue(f"The item {one.meter} is not its units times its price.")
    if receipt.rounding != rounding_of(charge, receipt.items):
        raise BadValue("The items and the rounding do not come to the charge.")
    return f"{len(receipt.items)} items come to the charge of {receipt.charge} credits, rounded up once."


def _check_journal(receipt: Receipt) -> list[str]:
    journal = receipt.journal
    if journal is None:
        if receipt.charge_nano or receipt.paid_from:
            raise BadValue("Something was charged, and no journal says so.")
        return ["Nothing was charged, so there is no journal."]
    _check_proof(receipt, journal)
    if journal.ref != f"settle:{receipt.call.id}" or journal.of("revenue") != receipt.charge_nano:
        raise BadValue("The journal is not that of this charge.")
    if list(receipt.paid_from) != paid_from(journal):
        raise BadValue("What the charge was paid from is not what the journal says.")
    return [f"Journal {journal.seq} of team {journal.team_id} says the same, and its hash is right."]


def _check_refunds(receipt: Receipt) -> list[str]:
    refunded = 0
    for proof in receipt.refunds:
        _check_proof(receipt, proof)
        if proof.kind != "refund" or proof.of("revenue") >= 0 or f":{receipt.call.id}:" not in proof.ref:
            raise BadValue(f"{proof.ref} is not a refund of this call.")
        refunded -= proof.of("revenue")
    if receipt.refunded != money.show_nano(refunded) or refunded > receipt.charge_nano:
        raise BadValue("The refunds do not come to what was refunded, or to more than the charge.")
    return [f"{len(receipt.refunds)} refunds come to {receipt.refunded} credits."] if receipt.refunds else []


def _check_proof(receipt: Receipt, proof: Proof) -> None:
    try:
        is_right = proof.digest() == proof.hash
    except ValueError:
        is_right = False
    if not is_right:
        raise BadValue(f"The hash of the journal {proof.ref} is not that of what it says.")
    if sum(amount for _, _, amount in proof.entries) or proof.team_id != receipt.call.team_id:
        raise BadValue(f"The journal {proof.ref} does not come to zero, or is another team's.")


def paid_from(journal: Proof) -> list[Paid]:
    """The parts of a settlement, as its entries have them."""
    names = {"wallet": "overage", "written_off": "written_off"}
    return [
        Paid(
            source="grant" if grant_id is not None else names.get(account, account),
            grant=grant_id,
            amount=money.show_nano(-amount),
        )
        for account, grant_id, amount in journal.entries
        if account != "revenue"
    ]


def _parts(text: str) -> int:
    found = _EXACT.fullmatch(text)
    if found is None:
        raise BadValue(f'"{text}" is not an exact amount.')
    return int(found[1]) * _PARTS * NANO + int((found[2] or "").ljust(15, "0"))
