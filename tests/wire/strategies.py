"""What Hypothesis makes of the neutral forms: conversations, answers and event sequences, and how to compare them."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Raw

from app.wire.neutral import (
    Audio,
    Conversation,
    Image,
    Message,
    Opaque,
    OutputFormat,
    Part,
    ReasoningWish,
    Refusal,
    Sampling,
    Source,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolSpec,
)
from app.wire.neutral import Reasoning as Thought
from app.wire.neutral_answer import (
    Answer,
    Event,
    Finished,
    Produced,
    ReasoningDelta,
    ReasoningEnd,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
"""Any Unicode but lone surrogates, which no JSON can hold."""
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)
ids = st.one_of(names, st.from_regex(r"[A-Za-z0-9_.:/-]{1,80}", fullmatch=True))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), words)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
objects = st.dictionaries(words, values, max_size=4)
arguments = objects.map(lambda value: Raw(msgspec.json.encode(value)))
opaques = st.builds(Opaque, st.sampled_from(("anthropic", "google", "openai", "openrouter")), words)
images = st.builds(
    Image,
    source=st.one_of(
        st.builds(Source, url=st.just("https://example.com/cat.png")),
        st.builds(Source, data=st.just("aGVsbG8="), media_type=st.sampled_from(("image/png", "image/jpeg"))),
    ),
    detail=st.sampled_from((None, "low", "high")),
)
audios = st.builds(Audio, source=st.builds(Source, data=st.just("aGVsbG8="), media_type=st.just("audio/wav")))
texts = st.builds(Text, text=words)


@st.composite
def turns(draw: st.DrawFn) -> list[Message]:
    """A user's turn and what the assistant made of it: text, or tool calls and their results."""
    said: list[Part] = draw(st.lists(st.one_of(texts, images, audios), min_size=1, max_size=3))
    messages = [Message(role="user", parts=tuple(said))]
    if draw(st.booleans()):
        called = draw(
            st.lists(st.tuples(ids, names, arguments), min_size=1, max_size=3, unique_by=lambda call: call[0])
        )
        calls = [ToolCall(id=id_, name=name, arguments=given) for id_, name, given in called]
        before: list[Part] = draw(st.lists(texts, max_size=1))
        messages.append(Message(role="assistant", parts=(*before, *calls)))
        results = [ToolResult(call_id=call.id, parts=(draw(texts),)) for call in calls]
        after: list[Part] = draw(st.lists(texts, max_size=1))
        messages.append(Message(role="user", parts=(*results, *after)))
    messages.append(Message(role="assistant", parts=(draw(texts),)))
    return messages


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    tools = draw(
        st.lists(
            st.builds(
                ToolSpec,
                name=names,
                description=st.one_of(st.none(), words),
                parameters=st.just(Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')),
                strict=st.sampled_from((None, True, False)),
            ),
            max_size=3,
            unique_by=lambda tool: tool.name,
        )
    )
    choices = [ToolChoice(mode="auto"), ToolChoice(mode="required"), ToolChoice(mode="none")]
    choices += [ToolChoice(mode="tool", name=tool.name) for tool in tools]
    messages = [message for turn in draw(st.lists(turns(), max_size=3)) for message in turn]
    last = Message(role="user", parts=(draw(texts),))
    schema = Raw(b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}')
    return Conversation(
        system=tuple(draw(st.lists(texts, max_size=2))),
        messages=(*messages, last),
        tools=tuple(tools),
        tool_choice=draw(st.one_of(st.none(), st.sampled_from(choices))) if tools else None,
        has_parallel_tools=draw(st.sampled_from((None, True, False))) if tools else None,
        sampling=draw(
            st.builds(
                Sampling,
                max_tokens=st.one_of(st.none(), st.integers(1, 100_000)),
                temperature=st.one_of(st.none(), st.floats(0, 2)),
                top_p=st.one_of(st.none(), st.floats(0, 1)),
                stop=st.lists(words, max_size=3).map(tuple),
                seed=st.one_of(st.none(), st.integers(0, 2**31)),
            )
        ),
        output=draw(
            st.sampled_from((None, OutputFormat(mode="json_schema", name="answer", schema=schema, strict=True)))
        ),
        reasoning=draw(
            st.one_of(st.none(), st.builds(ReasoningWish, effort=st.sampled_from(("low", "medium", "high"))))
        ),
        user=draw(st.one_of(st.none(), words)),
    )


answers = st.builds(
    Answer,
    parts=st.tuples(
        st.lists(st.builds(Thought, text=words), max_size=1),
        st.lists(texts, max_size=1),
        st.lists(st.builds(Refusal, text=words), max_size=1),
        st.lists(st.builds(ToolCall, id=ids, name=names, arguments=arguments), max_size=3),
    ).map(lambda groups: tuple(part for group in groups for part in group)),
    finish=st.sampled_from(("stop", "length", "content_filter")),
)

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(TextDelta, words),
    st.builds(ReasoningDelta, words),
    st.builds(ReasoningEnd, st.one_of(st.none(), opaques), st.booleans()),
    st.builds(ToolCallStart, st.integers(0, 4), ids, names, st.one_of(st.none(), opaques)),
    st.builds(ToolCallDelta, st.integers(0, 4), words),
    st.builds(RefusalDelta, words),
    st.builds(Produced, images),
    st.builds(
        Finished, st.sampled_from(("stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause", "error"))
    ),
)


