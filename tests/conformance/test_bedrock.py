"""The `openai` package through a real hub to Amazon Bedrock: signed requests, binary streams, other people's words."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pydantic
import pytest

from tests.conformance.doors import METERS
from tests.conformance.hub import Hub, running_hub
from tests.conformance.test_tools import TOOLS, Weather
from tests.emulators.answers import digest
from tests.emulators.bedrock import signatures
from tests.emulators.bedrock.handle import Bedrock, running_bedrock

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA, LLAMA = "amazon.nova-lite-v1:0", "us.meta.llama3-3-70b-instruct-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"
TITAN, COHERE, CANVAS = "amazon.titan-embed-text-v2:0", "cohere.embed-english-v3", "amazon.nova-canvas-v1:0"
PNG, PDF = b"\x89PNG\r\n\x1a\n a picture", b"%PDF-1.7 a document"
FAULTS = (
    *("429", "400", "403", "404", "408", "424", "500", "503", "on-demand", "not-ready", "quota"),
    *("throttlingException-after-4", "modelStreamErrorException-after-1", "cut-after-4", "no-stop"),
    *("garbage", "no-usage", "negative-usage", "one-byte-chunks", "close-before-answer"),
)
Json = dict[str, Any]


def _hub_yaml(bedrock: Bedrock) -> Json:
    """A provider with each way to sign, and two for each fault: one that rests must not disturb the others."""
    providers = [
        _provider("aws", bedrock, bedrock.access_key),
        _provider("aws-key", bedrock, bedrock.api_key),
        _provider("bad-key", bedrock, {"api_key": "ABSKwrong"}),
        _provider("bad-secret", bedrock, bedrock.access_key | {"secret_access_key": "wrong/secret+0123456789"}),
        _provider("expired", bedrock, bedrock.access_key | {"session_token": "old-token"}),
    ]
    models = [_model(name, "aws", name) for name in (SONNET, NOVA, LLAMA, TITAN, COHERE, CANVAS)]
    models.append(_model("profile", "aws", PROFILE))
    models += [_model(name, name, NOVA) for name in ("aws-key", "bad-key", "bad-secret", "expired")]
    for way in ("whole", "stream"):
        for fault in FAULTS:
            name = f"{way}-{fault.lower()}"
            providers.append(_provider(name, bedrock, bedrock.access_key))
            models.append(_model(f"{way}/{fault}", name, f"{NOVA}+slow-20+fault-{fault}"))
    failing = _model("failover", "stream-500", f"{NOVA}+fault-500")
    failing["routes"].append({"provider": "aws", "upstream_model": NOVA, "priority": 1})
    team = {
        "name": "acme",
        "members": [{"email": "ada@example.com", "role": "admin"}],
        "keys": [
            {"name": "conformance", "secret": "env:CONFORMANCE_KEY", "models": ["*"]},
            {"name": "strict", "secret": _STRICT_KEY, "models": ["*"], "strict": True},
        ],
    }
    return {"billing": "off", "providers": providers, "models": [*models, failing], "teams": [team]}


_STRICT_KEY = "hk-strict-0123456789abcdef0123456789abcdef"


def _provider(name: str, bedrock: Bedrock, credential: Json) -> Json:
    credentials = [{"label": "main", **credential}]
    return {
        "name": name,
        "kind": "bedrock",
        "region": signatures.REGION,
        "base_url": bedrock.root,
        "credentials": credentials,
    }


def _model(public: str, provider: str, upstream_model: str) -> Json:
    type_ = "embedding" if "embed" in public else "image" if "canvas" in public else "chat"
    return {"model": public, "type": type_, "routes": [{"provider": provider, "upstream_model": upstream_model}]}


@pytest.fixture(scope="module")
def the_bedrock() -> Iterator[Bedrock]:
    with running_bedrock() as started:
        yield started


@pytest.fixture(scope="module")
def aws_hub(the_bedrock: Bedrock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    data_dir = tmp_path_factory.mktemp("bedrock") / "data"
    data_dir.mkdir(mode=0o700)
    with running_hub(_hub_yaml(the_bedrock), data_dir) as started:
        yield started


@pytest.fixture
def bedrock(the_bedrock: Bedrock) -> Bedrock:
    the_bedrock.reset()
    return the_bedrock


class Caller:
    """The `openai` package's client, and what the hub said and wrote down of its newest call."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.headers: dict[str, str] = {}
        web = openai.DefaultHttpxClient(trust_env=False, event_hooks={"response": [self._note]})
        self.client = openai.OpenAI(base_url=hub.base_url, api_key=hub.key, max_retries=0, http_client=web)

    def chat(self, content: Any = "hello", *, model: str = SONNET, **fields: Any) -> Any:
        messages = content if isinstance(content, list) and "role" in content[0] else [_user(content)]
        return self.client.chat.completions.create(model=model, messages=messages, **fields)

    def record(self) -> Json:
        row = self._hub.call(self.headers["x-hub-call-id"])
        return dict.fromkeys(METERS, 0) | row | row["usage"]

    def _note(self, response: httpx.Response) -> None:
        self.headers = {name.lower(): value for name, value in response.headers.items()}


