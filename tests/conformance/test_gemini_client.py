"""Google's own library through the hub: to Gemini, where nothing is translated, and to OpenAI, where all of it is."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import httpx
import pydantic
import pytest
from google import genai
from google.genai import errors, types

from tests.conformance.gemini_hub import gemini, google, hub, raw
from tests.conformance.hub import HUB_KEY, Hub
from tests.emulators.gemini.handle import GeminiUpstream
from tests.emulators.gemini.speech import PICTURE
from tests.emulators.handle import Upstream

__all__ = ["gemini", "google", "hub", "raw"]

THERE, ACROSS = "google/gemini-3.8-flash", "openai/gpt"
BOTH = pytest.mark.parametrize("model", [THERE, ACROSS])
TEXT = types.GenerateContentConfig


class Answer(pydantic.BaseModel):
    city: str
    days: int


def weather(city: str, days: int) -> str:
    """Tells the weather."""
    return f"sun in {city} for {days} days"


def clock(city: str) -> str:
    """Tells the time."""
    return f"noon in {city}"


def _functions(answer: types.GenerateContentResponse) -> list[tuple[str, Any]]:
    return [(call.name or "", call.args) for call in answer.function_calls or []]


@BOTH
def test_a_text_is_answered_with_its_usage(google: genai.Client, hub: Hub, model: str) -> None:
    answer = google.models.generate_content(model=model, contents="hello there")

    assert answer.text == "You said: hello there"
    assert answer.candidates is not None and answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage is not None and usage.candidates_token_count == 4
    assert usage.total_token_count == (usage.prompt_token_count or 0) + 4 + (usage.thoughts_token_count or 0)
    assert answer.response_id


@BOTH
def test_a_stream_brings_the_same_text_and_the_usage_at_its_end(google: genai.Client, model: str) -> None:
    chunks = list(google.models.generate_content_stream(model=model, contents="count to 12"))

    assert "".join(chunk.text or "" for chunk in chunks) == " ".join(map(str, range(1, 13)))
    assert len(chunks) > 1
    last = chunks[-1]
    assert last.candidates is not None and last.candidates[0].finish_reason == types.FinishReason.STOP
    assert last.usage_metadata is not None and last.usage_metadata.candidates_token_count == 12


@BOTH
async def test_the_asynchronous_client_gets_the_same(hub: Hub, model: str) -> None:
    options = types.HttpOptions(
        base_url=hub.root, httpx_async_client=httpx.AsyncClient(trust_env=False), httpx_client=httpx.Client()
    )
    client = genai.Client(api_key=HUB_KEY, http_options=options).aio
    whole, stream = await asyncio.gather(
        client.models.generate_content(model=model, contents="count to 5"),
        client.models.generate_content_stream(model=model, contents="count to 6"),
    )
    text = "".join([chunk.text or "" async for chunk in stream])

    assert (whole.text, text) == ("1 2 3 4 5", "1 2 3 4 5 6")
    await client.aclose()


@BOTH
def test_a_chat_runs_its_functions_by_itself(google: genai.Client, model: str) -> None:
    chat = google.chats.create(model=model, config=TEXT(tools=[weather, clock]))

    first = chat.send_message("weather and clock please")
    second = chat.send_message("and now just talk")

    assert first.text is not None
    assert "sun in city-é-0 for 7 days" in first.text and "noon in city-é-1" in first.text
    assert second.text == "You said: and now just talk"
    roles = [content.role for content in chat.get_history()]
    assert roles == ["user", "model", "user", "model", "user", "model"]


@BOTH
def test_a_streamed_chat_runs_its_functions_too(google: genai.Client, model: str) -> None:
    chat = google.chats.create(model=model, config=TEXT(tools=[weather]))

    text = "".join(chunk.text or "" for chunk in chat.send_message_stream("weather please"))

    assert "sun in city-é-0 for 7 days" in text


@pytest.mark.parametrize(("first", "second"), [(THERE, ACROSS), (ACROSS, THERE)])
def test_a_chat_goes_on_with_another_vendors_model_in_the_middle_of_a_loop(
    google: genai.Client, first: str, second: str
) -> None:
    off = types.AutomaticFunctionCallingConfig(disable=True)
    config = TEXT(tools=[weather, clock], automatic_function_calling=off)
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text="weather and clock")])]
    for model in (first, second, first):
        called = google.models.generate_content(model=model, contents=contents, config=config)
        assert called.candidates is not None and called.candidates[0].content is not None
        calls = called.function_calls or []
        assert [call.name for call in calls] == ["weather", "clock"]
        answers = [
            types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"output": "ok"}))
            for call in calls
        ]
        contents += [called.candidates[0].content, types.Content(role="user", parts=answers)]
        other = second if model == first else first
        told = google.models.generate_content(model=other, contents=contents, config=config)
        assert told.text is not None and "ok; ok" in told.text
        assert told.candidates is not None
        contents += [told.candidates[0].content, types.Content(role="user", parts=[types.Part(text="weather clock")])]


@BOTH
@pytest.mark.parametrize("is_streamed", [False, True])
def test_parallel_calls_come_whole(google: genai.Client, model: str, is_streamed: bool) -> None:
    off = types.AutomaticFunctionCallingConfig(disable=True)
    config = TEXT(tools=[weather, clock], automatic_function_calling=off)
    prompt = "weather and clock and weather"
    if is_streamed:
        found = [
            call
            for chunk in google.models.generate_content_stream(model=model, contents=prompt, config=config)
            for call in _functions(chunk)
        ]
    else:
        found = _functions(google.models.generate_content(model=model, contents=prompt, config=config))

    assert found == [
        ("weather", {"city": "city-é-0", "days": 7}),
        ("clock", {"city": "city-é-1"}),
        ("weather", {"city": "city-é-2", "days": 9}),
    ]


@BOTH
@pytest.mark.parametrize(
    ("mode", "allowed", "called"), [("ANY", None, 1), ("ANY", ["clock"], 1), ("NONE", None, 0), ("AUTO", None, 0)]
)
def test_the_choice_of_functions_is_kept(
    google: genai.Client, model: str, mode: str, allowed: list[str] | None, called: int
) -> None:
    calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode(mode), allowed_function_names=allowed)
    config = TEXT(
        tools=[weather, clock],
        tool_config=types.ToolConfig(function_calling_config=calling),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )

    found = _functions(google.models.generate_content(model=model, contents="just talk", config=config))

    assert [name for name, _ in found] == (allowed or ["weather"])[:called]


@BOTH
def test_a_picture_arrives_byte_for_byte(google: genai.Client, model: str) -> None:
    picture = types.Part.from_bytes(data=bytes(range(256)), mime_type="image/png")

    answer = google.models.generate_content(model=model, contents=["look", picture])

    assert answer.text is not None and "image/png 256:40aff2e9" in answer.text


def test_a_document_and_a_sound_arrive_at_gemini(google: genai.Client) -> None:
    document = types.Part.from_bytes(data=b"%PDF-1.7", mime_type="application/pdf")
    sound = types.Part.from_bytes(data=b"RIFF", mime_type="audio/wav")

    answer = google.models.generate_content(model=THERE, contents=["read", document, sound])

    assert answer.text is not None and "application/pdf 8:" in answer.text and "audio/wav 4:" in answer.text


def test_a_document_arrives_at_openai_as_a_file(google: genai.Client, upstream: Upstream) -> None:
    document = types.Part.from_bytes(data=b"%PDF-1.7", mime_type="application/pdf")

    google.models.generate_content(model=ACROSS, contents=["read", document])

    parts = upstream.last("openai")["body"]["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["text", "file"]
    assert parts[1]["file"]["file_data"] == "data:application/pdf;base64,JVBERi0xLjc="


@BOTH
def test_a_schema_binds_the_answer(google: genai.Client, model: str) -> None:
    config = TEXT(response_mime_type="application/json", response_schema=Answer)

    answer = google.models.generate_content(model=model, contents="which city", config=config)

    assert answer.parsed == Answer(city="city-é-0", days=7)


@BOTH
def test_a_json_schema_binds_the_answer(google: genai.Client, model: str) -> None:
    config = TEXT(response_mime_type="application/json", response_json_schema=Answer.model_json_schema())

    answer = google.models.generate_content(model=model, contents="which city", config=config)

    assert json.loads(answer.text or "") == {"city": "city-é-0", "days": 7}


def test_settings_reach_openai_in_its_words(google: genai.Client, upstream: Upstream) -> None:
    config = TEXT(
        system_instruction="Be short.",
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=7,
        stop_sequences=["END"],
        seed=3,
        presence_penalty=0.1,
        frequency_penalty=0.2,
    )
    google.models.generate_content(model=ACROSS, contents="hello", config=config)

    body = upstream.last("openai")["body"]
    assert body["messages"][0] == {"role": "system", "content": "Be short."}
    wanted = {"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 7, "seed": 3, "presence_penalty": 0.1}
    assert {name: body[name] for name in wanted} == wanted
    assert body["stop"] in (["END"], "END")
    assert body["frequency_penalty"] == 0.2


@BOTH
def test_limits_and_stops_end_an_answer(google: genai.Client, model: str) -> None:
    short = google.models.generate_content(model=model, contents="count to 9", config=TEXT(max_output_tokens=3))
    stopped = google.models.generate_content(model=model, contents="count to 9", config=TEXT(stop_sequences=["5"]))

    assert short.text == "1 2 3"
    assert short.candidates is not None and short.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert (stopped.text or "").strip() == "1 2 3 4"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_thoughts_are_shown_where_they_are_asked_for(google: genai.Client, is_streamed: bool) -> None:
    config = TEXT(thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW, include_thoughts=True))
    if is_streamed:
        answers = list(google.models.generate_content_stream(model=THERE, contents="think", config=config))
    else:
        answers = [google.models.generate_content(model=THERE, contents="think", config=config)]

    parts = [part for answer in answers for part in (answer.parts or [])]
    assert "".join(part.text or "" for part in parts if part.thought) == "The user asks politely."
    assert answers[-1].usage_metadata is not None and answers[-1].usage_metadata.thoughts_token_count == 4


def test_a_level_of_thinking_reaches_openai_as_an_effort(google: genai.Client, upstream: Upstream) -> None:
    config = TEXT(thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW))

    answer = google.models.generate_content(model="openai/o3", contents="think", config=config)

    assert upstream.last("openai")["body"]["reasoning_effort"] == "low"
    assert answer.usage_metadata is not None and answer.usage_metadata.thoughts_token_count == 4


def test_a_picture_that_was_drawn_comes_back(google: genai.Client) -> None:
    answer = google.models.generate_content(model="google/draws", contents="draw a fox")

    drawn = [part.inline_data for part in answer.parts or [] if part.inline_data is not None]
    assert [one.data for one in drawn] == [base64.b64decode(PICTURE)]


@pytest.mark.parametrize("model", ["google/embed", "openai/embed"])
def test_texts_become_vectors(google: genai.Client, model: str) -> None:
    config = types.EmbedContentConfig(output_dimensionality=16)

    answer = google.models.embed_content(model=model, contents=["a red fox", "a blue whale"], config=config)

    vectors = [one.values or [] for one in answer.embeddings or []]
    assert [len(vector) for vector in vectors] == [16, 16]
    assert vectors[0] != vectors[1]


@pytest.mark.parametrize("model", ["google/embed", "openai/embed"])
def test_one_text_becomes_one_vector(raw: httpx.Client, model: str) -> None:
    body = {"content": {"parts": [{"text": "a red fox"}]}, "output_dimensionality": 8}

    answer = raw.post(f"/v1beta/models/{model}:embedContent", json=body)

    assert len(answer.json()["embedding"]["values"]) == 8, answer.text


def test_gemini_counts_its_own_tokens(google: genai.Client, gemini: GeminiUpstream) -> None:
    counted = google.models.count_tokens(model=THERE, contents="one two three")

    assert counted.total_tokens == 6
    assert gemini.last()["path"] == "/v1beta/models/gemini-3.8-flash:countTokens"


def test_for_others_the_hub_guesses_and_says_so(raw: httpx.Client, upstream: Upstream) -> None:
    before = len(upstream.calls())
    body = {"contents": [{"parts": [{"text": "one two three " * 100}]}]}

    answer = raw.post(f"/v1beta/models/{ACROSS}:countTokens", json=body)

    assert 250 < answer.json()["totalTokens"] < 450
    assert answer.headers["x-hub-fidelity"] == 'emulated=("totalTokens")'
    assert len(upstream.calls()) == before


def test_the_models_are_listed_in_geminis_shape(google: genai.Client, raw: httpx.Client) -> None:
    names = [model.name for model in google.models.list()]

    assert {"models/google/gemini-3.8-flash", "models/openai/gpt"} <= set(names)
    one = google.models.get(model="openai/gpt")
    assert one.name == "models/openai/gpt" and "generateContent" in (one.supported_actions or [])
    assert raw.get("/v1beta/models").json()["models"] == raw.get("/v1/models").json()["models"]


def test_openais_list_stays_openais(hub: Hub) -> None:
    answer = httpx.get(f"{hub.base_url}/models", headers={"authorization": f"Bearer {HUB_KEY}"}, trust_env=False)

    assert answer.json()["object"] == "list"


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("fault/429-after-9", 429, "RESOURCE_EXHAUSTED"),
        ("fault/400", 400, "INVALID_ARGUMENT"),
        ("fault/403", 502, "UNAVAILABLE"),
        ("fault/500", 502, "UNAVAILABLE"),
        ("fault/503", 503, "UNAVAILABLE"),
        ("fault/wrong-key", 502, "UNAVAILABLE"),
        ("nobody/has-this", 404, "NOT_FOUND"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_errors_are_googles(google: genai.Client, name: str, code: int, status: str, is_streamed: bool) -> None:
    with pytest.raises(errors.APIError) as caught:
        if is_streamed:
            list(google.models.generate_content_stream(model=name, contents="hi"))
        else:
            google.models.generate_content(model=name, contents="hi")

    error = caught.value
    if name == "fault/wrong-key" or code == 502:
        # The second call finds the credential at rest.
        assert error.code in (502, 503)
    else:
        assert (error.code, error.status) == (code, status)
    assert "AIza" not in str(error) and "emulated-7f3a" not in str(error)


def test_a_limit_says_how_long(raw: httpx.Client) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}
    answer = raw.post("/v1beta/models/fault/429-after-9:generateContent", json=body)

    details = {one["@type"].rpartition(".")[2]: one for one in answer.json()["error"]["details"]}
    assert answer.status_code == 429
    assert details["RetryInfo"]["retryDelay"] in {f"{n}s" for n in range(1, 11)}
    assert 1 <= int(answer.headers["retry-after"]) <= 10


def test_an_error_in_the_middle_is_raised_by_googles_library(google: genai.Client) -> None:
    heard: list[str] = []
    with pytest.raises(errors.ServerError) as caught:
        for chunk in google.models.generate_content_stream(
            model="fault/error-mid-stream-after-4", contents="count to 9"
        ):
            heard.append(chunk.text or "")

    assert "".join(heard) == "1 2 3 4"
    assert "emulated-7f3a" not in str(caught.value)


@pytest.mark.parametrize("name", ["garbage", "no-usage", "one-byte-chunks", "crlf"])
def test_a_strange_stream_arrives_whole(google: genai.Client, name: str) -> None:
    chunks = google.models.generate_content_stream(model=f"fault/{name}", contents="count to 9")

    assert "".join(chunk.text or "" for chunk in chunks) == "1 2 3 4 5 6 7 8 9"


def test_a_stream_that_is_cut_is_an_error(google: genai.Client) -> None:
    with pytest.raises(errors.APIError):
        list(google.models.generate_content_stream(model="fault/cut-after-4", contents="count to 9"))


@BOTH
def test_without_sse_a_stream_is_an_array(raw: httpx.Client, model: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "count to 4"}]}]}

    answer = raw.post(f"/v1beta/models/{model}:streamGenerateContent", json=body)

    assert answer.headers["content-type"].startswith("application/json")
    parts = [part for one in answer.json() for part in one["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts) == "1 2 3 4"
    assert answer.json()[-1]["candidates"][0]["finishReason"] == "STOP"


def test_an_array_that_breaks_ends_with_the_error(raw: httpx.Client) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "count to 9"}]}]}

    answer = raw.post("/v1beta/models/fault/error-mid-stream-after-4:streamGenerateContent", json=body)

    assert answer.json()[-1]["error"]["status"] == "UNAVAILABLE"


def test_a_key_in_the_address_is_refused(raw: httpx.Client) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]}

    answer = raw.post(f"/v1beta/models/{THERE}:generateContent?key={HUB_KEY}", json=body)

    assert answer.status_code == 401
    assert "x-goog-api-key" in answer.json()["error"]["message"]
    assert HUB_KEY not in answer.text


def test_both_spellings_are_understood(raw: httpx.Client, upstream: Upstream) -> None:
    body = {
        "system_instruction": {"parts": [{"text": "Be short."}]},
        "contents": [{"parts": [{"text": "look"}, {"inline_data": {"mime_type": "image/png", "data": "iVBORw=="}}]}],
        "generation_config": {"max_output_tokens": 9, "stop_sequences": ["x"]},
    }

    answer = raw.post(f"/v1beta/models/{ACROSS}:generateContent", json=body)

    sent = upstream.last("openai")["body"]
    assert answer.status_code == 200, answer.text
    assert sent["messages"][0]["content"] == "Be short." and sent["max_completion_tokens"] == 9
    assert sent["messages"][1]["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="


def test_what_openai_cannot_be_told_is_said(raw: httpx.Client) -> None:
    body = {
        "contents": [{"parts": [{"text": "hi"}]}],
        "generationConfig": {"topK": 3, "mediaResolution": "MEDIA_RESOLUTION_LOW"},
        "tools": [{"googleSearch": {}}],
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    }

    fidelity = raw.post(f"/v1beta/models/{ACROSS}:generateContent", json=body).headers["x-hub-fidelity"]

    for path in (
        "generationConfig.topK",
        "generationConfig.mediaResolution",
        "tools[0].googleSearch",
        "safetySettings",
    ):
        assert f'"{path}"' in fidelity


def test_a_wrong_field_is_named_by_its_path(raw: httpx.Client) -> None:
    body = {"contents": [{"parts": [{"text": 5}]}]}

    error = raw.post(f"/v1beta/models/{ACROSS}:generateContent", json=body).json()["error"]

    violations = [one for one in error["details"] if one["@type"].endswith("BadRequest")]
    assert violations[0]["fieldViolations"][0]["field"] == "contents[0].parts[0].text"


@pytest.mark.parametrize("action", ["generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"])
@BOTH
def test_the_record_holds_what_was_used(raw: httpx.Client, hub: Hub, model: str, action: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "count to 9"}]}]}

    answer = raw.post(f"/v1beta/models/{model}:{action}", json=body)

    record = hub.call(answer.headers["x-hub-call-id"])
    thoughts = 4 if model == THERE else 0
    assert (record["status"], record["usage_source"], record["endpoint"]) == (
        "succeeded",
        "provider",
        "generate_content",
    )
    assert (record["usage"]["input"], record["usage"]["output"]) == (6, 9 + thoughts)
    assert record["usage"].get("reasoning", 0) == thoughts
    assert record["is_streamed"] == action.startswith("stream")


def test_a_false_report_of_usage_is_not_believed(raw: httpx.Client, hub: Hub) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "count to 9"}]}]}

    answer = raw.post("/v1beta/models/fault/no-usage:streamGenerateContent?alt=sse", json=body)

    record = hub.call(answer.headers["x-hub-call-id"])
    assert (record["status"], record["usage_source"]) == ("succeeded", "estimated")
    assert record["usage"]["output"] > 0