@st.composite
def good_events(draw: st.DrawFn) -> list[Event]:
    """Events as a provider would send them: thoughts, words, calls whose arguments are JSON, an end."""
    made: list[Event] = []
    thoughts = draw(st.lists(words, max_size=3))
    made += [ReasoningDelta(text) for text in thoughts]
    if thoughts:
        made.append(ReasoningEnd(None))
    made += [TextDelta(text) for text in draw(st.lists(words, max_size=4))]
    calls = draw(st.lists(st.tuples(ids, names, arguments), max_size=3, unique_by=lambda call: call[0]))
    made += [ToolCallStart(index, id_, name) for index, (id_, name, _) in enumerate(calls)]
    for index, (_, _, given) in enumerate(calls):
        text = bytes(given).decode()
        cut = draw(st.integers(0, len(text)))
        made += [ToolCallDelta(index, piece) for piece in (text[:cut], text[cut:]) if piece]
    made.append(Finished("tool_calls" if calls else draw(st.sampled_from(("stop", "length")))))
    return made


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces that end at `cuts` (modulo its length)."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def facts(conversation: Conversation) -> list[Any]:
    """What is said, turn by turn, however it is cut into messages and parts: for comparing two conversations.

    Ids of calls become numbers in the order in which they are first seen.
    """
    numbers: dict[str, int] = {}
    seen: list[Any] = []
    for message in conversation.messages:
        for part in message.parts:
            seen.append((message.role, _fact(part, numbers)))
    return [("system", "\n\n".join(text.text for text in conversation.system)), *_merged(seen)]


def _fact(part: Part, numbers: dict[str, int]) -> Any:
    match part:
        case Text():
            return ("text", part.text)
        case Image():
            return ("image", part.source.url, part.source.data, part.source.media_type, part.detail)
        case Audio():
            return ("audio", part.source.data, part.source.media_type)
        case ToolCall():
            number = numbers.setdefault(part.id, len(numbers))
            return ("call", number, part.name, msgspec.json.decode(part.arguments))
        case ToolResult():
            inner = [_fact(one, numbers) for one in part.parts]
            return ("result", numbers.setdefault(part.call_id, len(numbers)), inner)
        case Thought():
            return ("thought", part.text)
        case _:
            return part


def _merged(seen: list[Any]) -> list[Any]:
    """Neighbouring texts of one role as one, without the blank lines that may stand between them."""
    merged: list[Any] = []
    for role, fact in seen:
        last = merged[-1] if merged else None
        if fact[0] == "text" and last is not None and last[0] == role and last[1][0] == "text":
            merged[-1] = (role, ("text", last[1][1].rstrip("\n") + fact[1].lstrip("\n")))
        else:
            merged.append((role, fact))
    plain = [
        (role, ("text", fact[1].replace("\n\n", ""))) if fact[0] == "text" else (role, fact) for role, fact in merged
    ]
    return plain