@pytest.fixture
def caller(aws_hub: Hub, bedrock: Bedrock) -> Iterator[Caller]:
    made = Caller(aws_hub)
    with made.client:
        yield made


def _user(content: Any) -> Json:
    return {"role": "user", "content": content}


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _way(is_streamed: bool) -> str:
    return "stream" if is_streamed else "whole"


def test_text_comes_with_its_finish_and_its_usage(caller: Caller, bedrock: Bedrock) -> None:
    answer = caller.chat("count to 12", temperature=0.5)

    assert answer.choices[0].message.content == " ".join(map(str, range(1, 13)))
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == SONNET
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (6, 12)
    sent = bedrock.last()
    assert sent["path"] == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert sent["headers"]["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA")
    assert sent["body"]["inferenceConfig"] == {"temperature": 0.5}
    record = caller.record()
    assert (record["input"], record["output"], record["status"]) == (6, 12, "succeeded")


def test_a_stream_comes_piece_by_piece_with_its_usage(caller: Caller, bedrock: Bedrock) -> None:
    chunks = list(caller.chat("count to 12", stream=True, stream_options={"include_usage": True}))

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) == 12
    assert "".join(pieces) == " ".join(map(str, range(1, 13)))
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (6, 12)
    assert bedrock.last()["path"].endswith("/converse-stream")
    assert caller.headers["content-type"].startswith("text/event-stream")
    assert caller.record()["output"] == 12


