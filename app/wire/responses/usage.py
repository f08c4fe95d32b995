"""Usage as the Responses API reports it, read into our partition.

A report is `usage` as it came, with the `tool_usage` of the same response inside it where there was one (`report_of`).
It is read by types: what is no whole number between 0 and `MAX_UNITS` refuses it, and nothing is counted twice.

https://developers.openai.com/api/reference/resources/responses/methods/create (usage, tool_usage)
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from app.base.usage import MAX_UNITS, NotAPartition, Usage
from app.wire import usage_keys
from app.wire.rules import UsageRule

_Count = Annotated[int, Meta(ge=0, le=MAX_UNITS)] | None


class _Written(Struct, gc=False):
    ttl_30m_tokens: _Count = None
    ttl_12h_tokens: _Count = None


class _Given(Struct, gc=False):
    cached_tokens: _Count = None
    cache_write_tokens: _Count = None
    cache_write_tokens_details: _Written | None = None
    audio_tokens: _Count = None


class _Made(Struct, gc=False):
    reasoning_tokens: _Count = None
    audio_tokens: _Count = None


class _Searches(Struct, gc=False):
    num_requests: _Count = None


class _ToolUsage(Struct, gc=False):
    web_search: _Searches | None = None


class _Report(Struct):
    input_tokens: _Count = None
    output_tokens: _Count = None
    total_tokens: _Count = None
    input_tokens_details: _Given | None = None
    output_tokens_details: _Made | None = None
    tool_usage: _ToolUsage | None = None


_reports = msgspec.json.Decoder(_Report)
_documents = msgspec.json.Decoder(dict[str, Raw])


def report_of(usage: Raw, tool_usage: Raw) -> Raw | None:
    """One report out of the two that a response has; either may be `null`."""
    if bytes(usage) == b"null":
        return None
    if bytes(tool_usage) == b"null":
        return usage.copy()
    try:
        fields = _documents.decode(usage)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return usage.copy()
    return Raw(msgspec.json.encode({**fields, "tool_usage": tool_usage}))


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """`requests` is not in it: the caller counts them.

    What was written to a cache for 30 minutes counts as the shorter of our two times, for 12 hours as the longer.

    Raises:
        NotAPartition: a count is no whole number or out of range, the parts exceed their whole, the total contradicts
            them, or there is no input count.
    """
    try:
        found = _reports.decode(report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise NotAPartition(str(problem)) from None
    if found.input_tokens is None:
        raise NotAPartition("no input count")
    given, made = found.input_tokens_details or _Given(), found.output_tokens_details or _Made()
    prompt, completion = found.input_tokens, found.output_tokens or 0
    cached, audio_in = given.cached_tokens or 0, given.audio_tokens or 0
    short, long = _written(given)
    fresh = prompt - cached - short - long if rule.cache_in_input else prompt
    if fresh < 0:
        raise NotAPartition(f"{cached} read and {short + long} written exceed the input of {prompt}")
    if audio_in > prompt:
        raise NotAPartition(f"{audio_in} of audio exceed the input of {prompt}")
    audio_in = min(audio_in, fresh)
    reasoning, audio_out = made.reasoning_tokens or 0, made.audio_tokens or 0
    output = completion if _has_reasoning_inside(found, rule, prompt, completion, reasoning) else completion + reasoning
    if reasoning + audio_out > output:
        raise NotAPartition(f"{reasoning} of reasoning and {audio_out} of audio exceed the output of {output}")
    searches = found.tool_usage.web_search if found.tool_usage is not None else None
    return Usage(
        input=fresh - audio_in,
        cache_read=cached,
        cache_write_5m=short,
        cache_write_1h=long,
        output=output - audio_out,
        reasoning=reasoning,
        audio_in=audio_in,
        audio_out=audio_out,
        web_searches=(searches.num_requests or 0) if searches is not None else 0,
    )


def _written(given: _Given) -> tuple[int, int]:
    everything, by_time = given.cache_write_tokens or 0, given.cache_write_tokens_details
    if by_time is None:
        return everything, 0
    short, long = by_time.ttl_30m_tokens or 0, by_time.ttl_12h_tokens or 0
    if short + long == 0:
        return everything, 0
    if everything not in (0, short + long):
        raise NotAPartition(f"{short} and {long} written are not {everything}")
    return short, long


def _has_reasoning_inside(found: _Report, rule: UsageRule, prompt: int, completion: int, reasoning: int) -> bool:
    """By the report's own total, else by the rule. xAI counts reasoning inside the output here, in chat beside it."""
    total = found.total_tokens
    if not total or not rule.cache_in_input:
        return rule.reasoning_in_output
    if total == prompt + completion:
        return True
    if total == prompt + completion + reasoning:
        return False
    raise NotAPartition(f"a total of {total} is neither {prompt + completion} nor {prompt + completion + reasoning}")


_READ = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details.cached_tokens",
        "input_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
        "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
        "input_tokens_details.audio_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_tokens_details.audio_tokens",
        "tool_usage.web_search.num_requests",
        # What the provider bills, read by `reported_cost_nano`.
        "cost",
        "cost_in_usd_ticks",
    }
)
_LEFT_OUT = frozenset(
    {
        # The rest of a whole that is counted.
        "input_tokens_details.text_tokens",
        "input_tokens_details.image_tokens",
        "output_tokens_details.text_tokens",
        "output_tokens_details.image_tokens",
        # OpenAI's own picture tool, which has rates of its own; nobody offers it through the hub's rates.
        "tool_usage.image_gen.input_tokens",
        "tool_usage.image_gen.output_tokens",
        "tool_usage.image_gen.total_tokens",
        "tool_usage.image_gen.cached_tokens",
        "tool_usage.image_gen.input_tokens_details.image_tokens",
        "tool_usage.image_gen.input_tokens_details.text_tokens",
        "tool_usage.image_gen.output_tokens_details.image_tokens",
        "tool_usage.image_gen.output_tokens_details.text_tokens",
        "tool_usage.image_gen.cached_tokens_details.cached_image_tokens",
        "tool_usage.image_gen.cached_tokens_details.cached_text_tokens",
        # Parts of OpenRouter's `cost`.
        "cost_details.upstream_inference_cost",
        "cost_details.upstream_inference_input_cost",
        "cost_details.upstream_inference_output_cost",
        # xAI: inside its bill.
        "num_sources_used",
        "num_server_side_tools_used",
    }
)


def unmapped_keys(report: bytes | Raw) -> list[str]:
    """Numbers in a report that this module neither reads nor knowingly leaves out, as dotted paths.

    For tests over recorded answers: a new field of a provider is met there first, not on a bill.
    """
    return usage_keys.unmapped(msgspec.json.decode(report), _READ | _LEFT_OUT)
