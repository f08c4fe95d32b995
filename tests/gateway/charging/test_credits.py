"""The life of a call where credits are charged: held, extended, charged once, refused in good time."""

from __future__ import annotations

import asyncio

import pytest

from app.base.money import show_nano
from tests.credit_hubs import CREDIT, TOKEN, account, credit_hub, holds, journals, priced
from tests.emulators.handle import Upstream
from tests.hubs import HELLO, events, running_hub, said

LONG = [{"role": "user", "content": "count to 400"}]


async def test_a_call_is_charged_for_what_it_consumed_and_nothing_stays_held(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream) as hub:
        answer = await hub.chat()

        assert answer.status_code == 200
        usage = answer.json()["usage"]
        call = await hub.last_call()
        exact = usage["completion_tokens"] * TOKEN + usage["prompt_tokens"] * 1000
        assert call.charge_nano == exact
        assert call.cost_nano == exact // 2
        assert (call.billing, call.charged_as) == ("credits", "completed.some charge")
        books = await account(hub)
        assert (books.posted_nano, books.held_nano, books.overage_nano) == (CREDIT - exact, 0, 0)
        assert [hold.state for hold in await holds(hub)] == ["settled"]
        assert [journal.kind for journal in await journals(hub)] == ["grant", "settle"]


async def test_a_team_without_credits_is_refused_before_the_provider_is_asked(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream, "0.001") as hub:
        answer = await hub.chat()

        assert answer.status_code == 402
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("insufficient_credits", "insufficient_quota")
        assert "acme has 0.001" in error["message"]
        assert upstream.calls() == []
        assert (await account(hub)).held_nano == 0


async def test_an_aigne_client_is_told_in_its_own_words_and_where_to_buy(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, "0.001")
    file["settings"] = {"purchase_link": "https://hub.example/buy"}
    async with running_hub(hub_environ, file) as hub:
        body = {"model": "chat", "input": {"messages": [{"role": "user", "content": "hello"}]}}
        answer = await hub.http.post("/api/v2/chat", json=body)

        assert answer.status_code == 402
        error = answer.json()["error"]
        assert error["type"] == "NOT_ENOUGH"
        assert error["link"] == "https://hub.example/buy"


async def test_of_many_at_once_exactly_as_many_are_served_as_can_be_paid(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream, "0.705", models={"chat": "one/slow-20"}) as hub:
        answers = await asyncio.gather(*(hub.chat(max_tokens=100) for _ in range(64)))

        served = [answer for answer in answers if answer.status_code == 200]
        assert {answer.status_code for answer in answers} == {200, 402}
        # Seven holds of a hundred tokens; what those give back may let in some more.
        assert len(served) >= 7
        books = await account(hub)
        charged = sum(call.charge_nano or 0 for call in await hub.calls())
        assert books.posted_nano == int(0.705 * CREDIT) - charged >= 0
        assert books.held_nano == 0


async def test_a_stream_grows_its_hold_and_ends_legally_where_the_credits_end(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream, "0.2", models={"chat": "one/gpt-4o-mini"}) as hub:
        answer = await hub.stream(messages=LONG, stream_options={"include_usage": True})

        pieces = events(answer.text)
        assert pieces[-1] == "[DONE]"
        assert '"finish_reason":"length"' in answer.text
        assert said(answer.text).startswith("1, 2, 3") or said(answer.text)
        call = await hub.last_call()
        assert (call.status, call.finish_reason) == ("succeeded", "length")
        assert call.charged_as == "out_of_credit.some charge"
        books = await account(hub)
        assert books.posted_nano >= 0, show_nano(books.posted_nano)
        assert books.held_nano == 0


async def test_streams_that_spend_the_same_credits_end_legally_and_leave_no_debt_beyond_a_slice(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream, "1.5", models={"chat": "one/slow-5"}) as hub:
        answers = await asyncio.gather(*(hub.stream(messages=LONG, max_tokens=1000) for _ in range(5)))

        assert {answer.status_code for answer in answers} == {200}
        assert all(events(answer.text)[-1] == "[DONE]" for answer in answers)
        calls = await hub.calls()
        assert {call.status for call in calls} == {"succeeded"}
        cut = [call for call in calls if call.charged_as == "out_of_credit.some charge"]
        assert cut and {call.finish_reason for call in cut} == {"length"}
        books = await account(hub)
        assert books.posted_nano >= -256 * TOKEN
        assert books.held_nano == 0


