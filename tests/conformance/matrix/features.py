"""The rows of the matrix: what is asked, and what must be heard. Each feature is asked in one piece and streamed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.matrix.asking import PICTURE, Ask, Broke, Called, Driver, Heard, Refused, Turn, user
from tests.conformance.matrix.providers import Provider

_CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_ZONE = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
TOOLS = (("get_weather", _CITY), ("get_time", _ZONE))
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@dataclass(kw_only=True)
class Test:
    """One cell under way."""

    driver: Driver
    provider: Provider
    last_sent: Callable[[], str]
    """The newest request that the provider got, as text."""
    others: tuple[Provider, ...] = ()
    """From whom a conversation may come."""
    fidelity: set[str] = field(default_factory=set)
    remarks: set[str] = field(default_factory=set)

    async def ask(
        self, ask: Ask, *, is_streamed: bool, model: str | None = None, provider: Provider | None = None
    ) -> Heard:
        name = f"{(provider or self.provider).kind}/{model or self.provider.model}"
        heard = await self.driver.ask(name, ask, is_streamed=is_streamed)
        if heard.fidelity:
            self.fidelity.add(heard.fidelity)
        return heard


Feature = Callable[[Test], Awaitable[None]]

BOTH = (False, True)


async def text(test: Test) -> None:
    for is_streamed in BOTH:
        heard = await test.ask(Ask(turns=(user("please repeat marigold"),)), is_streamed=is_streamed)
        assert "marigold" in heard.text, heard
        assert heard.finish == "stop", heard


async def system(test: Test) -> None:
    for is_streamed in BOTH:
        ask = Ask(turns=(user("repeat tulip"),), system="You speak like a gardener.")
        assert "tulip" in (await test.ask(ask, is_streamed=is_streamed)).text
        assert "You speak like a gardener." in test.last_sent()


async def turns(test: Test) -> None:
    said = (
        user("my name is Ada"),
        Turn(role="assistant", text="Hello Ada"),
        user("I am 36"),
        Turn(role="assistant", text="A fine age"),
        user("repeat lilac"),
    )
    for is_streamed in BOTH:
        assert "lilac" in (await test.ask(Ask(turns=said), is_streamed=is_streamed)).text
        sent = test.last_sent()
        places = [sent.index(turn.text) for turn in said]
        assert places == sorted(places), "the order of the turns"


async def tools(test: Test) -> None:
    for is_streamed in BOTH:
        heard = await test.ask(Ask(turns=(user("use get_weather now"),), tools=TOOLS), is_streamed=is_streamed)
        assert [call.name for call in heard.calls] == ["get_weather"], heard
        assert isinstance(heard.calls[0].arguments["city"], str)
        assert heard.calls[0].id
        assert heard.finish == "tool_calls", heard


async def parallel_tools(test: Test) -> None:
    for is_streamed in BOTH:
        ask = Ask(turns=(user("use get_weather and get_time"),), tools=TOOLS)
        heard = await test.ask(ask, is_streamed=is_streamed)
        assert [call.name for call in heard.calls] == ["get_weather", "get_time"], heard
        assert [set(call.arguments) for call in heard.calls] == [{"city"}, {"zone"}]
        assert len({call.id for call in heard.calls}) == 2


async def tool_results(test: Test) -> None:
    for is_streamed in BOTH:
        first = Ask(turns=(user("use get_weather and get_time"),), tools=TOOLS)
        calls = (await test.ask(first, is_streamed=is_streamed)).calls
        turns_ = (*first.turns, Turn(role="assistant", calls=calls), _results(calls))
        heard = await test.ask(Ask(turns=turns_, tools=TOOLS), is_streamed=is_streamed)
        assert "sunny in Rome" in heard.text and "noon in Rome" in heard.text, heard
        assert not heard.calls


async def foreign_loop(test: Test) -> None:
    """A tool loop that another provider has begun, with its thoughts and its signatures, and this one ends."""
    for n, other in enumerate(one for one in test.others if one.kind != test.provider.kind):
        # In turns, not both for each: there are many pairs.
        is_streamed = bool(n % 2)
        first = Ask(turns=(user("use get_weather and get_time"),), tools=TOOLS, effort="high")
        begun = await test.ask(first, is_streamed=is_streamed, model=other.thinker, provider=other)
        assert len(begun.calls) == 2, begun
        said = Turn(role="assistant", text=begun.text, calls=begun.calls, kept=begun.kept)
        second = Ask(turns=(*first.turns, said, _results(begun.calls)), tools=TOOLS, effort="high")
        test.fidelity.clear()  # of what the other was asked
        heard = await test.ask(second, is_streamed=is_streamed, model=test.provider.thinker)
        assert "sunny in Rome" in heard.text and "noon in Rome" in heard.text, heard


def _results(calls: tuple[Called, ...]) -> Turn:
    texts = ("sunny in Rome", "noon in Rome")
    return Turn(role="results", results=tuple(zip(calls, texts, strict=False)))


async def images(test: Test) -> None:
    for is_streamed in BOTH:
        heard = await test.ask(Ask(turns=(user("what is this, peony?", PICTURE),)), is_streamed=is_streamed)
        assert "peony" in heard.text, heard
        assert "iVBORw0KGgo" in test.last_sent(), "the picture did not arrive"


async def reasoning(test: Test) -> None:
    for is_streamed in BOTH:
        ask = Ask(turns=(user("repeat aster"),), effort="high")
        heard = await test.ask(ask, is_streamed=is_streamed, model=test.provider.thinker)
        assert "aster" in heard.text, heard
        if test.provider.shows_thoughts:
            assert heard.thoughts, heard
            assert heard.thoughts not in heard.text


async def structured(test: Test) -> None:
    for is_streamed in BOTH:
        ask = Ask(turns=(user("who are you?"),), schema=SCHEMA)
        heard = await test.ask(ask, is_streamed=is_streamed)
        made: Any = json.loads(heard.text)
        assert set(made) == {"name", "age"} and isinstance(made["age"], int), heard


async def stop(test: Test) -> None:
    for is_streamed in BOTH:
        ask = Ask(turns=(user("repeat one two three"),), stop=("two",))
        heard = await test.ask(ask, is_streamed=is_streamed)
        assert "one" in heard.text and "two" not in heard.text, heard
        assert heard.finish == "stop", heard


async def usage(test: Test) -> None:
    counted: list[tuple[int, int]] = []
    for is_streamed in BOTH:
        heard = await test.ask(Ask(turns=(user("repeat violet"),)), is_streamed=is_streamed)
        counted.append((heard.input_tokens, heard.output_tokens))
    assert counted[0] == counted[1], "in one piece and streamed"
    assert min(counted[0]) > 0, counted


async def finish(test: Test) -> None:
    for is_streamed in BOTH:
        # Responses and some providers take no limit below 16.
        words = " ".join(f"word{n}" for n in range(40))
        heard = await test.ask(Ask(turns=(user(f"repeat {words}"),), max_tokens=16), is_streamed=is_streamed)
        assert heard.finish == "length", heard
        assert "word1" in heard.text and "word39" not in heard.text, heard


async def error_before(test: Test) -> None:
    for is_streamed in BOTH:
        for fault, statuses in (("500", {500, 502, 503, 529}), ("429", {429})):
            try:
                heard = await test.ask(Ask(turns=(user("x"),)), is_streamed=is_streamed, model=f"broken-{fault}")
            except Refused as refused:
                assert refused.status in statuses, refused
                assert refused.message
            else:
                raise AssertionError(f"no error but {heard}")


async def error_within(test: Test) -> None:
    try:
        heard = await test.ask(Ask(turns=(user("count to 40"),)), is_streamed=True, model="broken-cut")
    except Broke:
        return
    raise AssertionError(f"no error but {heard}")


FEATURES: dict[str, tuple[str, Feature]] = {
    "text": ("Text", text),
    "system": ("System prompt", system),
    "turns": ("Several turns", turns),
    "tools": ("Tools", tools),
    "parallel_tools": ("Parallel tools", parallel_tools),
    "tool_results": ("Tool results", tool_results),
    "foreign_loop": ("Another provider's tool loop", foreign_loop),
    "images": ("Images", images),
    "reasoning": ("Reasoning", reasoning),
    "structured": ("Structured output", structured),
    "stop": ("Stop sequences", stop),
    "usage": ("Usage", usage),
    "finish": ("Finish reasons", finish),
    "error_before": ("Error before an answer", error_before),
    "error_within": ("Error within a stream", error_within),
}
