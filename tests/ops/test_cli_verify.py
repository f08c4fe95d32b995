"""`hub verify` and `hub receipt`, as an operator and a customer run them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.billed_calls import Billed, fill
from tests.domain.billing.ledger_desk import opened_desk
from tests.ops.conftest import HubCommand


@pytest.fixture
def billed(hub: HubCommand) -> Billed:
    async def work() -> Billed:
        async with opened_desk(hub.environ) as desk:
            return await fill(desk)

    return asyncio.run(work())


def run_sql(hub: HubCommand, statement: str) -> None:
    async def work() -> None:
        async with opened_desk(hub.environ) as desk, desk.db.writing() as session:
            await session.execute(text(statement))

    asyncio.run(work())


def test_an_empty_hub_is_right(hub: HubCommand) -> None:
    assert hub.json("verify") == {"ok": True, "checked": {"holds": 0}, "first": None, "findings": []}


def test_right_books_give_exit_code_0_and_say_what_was_looked_at(hub: HubCommand, billed: Billed) -> None:
    told = json.loads(hub("verify").stdout)

    assert told["ok"] is True
    assert {"journals", "entries", "accounts", "grants", "holds", "calls", "roots"} <= told["checked"].keys()
    assert "calls" not in json.loads(hub("verify", "--no-calls").stdout)["checked"]
    assert json.loads(hub("verify", "--since", "2099-01-01").stdout)["checked"].get("accounts") is None


def test_one_nano_credit_too_many_gives_exit_code_1_and_the_name_of_the_row(hub: HubCommand, billed: Billed) -> None:
    run_sql(hub, "UPDATE account SET posted_nano = posted_nano + 1")

    told = json.loads(hub("verify", expect=1).stdout)

    first = told["first"]
    assert (first["check"], first["table"], first["key"]) == ("posted", "account", "acme")
    assert first["says"] == first["should"] + 1
    assert (told["ok"], told["findings"]) == (False, [first])
    assert len(json.loads(hub("verify", "--all", expect=1).stdout)["findings"]) == 4


def test_a_receipt_is_checked_without_the_hub(hub: HubCommand, billed: Billed, tmp_path: Path) -> None:
    paper = tmp_path / "receipt.json"
    assert "0.003603601 credits" in hub("receipt", billed.long, "--out", str(paper)).stdout
    key = hub.json("receipt", "--public-key")
    elsewhere = HubCommand(
        {"HUB_DATA_DIR": str(tmp_path / "nowhere"), "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    )

    said = elsewhere("receipt", "--verify", str(paper), "--key", key["fingerprint"]).stdout
    told = elsewhere.json("receipt", "--verify", str(paper), "--key", key["public_key"])

    assert "over 0.003603601 credits is good" in said and "rounded up once" in said
    assert (told["ok"], told["call"], told["charge_nano"]) == (True, billed.long, 3_603_601)
    assert not (tmp_path / "nowhere").exists()
    assert json.loads(hub("receipt", billed.long).stdout)["receipt"]["charge_nano"] == 3_603_601


def test_a_receipt_that_is_not_genuine_gives_exit_code_1_and_why(
    hub: HubCommand, billed: Billed, tmp_path: Path
) -> None:
    paper = tmp_path / "receipt.json"
    hub("receipt", billed.long, "--out", str(paper))

    assert "signed with another key" in hub("receipt", "--verify", str(paper), "--key", "00", expect=1).stderr
    paper.write_text(paper.read_text().replace('"0.0024012"', '"0.0014012"'))
    assert "changed after it was signed" in hub("receipt", "--verify", str(paper), expect=1).stderr
    paper.write_text("hello")
    assert "not a receipt" in hub("receipt", "--verify", str(paper), expect=1).stderr


def test_a_call_without_a_charge_has_no_receipt(hub: HubCommand, billed: Billed) -> None:
    assert "There is no call nothing" in hub("receipt", "nothing", expect=1).stderr
    assert "still runs" in hub("receipt", billed.running, expect=1).stderr


def test_a_receipt_is_either_made_or_checked(hub: HubCommand) -> None:
    hub("receipt", expect=2)
    hub("receipt", "call", "--public-key", expect=2)
