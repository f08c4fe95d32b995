"""`langchain-openai` as its users call it."""

from __future__ import annotations

from typing import Any

import pydantic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.conformance.doors import Door


class Joke(pydantic.BaseModel):
    """A joke for the user."""

    setup: str
    stars: int


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"sunny in {city}"


def _model(door: Door, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=door.model("gpt-4o-mini"), base_url=door.base_url(), api_key=door.key(), max_retries=0, **options
    )


def test_invoke_answers_with_usage(door: Door) -> None:
    answer = _model(door).invoke([HumanMessage("good morning")])

    assert answer.content == "You said: good morning"
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == (5, 4)
    assert answer.response_metadata["finish_reason"] == "stop"


def test_a_stream_adds_up_to_text_and_usage(door: Door) -> None:
    whole: Any = None
    pieces = 0
    for chunk in _model(door, stream_usage=True).stream("count to 12"):
        whole = chunk if whole is None else whole + chunk
        pieces += 1

    assert whole.content == " ".join(map(str, range(1, 13)))
    assert whole.usage_metadata["output_tokens"] == 12
    assert pieces > 10
    assert door.sent()["body"]["stream_options"] == {"include_usage": True}


async def test_many_at_once_asynchronously(door: Door) -> None:
    answers = await _model(door).abatch(["one", "two", "three"])

    assert [answer.content for answer in answers] == ["You said: one", "You said: two", "You said: three"]


def test_tools_are_called_and_their_results_used(door: Door) -> None:
    bound = _model(door).bind_tools([weather])
    asked = HumanMessage("weather please")
    called = bound.invoke([asked])
    assert isinstance(called, AIMessage)
    assert [(call["name"], call["args"]) for call in called.tool_calls] == [("weather", {"city": "city-é-0"})]

    result = ToolMessage(weather.invoke(called.tool_calls[0]["args"]), tool_call_id=called.tool_calls[0]["id"])
    assert bound.invoke([asked, called, result]).content == "The tools said: sunny in city-é-0"


def test_streamed_tool_calls_add_up(door: Door) -> None:
    whole: Any = None
    for chunk in _model(door).bind_tools([weather]).stream("weather and weather"):
        whole = chunk if whole is None else whole + chunk

    assert [call["args"] for call in whole.tool_calls] == [{"city": "city-é-0"}, {"city": "city-é-1"}]


def test_structured_output_is_an_object(door: Door) -> None:
    joke = _model(door).with_structured_output(Joke, method="json_schema").invoke("a joke")

    assert joke == Joke(setup="setup-é-0", stars=7)
    assert door.sent()["body"]["response_format"]["json_schema"]["name"] == "Joke"


def test_embeddings_of_texts(door: Door) -> None:
    # Without the length check texts go as texts; with it they would go as tokens, which needs a download.
    embeddings = OpenAIEmbeddings(
        model=door.model("text-embedding-3-small"),
        base_url=door.base_url(),
        api_key=door.key(),
        dimensions=32,
        check_embedding_ctx_length=False,
        max_retries=0,
    )

    vectors = embeddings.embed_documents(["one", "two"])
    assert [len(vector) for vector in vectors] == [32, 32]
    assert vectors[0] != vectors[1]
    assert vectors[0] == embeddings.embed_query("one")
