"""What the hub does by itself before the first byte: the next credential, then the next route."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.conformance.doors import Door
from tests.conformance.hub import GOOD_KEY, LIMITED_KEY

ASK: list[Any] = [{"role": "user", "content": "count to 9"}]
NUMBERS = "1 2 3 4 5 6 7 8 9"


def test_a_limited_credential_gives_way_to_the_other_and_rests(hub_door: Door, hub_client: openai.OpenAI) -> None:
    attempts: list[str] = []
    for _ in range(6):
        answer = hub_client.chat.completions.create(model="failover/second-key", messages=ASK)
        assert answer.choices[0].message.content == NUMBERS
        attempts.append(hub_door.last_headers["x-hub-attempts"])

    keys = [call["headers"]["authorization"].removeprefix("Bearer ") for call in hub_door.upstream.calls()]
    assert keys.count(LIMITED_KEY) == 1
    assert keys.count(GOOD_KEY) == 6
    assert sorted(attempts) == ["1"] * 5 + ["2"]


@pytest.mark.parametrize("broken", ["500", "close-before-answer"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_broken_provider_gives_way_to_the_next_route(
    hub_door: Door, hub_client: openai.OpenAI, broken: str, is_streamed: bool
) -> None:
    answer = hub_client.chat.completions.create(model=f"failover/{broken}", messages=ASK, stream=is_streamed)
    if is_streamed:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in answer)
    else:
        text = answer.choices[0].message.content

    assert text == NUMBERS
    assert hub_door.last_headers["x-hub-provider"] == "custom"
    hub_door.expect_record(status="succeeded", provider="custom", output=9)


def test_nothing_is_tried_again_once_words_went_out(hub_door: Door, hub_client: openai.OpenAI) -> None:
    seen = ""
    with pytest.raises(openai.APIError):
        for chunk in hub_client.chat.completions.create(model="failover/cut-after-4", messages=ASK, stream=True):
            seen += chunk.choices[0].delta.content or ""

    assert seen == "1 2 3"
    assert len(hub_door.upstream.calls()) == 1


def test_the_callers_own_mistake_is_not_tried_elsewhere(hub_door: Door, hub_client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        hub_client.chat.completions.create(model="failover/400", messages=ASK)

    assert len(hub_door.upstream.calls()) == 1
    hub_door.expect_record(status="refused", attempts=1)


def test_a_repeat_with_the_same_idempotency_key_is_one_call(hub_door: Door, hub_client: openai.OpenAI) -> None:
    ask = {"model": "openai/gpt-4o-mini", "messages": ASK, "extra_headers": {"Idempotency-Key": "once-only-1"}}
    first = hub_client.chat.completions.create(**ask)
    first_call = hub_door.last_headers["x-hub-call-id"]
    second = hub_client.chat.completions.create(**ask)

    assert second.model_dump() == first.model_dump()
    assert len(hub_door.upstream.calls()) == 1
    assert hub_door.hub is not None
    assert len([row for row in hub_door.hub.calls() if row["id"] == first_call]) == 1
    with pytest.raises(openai.UnprocessableEntityError):
        hub_client.chat.completions.create(**ask | {"messages": [{"role": "user", "content": "something else"}]})
