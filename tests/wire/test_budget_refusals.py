"""A call that a budget refuses, as each format's clients read it."""

from __future__ import annotations

import json
from typing import Any

from app.base.errors import BudgetExceeded
from app.wire import openai_errors
from app.wire.aigne import client as aigne
from app.wire.anthropic import errors as anthropic
from app.wire.gemini import client as gemini

REFUSED = BudgetExceeded("The budget of team acme for today is used up.", retry_after_seconds=90)


def test_each_format_says_that_it_is_a_matter_of_money_and_final() -> None:
    openai: dict[str, Any] = json.loads(openai_errors.error_body(REFUSED, "c1"))["error"]
    claude: dict[str, Any] = json.loads(anthropic.error_body(REFUSED, "c1"))["error"]
    google: dict[str, Any] = json.loads(gemini.error_body(REFUSED, "c1"))["error"]

    assert (openai["type"], openai["code"], openai["owner"]) == ("insufficient_quota", "budget_exceeded", "you")
    assert (claude["type"], claude["code"]) == ("billing_error", "budget_exceeded")
    assert (google["code"], google["status"]) == (402, "FAILED_PRECONDITION")
    assert {one["message"] for one in (openai, claude, google)} == {REFUSED.sentence}
    assert "90s" in json.dumps(google)


def test_aignes_clients_do_not_send_people_to_buy_credits_for_a_budget() -> None:
    told: dict[str, Any] = json.loads(aigne.error_body(REFUSED, "c1"))["error"]

    assert (told["type"], told["code"], told["message"]) == ("budget_exceeded", "budget_exceeded", REFUSED.sentence)
