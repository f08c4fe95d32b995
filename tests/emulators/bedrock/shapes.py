"""Documents checked against botocore's own model of the service, more strictly than botocore does it.

Unknown members are refused, enumerations, patterns and bounds hold, a union has exactly one member, and bytes are
base64: what the service checks and a client library does not.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from tests.emulators.bedrock import oracle

_SERVICE = oracle.service("bedrock-runtime")

_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "string": (str,),
    "blob": (str,),
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}


def problems_of_input(operation: str, body: Any) -> list[str]:
    """What is wrong with the body of a request; members that travel elsewhere must not be in it."""
    shape = _SERVICE.operation_model(operation).input_shape
    elsewhere = {name for name, member in shape.members.items() if member.serialization.get("location")}
    found = _problems(shape, body, "", skipped=elsewhere)
    return found + [f"{name}: not in the body" for name in elsewhere if isinstance(body, dict) and name in body]


def problems_of_output(shape_name: str, value: Any) -> list[str]:
    """What is wrong with an answer or event of this name."""
    return _problems(_SERVICE.shape_for(shape_name), value, "", skipped={"p"})


def _problems(shape: Any, value: Any, at: str, skipped: set[str] | None = None) -> list[str]:
    if getattr(shape, "is_document_type", False):
        return []
    is_wrong = not isinstance(value, _TYPES[shape.type_name])
    if is_wrong or (isinstance(value, bool) and shape.type_name != "boolean"):
        return [f"{at}: {type(value).__name__} in place of {shape.type_name}"]
    if shape.type_name == "structure":
        return _of_structure(shape, value, at, skipped or set())
    if shape.type_name == "list":
        inner = [one for n, item in enumerate(value) for one in _problems(shape.member, item, f"{at}[{n}]")]
        return _bounds(shape, len(value), at) + inner
    if shape.type_name == "map":
        inner = [one for name, item in value.items() for one in _problems(shape.value, item, f"{at}.{name}")]
        return _bounds(shape, len(value), at) + inner
    if shape.type_name == "blob":
        return _of_bytes(shape, value, at)
    if isinstance(value, str):
        return _of_text(shape, value, at)
    return [] if isinstance(value, bool) else _bounds(shape, value, at)


def _of_structure(shape: Any, value: dict[str, Any], at: str, skipped: set[str]) -> list[str]:
    found = [f"{at}.{name}: unknown" for name in value if name not in shape.members and name not in skipped]
    found += [f"{at}.{name}: missing" for name in shape.required_members if name not in value and name not in skipped]
    if shape.is_tagged_union and len(value) != 1:
        found.append(f"{at}: a union with {len(value)} members")
    for name, inner in value.items():
        if name in shape.members and name not in skipped:
            found += _problems(shape.members[name], inner, f"{at}.{name}")
    return found


def _of_bytes(shape: Any, value: str, at: str) -> list[str]:
    try:
        return _bounds(shape, len(base64.b64decode(value, validate=True)), at)
    except (binascii.Error, ValueError):
        return [f"{at}: no base64"]


def _of_text(shape: Any, value: str, at: str) -> list[str]:
    found = _bounds(shape, len(value), at)
    if shape.enum and value not in shape.enum:
        found.append(f"{at}: {value!r} is none of {shape.enum}")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and re.fullmatch(pattern, value) is None:
        found.append(f"{at}: {value!r} does not match {pattern}")
    return found


def _bounds(shape: Any, size: float, at: str) -> list[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    is_in = (least is None or size >= least) and (most is None or size <= most)
    return [] if is_in else [f"{at}: {size} is not within {least} and {most}"]
