"""`hub credits` and `hub voucher`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.ops.conftest import HubCommand


@pytest.fixture
def acme(hub: HubCommand) -> HubCommand:
    hub("key", "create", "--team", "acme", "--name", "ci")
    return hub


def has(hub: HubCommand) -> dict[str, Any]:
    return hub.json("credits", "balance", "acme")


def test_credits_are_given_and_taken_with_a_reason_and_listed(acme: HubCommand) -> None:
    assert has(acme)["free"] == "0"
    acme("credits", "grant", "acme", "12.5", "--reason", "welcome")
    told = acme.json("credits", "deduct", "acme", "2.25", "--reason", "too much")

    assert (told["free"], told["balance"], told["frozen"]) == ("10.25", "10.25", False)
    [row] = acme.json("credits", "list", "acme")
    assert (row["credits"], row["left"], row["source"], row["reason"]) == (
        "12.5",
        "10.25",
        "console",
        "welcome",
    )
    moves = acme.json("credits", "list", "acme", "--movements")
    assert [(row["kind"], row["credits"], row["reason"], row["actor"]) for row in moves] == [
        ("deduct", "-2.25", "too much", "command"),
        ("grant", "12.5", "welcome", "command"),
    ]
    assert "welcome" in acme("credits", "list", "acme").stdout


@pytest.mark.databases("sqlite")
def test_a_grant_begins_and_ends_when_it_says(acme: HubCommand) -> None:
    year = datetime.now(UTC).year
    terms = ("--category", "paid", "--priority", "9", "--begins", f"{year + 2}-01-01")
    acme("credits", "grant", "acme", "5", "--reason", "later", *terms)
    acme("credits", "grant", "acme", "7", "--reason", "now", "--expires", f"{year + 1}-06-30")

    assert (has(acme)["free"], has(acme)["balance"]) == ("7", "12")
    assert has(acme)["next_end"] == f"{year + 1}-06-30T00:00:00Z"
    now, later = acme.json("credits", "list", "acme")
    assert (now["state"], later["state"], later["priority"], later["category"]) == ("granted", "pending", 9, "paid")


@pytest.mark.databases("sqlite")
def test_what_cannot_be_is_said_in_a_sentence_and_nothing_happens(acme: HubCommand) -> None:
    acme("credits", "grant", "acme", "3", "--reason", "welcome")
    before = has(acme)

    for arguments, sentence in (
        (("grant", "acme", "1e3", "--reason", "x"), "is not an amount"),
        (("grant", "acme", "0", "--reason", "x"), "more than zero credits"),
        (("grant", "acme", "1", "--reason", ""), "Say why"),
        (("grant", "nobody", "1", "--reason", "x"), 'no team "nobody"'),
        (("deduct", "acme", "5", "--reason", "x"), "to take 5, 2 are missing"),
        (("refund", "0" * 32, "--reason", "x"), "There is no call"),
        (("line", "acme", "--", "-1"), "zero or more"),
    ):
        assert sentence in acme("credits", *arguments, expect=1).stderr
    assert has(acme) == before


@pytest.mark.databases("sqlite")
def test_a_team_is_frozen_let_go_and_given_a_line(acme: HubCommand) -> None:
    assert acme.json("credits", "freeze", "acme")["frozen"] is True
    assert acme.json("credits", "unfreeze", "acme")["frozen"] is False
    told = acme.json("credits", "line", "acme", "20")

    assert (told["line"], told["free"], told["balance"]) == ("20", "20", "0")


def test_vouchers_are_made_redeemed_once_listed_and_stopped(acme: HubCommand) -> None:
    codes = acme("voucher", "make", "spring", "5", "--count", "3", "--days", "30").stdout.split()
    assert len(codes) == 3

    told = acme.json("voucher", "redeem", codes[0], "acme")
    assert (told["credits"], told["batch"]) == ("5", "spring")
    end = datetime.fromisoformat(told["expires_at"])
    assert timedelta(days=29) < end - datetime.now(UTC) < timedelta(days=31)
    assert has(acme)["free"] == "5"
    assert "used up" in acme("voucher", "redeem", codes[0], "acme", expect=1).stderr
    assert "no voucher code" in acme("voucher", "redeem", codes[0][:-2], "acme", expect=1).stderr

    listed = acme("voucher", "list").stdout + acme("voucher", "list", "--batch", "spring").stdout
    assert "spring" in listed and codes[0][:4] in listed and not any(code in listed for code in codes)
    assert acme.json("voucher", "disable", "spring")["disabled"] == 3
    assert "no longer" in acme("voucher", "redeem", codes[1], "acme", expect=1).stderr
    [batch] = acme.json("voucher", "list")
    assert (batch["codes"], batch["uses"], batch["of"], batch["disabled"]) == (3, 1, 3, 3)
