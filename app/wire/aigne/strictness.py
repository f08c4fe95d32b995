"""`strict: true` of a schema: in AIGNE a wish that its client always makes, at OpenAI a promise with conditions.

OpenAI refuses a strict schema unless every object names all of its properties as required and allows no others. The
framework's own model for OpenAI rewrites schemas before it sends them; its client for the hub sends them as they are.

https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

from typing import Any, cast

_BELOW = ("properties", "$defs", "definitions")
_REFUSED = frozenset(
    {
        *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"),
        *("patternProperties", "unevaluatedProperties", "propertyNames", "minProperties", "maxProperties"),
    }
)
_DEEPEST = 40


def closed(schema: Any) -> Any | None:
    """The same schema with objects that allow no other properties; None where strictness would mean something else:
    properties that may be absent, maps, or words that a strict schema must not hold."""
    if not isinstance(schema, dict) or cast(dict[str, Any], schema).get("type") != "object":
        return None
    try:
        return _closed(cast(dict[str, Any], schema), 0)
    except _NotStrict:
        return None


class _NotStrict(Exception):
    """It cannot be made strict without changing what it allows."""


def _closed(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict):
        return schema
    node = dict(cast(dict[str, Any], schema))
    if depth > _DEEPEST or _REFUSED & node.keys():
        raise _NotStrict
    for name in _BELOW:
        if isinstance(node.get(name), dict):
            below = cast(dict[str, Any], node[name])
            node[name] = {key: _closed(value, depth + 1) for key, value in below.items()}
    if "items" in node:
        node["items"] = _closed(node["items"], depth + 1)
    for name in ("anyOf", "prefixItems"):
        if isinstance(node.get(name), list):
            node[name] = [_closed(one, depth + 1) for one in cast(list[Any], node[name])]
    type_: Any = node.get("type")
    if type_ == "object" or (isinstance(type_, list) and "object" in type_) or "properties" in node:
        properties: Any = node.get("properties", {})
        required: Any = node.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise _NotStrict
        may_be_absent = any(name not in required for name in cast(dict[str, Any], properties))
        if may_be_absent or node.get("additionalProperties", False) is not False:
            raise _NotStrict
        node["additionalProperties"] = False
    return node
