"""`docs/billing.md` as a stranger follows it: its file, its call and its commands, word by word."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import httpx
import pytest

from tests.ops.conftest import HubCommand
from tests.ops.serving import ROOT, serving

PAGE = (ROOT / "docs/billing.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S)


def commands() -> list[list[str]]:
    """Every `hub …` line of the page, comments cut off."""
    lines = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines if line.startswith("hub ")]
    return [words[1:] for words in split]


def test_the_tour_leads_from_an_empty_hub_to_a_charge_and_a_receipt_that_verifies(
    hub: HubCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = next(block for language, block in BLOCKS if language == "yaml" and block.startswith("billing:"))
    Path("hub.yaml").write_text(file)
    curl = next(block for language, block in BLOCKS if "curl -si" in block)
    key = re.search(r"hk-[\w-]+", curl)
    body = re.search(r"-d '(.*)'", curl)
    assert key and body and key[0] in file

    called = ""
    ran: list[str] = []
    for words in commands():
        if words[0] == "serve":
            with serving(hub.environ, tmp_path / "said") as (_, said):
                address = next(found[0] for line in said if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
                answer = httpx.post(
                    f"{address}/v1/chat/completions",
                    headers={"Authorization": f"Bearer {key[0]}"},
                    json=json.loads(body[1]),
                    trust_env=False,
                )
            assert answer.status_code == 200
            called = answer.headers["x-hub-call-id"]
            continue
        if words[:2] == ["settings", "set"] and words[2] == "billing":
            # The page's first example; the tour's file says the same.
            hub("migrate")
        words = [called if word == "CALL" else word for word in words]
        if words[:2] == ["voucher", "redeem"]:
            words[2] = hub("voucher", "make", "autumn", "1").stdout.split()[0]
        hub(*words)
        ran.append(" ".join(words[:2]))

    assert {"apply hub.yaml", "credits refund", "voucher redeem", f"receipt {called}", "verify"} <= set(ran)
    receipt = json.loads(Path("receipt.json").read_text())
    assert receipt["receipt"]["call"]["id"] == called
    assert receipt["receipt"]["charge_nano"] > 0
