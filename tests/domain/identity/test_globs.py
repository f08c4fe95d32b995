"""Whether some globs match no more than others."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.identity import globs

_GLOBS = st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]", "/"]), min_size=1, max_size=5).map("".join)
_NAMES = st.text(alphabet="abc/", max_size=6)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (["*"], ["openai/*", "lab/?"]),
        (["openai/*"], ["openai/gpt-4o", "openai/gpt-*", "openai/*"]),
        (["openai/*", "lab/x"], ["lab/x"]),
        (["?*"], ["a*"]),
        (["[a-z]*"], ["[b-d]x*"]),
        (["a*", "[!a]*"], ["?"]),
        (["**"], ["anything*"]),
        (["a[[]b"], ["a[[]b"]),
        (["a[b"], ["a[b"]),
    ],
)
def test_narrower_globs_are_covered(wide: list[str], narrow: list[str]) -> None:
    assert globs.covers(wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (["openai/*"], ["*"]),
        (["openai/*"], ["openai*"]),
        (["openai/*"], ["OpenAI/x"]),
        (["openai/gpt-4o"], ["openai/gpt-4?"]),
        (["[a-c]*"], ["[a-d]*"]),
        (["a*", "b*"], ["?*"]),
        ([], ["x"]),
        (["?"], ["[]]?"]),
    ],
)
def test_wider_globs_are_not_covered(wide: list[str], narrow: list[str]) -> None:
    assert not globs.covers(wide, narrow)


@settings(max_examples=400)
@given(st.lists(_GLOBS, max_size=3), _GLOBS, _NAMES)
def test_what_is_covered_never_matches_more(wide: list[str], narrow: str, name: str) -> None:
    if globs.covers(wide, [narrow]) and fnmatch.fnmatchcase(name, narrow):
        assert any(fnmatch.fnmatchcase(name, glob) for glob in wide)


@settings(max_examples=300)
@given(_GLOBS, st.lists(_GLOBS, max_size=2))
def test_a_glob_covers_itself_among_others(own: str, others: list[str]) -> None:
    assert globs.covers([*others, own], [own])
    # Without the shortcut of equal texts, too.
    assert globs.covers([*others, f"{own}"], [f"{own}"]) and globs.covers([f"*{own}"], [own])


def test_globs_that_are_made_to_keep_the_hub_busy_are_given_up_on() -> None:
    began = time.monotonic()

    assert not globs.covers(["*a" + "?" * 99, "*b" + "?" * 99], ["*" + "[ab]" * 40 + "*x"])

    assert time.monotonic() - began < 2.0


def test_denying_everything_denies_everything() -> None:
    assert globs.pattern(["*"]).fullmatch("openai/gpt-4o") is not None
    assert globs.matcher(["openai/*", "*"]) is None
