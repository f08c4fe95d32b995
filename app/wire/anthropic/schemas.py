"""JSON schemas as Anthropic takes them for an answer: a smaller language than JSON Schema.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

_REFUSED = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"),
        *("minProperties", "maxProperties", "patternProperties", "propertyNames", "if", "then", "else", "not"),
    }
)
_MAPS = frozenset({"properties", "$defs", "definitions"})


def narrowed(schema: Raw) -> tuple[Raw, tuple[str, ...]]:
    """The schema with what is refused left out, and the words that were. Objects are closed, as they have to be."""
    lost: set[str] = set()
    changed = _narrow(msgspec.json.decode(schema), lost)
    return Raw(msgspec.json.encode(changed)), tuple(sorted(lost))


def as_object(schema: Raw) -> Raw:
    """A tool's schema, which has to say that it is an object."""
    decoded: Any = msgspec.json.decode(schema)
    if not isinstance(decoded, dict) or "type" in decoded:
        return schema
    return Raw(msgspec.json.encode({"type": "object", **cast(dict[str, Any], decoded)}))


def _narrow(value: Any, lost: set[str]) -> Any:
    if isinstance(value, list):
        return [_narrow(item, lost) for item in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    made: dict[str, Any] = {}
    for name, inner in cast(dict[str, Any], value).items():
        if name in _MAPS and isinstance(inner, dict):
            made[name] = {key: _narrow(one, lost) for key, one in cast(dict[str, Any], inner).items()}
        elif name in _REFUSED or (name == "minItems" and inner not in (0, 1)):
            lost.add(name)
        elif name in ("enum", "const", "default", "examples", "required"):
            made[name] = inner
        elif name == "oneOf":
            made["anyOf"] = _narrow(inner, lost)
        else:
            made[name] = _narrow(inner, lost)
    if made.get("type") == "object" or "properties" in made:
        if made.get("additionalProperties") not in (None, False):
            lost.add("additionalProperties")
        made["additionalProperties"] = False
    return made
