"""Globs of model names: what they match, and whether some of them match no more than others do.

They are those of `fnmatch`: `*`, `?` and `[…]`, upper and lower case apart.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from functools import lru_cache

_STAR = "*"
_MAX_STEPS = 20_000
"""Beyond this two sets of globs are not compared any further: somebody wants to keep the hub busy."""
_NOTHING = re.compile(r"(?!)")


def matcher(globs: Sequence[str]) -> re.Pattern[str] | None:
    """Matches what one of them matches; None where that is everything."""
    return None if "*" in globs else pattern(globs)


def pattern(globs: Sequence[str]) -> re.Pattern[str]:
    """Matches what one of them matches."""
    return _matcher(tuple(globs))


def covers(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether every name that one of `narrow` matches is matched by one of `wide`.

    False also where that cannot be told in reasonable time.
    """
    return "*" in wide or all(glob in wide or _is_covered(glob, wide) for glob in narrow)


@lru_cache(maxsize=4096)
def _matcher(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(glob) for glob in globs)) if globs else _NOTHING


def _is_covered(glob: str, wide: Sequence[str]) -> bool:
    """Walks through all names that the glob matches, as far as they differ for either side, and looks for one that none
    of the others matches. A place is how many tokens of a glob are behind it."""
    narrow, others = _tokens(glob), [_tokens(other) for other in wide]
    letters = _letters([narrow, *others])
    begin = (
        _through_stars(narrow, frozenset({0})),
        frozenset((n, place) for n, tokens in enumerate(others) for place in _through_stars(tokens, frozenset({0}))),
    )
    seen, todo = {begin}, [begin]
    while todo:
        if len(seen) > _MAX_STEPS // max(1, len(letters)):
            return False
        own, theirs = todo.pop()
        if len(narrow) in own and not any(place == len(others[n]) for n, place in theirs):
            return False
        for letter in letters:
            next_own = _after(narrow, own, letter)
            if not next_own:
                continue
            next_theirs = frozenset(
                (n, place)
                for n, tokens in enumerate(others)
                for place in _after(tokens, frozenset(at for of, at in theirs if of == n), letter)
            )
            if (next_own, next_theirs) not in seen:
                seen.add((next_own, next_theirs))
                todo.append((next_own, next_theirs))
    return True


def _tokens(glob: str) -> list[str]:
    """One for each letter that it matches, and `*`."""
    tokens: list[str] = []
    place = 0
    while place < len(glob):
        end = _end_of_set(glob, place) if glob[place] == "[" else None
        token = glob[place : place + 1] if end is None else glob[place:end]
        tokens.append("[[]" if token == "[" else token)
        place += 1 if end is None else len(token)
    return tokens


def _end_of_set(glob: str, begin: int) -> int | None:
    """Behind the `]` that ends the set; None where none does, and the bracket is a letter like others."""
    place = begin + 1
    if glob[place : place + 1] == "!":
        place += 1
    if glob[place : place + 1] == "]":
        place += 1
    found = glob.find("]", place)
    return None if found < 0 else found + 1


def _letters(globs: Sequence[Sequence[str]]) -> list[str]:
    """One of each kind of letter that the globs tell apart: those that stand in them with their neighbours, and one
    that stands in none."""
    named = {ord(letter) for tokens in globs for token in tokens for letter in token}
    near = {code + step for code in named for step in (-1, 0, 1)}
    other = next(code for code in range(0x4E00, 0x10FFFF) if code not in near)
    candidates = [chr(code) for code in sorted({*near, other}) if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000]
    apart: dict[tuple[bool, ...], str] = {}
    sets = sorted({token for tokens in globs for token in tokens if token != _STAR})
    for letter in candidates:
        apart.setdefault(tuple(_matches(token, letter) for token in sets), letter)
    return list(apart.values())


def _after(tokens: Sequence[str], places: frozenset[int], letter: str) -> frozenset[int]:
    """Where a glob may be after one more letter."""
    moved = {
        place if tokens[place] == _STAR else place + 1
        for place in places
        if place < len(tokens) and (tokens[place] == _STAR or _matches(tokens[place], letter))
    }
    return _through_stars(tokens, frozenset(moved))


def _through_stars(tokens: Sequence[str], places: frozenset[int]) -> frozenset[int]:
    """A star may also match nothing."""
    found = set(places)
    for place in places:
        while place < len(tokens) and tokens[place] == _STAR:
            place += 1
            found.add(place)
    return frozenset(found)


@lru_cache(maxsize=16384)
def _matches(token: str, letter: str) -> bool:
    return fnmatch.fnmatchcase(letter, token)
