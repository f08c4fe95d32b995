"""What a call came to, line by line, as its page shows it: exact amounts, so that they add up to what was charged."""

from __future__ import annotations

from decimal import Context, Decimal

from msgspec import Struct

from app.base.money import NANO
from app.base.usage import METERS, Usage
from app.domain.calls.models import Call
from app.domain.catalog import cards, policy
from app.domain.catalog.cards import Card, Item

_EXACT = Context(prec=40)
_ENDINGS = {
    "completed": "the answer was complete",
    "empty": "the answer was empty",
    "refused": "the model declined",
    "out_of_credit": "the answer ended where the credits did",
    "client_gone": "the client left",
    "failed": "the provider failed",
    "stopped": "the call was stopped",
    "killed": "the hub's process ended",
}
_ACTIONS = {"charge": "what was used is charged", "input_only": "only what went in is charged", "free": "free"}


class BillRow(Struct, frozen=True, kw_only=True):
    meter: str
    units: int
    cost: str
    """USD, exact; empty where nobody knows."""
    charge: str
    """Credits, exact; empty where nothing is charged."""


class BillView(Struct, frozen=True, kw_only=True):
    rows: list[BillRow]
    ruling: str
    """How the call ended and what that means for its charge; empty where credits are off."""
    is_rounded: bool
    """Whether the lines come to a part of a nano-credit, so that the sum is rounded up."""


def bill_view(call: Call, card: Card | None) -> BillView:
    """Of a call that has ended; without a card there are no lines."""
    usage = Usage(**{meter: int(getattr(call, meter)) for meter in METERS})
    row, _, action = (call.charged_as or "").partition(" ")
    ending = _ENDINGS.get(row.partition(".")[0], row)
    ruling = ""
    if call.charge_nano is not None and row:
        ruling = f"{ending[:1].upper()}{ending[1:]}: {_ACTIONS.get(action, action)}."
    if card is None or call.usage_source == "reported_cost":
        return BillView(rows=[], ruling=ruling, is_rounded=False)
    facts = cards.read_facts(call.price_facts, call.started_us)
    charged = policy.charged(usage, action) if action in policy.ACTIONS else usage
    is_charged = call.charge_nano is not None and charged is not None
    priced = {item.meter: item for item in cards.items(card, charged, facts)} if is_charged and charged else {}
    total = Decimal(0)
    rows: list[BillRow] = []
    for item in cards.items(card, usage, facts):
        sold = priced.get(item.meter)
        charge = _amount(sold, "price_nano") if sold is not None else None
        total = _EXACT.add(total, charge or Decimal(0))
        rows.append(
            BillRow(meter=item.meter, units=item.units, cost=_shown(_amount(item, "cost_nano")), charge=_shown(charge))
        )
    return BillView(rows=rows, ruling=ruling, is_rounded=total != total.to_integral_value())


def _amount(item: Item, of: str) -> Decimal | None:
    """In nano, exact: a part of one is possible. None where the line does not say; without a line it is part of
    another one."""
    if item.line is None:
        return None
    nano = getattr(item.line, of)
    return None if nano is None else _EXACT.divide(Decimal(item.units * nano), Decimal(item.line.per_units))


def _shown(nano: Decimal | None) -> str:
    if nano is None:
        return ""
    text = f"{_EXACT.divide(nano, Decimal(NANO)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
