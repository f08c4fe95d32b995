"""Money is integers: credits in nano-credits, cost in nano-USD. One credit is shown with up to nine decimals.

Rates are nano per 1,000,000 units (tokens, characters) or per single unit (images, seconds, requests). No float touches
money anywhere: text from people and files becomes an integer here, and integers become text here.
"""

from __future__ import annotations

import re
from decimal import Decimal

from app.base.errors import BadValue

NANO = 1_000_000_000
MAX_NANO = 2**62
"""Room to add two of them in a 64-bit column."""

_AMOUNT = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,9})?")
_PERCENT = re.compile(r"-?[0-9]{1,5}(\.[0-9]{1,2})?")


def nano(text: str) -> int:
    """`"0.15"` → 150000000.

    Raises:
        BadValue: not a plain decimal with at most nine digits after the point. Exponents and floats are refused: what a
            file says must be what is stored.
    """
    if not _AMOUNT.fullmatch(text):
        raise BadValue(
            f'"{text}" is not an amount. Write a decimal such as "0.15", with at most 9 digits after the point.'
        )
    amount = int(Decimal(text) * NANO)
    if abs(amount) > MAX_NANO:
        raise BadValue(f'"{text}" is too large an amount.')
    return amount


def check_amounts(*amounts: int, least: int = 0) -> None:
    """What comes from our own code and goes into the ledger, checked once more.

    Raises:
        ValueError: not whole, below `least`, or more than a column may hold.
    """
    for amount in amounts:
        # Neither True nor 1.0 is an amount.
        if type(amount) is not int or not least <= amount <= MAX_NANO:
            raise ValueError(f"{amount!r} is not an amount of {least} or more.")


def show_nano(amount_nano: int) -> str:
    """150000000 → `"0.15"`; the shortest text that `nano` reads back as the same integer."""
    sign = "-" if amount_nano < 0 else ""
    whole, part = divmod(abs(amount_nano), NANO)
    decimals = f"{part:09d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def basis_points(text: str) -> int:
    """A percentage as hundredths of a percent: `"12.5"` → 1250.

    Raises:
        BadValue: not a plain decimal with at most two digits after the point.
    """
    if not _PERCENT.fullmatch(text):
        raise BadValue(f'"{text}" is not a percentage. Write a decimal such as "20" or "12.5".')
    return int(Decimal(text) * 100)


def show_basis_points(points: int) -> str:
    """1250 → `"12.5"`."""
    text = f"{Decimal(points) / 100:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
