"""What stands in an audit event in place of secrets, and how much of a text does.

Whoever records an event says what changed and need not think of what may be in it: a value whose name tells of a secret
is masked whatever it is, and in all other texts what looks like a key is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, cast

import msgspec

from app.base.secret import Secret

MASK = "•••"

MOST_TEXT = 2_000
"""Characters of one text."""
MOST_ITEMS = 200
"""Of one list or object."""
_MOST_DEEP = 8

_SECRET_WORDS = frozenset(
    [
        "secret",
        "secrets",
        "password",
        "passwords",
        "passphrase",
        "passcode",
        "token",
        "digest",
        "sealed",
        "pepper",
        "private",
        "bearer",
        "authorization",
        "cookie",
        "csrf",
        "otp",
        "totp",
        "pin",
        "seed",
        "fingerprint",
        "signature",
        "dsn",
    ]
)
_SECRET_ENDS = frozenset(("key", "keys", "tokens", "code", "codes", "apikey"))
"""Only as the last word: `api_key` is a secret, `key_id` is not."""
_PLAIN_ENDS = frozenset(("id", "ids", "name", "names", "count", "hint", "kind", "at", "until", "seconds", "days"))

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_LOOKS_SECRET = (
    # Whose account an address names, and with what.
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{MASK}@"),
    (re.compile(r"\b(bearer|basic)\s+[\w\-+/=.]{6,}", re.I), rf"\1 {MASK}"),
    (
        re.compile(
            r"\b((?:x-)?api[-_ ]?key|authorization|(?:access[-_ ])?token|secret(?:[-_ ](?:access[-_ ])?key)?|password"
            r"|sig|signature)([\"']?\s{0,3}[:=]\s{0,3}[\"']?)[^\s\"',;&})\]]{4,}",
            re.I,
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"\b(?:sk|pk|rk|hk|xai|gsk|pplx|nvapi|ark|poe|r8|hf|whsec|blocklet)[-_][\w\-]{6,}"), MASK),
    (
        re.compile(
            r"\b(?:AIza[\w\-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{8,}|gh[pousr]_\w{10,}|ya29\.[\w\-]+|eyJ[\w\-]+\.[\w\-.]+)"
        ),
        MASK,
    ),
    (re.compile(r"(/sign-in/)[\w\-]{8,}"), rf"\1{MASK}"),
    # Long and mixed: nothing that people write. A hash that is said to be one stays.
    (re.compile(r"(?<![\w\-])(?<!sha256:)(?=[\w\-]*[0-9])(?=[\w\-]*[A-Za-z])[\w\-]{40,}"), MASK),
)


def is_secret(name: str) -> bool:
    """Whether what stands under this name is a secret: by its words, in `snake_case`, `camelCase` or with spaces."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _PLAIN_ENDS:
        return False
    return not _SECRET_WORDS.isdisjoint(words) or words[-1] in _SECRET_ENDS


def masked(said: Mapping[str, Any]) -> dict[str, Any]:
    """What may be kept of it: plain JSON values."""
    return cast(dict[str, Any], _masked(said, _MOST_DEEP))


def text(written: str, most: int = MOST_TEXT) -> str:
    """A text without what looks like a secret, in characters that every database takes, and not longer than `most`."""
    clean = written.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    for pattern, instead in _LOOKS_SECRET:
        clean = pattern.sub(instead, clean)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def _masked(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Secret | bytes | bytearray | memoryview) or not depth:
        return MASK
    if isinstance(value, str):
        return text(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        found = cast(Mapping[object, object], value)
        pairs = list(found.items())[:MOST_ITEMS]
        return {text(str(name), 200): _of(str(name), part, depth - 1) for name, part in pairs}
    if isinstance(value, Sequence | set | frozenset):
        parts = list(cast(Sequence[object], value))
        shown = [_masked(part, depth - 1) for part in parts[:MOST_ITEMS]]
        return shown if len(parts) <= MOST_ITEMS else [*shown, f"… {len(parts) - MOST_ITEMS} more"]
    if isinstance(value, msgspec.Struct):
        return _masked({name: getattr(value, name) for name in value.__struct_fields__}, depth)
    return MASK


def _of(name: str, value: object, depth: int) -> object:
    """A number is no secret of this hub, and neither is that there is none."""
    if value is None or isinstance(value, bool | int | float) or value == "" or not is_secret(name):
        return _masked(value, depth)
    return MASK
