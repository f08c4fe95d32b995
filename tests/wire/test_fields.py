"""A client's object is read field by field: types with their paths, and nothing forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import BadRequest
from app.wire.fields import Fields


def test_what_nobody_took_is_remembered_with_its_path() -> None:
    fields = Fields({"a": 1, "b": {"c": "x", "d": [{"e": 1, "f": 2}]}, "g": None, "h": True})
    fields.whole("a")
    inner = fields.object("b")
    assert inner is not None
    for entry in inner.objects("d"):
        entry.whole("e")
        entry.done()
    inner.done()
    fields.done()

    assert fields.unread == ["b.d[0].f", "b.c", "h"]


@pytest.mark.parametrize(
    ("method", "value", "words"),
    [
        ("text", 1, "a string"),
        ("needed_text", [], "a string"),
        ("flag", "true", "true or false"),
        ("whole", 1.5, "a whole number"),
        ("whole", True, "a whole number"),
        ("number", "1", "a number"),
        ("number", False, "a number"),
        ("object", [], "an object"),
        ("list", {}, "an array"),
        ("texts", 5, "an array"),
    ],
)
def test_a_wrong_type_is_said_with_the_path(method: str, value: Any, words: str) -> None:
    fields = Fields({"a": value}, "outer[0]")

    with pytest.raises(BadRequest, match=words) as caught:
        getattr(fields, method)("a")
    assert caught.value.param == "outer[0].a"


@pytest.mark.parametrize("method", ["text", "flag", "whole", "number", "object", "list", "raw", "any"])
def test_null_and_absent_are_the_same(method: str) -> None:
    assert getattr(Fields({"a": None}), method)("a") is None
    assert getattr(Fields({}), method)("a") is None
    assert not Fields({"a": None}).has("a")


def test_numbers_stay_what_they_were() -> None:
    fields = Fields({"whole": 1, "float": 0.5, "even": 2.0, "also": 3.0})

    assert [type(fields.number(name)) for name in ("whole", "float")] == [int, float]
    assert fields.whole("even") == 2
    assert fields.whole("also", least=3) == 3


def test_bounds_and_words_are_checked() -> None:
    fields = Fields({"n": 0, "w": "blue", "t": ["a", 1]})

    for read, path in (
        (lambda: fields.whole("n", least=1), "n"),
        (lambda: fields.word("w", ("red", "green")), "w"),
        (lambda: fields.texts("t"), "t[1]"),
        (lambda: fields.needed_text("gone"), "gone"),
    ):
        with pytest.raises(BadRequest) as caught:
            read()
        assert caught.value.param == path


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
READERS = ("text", "flag", "whole", "number", "object", "list", "texts", "raw", "any")


@given(json_values, st.sampled_from(READERS))
def test_any_value_is_read_or_refused_by_name(value: Any, method: str) -> None:
    fields = Fields({"a": value})
    try:
        getattr(fields, method)("a")
    except BadRequest as refusal:
        assert refusal.param is not None and refusal.param.startswith("a")
    fields.done()

    assert fields.unread == []
