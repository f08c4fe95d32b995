"""One attempt: ask one provider with one credential, until its answer has begun or has failed.

Nothing has gone to the client yet, so a failure here lets the next candidate try. An answer that comes in one piece is
read whole; of a stream the first piece is read, because some providers say 200 and then an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import monotonic

from msgspec import Struct

from app.adapters.providers import addresses, demo, failures
from app.adapters.providers.client import MAX_ANSWER_BYTES, MAX_ERROR_BYTES, UpstreamAnswer
from app.adapters.providers.failures import Failure
from app.adapters.providers.kinds import Kind, ToSign
from app.base.clock import now_us
from app.base.errors import AppError, ProviderRefused
from app.base.secret import Secret
from app.domain.calls.recorder import Tried
from app.gateway.course import Course
from app.gateway.health import EVERY_MODEL
from app.gateway.passages import preparing
from app.gateway.passages.passage import Passage
from app.gateway.routing import Candidate
from app.wire.answers import AnswerFacts, BrokenStream, ErrorInside
from app.wire.faces import Tap

_DISABLED_SECONDS = 60
_COMMENTS_SECONDS = 10.0
"""So long are comments held back with which a provider keeps the connection alive before it begins: once something has
gone to the client no other provider can be tried. After that the client needs them for the same purpose."""
_MAX_COMMENT_BYTES = 64 * 1024


class Whole(Struct, frozen=True):
    """An answer that came in one piece."""

    status: int
    content_type: str
    content: bytes
    count_characters: Callable[[], int]
    """Of text in it, should its usage have to be estimated."""
    facts: AnswerFacts
    passage: Passage
    problem: AppError | None = None
    """What is wrong with an answer that was made, and is billed, all the same."""


class Pieces(Struct, frozen=True):
    """An answer that has begun and goes on. `tap` is None for a file."""

    answer: UpstreamAnswer
    status: int
    content_type: str
    first: bytes
    tap: Tap | None
    passage: Passage


async def ask(course: Course, candidate: Candidate) -> Whole | Pieces | Failure:
    """The beginning of an answer, or why there is none. The attempt is noted in the course either way.

    Raises:
        AppError: the call was stopped and must not be tried elsewhere (the client left, its own time is over).
    """
    health = course.shared.health
    credential_id, upstream_model = candidate.credential.id, candidate.route.upstream_model
    secrets = tuple(candidate.credential.parts.values())
    health.begin(credential_id, upstream_model)
    began_us, began_at = now_us(), monotonic()
    answer: UpstreamAnswer | None = None
    failure: Failure | None = None
    begun: Whole | Pieces | None = None
    try:
        with course.upstream:
            passage: Passage = await preparing.prepare(course, candidate)
            course.notes = passage.notes
            answer = await _post(course, candidate, passage)
            if answer.status >= 300:
                content = await answer.read(MAX_ERROR_BYTES)
                failure = failures.from_answer(
                    candidate.route.source.kind, answer.status, answer.headers, content, secrets
                )
            else:
                result = await _begin(course, answer, candidate, passage, secrets)
                if isinstance(result, Failure):
                    failure = result
                else:
                    begun = result
    except failures.EXCEPTIONS as error:
        failure = failures.from_exception(candidate.route.source.kind, error)
    except AppError as error:
        if course.stop_reason not in ("first_byte", "idle"):
            health.abandoned(credential_id, upstream_model)
            _note(course, candidate, began_us, began_at, answer, error, "")
            raise
        failure = failures.from_exception(candidate.route.source.kind, TimeoutError())
        failure.error.code = error.code
        course.stop_reason = None
    finally:
        if answer is not None and not isinstance(begun, Pieces):
            answer.close()
    error = failure.error if failure is not None else None
    _note(course, candidate, began_us, began_at, answer, error, _words(course, failure))
    if failure is not None:
        _remember(course, candidate, failure)
        return failure
    health.succeeded(credential_id, upstream_model)
    assert begun is not None
    return begun


async def _post(course: Course, candidate: Candidate, passage: Passage) -> UpstreamAnswer:
    route, outgoing, endpoint = candidate.route, passage.outgoing, passage.endpoint
    source, kind = route.source, route.source.kind
    if kind.name == "demo":
        return await demo.answer(endpoint, outgoing)
    path = outgoing.path
    if path is None:
        is_streamed = course.request.body.is_streamed
        path = kind.paths.get(f"{endpoint}.stream") if is_streamed else None
        path = path or kind.paths[endpoint]
    url = addresses.call_url(kind, source.base_url, path, model=route.upstream_model, region=source.region)
    headers: dict[str, str] = {**kind.extra_headers, **outgoing.headers, "Content-Type": outgoing.content_type}
    kind.signing(
        headers,
        candidate.credential.parts,
        ToSign(method="POST", url=url, content=outgoing.content, region=source.region),
    )
    return await course.shared.client.post(url, headers, outgoing.content, connect_seconds=kind.deadlines.connect)


async def _begin(
    course: Course, answer: UpstreamAnswer, candidate: Candidate, passage: Passage, secrets: Collection[Secret]
) -> Whole | Pieces | Failure:
    """Read as much of a good answer as can be read before the client gets any of it."""
    request, kind = course.request, candidate.route.source.kind
    content_type = answer.headers.get("Content-Type", "application/octet-stream")
    media = content_type.lower()
    is_events, is_json = media.startswith(passage.format.stream_media), media.startswith("application/json")
    if request.body.is_streamed and is_events:
        if passage.is_translated:
            content_type = "text/event-stream"
        return await _begin_stream(course, answer, kind, passage, secrets, content_type)
    if request.endpoint.is_binary and not (is_events or is_json or media.startswith("text/")):
        first = await answer.piece()
        course.first_byte_at = monotonic()
        course.deadline.progress()
        if not first:
            return failures.from_exception(kind, BrokenStream("an empty file"))
        return Pieces(answer, answer.status, content_type, first, None, passage)
    # Of pictures and sound some models cannot stream; they answer whole, whatever was asked for.
    must_stream = request.endpoint.has_usage_option or request.endpoint.task == "conversation"
    if is_events or (request.body.is_streamed and must_stream and not passage.is_translated):
        return failures.from_exception(kind, BrokenStream(f"{media[:60]} in place of a stream"))
    is_text = request.endpoint.may_be_text and not media.startswith("text/html")
    if not is_json and not is_text:
        return failures.from_exception(kind, BrokenStream(f"{media[:60]} in place of an answer"))
    content = await answer.read(MAX_ANSWER_BYTES + 1)
    course.first_byte_at = monotonic()
    if len(content) > MAX_ANSWER_BYTES:
        return failures.from_exception(kind, BrokenStream("an answer of more than 64 MiB"))
    return await _read_whole(course, answer, kind, passage, secrets, content_type, content)


async def _read_whole(
    course: Course,
    answer: UpstreamAnswer,
    kind: Kind,
    passage: Passage,
    secrets: Collection[Secret],
    content_type: str,
    content: bytes,
) -> Whole | Failure:
    if not content_type.lower().startswith("application/json"):
        return Whole(answer.status, content_type, content, lambda: len(content), AnswerFacts(is_json=False), passage)
    try:
        whole = await passage.whole(content)
    except ErrorInside as inside:
        return failures.from_error_inside(kind, bytes(inside.report), secrets)
    facts = whole.facts
    if facts.error is not None:
        return failures.from_error_inside(kind, bytes(facts.error), secrets)
    if not facts.is_json:
        return failures.from_exception(kind, BrokenStream("JSON that cannot be read"))
    return Whole(
        answer.status,
        whole.content_type or content_type,
        whole.content,
        lambda: passage.characters_of(content),
        facts,
        passage,
        whole.problem,
    )


async def _begin_stream(
    course: Course,
    answer: UpstreamAnswer,
    kind: Kind,
    passage: Passage,
    secrets: Collection[Secret],
    content_type: str,
) -> Pieces | Failure:
    tap = passage.tap()
    first = b""
    patient_until = monotonic() + _COMMENTS_SECONDS
    while not tap.has_begun and tap.error is None and not tap.is_complete:
        chunk = await answer.piece()
        if not chunk:
            first += tap.finish()
            break
        course.first_byte_at = course.first_byte_at or monotonic()
        course.deadline.progress()
        first += tap.feed(chunk)
        if len(first) > _MAX_COMMENT_BYTES or (first and monotonic() > patient_until):
            return Pieces(answer, answer.status, content_type, first, tap, passage)
    if tap.error is not None:
        return failures.from_error_inside(kind, bytes(tap.error), secrets)
    if not tap.has_begun and not tap.is_complete:
        return failures.from_exception(kind, BrokenStream("an empty stream"))
    return Pieces(answer, answer.status, content_type, first, tap, passage)


def _words(course: Course, failure: Failure | None) -> str:
    """What the provider said, for the record; not where it is about the request, which it may quote."""
    if failure is None or (isinstance(failure.error, ProviderRefused) and course.caller.keep_content_days <= 0):
        return ""
    return failure.provider_text


def _note(
    course: Course,
    candidate: Candidate,
    began_us: int,
    began_at: float,
    answer: UpstreamAnswer | None,
    error: AppError | None,
    provider_text: str,
) -> None:
    first_byte_at = course.first_byte_at
    course.attempts.append(
        Tried(
            n=len(course.attempts) + 1,
            provider=candidate.route.source.name,
            deployment_id=candidate.route.id,
            credential_id=candidate.credential.id,
            started_us=began_us,
            first_byte_us=int((first_byte_at - began_at) * 1e6)
            if first_byte_at is not None and error is None
            else None,
            total_us=int((monotonic() - began_at) * 1e6),
            http_status=answer.status if answer is not None else None,
            error_code=error.code if error is not None else None,
            error_text=(provider_text or course.error_text(error)) if error is not None else None,
        )
    )
    course.shared.metrics.attempt_ended(candidate.route.source.name, "ok" if error is None else error.code)


def _remember(course: Course, candidate: Candidate, failure: Failure) -> None:
    """What a failure means for the calls after this one."""
    course.first_byte_at = None
    health, credential, model = course.shared.health, candidate.credential, candidate.route.upstream_model
    is_limited = failure.http_status == 429
    match failure.cools:
        case "disable":
            # Until the snapshot without it is here.
            health.rest(credential.id, EVERY_MODEL, _DISABLED_SECONDS, is_limited=False)
            course.shared.disable(candidate, failure.error.sentence)
        case "credential":
            health.rest(credential.id, EVERY_MODEL, failure.cool_seconds, is_limited=is_limited)
        case "credential_model":
            health.rest(credential.id, model, failure.cool_seconds, is_limited=is_limited)
        case "nothing":
            pass
    if failure.counts_for_breaker:
        health.failed(credential.id, model)
    elif failure.cools == "nothing":
        # The provider is well; it did not like this request.
        health.succeeded(credential.id, model)
