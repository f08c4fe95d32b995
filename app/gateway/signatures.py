"""Signatures of thoughts, encrypted items and the like: kept when a turn ends in tool calls, put back when the client
has dropped them, and given only to the kind of provider that made them and the team that paid for them.

Providers refuse the second turn of a tool loop without them, and most clients drop fields that they do not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from app.adapters.providers.kinds import Kind
from app.base.errors import BadRequest
from app.base.writer import Step
from app.domain.calls import turns
from app.gateway.course import Course
from app.gateway.formats import upstream_endpoint
from app.gateway.reading import conversation_of
from app.gateway.routing import Candidate
from app.gateway.turn_memory import Remembered, State
from app.wire.neutral import Conversation, Message, Opaque, Part, Reasoning, Text, ToolCall, legal_id

_MOST_CALLS = 200
"""Of one conversation that are looked up, the newest; of one turn that are kept."""


def keep(course: Course, candidate: Candidate, parts: Sequence[Part]) -> list[Step]:
    """What the settlement writes about an answer, in the same transaction."""
    kind, credential = candidate.route.source.kind, candidate.credential
    team_id, memory = course.caller.team_id, course.shared.turn_memory
    calls = [part for part in parts if isinstance(part, ToolCall)][:_MOST_CALLS]
    thoughts = tuple(part for part in parts if isinstance(part, Reasoning) and _is_usable(part, kind))
    rows: list[turns.Kept] = []
    for n, call in enumerate(calls):
        digest = _digest(team_id, kind.name, call)
        state = State(thoughts if n == 0 else (), call.opaque)
        if state.thoughts or state.opaque is not None:
            rows.append(memory.seal(digest, team_id, state, credential.id))
        else:
            memory.note_empty(digest)
    if len(candidate.route.source.credentials) > 1:
        for opaque in _opaques(parts):
            digest = turns.digest_of_opaque(team_id, opaque.origin, opaque.value)
            rows.append(memory.seal(digest, team_id, None, credential.id))
    return [turns.keep(row) for row in {row.digest: row for row in rows}.values()]


def keep_passed(course: Course, candidate: Candidate, response: bytes) -> list[Step]:
    """The same of an answer of the Responses API that went by as it came: who made its sealed items."""
    if len(candidate.route.source.credentials) < 2:
        return []
    team_id, origin = course.caller.team_id, candidate.route.source.kind.name
    digests = [turns.digest_of_opaque(team_id, origin, value) for value in _sealed_items(response)]
    memory, credential_id = course.shared.turn_memory, candidate.credential.id
    return [turns.keep(memory.seal(digest, team_id, None, credential_id)) for digest in dict.fromkeys(digests)]


async def put_back(course: Course, said: Conversation, kind: Kind) -> Conversation:
    """The conversation with what its client has dropped of this kind's own turns."""
    team_id = course.caller.team_id
    lacking: dict[int, list[bytes]] = {}
    """Place of a message → the digests of its calls."""
    left = _MOST_CALLS
    for place in range(len(said.messages) - 1, -1, -1):
        message = said.messages[place]
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if message.role != "assistant" or not calls or _is_carried(message, kind):
            continue
        left -= len(calls)
        if left < 0:
            break
        lacking[place] = [_digest(team_id, kind.name, call) for call in calls]
    if not lacking:
        return said
    digests = {digest for one in lacking.values() for digest in one}
    found = await course.shared.turn_memory.find(team_id, digests)
    if not found:
        return said
    messages = list(said.messages)
    for place, own in lacking.items():
        messages[place] = _completed(messages[place], [found.get(digest) for digest in own])
    return replace(said, messages=tuple(messages))


async def has_to_put_back(course: Course, kind: Kind) -> bool:
    """Whether a request that could be passed on as it is lacks thoughts that the provider insists on, and we have."""
    document = course.request.body.document
    if not is_heard(course, kind) or document is None or b'"tool_calls"' not in bytes(document.get("messages", b"")):
        return False
    try:
        said = conversation_of(course)
    except BadRequest:
        return False
    return await put_back(course, said, kind) is not said


def is_heard(course: Course, kind: Kind) -> bool:
    """Whether the thoughts of an answer are kept although it goes by as it came."""
    body = course.request.body
    is_chat = course.request.endpoint.name == "chat.completions"
    return kind.insists_on_thoughts and is_chat and body.document is not None and "tools" in body.document


