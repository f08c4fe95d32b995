"""JSON schemas as Gemini takes them, and Gemini's own kind of schema as JSON schema.

https://ai.google.dev/gemini-api/docs/structured-output lists the keywords that `responseJsonSchema` and
`parametersJsonSchema` know; https://ai.google.dev/api/caching#Schema is the older kind, a selection of OpenAPI's.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

Json = dict[str, Any]

_DROPPED = frozenset({"$schema", "$comment", "strict", "examples", "default", "readOnly", "writeOnly", "deprecated"})
"""Words that bind nobody."""
_HOLDS_MANY = frozenset({"properties", "$defs", "patternProperties"})
_DEEPEST = 60


def for_gemini(schema: Raw) -> Json:
    """A JSON schema in the keywords that Gemini knows: `const` as an `enum` of one, `definitions` as `$defs`."""
    decoded: Any = msgspec.json.decode(schema)
    return cast(Json, _cleaned(decoded, 0)) if isinstance(decoded, dict) else {}


def has_parameters(schema: Json) -> bool:
    """A function without any must be declared without a schema."""
    return bool(schema.get("properties")) or bool(
        schema.keys() - {"type", "properties", "required", "additionalProperties"}
    )


def _cleaned(value: Any, depth: int) -> Any:
    if depth > _DEEPEST or not isinstance(value, dict):
        return value
    schema = cast(Json, value)
    if isinstance(schema.get("$ref"), str):
        # Nothing but words with a $ may stand beside a reference.
        return {"$ref": schema["$ref"].replace("#/definitions/", "#/$defs/")}
    clean: Json = {}
    for name, held in schema.items():
        if name in _DROPPED:
            continue
        if name == "const":
            clean["enum"] = [held]
        elif name == "definitions" or name in _HOLDS_MANY:
            inner = cast(Json, held) if isinstance(held, dict) else {}
            own = "$defs" if name == "definitions" else name
            clean[own] = {key: _cleaned(one, depth + 1) for key, one in inner.items()}
        elif isinstance(held, list) and name in ("anyOf", "oneOf", "allOf", "prefixItems"):
            clean[name] = [_cleaned(one, depth + 1) for one in cast(list[Any], held)]
        else:
            clean[name] = _cleaned(held, depth + 1) if name in ("items", "additionalProperties", "not") else held
    every = clean.get("allOf")
    if isinstance(every, list) and len(cast(list[Any], every)) == 1 and isinstance(every[0], dict):
        # What Pydantic writes around a reference that has a description.
        del clean["allOf"]
        inner = cast(Json, every[0])
        return inner if "$ref" in inner else {**inner, **clean}
    return clean


def to_json_schema(schema: Any, depth: int = 0) -> Any:
    """Gemini's own kind of schema (`"type": "OBJECT"`, `nullable`) as JSON schema; JSON schema stays as it is."""
    if depth > _DEEPEST or not isinstance(schema, dict):
        return schema
    made: Json = {}
    for name, held in cast(Json, schema).items():
        match name:
            case "type":
                if isinstance(held, str) and held != "TYPE_UNSPECIFIED":
                    made["type"] = held.lower()
                elif isinstance(held, list):
                    made["type"] = held
            case "properties":
                inner = cast(Json, held) if isinstance(held, dict) else {}
                made["properties"] = {key: to_json_schema(one, depth + 1) for key, one in inner.items()}
            case "items" | "additionalProperties":
                made[name] = to_json_schema(held, depth + 1)
            case "anyOf":
                made["anyOf"] = [to_json_schema(one, depth + 1) for one in cast(list[Any], held or [])]
            case "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties":
                # A 64-bit number is a string in this API's JSON.
                made[name] = int(held) if isinstance(held, str) and held.isdigit() else held
            case "nullable" | "propertyOrdering" | "example":
                pass
            case _:
                made[name] = held
    if cast(Json, schema).get("nullable") is True:
        _add_null(made)
    return made


def _add_null(made: Json) -> None:
    kind: Any = made.get("type")
    if isinstance(kind, str):
        made["type"] = [kind, "null"]
        if isinstance(made.get("enum"), list) and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
    elif isinstance(made.get("anyOf"), list):
        made["anyOf"] = [*made["anyOf"], {"type": "null"}]
