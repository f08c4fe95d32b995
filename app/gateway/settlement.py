"""Settlement: what the call came to, handed to the writer once."""

from __future__ import annotations

import math
from time import monotonic

import structlog
from msgspec.structs import replace

from app.base.clock import MICROSECONDS
from app.base.secret import Secret
from app.base.usage import NotAPartition, OutputUncounted, Usage, UsageSource
from app.base.vault import Place
from app.base.writer import AlreadyThere, Posting, Step
from app.domain.calls import recorder
from app.domain.calls.recorder import Content, Ending
from app.gateway import fidelity, limiting
from app.gateway.charging import paying, pricing
from app.gateway.charging.pricing import Priced
from app.gateway.course import Course
from app.gateway.formats import FORMATS, upstream_endpoint
from app.wire.openai.usage import reported_cost_nano
from app.wire.request import text_bytes

_BYTES_PER_TOKEN = 4
_DAY_US = 24 * 3600 * MICROSECONDS

_log = structlog.stdlib.get_logger(__name__)


def settle(course: Course, more: list[Step]) -> Posting:
    """Post the call's end, with `more` in the same transaction. Nothing stops or changes the call from here on."""
    course.is_settled = True
    course.deadline.close()
    usage, source = pricing.chargeable(course, *usage_of(course))
    limiting.settled(course, usage)
    reported = _reported_cost(course)
    priced = pricing.price(course, usage, source, reported)
    ending = _ending(course, source, reported, priced)
    steps = [
        recorder.end(course.id, ending, usage),
        *recorder.tried(course.id, course.attempts),
        *more,
        *pricing.card_steps(course, priced.card),
    ]
    content = _content(course)
    if content is not None:
        steps.append(recorder.keep_content(course.id, content))
    settle = paying.movement(course, usage, priced)
    posting = course.shared.writer.post(*steps, movement=settle, must_take=True)
    posting.on_failure = lambda failure: _unrecorded(course, failure, ending, usage, priced)
    paying.afterwards(course, posting, settle, usage, priced, reported)
    _tell(course, ending, usage)
    return posting


def told_of_cut(course: Course, characters: int) -> Usage:
    """What the client of a stream is told that the hub has ended."""
    course.outcome.characters = characters
    return _estimate(course)


def usage_of(course: Course) -> tuple[Usage, UsageSource]:
    """What was consumed, and who counted it. The provider's report is believed if it can be true."""
    outcome, candidate, endpoint = course.outcome, course.candidate, course.request.endpoint
    if candidate is None:
        return Usage(), "none"
    kind = candidate.route.source.kind
    name = upstream_endpoint(kind, endpoint, candidate.route.upstream_model) or endpoint.name
    if outcome.usage is not None:
        try:
            usage = FORMATS[name].read_usage(outcome.usage, kind.usage, name).believed()
            return _completed(usage, course), "provider"
        except OutputUncounted as report:
            return replace(_completed(report.known, course), output=_estimate(course).output), "estimated"
        except NotAPartition as reason:
            _log.warning("usage.refused", call=course.id, provider=candidate.route.source.name, reason=str(reason))
            return _instead(course)
    # With an error only where something was made all the same.
    if course.error is None or outcome.items:
        counted = _completed(Usage(), course)
        if FORMATS[name].is_by_piece:
            return counted, "counted"
        if outcome.seconds is not None:
            return counted, "provider"
        is_exact = "output" not in endpoint.meters or (endpoint.name.startswith("images") and outcome.items > 0)
        return (counted, "counted") if is_exact and "input" not in endpoint.meters else (_estimate(course), "estimated")
    if course.has_started or outcome.characters:
        return _estimate(course), "estimated"
    return Usage(), "none"


def _instead(course: Course) -> tuple[Usage, UsageSource]:
    """In place of a report that cannot be true: what the provider says in money, else what was seen to go by, else
    what the call was let in for."""
    estimate = _estimate(course)
    if _reported_cost(course) is not None:
        return estimate, "reported_cost"
    if not estimate.output and "output" in course.request.endpoint.meters and course.bill.is_held:
        return course.bill.forecast, "hold"
    return estimate, "estimated"


def _reported_cost(course: Course) -> int | None:
    """nano-USD, as the provider itself puts it."""
    candidate, report = course.candidate, course.outcome.usage
    if candidate is None or report is None or candidate.route.source.kind.reported_cost is None:
        return None
    return reported_cost_nano(report, candidate.route.source.kind.reported_cost)


def _completed(usage: Usage, course: Course) -> Usage:
    """With the meters that the hub counts itself."""
    meters, outcome = course.request.endpoint.meters, course.outcome
    return replace(
        usage,
        images=outcome.items if "images" in meters else usage.images,
        seconds=math.ceil(outcome.seconds) if outcome.seconds is not None and not usage.seconds else usage.seconds,
        characters=course.request.body.characters if "characters" in meters else usage.characters,
        requests=1,
    )