async def preferred_credential(course: Course) -> str | None:
    """The credential that made what the caller gives back, where several could be asked: some values work only with
    the organisation whose credential made them."""
    routes = course.model.routes
    if len(routes) == 1 and len(routes[0].source.credentials) == 1:
        # The usual hub: there is nobody to prefer.
        return None
    sources = {route.source.id: route.source for route in routes}
    credentials = {credential.id for source in sources.values() for credential in source.credentials}
    endpoint, document = course.request.endpoint, course.request.body.document
    if endpoint.task != "conversation" or document is None or len(credentials) < 2:
        return None
    kinds = {source.kind.name: source.kind for source in sources.values()}
    if not any(_MAY_CONTINUE.search(raw) for raw in document.values()):
        return None
    served = (upstream_endpoint(route.source.kind, endpoint, route.upstream_model) for route in routes)
    if any(name not in (endpoint.name, None) for name in served):
        try:
            digests = list(_digests_of_history(conversation_of(course), course.caller.team_id, tuple(kinds)))
        except BadRequest:
            return None
    elif endpoint.name == "responses":
        values = _sealed_items(document.get("input", b""))
        digests = [turns.digest_of_opaque(course.caller.team_id, kind, value) for value in values for kind in kinds]
    else:
        # Their answers go by unread, so nothing is known of them.
        return None
    found = await course.shared.turn_memory.find(course.caller.team_id, digests)
    for digest in digests:
        known = found.get(digest)
        if known is not None and known.credential_id in credentials:
            return known.credential_id
    return None


_MAY_CONTINUE = re.compile(
    rb'"(?:tool_calls|toolCalls|tool_use|function_call|functionCall|signature|thoughtSignature|thought_signature'
    rb'|encrypted_content|reasoning_details|redacted_thinking)"'
)


_SEALED_ITEM = re.compile(rb'"encrypted_content"\s*:\s*"(?:hub1\.[a-z]+\.)?([A-Za-z0-9+/=_-]{16,}+)"')


def _sealed_items(raw: bytes | Raw) -> list[str]:
    """Encrypted items as they stand in a request or an answer, the newest first."""
    return [value.decode() for value in _SEALED_ITEM.findall(raw)][: -_MOST_CALLS - 1 : -1]


def _digests_of_history(said: Conversation, team_id: str, origins: tuple[str, ...]) -> Iterator[bytes]:
    """The newest first."""
    left = _MOST_CALLS
    for message in reversed(said.messages):
        for opaque in _opaques(message.parts):
            yield turns.digest_of_opaque(team_id, opaque.origin, opaque.value)
        for part in message.parts:
            if isinstance(part, ToolCall) and left > 0:
                left -= 1
                for origin in origins:
                    yield _digest(team_id, origin, part)


def _opaques(parts: Sequence[Part]) -> Iterator[Opaque]:
    for part in parts:
        if isinstance(part, Text | Reasoning | ToolCall) and part.opaque is not None:
            yield part.opaque


def _is_usable(thought: Reasoning, kind: Kind) -> bool:
    """Whether the provider takes this thought back."""
    if thought.opaque is None:
        return kind.reasoning_field is not None and bool(thought.text)
    return thought.opaque.origin == kind.name


def _is_carried(message: Message, kind: Kind) -> bool:
    """Whether the client has given back what this kind needs."""
    return any(
        (isinstance(part, ToolCall) and part.opaque is not None)
        or (isinstance(part, Reasoning) and _is_usable(part, kind))
        for part in message.parts
    )


def _completed(message: Message, known: Sequence[Remembered | None]) -> Message:
    states = [None if one is None else one.state for one in known]
    thoughts = tuple(thought for state in states if state is not None for thought in state.thoughts)
    left = iter(states)
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall):
            state = next(left)
            parts.append(part if state is None or state.opaque is None else replace(part, opaque=state.opaque))
        elif not (thoughts and isinstance(part, Reasoning)):
            # A thought that came back without its signature is the same one.
            parts.append(part)
    at = message.at
    return replace(message, parts=(*(replace(thought, at=at) for thought in thoughts), *parts))


def _digest(team_id: str, origin: str, call: ToolCall) -> bytes:
    # The client may have been given the id as its format allows it.
    return turns.digest_of_call(team_id, origin, legal_id(call.id), _content(call))


def _content(call: ToolCall) -> bytes:
    """Name and arguments, the same however a client writes JSON."""
    try:
        arguments: Any = msgspec.json.decode(call.arguments)
        return msgspec.json.encode([call.name, _plain(arguments)], order="sorted")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode([call.name, bytes(call.arguments)])


def _plain(value: Any) -> Any:
    """Clients turn 1.0 into 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in cast(dict[str, Any], value).items()}
    return value
