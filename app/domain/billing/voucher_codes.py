"""The codes of vouchers: 80 random bits in letters that nobody confuses, and one more letter that gives away most slips
of the finger.

    7K2M-Q9XD-0RTF-5WCN-H
"""

from __future__ import annotations

import hashlib
import secrets

from app.base.errors import BadValue

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: without I, L, O and U."""
_READ_AS = str.maketrans("ILO", "110")
_RANDOM_LETTERS = 16
_GROUP = 4
_HINT_LETTERS = 4


def make() -> str:
    """A new code, as it is shown once."""
    body = "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM_LETTERS))
    letters = body + _check_letter(body)
    return "-".join(letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP))


def digest(code: str) -> bytes:
    """What is stored of a code. Case, spaces and hyphens do not matter, nor O for 0, I or L for 1.

    Raises:
        BadValue: it cannot be a code; somebody has mistyped it.
    """
    letters = "".join(code.split()).replace("-", "").upper().translate(_READ_AS)
    is_code = len(letters) == _RANDOM_LETTERS + 1 and not set(letters) - set(_LETTERS)
    if not is_code or _check_letter(letters[:-1]) != letters[-1]:
        raise BadValue(
            "This is no voucher code: a letter is wrong or missing. Compare it with what you were given.",
            param="code",
            code="voucher_mistyped",
        )
    return hashlib.sha256(letters.encode()).digest()


def hint(code: str) -> str:
    """The part of a code that lists show."""
    return code[:_HINT_LETTERS]


def _check_letter(body: str) -> str:
    """Luhn's sum in base 32: it tells every single wrong letter, and nearly every two that changed places."""
    total = 0
    for place, letter in enumerate(reversed(body)):
        value = _LETTERS.index(letter) * (2 if place % 2 == 0 else 1)
        total += value // len(_LETTERS) + value % len(_LETTERS)
    return _LETTERS[-total % len(_LETTERS)]
