"""Usage as Bedrock reports it, read into our partition.

https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html: `inputTokens` are those that were neither read
from nor written to a cache. Vectors and pictures report a count of the model's own, or nothing.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from app.base.usage import MAX_UNITS, NotAPartition, Usage
from app.wire import usage_keys
from app.wire.rules import UsageRule

_Count = Annotated[int, Meta(ge=0, le=MAX_UNITS)]


class _CacheDetail(Struct, rename="camel"):
    ttl: str
    input_tokens: _Count


class _Report(Struct, rename="camel"):
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    total_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_write_input_tokens: _Count | None = None
    cache_details: list[_CacheDetail] | None = None
    input_text_token_count: _Count | None = None
    """Titan's vectors."""


_decode = msgspec.json.Decoder(_Report).decode


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """The consumption that a report says of a call of `endpoint` (our name, `converse`).

    Raises:
        NotAPartition: a count is no whole number or out of range, the parts of the cache are not its whole, the total
            contradicts them, or nothing is reported.
    """
    try:
        found = _decode(report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise NotAPartition(str(problem)) from None
    if endpoint == "bedrock.embed":
        if found.input_text_token_count is None:
            raise NotAPartition("no input count")
        return Usage(input=found.input_text_token_count)
    if found.input_tokens is None:
        raise NotAPartition("no input count")
    read = found.cache_read_input_tokens or 0
    written_5m, written_1h = _written(found)
    written, output = written_5m + written_1h, found.output_tokens or 0
    fresh = found.input_tokens - read - written if rule.cache_in_input else found.input_tokens
    if fresh < 0:
        raise NotAPartition(f"{read} read and {written} written exceed the input of {found.input_tokens}")
    # Some models leave the cache out of the total.
    possible = {0, found.input_tokens + output, found.input_tokens + output + read + written}
    if found.total_tokens is not None and found.total_tokens not in possible:
        raise NotAPartition(f"a total of {found.total_tokens} is none of {sorted(possible)}")
    return Usage(
        input=fresh, cache_read=read, cache_write_5m=written_5m, cache_write_1h=written_1h, output=output
    ).checked()


def _written(found: _Report) -> tuple[int, int]:
    """Tokens written to a cache for five minutes and for an hour; five minutes where the time is not reported."""
    whole = found.cache_write_input_tokens or 0
    short = sum(detail.input_tokens for detail in found.cache_details or () if detail.ttl == "5m")
    long = sum(detail.input_tokens for detail in found.cache_details or () if detail.ttl == "1h")
    if short + long == 0:
        return whole, 0
    if whole not in (0, short + long):
        raise NotAPartition(f"{short} and {long} written are not {whole}")
    return short, long


_READ = frozenset(
    {
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "cacheReadInputTokens",
        "cacheWriteInputTokens",
        "cacheDetails.inputTokens",
        "inputTextTokenCount",
    }
)
_LEFT_OUT = frozenset(
    {
        # The same counts again, as some models' streams write them; not in the service's model.
        "cacheReadInputTokenCount",
        "cacheWriteInputTokenCount",
    }
)


def unmapped_keys(report: bytes | Raw) -> list[str]:
    """Numbers in a report that this module neither reads nor knowingly leaves out, as dotted paths.

    For tests over recorded answers: a new field of the service is met there first, not on a bill.
    """
    return usage_keys.unmapped(msgspec.json.decode(report), _READ | _LEFT_OUT)
