"""Chat that is not streamed."""

from __future__ import annotations

import base64

import openai
import pytest

from tests.conformance.doors import Door
from tests.emulators import answers, media

ASK = [{"role": "user", "content": "good morning hub"}]


def test_a_chat_is_answered_and_counted(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=door.model("gpt-4o-mini"), messages=ASK)

    assert answer.choices[0].message.content == "You said: good morning hub"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (6, 5, 11)
    sent = door.sent()
    assert sent["path"] == "/openai/v1/chat/completions"
    assert sent["body"] == {"model": "gpt-4o-mini", "messages": ASK}
    door.expect_record(
        model="openai/gpt-4o-mini",
        endpoint="chat.completions",
        status="succeeded",
        http_status=200,
        provider="openai",
        upstream_model="gpt-4o-mini",
        attempts=1,
        is_streamed=False,
        finish_reason="stop",
        input=6,
        output=5,
        usage_source="provider",
    )


async def test_the_asynchronous_client_gets_the_same(door: Door, async_client: openai.AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(model=door.model("gpt-4o-mini"), messages=ASK)

    assert answer.choices[0].message.content == "You said: good morning hub"


def test_several_choices_come_back_in_order(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=door.model("gpt-4o-mini"), messages=ASK, n=3)

    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert [choice.message.content for choice in answer.choices] == [
        "You said: good morning hub",
        "You said: good morning hub (choice 1)",
        "You said: good morning hub (choice 2)",
    ]
    assert answer.usage is not None and answer.usage.completion_tokens == 5 + 7 + 7


def test_logprobs_with_alternatives_arrive_whole(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=door.model("gpt-4o-mini"), messages=ASK, logprobs=True, top_logprobs=2
    )

    logprobs = answer.choices[0].logprobs
    assert logprobs is not None and logprobs.content is not None
    assert "".join(token.token for token in logprobs.content) == "You said: good morning hub"
    assert logprobs.content[0].logprob == -0.1
    assert logprobs.content[0].bytes == list(b"You")
    assert [other.token for other in logprobs.content[0].top_logprobs] == ["You", "You~1"]


@pytest.mark.parametrize("parameter", ["max_tokens", "max_completion_tokens"])
def test_a_limit_ends_the_answer_with_length(door: Door, client: openai.OpenAI, parameter: str) -> None:
    answer = client.chat.completions.create(
        model=door.model("gpt-4o-mini"),
        messages=[{"role": "user", "content": "count to 50"}],
        **{parameter: 3},
    )

    assert answer.choices[0].message.content == "1 2 3"
    assert answer.choices[0].finish_reason == "length"
    assert door.sent()["body"][parameter] == 3
    door.expect_record(finish_reason="length", output=3)


def test_a_picture_reaches_the_model_byte_by_byte(door: Door, client: openai.OpenAI) -> None:
    picture = media.png("a blue door")
    url = "data:image/png;base64," + base64.b64encode(picture).decode()

    answer = client.chat.completions.create(
        model=door.model("gpt-4o-mini"),
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this"},
                    {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
                ],
            }
        ],
    )

    expected = f"You said: what is this [image/png {answers.digest(picture)}] [image https://example.com/cat.png]"
    assert answer.choices[0].message.content == expected
    assert door.sent()["body"]["messages"][0]["content"][1]["image_url"]["detail"] == "low"


def test_sound_reaches_the_model_and_is_counted_apart(door: Door, client: openai.OpenAI) -> None:
    sound = media.speech({"input": "hello"})

    answer = client.chat.completions.create(
        model=door.model("gpt-4o-audio-preview"),
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "listen"},
                    {
                        "type": "input_audio",
                        "input_audio": {"data": base64.b64encode(sound).decode(), "format": "wav"},
                    },
                ],
            }
        ],
    )

    assert answer.choices[0].message.content == f"You said: listen [audio wav {answers.digest(sound)}]"
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.audio_tokens == 50
    door.expect_record(audio_in=50, input=answer.usage.prompt_tokens - 50)


def test_tokens_from_the_cache_are_recorded_apart(door: Door, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=door.model("gpt-4o-mini"),
        messages=[{"role": "system", "content": "a long cached instruction"}, *ASK],
    )

    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    assert (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (13, 7)
    door.expect_record(input=6, cache_read=7, output=5)


def test_fields_that_the_hub_does_not_know_survive_both_ways(door: Door) -> None:
    with door.client("custom") as client:
        answer = client.chat.completions.create(
            model=door.model("gpt-4o-mini", "custom"),
            messages=[{"role": "user", "content": "hi", "cache_control": {"type": "ephemeral"}}],
            extra_body={"top_k": 40, "chat_template_kwargs": {"enable_thinking": False}, "guided_json": None},
        )

    sent = door.sent("custom")["body"]
    assert sent["top_k"] == 40
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert sent["guided_json"] is None
    assert sent["messages"][0]["cache_control"] == {"type": "ephemeral"}
    assert answer.choices[0].message.content == "You said: hi"


def test_numbers_escapes_and_order_of_the_body_are_not_touched(hub_door: Door) -> None:
    body = (
        '{"messages":[{"role" :"user", "content":"h\\u00e9llo \\ud83d\\ude80 \\"model\\": \\"x\\""}],'
        '"temperature":1.00,"seed":9007199254740993,"model":"custom/gpt-4o-mini","metadata":{"model" : "inner"}}'
    )
    with hub_door.raw() as raw:
        answer = raw.post("/chat/completions", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 200, answer.text
    expected = body.replace('"custom/gpt-4o-mini"', '"gpt-4o-mini"')
    assert hub_door.sent("custom")["body_text"] == expected
    assert answer.json()["choices"][0]["message"]["content"] == 'You said: héllo 🚀 "model": "x"'


def test_a_bare_name_and_the_original_hubs_prefix_find_the_model(hub_door: Door, hub_client: openai.OpenAI) -> None:
    for name in ("gpt-4o-mini", "aignehub/openai/gpt-4o-mini", "openai/gpt-4o-mini"):
        hub_client.chat.completions.create(model=name, messages=ASK)

        assert hub_door.sent()["body"]["model"] == "gpt-4o-mini"
        assert hub_door.last_headers["x-hub-provider"] == "openai"
        assert hub_door.last_headers["x-hub-attempts"] == "1"


def test_what_the_provider_says_of_itself_in_headers_stays_inside(hub_door: Door, hub_client: openai.OpenAI) -> None:
    hub_client.chat.completions.create(model="openai/gpt-4o-mini", messages=ASK)

    assert "openai-organization" not in hub_door.last_headers
    assert "server-timing" in hub_door.last_headers
