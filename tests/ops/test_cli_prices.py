"""`hub prices`: what differs, taking it over, and bringing a newer bundle."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from app.adapters.prices import feed
from app.adapters.prices.feed import FeedFailed
from app.domain.catalog import bundle, deployments, providers, rates
from app.ops import house, price_bundles
from tests.domain.catalog.bundles import raw
from tests.ops.conftest import HubCommand

pytestmark = pytest.mark.databases("sqlite")

OUTPUT = {"meter": "output", "cost_nano": 10_000_000_000, "review_cost_nano": 12_500_000_000}
FLEX = {"condition": {"service_tier": "flex", "input_over": 200_000}, "cost_nano": 500_000_000}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.json"
    path.write_bytes(raw({}, OUTPUT, FLEX, version="2999-01-01"))
    return path


@pytest.fixture
def served(hub: HubCommand) -> HubCommand:
    """A hub with gpt-9 at OpenAI, and one model that no bundle knows."""

    async def add() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            openai = await providers.add(session, name="lab", kind="openai")
            for name in ("gpt-9", "mystery"):
                model = await deployments.add_model(session, name=f"our/{name}", type="chat")
                await deployments.add(session, model_id=model.id, provider_id=openai.id, upstream_model=name)

    asyncio.run(add())
    return hub


def _costs(hub: HubCommand) -> dict[str, int | None]:
    async def read() -> dict[str, int | None]:
        async with house.opened(hub.settings) as opened, opened.db.reading() as session:
            ids = [one.id for one in await deployments.listed(session)]
            cards = await rates.newest(session, ids)
            return {meter: line.cost_nano for card in cards.values() for meter, line in card.items()}

    return asyncio.run(read())


def _own_cost(hub: HubCommand, cost_nano: int) -> None:
    async def add() -> None:
        async with house.opened(hub.settings) as opened, opened.db.writing() as session:
            for one in await deployments.listed(session):
                if one.upstream_model == "gpt-9":
                    lines = [rates.NewLine("input", cost_nano, None)]
                    await rates.add_lines(session, one.id, lines, source="console")

    asyncio.run(add())


def test_diff_shows_what_would_change_and_changes_nothing(served: HubCommand, file: Path) -> None:
    shown = served("prices", "diff", str(file)).stdout

    assert "Prices of 2999-01-01" in shown
    [flex] = [line for line in shown.splitlines() if "flex" in line]
    assert "over 200,000 tokens in" in flex and "0.5" in flex
    [output] = [line for line in shown.splitlines() if "output" in line]
    assert "sources disagree, up to 12.5" in output
    assert "No price is known for: our/mystery at lab." in shown
    assert _costs(served) == {}


def test_apply_takes_the_costs_over_once(served: HubCommand, file: Path) -> None:
    assert "Done: 3 rates added" in served("prices", "apply", str(file), "--yes").stdout

    assert _costs(served) == {"input": 1_000_000_000, "output": 10_000_000_000}
    assert "No cost differs." in served("prices", "apply", str(file)).stdout
    again = served.json("prices", "apply", str(file), "--yes")
    assert (again["changes"], again["is_applied"]) == ([], False)


def test_apply_does_nothing_when_nobody_can_be_asked(served: HubCommand, file: Path) -> None:
    refused = served("prices", "apply", str(file), expect=1)

    assert "Nothing was changed. Say --yes" in refused.stderr
    assert _costs(served) == {}
    served("prices", "apply", str(file), "--json", expect=1)
    assert _costs(served) == {}


def test_apply_asks_a_person_first(served: HubCommand, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ops.console.is_terminal", lambda: True)

    served("prices", "apply", str(file), input="n\n", expect=1)
    assert _costs(served) == {}
    served("prices", "apply", str(file), input="y\n")
    assert _costs(served)["input"] == 1_000_000_000


def test_a_cost_set_by_hand_is_told_and_kept_until_replaced(served: HubCommand, file: Path) -> None:
    _own_cost(served, 900_000_000)

    told = served("prices", "apply", str(file), "--yes").stdout
    assert "Kept: input of our/gpt-9 at lab costs 0.9 as console says, not 1 (--replace takes that)." in told
    assert _costs(served)["input"] == 900_000_000

    served("prices", "apply", str(file), "--replace", "--yes")
    assert _costs(served)["input"] == 1_000_000_000


def test_json_says_the_same_with_exact_numbers(served: HubCommand, file: Path) -> None:
    found = served.json("prices", "diff", str(file), "--provider", "lab")

    assert (found["version"], found["is_applied"]) == ("2999-01-01", False)
    assert {(one["meter"], one["new_cost_nano"], one["why"]) for one in found["changes"]} == {
        ("input", 1_000_000_000, "new"),
        ("input", 500_000_000, "new"),
        ("output", 10_000_000_000, "new"),
    }
    assert [one["upstream_model"] for one in found["unmatched"]] == ["mystery"]


def test_a_provider_that_is_not_there_is_an_error(served: HubCommand, file: Path) -> None:
    for command in ("diff", "apply"):
        refused = served("prices", command, str(file), "--provider", "nobody", expect=1)
        assert "There is no provider nobody." in refused.stderr


def test_without_a_file_the_shipped_bundle_counts(served: HubCommand) -> None:
    assert served.json("prices", "diff")["version"] == bundle.shipped().version


def test_an_imported_bundle_counts_from_then_on(served: HubCommand, file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    imported = served.json("prices", "import", str(file), "--sha256", digest.upper())

    assert (imported["version"], imported["rows"], imported["sha256"]) == ("2999-01-01", 3, digest)
    assert served.json("prices", "diff")["version"] == "2999-01-01"
    assert "table 1" in served("prices", "import", str(file)).stdout
    assert _costs(served) == {}


@pytest.mark.parametrize(
    ("content", "options", "what"),
    [
        (b"{", (), "no price bundle"),
        (raw({"meter": "tokens"}, version="2999-01-01"), (), "Row 1 (openai gpt-9)"),
        (raw({}, version="2020-01-01"), (), "the hub has that of"),
        (raw({}, version="2999-01-01"), ("--sha256", "0" * 64), "is not the file that was meant"),
        (raw({}, version="2999-01-01"), ("--sha256", "½"), "is not the file that was meant"),
    ],
)
def test_a_bundle_that_cannot_be_taken_leaves_the_one_before(
    hub: HubCommand, tmp_path: Path, content: bytes, options: tuple[str, ...], what: str
) -> None:
    before = price_bundles.current(hub.settings).version
    path = tmp_path / "bundle.json"
    path.write_bytes(content)

    assert what in hub("prices", "import", str(path), *options, expect=1).stderr
    assert price_bundles.current(hub.settings).version == before
    assert not (hub.settings.data_dir / "prices.json").exists()


def test_a_newer_hub_does_not_go_on_with_an_older_import(hub: HubCommand) -> None:
    path = hub.settings.data_dir / "prices.json"

    path.write_bytes(raw({}, version="2020-01-01"))
    assert price_bundles.current(hub.settings).version == bundle.shipped().version
    path.write_bytes(raw({}, version=f"{bundle.shipped().version}.2"))
    assert price_bundles.current(hub.settings).version == f"{bundle.shipped().version}.2"


def test_an_import_can_be_taken_back_by_another(hub: HubCommand, file: Path) -> None:
    hub("prices", "import", str(file))
    before = f"{bundle.shipped().version}.10"
    file.write_bytes(raw({}, version=before))

    hub("prices", "import", str(file))

    assert price_bundles.current(hub.settings).version == before


def _feed(monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception) -> list[str]:
    asked: list[str] = []

    async def fetch(url: str, *, max_bytes: int, **_: Any) -> bytes:
        asked.append(url)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(feed, "fetch", fetch)
    return asked


def test_refresh_takes_what_the_address_gives(served: HubCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    served.environ["HUB_PRICES_URL"] = "https://prices.example/bundle.json"
    asked = _feed(monkeypatch, raw({}, version="2999-01-01"))

    assert served.json("prices", "refresh")["is_new"] is True
    assert "Nothing new" in served("prices", "refresh").stdout
    assert asked == ["https://prices.example/bundle.json"] * 2
    assert served.json("prices", "diff")["version"] == "2999-01-01"
    assert _costs(served) == {}


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (FeedFailed("https://prices.example/bundle.json answered 500."), "answered 500"),
        (b"<html>", "goes on with the prices of 2999-01-01"),
        (raw({"cost_nano": -1}, version="2999-02-01"), "Row 1"),
        (raw({}, version="2998-12-31.9999"), "goes on with the prices of 2999-01-01"),
    ],
)
def test_refresh_keeps_the_old_bundle_when_anything_is_wrong(
    hub: HubCommand, file: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception, what: str
) -> None:
    hub("prices", "import", str(file))
    hub.environ["HUB_PRICES_URL"] = "https://prices.example/bundle.json"
    _feed(monkeypatch, answer)

    assert what in hub("prices", "refresh", expect=1).stderr
    stored = json.loads((hub.settings.data_dir / "prices.json").read_bytes())
    assert (stored["version"], len(stored["rows"])) == ("2999-01-01", 3)
    assert [path.name for path in hub.settings.data_dir.glob("prices*")] == ["prices.json"]


def test_refresh_asks_nobody_unless_an_address_is_set(hub: HubCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _feed(monkeypatch, b"")
    assert "HUB_PRICES_URL is not set" in hub("prices", "refresh", expect=1).stderr
    assert asked == []