def _estimate(course: Course) -> Usage:
    """From the sizes of what went in and what came out, at four bytes a token; marked as such in the record."""
    meters = course.request.endpoint.meters
    tokens_in = -(-text_bytes(course.request.body) // _BYTES_PER_TOKEN) if "input" in meters else 0
    outcome = course.outcome
    characters = outcome.count_characters() if outcome.count_characters is not None else outcome.characters
    tokens_out = -(-characters // _BYTES_PER_TOKEN) if "output" in meters else 0
    return _completed(Usage(input=tokens_in, output=tokens_out), course)


def _status(course: Course) -> str:
    if course.is_client_gone or course.stop_reason == "client_gone":
        return "client_gone"
    if course.stop_reason == "interrupted":
        return "interrupted"
    if course.error is None:
        return "succeeded"
    return "refused" if course.error.owner == "you" else "failed"


def _ending(course: Course, source: UsageSource, reported_nano: int | None, priced: Priced) -> Ending:
    candidate, error, outcome = course.candidate, course.error, course.outcome
    arrived_at = course.request.arrived_at
    return Ending(
        status=_status(course),
        queue_us=int((course.asked_at - arrived_at) * 1e6) if course.asked_at is not None else None,
        first_byte_us=int((course.first_byte_at - arrived_at) * 1e6) if course.first_byte_at is not None else None,
        total_us=int((monotonic() - arrived_at) * 1e6),
        provider=candidate.route.source.name if candidate is not None else None,
        deployment_id=candidate.route.id if candidate is not None else None,
        credential_id=candidate.credential.id if candidate is not None else None,
        upstream_model=candidate.route.upstream_model if candidate is not None else None,
        upstream_id=_name(outcome.upstream_id),
        attempts=len(course.attempts),
        http_status=course.http_status,
        finish_reason=_name(outcome.finish_reason),
        error_code=error.code if error is not None else None,
        error_owner=error.owner if error is not None else None,
        error_text=course.error_text(error) if error is not None else None,
        usage_source=source,
        provider_cost_nano=reported_nano,
        fidelity=fidelity.record(course.notes),
        card_id=priced.card_id,
        price_facts=priced.price_facts,
        charged_as=priced.charged_as,
        cost_nano=priced.cost_nano,
        charge_nano=priced.charge_nano,
    )


def _name(text: str | None) -> str | None:
    """A provider's word as a column takes it: short, and without NUL, which PostgreSQL refuses."""
    return None if text is None else text[:200].replace("\0", "")


def _content(course: Course) -> Content | None:
    days = course.caller.keep_content_days
    if days <= 0:
        return None
    vault, team_id = course.shared.vault, course.caller.team_id

    def seal(column: str, content: bytes) -> str:
        text = Secret(content.decode("utf-8", "replace"))
        return vault.seal(text, Place("call_content", column, course.id, team_id))

    return Content(
        team_id=team_id,
        sealed_request=seal("sealed_request", course.request.raw_body),
        sealed_answer=seal("sealed_answer", course.outcome.kept),
        expires_us=course.started_us + days * _DAY_US,
    )


def _tell(course: Course, ending: Ending, usage: Usage) -> None:
    provider = ending.provider or "none"
    metrics = course.shared.metrics
    metrics.call_ended(
        endpoint=course.request.endpoint.name,
        provider=provider,
        status=ending.status,
        first_byte_us=ending.first_byte_us,
    )
    metrics.tokens_counted(
        provider,
        tokens_in=usage.input_total,
        tokens_out=usage.output + usage.audio_out,
        is_estimated=ending.usage_source == "estimated",
    )
    _log.info(
        "call.settled",
        call=course.id,
        team=course.caller.team_name,
        key=course.caller.key_name,
        endpoint=course.request.endpoint.name,
        model=course.model.name,
        provider=provider,
        status=ending.status,
        http=ending.http_status,
        attempts=ending.attempts,
        input=usage.input_total,
        output=usage.output,
        usage=ending.usage_source,
        total_ms=ending.total_us // 1000,
        error=ending.error_code,
    )


def _unrecorded(course: Course, failure: BaseException, ending: Ending, usage: Usage, priced: Priced) -> None:
    """A settlement that the database refused for good is in the log with all that it would have said."""
    # Already there: the first try had arrived although its answer did not.
    if not isinstance(failure, AlreadyThere):
        if priced.card is not None:
            course.shared.known_cards.discard(priced.card.id)
        _log.critical("call.unrecorded", call=course.id, reason=repr(failure), ending=ending, usage=usage)
