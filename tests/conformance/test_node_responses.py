"""The Responses API with the `openai` package for Node: passed on, and translated for a provider without it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance import node_clients
from tests.conformance.doors import Door


@pytest.fixture(scope="module")
def saw(hub: Any, upstream: Any) -> dict[str, Any]:
    missing = node_clients.what_is_missing()
    if missing and node_clients.IS_CI:
        pytest.fail(missing)
    if missing:
        pytest.skip(f"not run: {missing}")
    return node_clients.run("responses_client.mjs", Door(upstream, hub))


@pytest.mark.parametrize("way", ["passed", "translated"])
def test_openai_for_node_uses_the_responses_api(saw: dict[str, Any], way: str) -> None:
    assert saw[f"{way}.create"]["text"] == "1 2 3 4"
    assert saw[f"{way}.create"]["usage"]["output_tokens"] == 4
    assert saw[f"{way}.stream"]["text"] == "".join(saw[f"{way}.stream"]["deltas"]) == "1 2 3 4"
    assert saw[f"{way}.toolLoop"] == {
        "given": {"city": "city-é-0", "days": 7},
        "text": "The tools said: sunny",
    }
    assert saw[f"{way}.parse"] == {"title": "title-é-0", "stars": 7}
    assert saw[f"{way}.store"] == {"text": "1 2", "listed": ["message"], "gone": 404}


def test_an_error_in_the_middle_is_thrown(saw: dict[str, Any]) -> None:
    assert saw["brokenStream"]["threw"]["code"] == "provider_failed"
