"""Putting back what a client dropped, in the neutral form: what comes back, where it stands, and to whom it goes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from app.adapters.providers.registry import KINDS
from app.base.vault import KeyRing, Vault
from app.domain.catalog.serving import Route, Source, UsableCredential
from app.gateway import signatures
from app.gateway.routing import Candidate
from app.gateway.turn_memory import TurnMemory
from app.wire.neutral import Conversation, Message, Opaque, Part, Reasoning, Text, ToolCall, ToolResult, legal_id


class _NoTable:
    """A database that nobody may look into."""

    def reading(self) -> Any:
        pytest.fail("a warm turn reads nothing")


def a_course(team: str = "acme", memory: TurnMemory | None = None) -> Any:
    if memory is None:
        memory = TurnMemory(_NoTable(), Vault(KeyRing((("k", bytes(32)),))), lambda: 0.0)  # type: ignore[arg-type]
    return SimpleNamespace(caller=SimpleNamespace(team_id=team), shared=SimpleNamespace(turn_memory=memory))


def a_candidate(kind: str, keys: int = 1) -> Candidate:
    credentials = tuple(UsableCredential(id=f"{kind}-{n}", label=str(n), weight=1, parts={}) for n in range(keys))
    source = Source(id=kind, name=kind, kind=KINDS[kind], base_url=None, region=None, credentials=credentials)
    return Candidate(Route(id=kind, source=source, upstream_model="m", weight=1, priority=0), credentials[0])


def call(n: int = 0, opaque: Opaque | None = None, **more: Any) -> ToolCall:
    return ToolCall(id=f"call_{n}", name="look", arguments=Raw(b'{"n": %d}' % n), opaque=opaque, **more)


def history(*parts: Part) -> Conversation:
    ids = [part.id for part in parts if isinstance(part, ToolCall)]
    return Conversation(
        messages=(
            Message(role="user", parts=(Text(text="look"),)),
            Message(role="assistant", parts=parts, at="messages[1]"),
            Message(role="user", parts=tuple(ToolResult(call_id=id_) for id_ in ids)),
        )
    )


def bare(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Without the places in the client's document."""
    return tuple(replace(part, at="") for part in parts)


SIGNED = Reasoning(text="because", opaque=Opaque("anthropic", "sig-1"))
HIDDEN = Reasoning(opaque=Opaque("anthropic", "sig-2"), is_redacted=True)


async def test_thoughts_stand_before_what_was_said_and_in_their_order() -> None:
    course = a_course()
    signatures.keep(course, a_candidate("anthropic"), (SIGNED, HIDDEN, Text(text="I look."), call(0), call(1)))

    said = await signatures.put_back(course, history(Text(text="I look."), call(0), call(1)), KINDS["anthropic"])

    assert bare(said.messages[1].parts) == (SIGNED, HIDDEN, Text(text="I look."), call(0), call(1))


async def test_signatures_come_back_on_the_calls_that_had_them() -> None:
    course = a_course()
    mark = Opaque("google", "sig")
    signatures.keep(course, a_candidate("google"), (call(0, mark), call(1)))

    said = await signatures.put_back(course, history(call(0), call(1)), KINDS["google"])

    assert bare(said.messages[1].parts) == (call(0, mark), call(1))


async def test_a_thought_that_came_back_without_its_signature_does_not_stand_there_twice() -> None:
    course = a_course()
    signatures.keep(course, a_candidate("anthropic"), (SIGNED, call()))

    said = await signatures.put_back(course, history(Reasoning(text="because"), call()), KINDS["anthropic"])

    assert bare(said.messages[1].parts) == (SIGNED, call())


async def test_what_the_client_gives_back_itself_stays_as_it_is() -> None:
    course = a_course()
    signatures.keep(course, a_candidate("anthropic"), (SIGNED, call()))
    given_back = history(replace(SIGNED, text="because!"), call())

    assert await signatures.put_back(course, given_back, KINDS["anthropic"]) is given_back


@pytest.mark.parametrize(("kind", "team"), [("google", "acme"), ("bedrock", "acme"), ("anthropic", "globex")])
async def test_nobody_else_gets_it(kind: str, team: str) -> None:
    course = a_course()
    signatures.keep(course, a_candidate("anthropic"), (SIGNED, call()))
    other = a_course(team, course.shared.turn_memory)
    other.shared.turn_memory._db = _Empty()
    asked = history(call())

    assert await signatures.put_back(other, asked, KINDS[kind]) is asked


class _Empty:
    """A database in which nothing is."""

    def reading(self) -> Any:
        return self

    async def __aenter__(self) -> _Empty:
        return self

    async def __aexit__(self, *_error: object) -> None: ...

    async def execute(self, _query: object) -> list[Any]:
        return []


async def test_thoughts_without_a_signature_are_kept_for_those_who_take_them_back() -> None:
    course = a_course()
    plain = Reasoning(text="because")
    for kind in ("deepseek", "openai"):
        signatures.keep(course, a_candidate(kind), (plain, call()))

    assert bare((await signatures.put_back(course, history(call()), KINDS["deepseek"])).messages[1].parts)[0] == plain
    asked = history(call())
    assert await signatures.put_back(course, asked, KINDS["openai"]) is asked


async def test_an_id_that_was_made_legal_for_the_client_is_the_same_call() -> None:
    course = a_course()
    theirs = replace(call(), id="functions.look:0")
    signatures.keep(course, a_candidate("anthropic"), (SIGNED, theirs))
    ours = replace(theirs, id=legal_id(theirs.id))

    said = await signatures.put_back(course, history(ours), KINDS["anthropic"])

    assert bare(said.messages[1].parts) == (SIGNED, ours)


async def test_a_value_that_the_client_carries_is_remembered_only_where_several_credentials_are() -> None:
    course = a_course()

    assert signatures.keep(course, a_candidate("openai"), (SIGNED,)) == []
    [step] = signatures.keep(course, a_candidate("openai", keys=2), (SIGNED,))
    assert "openai-0" in step.values and None in step.values


@pytest.mark.parametrize("arguments", [b'{"a":' * 900 + b"1" + b"}" * 900, b"{", b'{"a":"\xff"}'])
async def test_arguments_beyond_all_measure_are_a_call_like_any_other(arguments: bytes) -> None:
    course = a_course()
    odd = replace(call(), arguments=Raw(arguments))
    signatures.keep(course, a_candidate("anthropic"), (SIGNED, odd))

    said = await signatures.put_back(course, history(odd), KINDS["anthropic"])

    assert bare(said.messages[1].parts) == (SIGNED, odd)


@given(st.text(min_size=1, max_size=100))
def test_an_id_is_made_legal_once_and_stays_the_same(id_: str) -> None:
    legal = legal_id(id_)

    assert legal_id(legal) == legal == legal_id(id_) and len(legal) <= 64
    short = legal_id(id_, 40)
    assert legal_id(short, 40) == short and len(short) <= 40
