"""Usage as OpenAI's format reports it, read into our partition.

The same field names mean different things at different providers, so a rule without defaults comes with each of them.
A report is read by types: what is not a whole number between 0 and `MAX_UNITS` refuses the report (`NotAPartition`),
absent and null are not 0, and nothing is counted twice.

https://platform.openai.com/docs/api-reference/chat/object (usage), …/images/create, …/audio/createTranscription
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from typing import Annotated, TypeGuard

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.base.money import NANO
from app.base.usage import MAX_UNITS, NotAPartition, Usage
from app.wire import usage_keys
from app.wire.rules import ReportedCost, UsageRule

_Count = Annotated[int, Meta(ge=0, le=MAX_UNITS)] | UnsetType | None


class _Details(Struct, gc=False):
    cached_tokens: _Count = UNSET
    cache_write_tokens: _Count = UNSET
    """OpenRouter: tokens written to a cache, inside `prompt_tokens`."""
    audio_tokens: _Count = UNSET
    reasoning_tokens: _Count = UNSET


class _CacheCreation(Struct, gc=False):
    ephemeral_5m_input_tokens: _Count = UNSET
    ephemeral_1h_input_tokens: _Count = UNSET


class _ServerTools(Struct, gc=False):
    web_search_requests: _Count = UNSET


class _Report(Struct):
    prompt_tokens: _Count = UNSET
    completion_tokens: _Count = UNSET
    total_tokens: _Count = UNSET
    prompt_tokens_details: _Details | UnsetType | None = UNSET
    completion_tokens_details: _Details | UnsetType | None = UNSET
    # The other places where a cache is reported. DeepSeek has the first, Moonshot the second; gateways in front of
    # Anthropic pass on the rest.
    prompt_cache_hit_tokens: _Count = UNSET
    cached_tokens: _Count = UNSET
    cache_read_input_tokens: _Count = UNSET
    cache_creation_input_tokens: _Count = UNSET
    cache_creation: _CacheCreation | UnsetType | None = UNSET
    # Images, speech and transcriptions say input and output; transcriptions write `token` without s.
    input_tokens: _Count = UNSET
    output_tokens: _Count = UNSET
    input_tokens_details: _Details | UnsetType | None = UNSET
    input_token_details: _Details | UnsetType | None = UNSET
    output_tokens_details: _Details | UnsetType | None = UNSET
    seconds: Decimal | UnsetType | None = UNSET
    generated_images: _Count = UNSET
    server_tool_use: _ServerTools | UnsetType | None = UNSET


_reports = msgspec.json.Decoder(_Report)
_documents = msgspec.json.Decoder(dict[str, Raw])
_NO_DETAILS = _Details()


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """The consumption that a `usage` object reports for a call of `endpoint` (our name, `chat.completions`).

    `images`, `characters` and `requests` are not in it (the caller counts them), except where a provider reports how
    many images it made.

    Raises:
        NotAPartition: a count is no whole number or out of range, the parts exceed their whole, the total contradicts
            them, or nothing is reported that this endpoint could be charged by.
    """
    try:
        found = _reports.decode(report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise NotAPartition(str(problem)) from None
    if endpoint == "audio.speech" or endpoint.startswith("audio.trans"):
        return _of_audio(found, is_speech=endpoint == "audio.speech")
    prompt = found.prompt_tokens if _is_count(found.prompt_tokens) else found.input_tokens
    completion = found.completion_tokens if _is_count(found.completion_tokens) else found.output_tokens
    if not _is_count(prompt):
        # Pictures are counted by the hub; of them Volcengine reports what came out alone, xAI nothing but its bill.
        if not endpoint.startswith("images."):
            raise NotAPartition("no input count")
        prompt = 0
    if not _is_count(completion):
        completion = 0
    return _of_tokens(found, rule, prompt, completion)


def _of_tokens(found: _Report, rule: UsageRule, prompt: int, completion: int) -> Usage:
    given = found.prompt_tokens_details or found.input_tokens_details or _NO_DETAILS
    made = found.completion_tokens_details or found.output_tokens_details or _NO_DETAILS
    cached = _agreed(
        given.cached_tokens, found.prompt_cache_hit_tokens, found.cached_tokens, found.cache_read_input_tokens
    )
    written_5m, written_1h = _written(found, given)
    audio_in, reasoning, audio_out = (_count(c) for c in (given.audio_tokens, made.reasoning_tokens, made.audio_tokens))

    written = written_5m + written_1h
    fresh = prompt - cached - written if rule.cache_in_input else prompt
    if fresh < 0:
        raise NotAPartition(f"{cached} read and {written} written exceed the input of {prompt}")
    if audio_in > prompt:
        raise NotAPartition(f"{audio_in} of audio exceed the input of {prompt}")
    # Sound that was read from a cache stands in both counts. It is charged as what it costs: read from a cache.
    audio_in = min(audio_in, fresh)

    output = completion + (0 if _has_reasoning_inside(found, rule, prompt, completion, reasoning) else reasoning)
    if reasoning + audio_out > output:
        raise NotAPartition(f"{reasoning} of reasoning and {audio_out} of audio exceed the output of {output}")
    tools = found.server_tool_use
    return Usage(
        input=fresh - audio_in,
        cache_read=cached,
        cache_write_5m=written_5m,
        cache_write_1h=written_1h,
        output=output - audio_out,
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        images=_count(found.generated_images),
        web_searches=_count(tools.web_search_requests) if tools else 0,
    )


def _has_reasoning_inside(found: _Report, rule: UsageRule, prompt: int, completion: int, reasoning: int) -> bool:
    """By the report's own total where there is one, else by the rule: models of one provider differ in this.

    A total of 0 beside counts is an empty field, not a sum.
    """
    total = found.total_tokens
    if not _is_count(total) or total == 0:
        return rule.reasoning_in_output
    inside = prompt + completion
    if not rule.cache_in_input:
        return rule.reasoning_in_output  # What such totals contain is nowhere written.
    if total == inside:
        return rule.reasoning_in_output or reasoning > 0
    if total == inside + reasoning:
        return False
    raise NotAPartition(f"a total of {total} is neither {inside} nor {inside + reasoning}")


def _written(found: _Report, given: _Details) -> tuple[int, int]:
    """Tokens written to a cache for five minutes and for an hour; five minutes where the time is not reported."""
    all_written = _agreed(given.cache_write_tokens, found.cache_creation_input_tokens)
    by_time = found.cache_creation
    if not by_time:
        return all_written, 0
    short, long = _count(by_time.ephemeral_5m_input_tokens), _count(by_time.ephemeral_1h_input_tokens)
    if short + long == 0:
        return all_written, 0
    if all_written not in (0, short + long):
        raise NotAPartition(f"{short} and {long} written are not {all_written}")
    return short, long


def _of_audio(found: _Report, *, is_speech: bool) -> Usage:
    if isinstance(found.seconds, Decimal):
        if not found.seconds.is_finite() or not 0 <= found.seconds <= MAX_UNITS:
            raise NotAPartition(f"seconds = {found.seconds}")
        return Usage(seconds=int(found.seconds.to_integral_value(ROUND_CEILING)))
    given = found.input_tokens if _is_count(found.input_tokens) else found.prompt_tokens
    made = found.output_tokens if _is_count(found.output_tokens) else found.completion_tokens
    if not _is_count(given) or not _is_count(made):
        raise NotAPartition("neither seconds nor tokens")
    if _is_count(found.total_tokens) and found.total_tokens not in (0, given + made):
        raise NotAPartition(f"a total of {found.total_tokens} is not {given + made}")
    if is_speech:
        return Usage(input=given, audio_out=made)
    details = found.input_token_details or found.input_tokens_details or found.prompt_tokens_details or _NO_DETAILS
    # Without details all of it is sound: that is what this endpoint is given.
    heard = details.audio_tokens if _is_count(details.audio_tokens) else given
    if heard > given:
        raise NotAPartition(f"{heard} of audio exceed the input of {given}")
    return Usage(input=given - heard, audio_in=heard, output=made)


def _is_count(value: int | UnsetType | None) -> TypeGuard[int]:
    return value.__class__ is int


def _count(value: int | UnsetType | None) -> int:
    return value or 0


def _agreed(*places: int | UnsetType | None) -> int:
    """The count that several fields report. A new field that is 0 does not undo an old one that is not."""
    agreed = 0
    for place in places:
        if place and place != agreed:
            if agreed:
                raise NotAPartition(f"one count is reported as {agreed} and as {place}")
            agreed = place
    return agreed


def reported_cost_nano(report: bytes | Raw, where: ReportedCost) -> int | None:
    """What the provider says it bills for the call, in nano-USD, half to even; None where it says nothing usable.

    The number is read as it is written and never becomes a float.
    """
    value: bytes | Raw = report
    try:
        for name in where.path:
            value = _documents.decode(value)[name]
        amount = msgspec.json.decode(value, type=Decimal)
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError):
        return None
    if bytes(value).lstrip()[:1] == b'"' or not amount.is_finite():
        return None
    # Compared before it is reckoned with: an exponent of nine digits is a valid JSON number.
    if not 0 <= amount <= _MOST_USD * where.units_per_usd:
        return None
    return int((amount * NANO / where.units_per_usd).to_integral_value(ROUND_HALF_EVEN))


_MOST_USD = 100_000


_READ = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details.cached_tokens",
        "prompt_tokens_details.cache_write_tokens",
        "prompt_tokens_details.audio_tokens",
        "completion_tokens_details.reasoning_tokens",
        "completion_tokens_details.audio_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation.ephemeral_5m_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
        "input_tokens",
        "output_tokens",
        "input_tokens_details.cached_tokens",
        "input_tokens_details.cache_write_tokens",
        "input_tokens_details.audio_tokens",
        "input_token_details.audio_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_tokens_details.audio_tokens",
        "seconds",
        "generated_images",
        "server_tool_use.web_search_requests",
        # What the provider bills, read by `reported_cost_nano`.
        "cost",
        "cost_in_usd_ticks",
    }
)

_LEFT_OUT = frozenset(
    {
        # The rest of a whole that is counted: prompt minus cached, text beside audio and images.
        "prompt_cache_miss_tokens",
        "prompt_tokens_details.text_tokens",
        "prompt_tokens_details.image_tokens",
        "prompt_tokens_details.video_tokens",
        "completion_tokens_details.text_tokens",
        "completion_tokens_details.image_tokens",
        "completion_tokens_details.accepted_prediction_tokens",
        "completion_tokens_details.rejected_prediction_tokens",
        "input_tokens_details.text_tokens",
        "input_tokens_details.image_tokens",
        "input_token_details.text_tokens",
        "output_tokens_details.text_tokens",
        "output_tokens_details.image_tokens",
        # Volcengine: tokens served by reserved capacity, already inside the counts.
        "prompt_tokens_details.provisioned_tokens",
        "completion_tokens_details.provisioned_tokens",
        # Parts of OpenRouter's `cost`.
        "cost_details.upstream_inference_cost",
        "cost_details.upstream_inference_prompt_cost",
        "cost_details.upstream_inference_completions_cost",
        # xAI: how many sources a search cited, inside its bill.
        "num_sources_used",
        "num_server_side_tools_used",
    }
)


def unmapped_keys(report: bytes | Raw) -> list[str]:
    """Numbers in a `usage` object that this module neither reads nor knowingly leaves out, as dotted paths.

    For tests over recorded answers: a new field of a provider is met there first, not on a bill.
    """
    return usage_keys.unmapped(msgspec.json.decode(report), _READ | _LEFT_OUT)
