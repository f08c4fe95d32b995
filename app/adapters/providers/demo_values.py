"""Example values that fit a JSON schema, always the same for the same schema. For the built-in demo model."""

from __future__ import annotations

import math
from typing import Any, cast

_MOST_VALUES = 500
_MOST_DEPTH = 12
_MOST_ITEMS = 5
_MOST_CHARACTERS = 200

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "person@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

Schema = dict[str, Any]


def example(schema: Any) -> Any:
    """A value for `schema`: the required properties, the first of several choices, the least that a limit allows.

    Patterns and conditions are not solved. A schema that never ends, or is larger than a demo needs, gives nulls.
    """
    root = cast(Schema, schema) if isinstance(schema, dict) else {}
    return _Maker(root).value(root, "value", 0)


class _Maker:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._made = 0

    def value(self, schema: Any, name: str, depth: int) -> Any:
        self._made += 1
        if not isinstance(schema, dict) or depth > _MOST_DEPTH or self._made > _MOST_VALUES:
            return None
        rule = self._resolved(cast(Schema, schema))
        if "const" in rule:
            return rule["const"]
        for word in ("enum", "examples"):
            if isinstance(rule.get(word), list) and rule[word]:
                return rule[word][0]
        for word in ("anyOf", "oneOf"):
            if isinstance(rule.get(word), list) and rule[word]:
                return self.value(rule[word][0], name, depth + 1)
        kind = rule.get("type")
        if isinstance(kind, list):
            kind = next((one for one in cast(list[Any], kind) if one != "null"), "null")
        if kind == "object" or (kind is None and "properties" in rule):
            return self._object(rule, depth)
        if kind == "array":
            return self._array(rule, name, depth)
        if kind in ("integer", "number"):
            return _number(rule, is_whole=kind == "integer")
        if kind == "boolean":
            return True
        return None if kind == "null" else _text(rule, name)

    def _resolved(self, schema: Schema) -> Schema:
        """The schema behind `$ref`, and the parts of `allOf` laid over each other."""
        for _ in range(_MOST_DEPTH):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            found: Any = self._root
            for step in reference.removeprefix("#").strip("/").split("/"):
                if step:
                    found = cast(Schema, found).get(step) if isinstance(found, dict) else None
            schema = cast(Schema, found) if isinstance(found, dict) else {}
        merged = dict(schema)
        parts: Any = merged.pop("allOf", None)
        for part in cast(list[Any], parts)[:_MOST_ITEMS] if isinstance(parts, list) else []:
            if isinstance(part, dict):
                other = cast(Schema, part)
                properties = {**_object_at(merged, "properties"), **_object_at(other, "properties")}
                required = [*_list_at(merged, "required"), *_list_at(other, "required")]
                merged = {**merged, **other, "properties": properties, "required": required}
        return merged

    def _object(self, rule: Schema, depth: int) -> Schema:
        properties = _object_at(rule, "properties")
        names = dict.fromkeys(name for name in _list_at(rule, "required") if isinstance(name, str))
        return {name: self.value(properties.get(name, {}), name, depth + 1) for name in names}

    def _array(self, rule: Schema, name: str, depth: int) -> list[Any]:
        first = _list_at(rule, "prefixItems")
        least = rule.get("minItems")
        wanted = max(len(first), min(least, _MOST_ITEMS) if isinstance(least, int) else 1)
        items: Any = rule.get("items", {})
        return [
            self.value(first[at] if at < len(first) else items, name, depth + 1)
            for at in range(min(wanted, _MOST_ITEMS))
        ]


def _object_at(rule: Schema, name: str) -> Schema:
    found: Any = rule.get(name)
    return cast(Schema, found) if isinstance(found, dict) else {}


def _list_at(rule: Schema, name: str) -> list[Any]:
    found: Any = rule.get(name)
    return cast(list[Any], found) if isinstance(found, list) else []


def _number(rule: Schema, *, is_whole: bool) -> float:
    def limit(name: str) -> float | None:
        found = rule.get(name)
        return (
            found if isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found) else None
        )

    low, high, step = limit("minimum"), limit("maximum"), limit("multipleOf")
    above, below = limit("exclusiveMinimum"), limit("exclusiveMaximum")
    pace = step if step and step > 0 else 1
    value: float = 1
    if low is not None or above is not None:
        value = max(edge for edge in (low, None if above is None else above + pace) if edge is not None)
    elif high is not None or below is not None:
        value = min(1.0, *(edge for edge in (high, None if below is None else below - pace) if edge is not None))
    if step and step > 0:
        value = math.ceil(value / step) * step
    return math.ceil(value) if is_whole or value == int(value) else value


def _text(rule: Schema, name: str) -> str:
    text = _FORMATS.get(str(rule.get("format")), name)
    least, most = rule.get("minLength"), rule.get("maxLength")
    if isinstance(least, int):
        text = text.ljust(min(least, _MOST_CHARACTERS), "x")
    return text[:most] if isinstance(most, int) and most >= 0 else text
