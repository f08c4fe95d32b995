"""Which passage leads to a candidate, and what has to be done before its request can be written."""

from __future__ import annotations

from app.base.errors import BadRequest, NotExpressible
from app.gateway import inlining, reading, signatures
from app.gateway.course import Course
from app.gateway.formats import FORMATS, upstream_endpoint
from app.gateway.passages import deliveries, generated
from app.gateway.passages.across import Across
from app.gateway.passages.exchanged import Exchanged
from app.gateway.passages.passage import Passage
from app.gateway.passages.through import Through
from app.gateway.routing import Candidate


async def prepare(course: Course, candidate: Candidate) -> Passage:
    """The passage to a candidate, its request written.

    Raises:
        BadRequest: the caller's request is wrong, whoever is asked.
        NotExpressible: this provider cannot be told what the caller asks; `param` is the path.
        ProviderFailed: what the hub has to fetch for it by URL could not be had.
    """
    if course.request.endpoint.task == "video":
        return await generated.prepare(course, candidate)
    request, kind = course.request, candidate.route.source.kind
    name = upstream_endpoint(kind, request.endpoint, candidate.route.upstream_model)
    assert name is not None, "the router offers only those who serve the endpoint"
    is_own = name == request.endpoint.name and not reading.must_be_read(course, kind, candidate.route.upstream_model)
    if is_own and not await signatures.has_to_put_back(course, kind):
        return Through(course, candidate)
    passage = await _translated(course, candidate, name)
    if course.caller.is_strict:
        lost = next((note for note in passage.notes if note.what == "dropped"), None)
        if lost is not None and is_own:
            return Through(course, candidate)
        if lost is not None:
            raise NotExpressible(
                f"{kind.title} cannot be told {lost.path} ({lost.why}), and this key is strict.", param=lost.path
            )
    return passage


async def _translated(course: Course, candidate: Candidate, name: str) -> Across | Exchanged:
    if FORMATS[name].upstream is None:
        return await _exchanged(course, candidate, name)
    said = reading.conversation_of(course)
    kind = candidate.route.source.kind
    said = await signatures.put_back(course, said, kind)
    said = await inlining.inlined(course, said, kind, name)
    try:
        return Across(course, candidate, name, said)
    except BadRequest as refusal:
        # Of a conversation that could be read: it is this provider's format that has no place for something.
        raise NotExpressible(refusal.sentence, param=refusal.param, code=refusal.code) from None


async def _exchanged(course: Course, candidate: Candidate, name: str) -> Exchanged:
    client = FORMATS[course.request.endpoint.name].order_client
    assert client is not None
    order = client.read_order(course.request.body)
    order = await deliveries.with_bytes(course, order, candidate.route.source.kind, name)
    try:
        return Exchanged(course, candidate, name, order)
    except BadRequest as refusal:
        raise NotExpressible(refusal.sentence, param=refusal.param, code=refusal.code) from None