async def test_an_answer_in_one_piece_is_bounded_to_what_can_be_paid(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream, "0.1") as hub:
        answer = await hub.chat(messages=LONG, max_tokens=5000)

        assert answer.status_code == 200
        assert int(answer.headers["x-hub-max-output"]) <= 100
        assert upstream.last()["body"]["max_tokens"] <= 100
        assert answer.json()["choices"][0]["finish_reason"] == "length"
        assert (await account(hub)).posted_nano >= 0


async def test_a_bound_that_nobody_set_is_not_one_that_a_model_may_refuse(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream, "20") as hub:
        # Credits for twenty thousand tokens: more than some models may be told.
        answer = await hub.chat(messages=LONG)

        assert answer.status_code == 200
        assert "x-hub-max-output" not in answer.headers
        assert not {"max_tokens", "max_completion_tokens"} & upstream.last()["body"].keys()


async def test_a_model_without_a_price_cannot_be_called_and_only_the_admin_hears_why(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream)
    del file["models"][0]["price"], file["models"][0]["cost"]
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat()

        assert answer.status_code == 503
        assert "price" not in answer.text
        assert upstream.calls() == []
        assert (await hub.http.get("/v1/models")).json()["data"] == []


async def test_an_explicit_zero_is_free_and_needs_no_credits(hub_environ: dict[str, str], upstream: Upstream) -> None:
    file = priced(upstream, "0")
    file["models"][0]["price"] = {"input": "0", "output": "0"}
    async with running_hub(hub_environ, file) as hub:
        answer = await hub.chat()

        assert answer.status_code == 200
        assert (await hub.last_call()).charge_nano == 0


async def test_in_cost_mode_every_call_has_its_cost_and_nobody_needs_credits(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    async with credit_hub(hub_environ, upstream, "0", billing="cost") as hub:
        answer = await hub.stream()

        assert answer.status_code == 200
        call = await hub.last_call()
        assert call.cost_nano == (call.output * TOKEN + call.input * 1000) // 2
        assert (call.charge_nano, await holds(hub)) == (None, [])


async def test_a_client_that_leaves_is_charged_for_what_it_got(hub_environ: dict[str, str], upstream: Upstream) -> None:
    async with credit_hub(hub_environ, upstream, "1", models={"chat": "one/slow-30"}) as hub:
        body = {"model": "chat", "messages": LONG, "stream": True}
        async with hub.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.aiter_lines()
            for _ in range(8):
                await anext(lines)

        call = await hub.last_call()
        assert call.status == "client_gone"
        assert call.charged_as == "client_gone.some charge"
        assert call.charge_nano and 0 < call.charge_nano < CREDIT
        books = await account(hub)
        assert (books.posted_nano, books.held_nano) == (CREDIT - call.charge_nano, 0)


@pytest.mark.parametrize(
    ("model", "row", "is_charged"),
    [
        ("fault-cut-after-4", "failed.some charge", True),
        ("fault-500", "failed.none free", False),
        ("fault-zero-usage", None, None),
    ],
)
async def test_the_policy_that_applied_stands_on_the_call(
    hub_environ: dict[str, str], upstream: Upstream, model: str, row: str | None, is_charged: bool | None
) -> None:
    async with credit_hub(hub_environ, upstream, "1", models={"chat": f"one/{model}"}) as hub:
        await hub.http.post("/v1/chat/completions", json={"model": "chat", "messages": HELLO, "stream": True})

        call = await hub.last_call()
        if row is not None:
            assert call.charged_as == row
            assert bool(call.charge_nano) == is_charged
        else:
            # An explicit zero is a zero: nothing is put in its place.
            assert (call.usage_source, call.charge_nano) == ("provider", 0)
        assert (await account(hub)).held_nano == 0


async def test_an_owner_can_change_what_a_row_of_the_policy_charges(
    hub_environ: dict[str, str], upstream: Upstream
) -> None:
    file = priced(upstream, models={"chat": "one/fault-cut-after-4"})
    file["settings"] = {"charging_policy": "failed.some=free"}
    async with running_hub(hub_environ, file) as hub:
        await hub.http.post("/v1/chat/completions", json={"model": "chat", "messages": HELLO, "stream": True})

        call = await hub.last_call()
        assert (call.charged_as, call.charge_nano) == ("failed.some free", 0)
        assert (await account(hub)).posted_nano == CREDIT