def test_a_stream_in_single_bytes_is_the_same(caller: Caller) -> None:
    chunks = caller.chat("count to 3", model="stream/one-byte-chunks", stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "1 2 3"


@pytest.mark.parametrize("model", ["aws-key", "profile", LLAMA])
def test_api_keys_profiles_and_other_makers_are_called_alike(caller: Caller, bedrock: Bedrock, model: str) -> None:
    assert caller.chat("count to 3", model=model).choices[0].message.content == "1 2 3"
    sent = bedrock.last()
    assert sent["headers"]["authorization"].startswith("Bearer ABSK" if model == "aws-key" else "AWS4-HMAC-SHA256")
    if model == "profile":
        assert "application-inference-profile%2Fa1b2c3d4e5f6" in sent["path"]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_tool_loop_with_parallel_calls_goes_there_and_back(
    caller: Caller, bedrock: Bedrock, is_streamed: bool
) -> None:
    ask = [{"role": "system", "content": "Be brief."}, _user("call weather and time and weather please")]
    message = _assistant(caller, ask, is_streamed)
    calls = message["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["weather", "time", "weather"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [
        {"city": f"city-é-{n}", "days": 7 + n} for n in range(3)
    ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": f"result {n}"} for n, call in enumerate(calls)]

    answer = caller.chat([*ask, message, *results], tools=TOOLS)

    assert answer.choices[0].message.content == "The tools said: result 0; result 1; result 2"
    sent = bedrock.last()["body"]
    assert [next(iter(block)) for block in sent["messages"][2]["content"]] == ["toolResult"] * 3
    assert sent["system"] == [{"text": "Be brief."}]
    assert sent["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True


def _assistant(caller: Caller, ask: list[Json], is_streamed: bool, **fields: Any) -> Json:
    """What the model said, as a client puts it into its next request."""
    if not is_streamed:
        answer = caller.chat(ask, tools=TOOLS, **fields)
        assert answer.choices[0].finish_reason == "tool_calls"
        return answer.choices[0].message.model_dump(exclude_none=True)
    made: dict[int, Json] = {}
    message: Json = {"role": "assistant", "content": None}
    for chunk in caller.chat(ask, tools=TOOLS, stream=True, **fields):
        delta = chunk.choices[0].delta if chunk.choices else None
        for call in (delta.tool_calls or ()) if delta else ():
            held = made.setdefault(call.index, {"type": "function", "function": {"name": "", "arguments": ""}})
            held["id"] = call.id or held.get("id")
            held["function"]["name"] += call.function.name or ""
            held["function"]["arguments"] += call.function.arguments or ""
        if delta is not None and (details := (delta.model_extra or {}).get("reasoning_details")):
            message.setdefault("reasoning_details", []).extend(details)
    return message | {"tool_calls": [made[n] for n in sorted(made)]}


def test_a_tool_can_be_forced_and_forbidden(caller: Caller, bedrock: Bedrock) -> None:
    forced: Any = {"type": "function", "function": {"name": "time"}}
    answer = caller.chat("hello", tools=TOOLS, tool_choice=forced)
    assert [call.function.name for call in answer.choices[0].message.tool_calls] == ["time"]

    assert caller.chat("call weather", tools=TOOLS, tool_choice="none").choices[0].message.tool_calls is None
    assert "toolConfig" not in bedrock.last()["body"]


def test_pictures_and_documents_arrive_as_bytes(caller: Caller, bedrock: Bedrock) -> None:
    answer = caller.chat(
        [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": _data_url("image/png", PNG)}},
            {"type": "file", "file": {"filename": "Q3_report.pdf", "file_data": _data_url("application/pdf", PDF)}},
        ]
    )

    said = answer.choices[0].message.content
    assert said == f"You said: look [image png {digest(PNG)}] [document pdf Q3 report {digest(PDF)}]"
    assert bedrock.last()["body"]["messages"][0]["content"][1]["image"]["format"] == "png"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_signed_thought_that_the_client_keeps_goes_back_unchanged(
    caller: Caller, bedrock: Bedrock, is_streamed: bool
) -> None:
    thinks: Any = {"reasoning_effort": "low"}
    ask = [_user("call weather")]
    message = _assistant(caller, ask, is_streamed, **thinks)
    assert bedrock.last()["body"]["additionalModelRequestFields"]["thinking"]["type"] == "enabled"
    assert message["reasoning_details"][0]["signature"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "rain"}

    answer = caller.chat([*ask, message, result], tools=TOOLS, **thinks)

    assert answer.choices[0].message.content == "The tools said: rain"
    sent = bedrock.last()["body"]
    block = sent["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]
    assert block["text"] == "The user asks politely."
    assert sent["additionalModelRequestFields"]["thinking"]["type"] == "enabled"


def test_thoughts_are_shown(caller: Caller) -> None:
    answer = caller.chat("hello", reasoning_effort="high")
    assert answer.choices[0].message.model_extra["reasoning_content"] == "The user asks politely."


@pytest.mark.parametrize(
    ("model", "fidelity"),
    [(SONNET, None), (NOVA, "emulated=("), (LLAMA, "emulated=(")],
    ids=["native", "tool", "prompt"],
)
def test_a_schema_is_followed_by_every_model(
    caller: Caller, bedrock: Bedrock, model: str, fidelity: str | None
) -> None:
    if model == LLAMA:
        # The emulator's model follows no schema in a prompt: the hub notices.
        with pytest.raises(openai.APIStatusError) as wrong:
            caller.client.chat.completions.parse(model=model, messages=[_user("x")], response_format=Weather)
        assert wrong.value.code == "schema_mismatch"
        assert "JSON schema" in bedrock.last()["body"]["system"][0]["text"]
        return
    answer = caller.client.chat.completions.parse(model=model, messages=[_user("where?")], response_format=Weather)

    assert answer.choices[0].message.parsed == Weather(city="city-é-0", days=7)
    assert answer.choices[0].finish_reason == "stop"
    body = bedrock.last()["body"]
    assert ("outputConfig" in body, "toolConfig" in body) == (model == SONNET, model == NOVA)
    assert ("x-hub-fidelity" in caller.headers) == (fidelity is not None)


def test_a_schema_is_followed_in_streams(caller: Caller) -> None:
    class City(pydantic.BaseModel):
        name: str

    for model in (SONNET, NOVA):
        with caller.client.chat.completions.stream(
            model=model, messages=[_user("where?")], response_format=City
        ) as stream:
            assert stream.get_final_completion().choices[0].message.parsed == City(name="name-é-0")


def test_stops_and_limits_end_an_answer(caller: Caller, bedrock: Bedrock) -> None:
    stopped = caller.chat("count to 12", stop=[" 7"])
    assert stopped.choices[0].message.content == "1 2 3 4 5 6"
    assert stopped.choices[0].finish_reason == "stop"

    limited = caller.chat("count to 12", max_completion_tokens=4)
    assert (limited.choices[0].message.content, limited.choices[0].finish_reason) == ("1 2 3 4", "length")
    assert bedrock.last()["body"]["inferenceConfig"] == {"maxTokens": 4}


def test_cached_tokens_are_counted_once_by_their_time(caller: Caller, bedrock: Bedrock) -> None:
    marked = {"type": "text", "text": "the rules", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ask = [{"role": "system", "content": [marked]}, _user([{**marked, "cache_control": {"type": "ephemeral"}}])]
    caller.chat(ask)
    assert bedrock.last()["body"]["system"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    written = caller.record()
    assert (written["cache_write_1h"], written["cache_write_5m"], written["cache_read"]) == (100, 100, 0)

    ask[0]["content"][0]["text"] = "the cached rules"  # type: ignore[index]
    answer = caller.chat(ask)
    assert answer.usage.prompt_tokens_details.cached_tokens == 200
    assert caller.record()["cache_read"] == 200


def test_what_bedrock_cannot_be_told_is_in_a_header_and_refused_for_strict_keys(
    caller: Caller, aws_hub: Hub, bedrock: Bedrock
) -> None:
    caller.chat(seed=5)
    assert caller.headers["x-hub-fidelity"] == 'dropped=("seed")'

    asked = len(bedrock.calls())
    with pytest.raises(openai.BadRequestError) as refused:
        strict = caller.client.with_options(api_key=_STRICT_KEY)
        strict.chat.completions.create(model=SONNET, messages=[_user("hello")], seed=5)  # type: ignore[list-item]
    assert (refused.value.param, refused.value.code) == ("seed", "not_expressible")
    assert len(bedrock.calls()) == asked


def test_vectors_come_from_titan_and_cohere(caller: Caller, bedrock: Bedrock) -> None:
    titan = caller.client.embeddings.create(model=TITAN, input="hello there", dimensions=256)
    assert [len(one.embedding) for one in titan.data] == [256]
    assert titan.usage.prompt_tokens == 2
    assert caller.record()["input"] == 2

    cohere = caller.client.embeddings.create(model=COHERE, input=["hello", "there", "you"])
    assert [len(one.embedding) for one in cohere.data] == [1024] * 3
    assert bedrock.last()["body"]["input_type"] == "search_document"

    with pytest.raises(openai.BadRequestError, match="one text in a request") as refused:
        caller.client.embeddings.create(model=TITAN, input=["a", "b"])
    assert refused.value.param == "input"


def test_pictures_come_from_nova_canvas(caller: Caller, bedrock: Bedrock) -> None:
    made = caller.client.images.generate(
        model=CANVAS, prompt="a cat", n=2, size="1024x1024", response_format="b64_json"
    )
    assert made.data is not None
    assert [base64.b64decode(one.b64_json or "")[:4] for one in made.data] == [b"\x89PNG"] * 2
    assert bedrock.last()["body"]["imageGenerationConfig"]["numberOfImages"] == 2
    assert caller.record()["images"] == 2

    with pytest.raises(openai.BadRequestError, match="content filters") as refused:
        caller.client.images.generate(model=CANVAS, prompt="forbidden", response_format="b64_json")
    assert refused.value.code == "content_policy_violation"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("429", 429, "provider_rate_limited"),
        ("400", 400, "ValidationException"),
        ("403", 502, "provider_permission_denied"),
        ("404", 502, "provider_model_not_found"),
        ("408", 504, None),
        ("424", 502, None),
        ("500", 502, None),
        ("503", 503, None),
        ("on-demand", 502, "provider_model_not_found"),
        ("not-ready", 503, None),
        ("quota", 429, None),
        ("close-before-answer", 502, None),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_errors_before_an_answer_are_told_apart(
    caller: Caller, fault: str, status: int, code: str | None, is_streamed: bool
) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        list(caller.chat(model=f"{_way(is_streamed)}/{fault}", stream=is_streamed))
    assert failed.value.status_code == status
    assert code is None or failed.value.code == code
    assert "internal.amazon.com" not in str(failed.value)


@pytest.mark.parametrize("model", ["bad-key", "bad-secret", "expired"])
def test_a_wrong_credential_is_disabled_and_named_nowhere(caller: Caller, aws_hub: Hub, model: str) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        caller.chat(model=model)
    assert failed.value.status_code in (502, 503)
    assert "ABSK" not in str(failed.value)
    listed = json.loads(aws_hub.run("provider", "list", "--json"))
    row = next(row for row in listed if row["name"] == model)
    assert not row["credentials"][0]["is_usable"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("throttlingException-after-4", "limits"),
        ("cut-after-4", "broke off"),
        ("no-stop", "broke off"),
        ("garbage", "broke off"),
    ],
)
def test_an_error_in_the_middle_of_a_stream_is_an_event_and_a_record(caller: Caller, fault: str, words: str) -> None:
    seen: list[str] = []
    with pytest.raises(openai.APIError, match=words):
        for chunk in caller.chat("count to 12", model=f"stream/{fault}", stream=True):
            seen += [chunk.choices[0].delta.content or ""] if chunk.choices else []
    assert "".join(seen).startswith("1")
    assert caller.record()["status"] == "failed"


def test_an_exception_before_the_first_word_lets_another_provider_try(caller: Caller) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        list(caller.chat(model="stream/modelStreamErrorException-after-1", stream=True))
    assert failed.value.status_code >= 500

    chunks = caller.chat("count to 3", model="failover", stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "1 2 3"


@pytest.mark.parametrize("fault", ["no-usage", "negative-usage"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_report_that_is_missing_or_absurd_is_estimated(caller: Caller, fault: str, is_streamed: bool) -> None:
    made = caller.chat("count to 12", model=f"{_way(is_streamed)}/{fault}", stream=is_streamed)
    if is_streamed:
        assert len([chunk for chunk in made if chunk.choices]) >= 12
    record = caller.record()
    assert record["status"] == "succeeded"
    assert record["usage_source"] == "estimated"


def test_providers_are_checked_at_the_list_of_models(aws_hub: Hub) -> None:
    checked = json.loads(aws_hub.run("provider", "check", "aws", "--json"))
    assert [row["is_ok"] for row in checked] == [True]
    assert "lists 4 models" in checked[0]["sentence"]
