"""Usage as Anthropic reports it, read into our partition.

`input_tokens` holds neither what was read from a cache nor what was written to one; `output_tokens` holds the thinking.
The split of writes by lifetime comes with `message_start` alone, the final counts with `message_delta`: `merged` makes
one report of both.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.base.usage import MAX_UNITS, NotAPartition, OutputUncounted, Usage
from app.wire import usage_keys
from app.wire.rules import UsageRule

_Count = Annotated[int, Meta(ge=0, le=MAX_UNITS)] | UnsetType | None


class _CacheCreation(Struct, gc=False):
    ephemeral_5m_input_tokens: _Count = UNSET
    ephemeral_1h_input_tokens: _Count = UNSET


class _OutputDetails(Struct, gc=False):
    thinking_tokens: _Count = UNSET


class _ServerTools(Struct, gc=False):
    web_search_requests: _Count = UNSET


class _Report(Struct):
    input_tokens: _Count = UNSET
    output_tokens: _Count = UNSET
    cache_read_input_tokens: _Count = UNSET
    cache_creation_input_tokens: _Count = UNSET
    cache_creation: _CacheCreation | UnsetType | None = UNSET
    output_tokens_details: _OutputDetails | UnsetType | None = UNSET
    server_tool_use: _ServerTools | UnsetType | None = UNSET


_reports = msgspec.json.Decoder(_Report)
_documents = msgspec.json.Decoder(dict[str, Raw])
_NULL = b"null"


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """The consumption that a `usage` object reports.

    Raises:
        NotAPartition: a count is no whole number or out of range, the parts exceed their whole, or the input is not
            counted at all.
        OutputUncounted: the input is counted, the output is not.
    """
    try:
        found = _reports.decode(report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise NotAPartition(str(problem)) from None
    if not isinstance(found.input_tokens, int):
        raise NotAPartition("no input count")
    read = found.cache_read_input_tokens or 0
    written_5m, written_1h = _written(found)
    fresh, output = found.input_tokens, found.output_tokens
    if rule.cache_in_input:
        fresh -= read + written_5m + written_1h
        if fresh < 0:
            raise NotAPartition(f"what was cached exceeds the input of {found.input_tokens}")
    if not isinstance(output, int):
        raise OutputUncounted(Usage(input=fresh, cache_read=read, cache_write_5m=written_5m, cache_write_1h=written_1h))
    details = found.output_tokens_details
    thought = (details.thinking_tokens or 0) if details else 0
    if not rule.reasoning_in_output:
        output += thought
    if thought > output:
        raise NotAPartition(f"{thought} of thinking exceed the output of {output}")
    tools = found.server_tool_use
    return Usage(
        input=fresh,
        cache_read=read,
        cache_write_5m=written_5m,
        cache_write_1h=written_1h,
        output=output,
        reasoning=thought,
        web_searches=(tools.web_search_requests or 0) if tools else 0,
    )


def _written(found: _Report) -> tuple[int, int]:
    """5-minute and 1-hour writes. The sum without a split is of five minutes, the default lifetime.

    Where the two disagree the sum is the newer one: it comes again with the last event of a stream, the split does not.
    """
    whole = found.cache_creation_input_tokens
    split = found.cache_creation
    if not split:
        return whole or 0, 0
    short, long = split.ephemeral_5m_input_tokens or 0, split.ephemeral_1h_input_tokens or 0
    if not isinstance(whole, int) or whole == short + long or whole == 0:
        # A sum of 0 beside a split that is none is a field that was not filled in.
        return short, long
    if whole < short + long:
        raise NotAPartition(f"{short} and {long} written exceed their sum of {whole}")
    return whole - long, long


def opening(report: Raw | None) -> Raw | None:
    """The report of `message_start` without its count of the output, of which it knows the first token at most.

    A stream that is left or cut before `message_delta` has no count of what was said.
    https://platform.claude.com/docs/en/build-with-claude/streaming#event-types
    """
    if report is None:
        return None
    try:
        fields = _documents.decode(report)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return report
    fields.pop("output_tokens", None)
    return Raw(msgspec.json.encode(fields))


def merged(first: Raw | None, last: Raw | None) -> Raw | None:
    """The reports of a stream's events as one: a field of the later one counts, unless it is null."""
    if first is None or last is None:
        return last if first is None else first
    try:
        fields, later = _documents.decode(first), _documents.decode(last)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return last
    fields.update({name: value for name, value in later.items() if bytes(value) != _NULL})
    return Raw(msgspec.json.encode(fields))


def entry(usage: Usage | None) -> dict[str, Any]:
    """A partition as Anthropic writes it. Its libraries insist on the counts, so what is unknown is 0."""
    known = usage or Usage()
    made: dict[str, Any] = {
        "input_tokens": known.input + known.audio_in,
        "cache_creation_input_tokens": known.cache_write_5m + known.cache_write_1h,
        "cache_read_input_tokens": known.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": known.cache_write_5m,
            "ephemeral_1h_input_tokens": known.cache_write_1h,
        },
        "output_tokens": known.output + known.audio_out,
    }
    if known.reasoning:
        made["output_tokens_details"] = {"thinking_tokens": known.reasoning}
    if known.web_searches:
        made["server_tool_use"] = {"web_search_requests": known.web_searches, "web_fetch_requests": 0}
    return made


_READ = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation.ephemeral_5m_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
        "output_tokens_details.thinking_tokens",
        "server_tool_use.web_search_requests",
    }
)
_LEFT_OUT = frozenset(
    {
        # Fetching costs nothing beside its tokens:
        # https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool#usage-and-pricing
        "server_tool_use.web_fetch_requests",
    }
)


def unmapped_keys(report: bytes | Raw) -> list[str]:
    """Numbers in a `usage` object that this module neither reads nor knowingly leaves out, as dotted paths.

    For tests over recorded answers: a new field of a provider is met there first, not on a bill.
    """
    return usage_keys.unmapped(msgspec.json.decode(report), _READ | _LEFT_OUT)
