"""Receipts: itemised to the last part of a nano-credit, signed, and checked with nothing but the file."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from app.base import signed
from app.base.errors import BadValue, NotFound
from app.base.money import nano
from app.base.signed import Signature
from app.base.vault import Vault, load_ring
from app.domain.billing import proofs
from app.gateway.desk import receipt_form, receipts
from tests.billed_calls import Billed, fill
from tests.domain.billing.ledger_desk import LedgerDesk, opened_desk

Json = dict[str, Any]


class Office:
    """Books with calls in them, and who writes receipts for these."""

    def __init__(self, desk: LedgerDesk, billed: Billed) -> None:
        self.desk, self.billed = desk, billed
        self.vault = Vault(load_ring(desk.settings))

    async def receipt(self, call_id: str) -> bytes:
        document = await receipts.make(self.desk.db, self.vault, call_id, "https://hub.example.com")
        return msgspec.json.encode(document)


@pytest.fixture
async def office(hub_environ: dict[str, str]) -> AsyncIterator[Office]:
    async with opened_desk(hub_environ) as desk:
        yield Office(desk, await fill(desk))


def exact(amount: str) -> Fraction:
    return Fraction(amount)


async def test_the_items_come_to_the_charge_but_for_what_was_rounded_up(office: Office) -> None:
    raw = await office.receipt(office.billed.long)

    paper = json.loads(raw)["receipt"]
    assert [(one["meter"], one["units"], one["per_units"], one["price"], one["amount"]) for one in paper["items"]] == [
        ("input", 2001, 1_000_000, "1.2", "0.0024012"),
        ("cache_read", 30, 1_000_000, "0", "0"),
        ("output", 501, 1_000_000, "2.400000002", "0.001202400001002"),
        ("requests", 1, 1, "0", "0"),
    ]
    assert paper["items"][2]["condition"] == {"service_tier": "flex"}
    assert (paper["charge"], paper["rounding"]) == ("0.003603601", "0.000000000998998")
    total = sum(exact(one["amount"]) for one in paper["items"]) + exact(paper["rounding"])
    assert total == exact(paper["charge"]) == Fraction(paper["charge_nano"], 10**9)
    assert sum(nano(one["amount"]) for one in paper["paid_from"]) == paper["charge_nano"]
    assert (paper["journal"]["ref"], paper["journal"]["team_id"]) == (f"settle:{office.billed.long}", "acme")
    assert [proof["reason"] for proof in paper["refunds"]] == ["It was slow.", "It was slow."]
    assert paper["refunded"] == "0.000021"


async def test_a_receipt_that_nobody_touched_is_good(office: Office) -> None:
    for call_id in (office.billed.long, office.billed.told, office.billed.free, office.billed.prompt):
        found, told = receipt_form.check(await office.receipt(call_id), None)
        assert (found.call.id, found.hub) == (call_id, "https://hub.example.com")
        assert len(told) >= 4


async def test_what_a_provider_told_in_money_is_shown_with_its_markup(office: Office) -> None:
    paper = json.loads(await office.receipt(office.billed.told))["receipt"]

    assert paper["items"] == []
    assert paper["reported_cost"] == {"cost_usd": "0.001234567", "markup_percent": "20", "credit_price_usd": "1"}
    assert paper["charge"] == "0.001481481"


async def test_a_free_call_has_a_receipt_over_nothing(office: Office) -> None:
    paper = json.loads(await office.receipt(office.billed.free))["receipt"]

    assert (paper["charge"], paper["items"], paper["journal"]) == ("0", [], None)
    assert paper["call"]["charged_as"] == "failed.none free"


async def test_what_is_owed_and_what_was_written_off_is_told(office: Office) -> None:
    paper = json.loads(await office.receipt(office.billed.prompt))["receipt"]

    assert [one["meter"] for one in paper["items"]] == ["input", "requests"], "its output was free"
    assert {one["source"] for one in paper["paid_from"]} == {"grant", "overage", "written_off"}
    assert next(one["amount"] for one in paper["paid_from"] if one["source"] == "overage") == "0.001"


def _set(*path: str | int, to: Any) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        place: Any = document["receipt"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def _more(*path: str | int) -> Callable[[Json], None]:
    def change(document: Json) -> None:
        place: Any = document["receipt"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] += 1

    return change


LIES: dict[str, Callable[[Json], None]] = {
    "this version of the hub does not know": _more("version"),
    "written in two ways": _set("charge", to="1"),
    "and the rounding do not come": _set("rounding", to="0.000000000000001"),
    "The items do not come": _set("items", to=[]),
    "not its units times its price": _more("items", 0, "units"),
    "is not one that a hub makes": _set("items", 0, "per_units", to=7),
    "is not an exact amount": _set("items", 0, "amount", to="1e-3"),
    "What the charge was paid from": _set("paid_from", to=[]),
    "no journal says so": _set("journal", to=None),
    "The hash of the journal": _set("journal", "reason", to="other"),
    "is not that of this charge": _set("call", "id", to="other"),
    "is another team's": _set("call", "team_id", to="other"),
    "The refunds do not come": _set("refunds", to=[]),
    "This is not a receipt": _set("items", to=None),
}


async def test_a_hub_that_signs_a_lie_is_contradicted_by_the_receipt_itself(office: Office) -> None:
    raw = await office.receipt(office.billed.long)
    seed = signed.new_seed()
    for sentence, change in LIES.items():
        document = json.loads(raw)
        change(document)
        document["signature"] = msgspec.to_builtins(signed.sign(seed, document["receipt"]))
        with pytest.raises(BadValue) as refusal:
            receipt_form.check(json.dumps(document).encode(), None)
        assert sentence in refusal.value.sentence, sentence


async def test_whoever_changes_a_receipt_breaks_its_signature(office: Office) -> None:
    raw = await office.receipt(office.billed.long)
    for change in (_set("call", "model", to="lab/large"), _set("hub", to=""), _more("items", 0, "units")):
        document = json.loads(raw)
        change(document)
        with pytest.raises(BadValue, match="changed after it was signed"):
            receipt_form.check(json.dumps(document).encode(), None)


@pytest.mark.parametrize("field", ["algorithm", "public_key", "fingerprint", "value"])
async def test_a_signature_with_another_part_in_it_is_refused(office: Office, field: str) -> None:
    document = json.loads(await office.receipt(office.billed.free))
    other = msgspec.to_builtins(signed.sign(signed.new_seed(), {"other": 1}))
    document["signature"][field] = "RSA" if field == "algorithm" else other[field]

    with pytest.raises(BadValue):
        receipt_form.check(json.dumps(document).encode(), None)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'"x"', b"\xff", b'{"receipt": {}, "signature": {}}', b"1" * 100])
def test_what_is_no_receipt_is_called_none(raw: bytes) -> None:
    with pytest.raises(BadValue, match="This is not a receipt of a hub"):
        receipt_form.check(raw, None)


async def test_layout_and_order_of_the_file_make_no_difference(office: Office) -> None:
    document = json.loads(await office.receipt(office.billed.long))
    shuffled = json.dumps(dict(reversed(document.items())), indent=4, sort_keys=True)

    assert receipt_form.check(shuffled.encode(), None)[0].call.id == office.billed.long


async def test_the_key_stays_and_can_be_asked_for(office: Office) -> None:
    public = await receipts.public_key(office.desk.db, office.vault)
    raw = await office.receipt(office.billed.free)

    for key in (signed.fingerprint(public), base64.b64encode(public).decode()):
        assert "That is the key which was expected." in receipt_form.check(raw, key)[1]
    with pytest.raises(BadValue, match="signed with another key"):
        receipt_form.check(raw, signed.fingerprint(b"x" * 32))
    async with office.desk.db.reading() as session:
        stored = await session.scalar(text("SELECT value FROM hub_setting WHERE key = 'receipts.key'"))
    assert str(stored).startswith("v1."), "it is sealed"


async def test_a_call_that_was_not_charged_in_credits_has_no_receipt(office: Office) -> None:
    with pytest.raises(NotFound):
        await office.receipt("none")
    with pytest.raises(BadValue, match="still runs"):
        await office.receipt(office.billed.running)
    async with office.desk.db.writing() as session:
        await session.execute(
            text("UPDATE call SET billing = 'cost', charge_nano = NULL WHERE id = :id"), {"id": office.billed.free}
        )
    with pytest.raises(BadValue, match="was not charged in credits"):
        await office.receipt(office.billed.free)


@pytest.mark.parametrize("change", ["charge_nano = charge_nano + 1", "refunded_nano = 1", "output = output + 1000"])
async def test_what_the_books_do_not_explain_is_not_signed(office: Office, change: str) -> None:
    async with office.desk.db.writing() as session:
        await session.execute(text(f"UPDATE call SET {change} WHERE id = :id"), {"id": office.billed.long})

    with pytest.raises(BadValue, match="hub verify"):
        await office.receipt(office.billed.long)


async def test_the_journal_in_a_receipt_is_that_of_the_books(office: Office) -> None:
    async with office.desk.db.reading() as session:
        found = await proofs.settlement(session, office.billed.long)

    assert found is not None
    assert found.digest() == found.hash
    assert json.loads(await office.receipt(office.billed.long))["receipt"]["journal"] == json.loads(
        msgspec.json.encode(found)
    )


def test_the_canonical_text_is_sorted_and_without_white_space() -> None:
    assert (
        signed.canonical({"b": [1, None], "a": {"d": "ü", "c": True}})
        == '{"a":{"c":true,"d":"ü"},"b":[1,null]}'.encode()
    )
    seed = signed.new_seed()
    made = signed.sign(seed, {"a": 1})
    signed.check(made, {"a": 1})
    with pytest.raises(signed.BadSignature, match="not base64"):
        signed.check(Signature(algorithm="Ed25519", public_key="?", fingerprint="", value=""), {"a": 1})
