"""How often Google was searched for an answer: told beside the usage, and billed beside the tokens."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

FIELD = "webSearchQueries"
"""Ours, inside the report of usage; Google's own field stands in the grounding metadata of a candidate."""

_BEFORE_3 = re.compile(r"gemini-[12]\b")


class _Grounding(Struct, rename="camel"):
    web_search_queries: list[str] | None = None


_decode = msgspec.json.Decoder(_Grounding).decode


def count(grounding: Raw, model_version: str | None) -> int:
    """Since Gemini 3 every query is billed, before that every answer that searched at all.

    https://ai.google.dev/gemini-api/docs/google-search#pricing
    """
    try:
        queries = {query for query in _decode(grounding).web_search_queries or () if query}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    return min(1, len(queries)) if _BEFORE_3.match(model_version or "") else len(queries)


def joined(report: Raw, web_searches: int) -> Raw:
    """The usage report with the count in it, so that one JSON value tells all that is billed."""
    content = bytes(report).rstrip()
    if not web_searches or not content.endswith(b"}"):
        return report.copy()
    comma = b"" if content[1:-1].strip() == b"" else b","
    return Raw(content[:-1] + comma + b'"%s":%d}' % (FIELD.encode(), web_searches))
