"""Models, moderations and legacy completions."""

from __future__ import annotations

import openai
import pytest

from tests.conformance.doors import Door


def test_the_models_are_listed_under_their_public_names(hub_client: openai.OpenAI) -> None:
    names = [model.id for model in hub_client.models.list()]

    assert {"openai/gpt-4o-mini", "openrouter/meta-llama/llama-3.3-70b-instruct", "deepseek/deepseek-chat"} <= set(
        names
    )
    assert len(names) == len(set(names))


def test_a_model_is_found_by_an_id_with_slashes(hub_client: openai.OpenAI) -> None:
    for name in ("openai/gpt-4o-mini", "openrouter/meta-llama/llama-3.3-70b-instruct"):
        model = hub_client.models.retrieve(name)

        assert (model.id, model.object) == (name, "model")
        assert model.created > 1_000_000_000
        assert model.owned_by


def test_a_model_is_found_by_an_id_with_escaped_slashes(hub_door: Door) -> None:
    with hub_door.raw() as raw:
        answer = raw.get("/models/openai%2Fgpt-4o-mini")

    assert answer.json()["id"] == "openai/gpt-4o-mini"


def test_an_unknown_model_is_not_found(hub_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        hub_client.models.retrieve("openai/nothing-like-that")

    assert caught.value.code == "model_not_found"


def test_the_list_names_what_can_be_called(door: Door, client: openai.OpenAI) -> None:
    assert door.model("gpt-4o-mini") in [model.id for model in client.models.list()]


def test_a_moderation_flags_what_it_should(door: Door, client: openai.OpenAI) -> None:
    verdicts = client.moderations.create(
        model=door.model("omni-moderation-latest"), input=["hello there", "I will kill you"]
    ).results

    assert [verdict.flagged for verdict in verdicts] == [False, True]
    assert verdicts[1].categories.violence is True
    assert verdicts[1].category_scores.violence == 0.98
    assert door.sent()["body"]["model"] == "omni-moderation-latest"
    door.expect_record(endpoint="moderations", status="succeeded")


def test_a_legacy_completion_answers_each_prompt(door: Door, client: openai.OpenAI) -> None:
    answer = client.completions.create(
        model=door.model("gpt-3.5-turbo-instruct"), prompt=["first words", "second"], max_tokens=3
    )

    assert [choice.text for choice in answer.choices] == ["You said: first", "You said: second"]
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None and answer.usage.completion_tokens == 6
    assert door.sent()["path"] == "/openai/v1/completions"
    door.expect_record(endpoint="completions", output=6)


def test_a_legacy_stream_keeps_its_usage_to_itself_unless_asked(door: Door, client: openai.OpenAI) -> None:
    model = door.model("gpt-3.5-turbo-instruct")
    plain = list(client.completions.create(model=model, prompt="count to 4", stream=True))
    asked = list(
        client.completions.create(model=model, prompt="count to 4", stream=True, stream_options={"include_usage": True})
    )

    assert "".join(chunk.choices[0].text for chunk in plain) == "1 2 3 4"
    assert all(chunk.usage is None for chunk in plain)
    assert asked[-1].choices == [] and asked[-1].usage is not None
    assert asked[-1].usage.completion_tokens == 4
    door.expect_record(endpoint="completions", output=4, is_streamed=True)
