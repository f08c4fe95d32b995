"""The bounds on JSON: as a slow and simple count of its brackets says, for any bytes, in time that grows with them."""

from __future__ import annotations

import json
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base import json_guard
from app.base.errors import BadRequest
from app.base.json_guard import MAX_CONTAINERS, MAX_DEPTH, check_shape


def depth_and_containers(text: str) -> tuple[int, int]:
    """Character by character, outside of strings."""
    depth = deepest = containers = 0
    is_string = is_escaped = False
    for character in text:
        if is_string:
            if is_escaped:
                is_escaped = False
            elif character == "\\":
                is_escaped = True
            elif character == '"':
                is_string = False
        elif character == '"':
            is_string = True
        elif character in "[{":
            depth, containers = depth + 1, containers + 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest, containers


def is_refused(body: bytes) -> bool:
    try:
        check_shape(body)
    except BadRequest:
        return True
    return False


values = st.recursive(
    st.text(alphabet='[]{}"\\a,é', max_size=8) | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=3)
    ),
    max_leaves=40,
)


@given(value=values, nested=st.integers(0, 2 * MAX_DEPTH))
def test_a_document_is_refused_exactly_when_it_is_too_deep(value: object, nested: int) -> None:
    text = "[" * nested + json.dumps(value, ensure_ascii=False) + "]" * nested

    assert is_refused(text.encode()) == (depth_and_containers(text)[0] > MAX_DEPTH)


@given(st.text(alphabet='[]{}"\\x', max_size=300))
def test_brackets_in_strings_do_not_count_also_in_what_is_no_json(text: str) -> None:
    # Everything within the string that begins before: the outer brackets alone are too few.
    assert not is_refused(b"[" * MAX_DEPTH + b'"' + json.dumps(text * 3).encode()[1:-1] + b'"')


def test_too_many_containers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_guard, "MAX_CONTAINERS", 100)

    check_shape(b"[" + b",".join([b"{}"] * 99) + b"]")
    with pytest.raises(BadRequest, match="more than 100 objects"):
        check_shape(b"[" + b",".join([b"{}"] * 100) + b"]")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"' + b"[" * 70 + b'\\"' * 4_000_000,
        b"[" * 70 + b'"' * 8_000_001,
        b'{"a":"' + b"[" * 70 + b"\\" * 8_000_000,
        b"[" * 70 + b'"a' * 4_000_000,
        b"[]" * (MAX_CONTAINERS * 3),
        b"]" * 8_000_000 + b"[" * 70,
    ],
)
def test_no_body_takes_longer_than_its_size_explains(body: bytes) -> None:
    began = perf_counter()

    is_refused(body)

    assert perf_counter() - began < 4
