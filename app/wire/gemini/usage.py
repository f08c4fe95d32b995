"""Usage as Gemini reports it (`usageMetadata`), read into our partition.

The prompt's count contains what came from a cache; the candidates' count does not contain the thoughts; what a tool of
Google's own put into the prompt is counted beside it, which the total confirms or denies. Sound is told by modality.

https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Raw, Struct

from app.base.usage import MAX_UNITS, NotAPartition, Usage
from app.wire import usage_keys
from app.wire.rules import UsageRule

_Count = Annotated[int, Meta(ge=0, le=MAX_UNITS)] | None


class _OfModality(Struct, gc=False, rename="camel"):
    modality: str | None = None
    token_count: _Count = None


_Details = list[_OfModality] | None


class _Report(Struct, rename="camel"):
    prompt_token_count: _Count = None
    cached_content_token_count: _Count = None
    candidates_token_count: _Count = None
    response_token_count: _Count = None
    """The candidates, as the Live API and embeddings name them."""
    thoughts_token_count: _Count = None
    tool_use_prompt_token_count: _Count = None
    total_token_count: _Count = None
    prompt_tokens_details: _Details = None
    cache_tokens_details: _Details = None
    candidates_tokens_details: _Details = None
    response_tokens_details: _Details = None
    tool_use_prompt_tokens_details: _Details = None
    web_search_queries: _Count = None
    """Ours: see `searches`."""


_decode = msgspec.json.Decoder(_Report).decode


def read_usage(report: bytes | Raw, rule: UsageRule, endpoint: str) -> Usage:
    """The consumption that a `usageMetadata` reports for a call of `endpoint` (our name, `generate_content`).

    Raises:
        NotAPartition: a count is no whole number or out of range, the parts exceed their whole, or the total
            contradicts them.
    """
    try:
        found = _decode(report)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise NotAPartition(str(problem)) from None
    if found.prompt_token_count is None:
        raise NotAPartition("no input count")
    prompt, cached = found.prompt_token_count, found.cached_content_token_count or 0
    said = found.candidates_token_count
    if said is None:
        said = found.response_token_count or 0
    thoughts = found.thoughts_token_count or 0
    tools_inside, thoughts_inside = _inside(found, rule, prompt, said, thoughts)
    given = prompt if tools_inside else prompt + (found.tool_use_prompt_token_count or 0)
    output = said if thoughts_inside else said + thoughts

    fresh = given - cached if rule.cache_in_input else given
    if fresh < 0:
        raise NotAPartition(f"{cached} read from a cache exceed the input of {given}")
    heard = _audio(found.prompt_tokens_details)
    if heard > given:
        raise NotAPartition(f"{heard} of audio exceed the input of {given}")
    # Sound that was read from a cache is charged as what it costs: read from a cache.
    audio_in = min(max(heard - _audio(found.cache_tokens_details), 0), fresh)
    audio_out = _audio(found.candidates_tokens_details) or _audio(found.response_tokens_details)
    if thoughts + audio_out > output:
        raise NotAPartition(f"{thoughts} of thoughts and {audio_out} of audio exceed the output of {output}")
    return Usage(
        input=fresh - audio_in,
        cache_read=cached,
        output=output - audio_out,
        reasoning=thoughts,
        audio_in=audio_in,
        audio_out=audio_out,
        web_searches=found.web_search_queries or 0,
    )


def _inside(found: _Report, rule: UsageRule, prompt: int, said: int, thoughts: int) -> tuple[bool, bool]:
    """Whether the prompt contains what tools put there, and the answer the thoughts: by the report's own total where
    there is one, else by the rule. A total of 0 beside counts is an empty field, not a sum."""
    total, tools = found.total_token_count, found.tool_use_prompt_token_count or 0
    if not total or not rule.cache_in_input:
        return False, rule.reasoning_in_output
    beside = thoughts if not rule.reasoning_in_output else 0
    for tools_inside, thoughts_inside, whole in (
        (False, rule.reasoning_in_output, prompt + said + tools + beside),
        (True, rule.reasoning_in_output, prompt + said + beside),
        (False, not rule.reasoning_in_output, prompt + said + tools + thoughts - beside),
        (True, not rule.reasoning_in_output, prompt + said + thoughts - beside),
    ):
        if total == whole and (not thoughts_inside or thoughts <= said):
            return tools_inside, thoughts_inside
    raise NotAPartition(f"a total of {total} is no sum of {prompt}, {tools}, {said} and {thoughts}")


def _audio(details: _Details) -> int:
    return sum(one.token_count or 0 for one in details or () if one.modality == "AUDIO")


_READ = frozenset(
    {
        "promptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "responseTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "totalTokenCount",
        "promptTokensDetails.AUDIO",
        "cacheTokensDetails.AUDIO",
        "candidatesTokensDetails.AUDIO",
        "responseTokensDetails.AUDIO",
        "webSearchQueries",
    }
)
_LISTS = (
    "promptTokensDetails",
    "cacheTokensDetails",
    "candidatesTokensDetails",
    "responseTokensDetails",
    "toolUsePromptTokensDetails",
)
_LEFT_OUT = frozenset(
    # The rest of a whole that is counted.
    {f"{name}.{modality}" for name in _LISTS for modality in ("TEXT", "IMAGE", "VIDEO", "DOCUMENT")}
    # What tools put into the prompt costs what text costs.
    | {"toolUsePromptTokensDetails.AUDIO"}
)


def unmapped_keys(report: bytes | Raw) -> list[str]:
    """Numbers in a `usageMetadata` that this module neither reads nor knowingly leaves out, as dotted paths; a detail
    stands under its modality.

    For tests over recorded answers: a new field is met there first, not on a bill.
    """
    found = cast(dict[str, Any], msgspec.json.decode(report))
    return usage_keys.unmapped({name: _by_modality(held) for name, held in found.items()}, _READ | _LEFT_OUT)


def _by_modality(value: Any) -> Any:
    """A list of details with each count under its modality; what is no count stands under a name that nobody knows."""
    if not isinstance(value, list):
        return value
    entries = [cast(dict[str, Any], one) if isinstance(one, dict) else {} for one in cast(list[Any], value)]
    return {str(entry.get("modality")) if "tokenCount" in entry else "[]": 0 for entry in entries}
