"""A call's page says what it came to, line by line, and adds up."""

from __future__ import annotations

import re

from app.base.money import NANO, nano
from app.base.usage import Usage
from app.domain.calls import recorder
from app.domain.calls.recorder import Beginning, Ending
from app.domain.catalog import cards, cards_store
from app.domain.catalog.cards import Card, Line
from tests.web.hub_of_pages import Hub, opened

CALL = "0" * 31 + "1"


def _card() -> Card:
    return cards.make(
        deployment_id="d",
        lines=[
            Line(rate_id="a", meter="input", per_units=1_000_000, cost_nano=nano("2.5"), price_nano=nano("3")),
            Line(
                rate_id="b", meter="output", per_units=1_000_000, cost_nano=nano("10"), price_nano=nano("12.345678901")
            ),
        ],
        credit_price_nano=NANO,
        markup_basis_points=2_000,
    )


async def _record(hub: Hub, **ending: object) -> None:
    card = _card()
    beginning = Beginning(
        id=CALL, boot_id="b", team_id="t", api_key_id="k", project=None, endpoint="chat.completions", model="x/y",
        is_streamed=False, client=None, started_us=1_795_000_000_000_000, billing="credits", user_id=None,
    )  # fmt: skip
    told: dict[str, object] = {
        "status": "succeeded", "queue_us": 1, "first_byte_us": 2, "total_us": 3, "provider": "one",
        "deployment_id": "d", "credential_id": "c", "upstream_model": "y", "upstream_id": None, "attempts": 1,
        "http_status": 200, "finish_reason": "stop", "error_code": None, "error_owner": None, "error_text": None,
        "usage_source": "provider", "provider_cost_nano": None, "card_id": card.id,
        "charged_as": "completed.some charge", "cost_nano": 55_000, "charge_nano": 67_730, **ending,
    }  # fmt: skip
    writer = hub.gateway.shared.writer
    usage = Usage(input=2, output=5, requests=1)
    posting = writer.post(
        recorder.begin(beginning),
        recorder.end(CALL, Ending(**told), usage),
        cards_store.keep(card, 1),  # type: ignore[arg-type]
    )
    await posting.committed()


def _money(page: str) -> list[list[str]]:
    table = page.split('id="money-title"', 1)[1].split("</section>", 1)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


async def test_the_lines_of_a_charge_are_exact_and_rounded_once(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await _record(hub)
        browser = await hub.signed_in()

        page = (await browser.get(f"/calls/{CALL}")).text

        assert _money(page) == [
            ["Part", "Units", "Cost in USD", "Charge in credits"],
            ["Input", "2", "0.000005", "0.000006"],
            ["Output", "5", "0.00005", "0.000061728394505"],
            ["Requests", "1", "included", "included"],
            ["Together rounded up once", "", "0.000055", "0.00006773"],
        ]
        assert "The answer was complete: what was used is charged." in page


async def test_what_was_given_back_and_what_was_not_charged_is_said(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await _record(hub, charged_as="client_gone.some input_only", charge_nano=6_000, status="client_gone")
        browser = await hub.signed_in()

        rows = _money((await browser.get(f"/calls/{CALL}")).text)

        assert rows[2] == ["Output", "5", "0.00005", "not charged"]
        assert rows[-1] == ["Together", "", "0.000055", "0.000006"]


async def test_the_list_of_calls_shows_what_each_was_charged(hub_environ: dict[str, str]) -> None:
    async with opened(hub_environ) as hub:
        await _record(hub)
        browser = await hub.signed_in()

        page = (await browser.get("/")).text

        assert '<th scope="col" class="number">Charge</th>' in page
        assert '<td data-label="Charge" class="number">0.00006773</td>' in page
