"""Money as text and as integers: both ways without loss, and nothing that is not plainly an amount."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import BadValue
from app.base.money import MAX_NANO, NANO, basis_points, nano, show_basis_points, show_nano


@given(st.integers(-MAX_NANO, MAX_NANO))
def test_an_amount_is_shown_so_that_it_reads_back_as_the_same(amount: int) -> None:
    text = show_nano(amount)

    assert nano(text) == amount and Decimal(text) * NANO == amount
    assert "." not in text or not text.endswith(("0", "."))


@given(st.integers(-9_999_999, 9_999_999))
def test_a_percentage_is_shown_so_that_it_reads_back_as_the_same(points: int) -> None:
    assert basis_points(show_basis_points(points)) == points


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=9))
def test_a_written_decimal_is_stored_exactly(value: Decimal) -> None:
    assert nano(f"{value:f}") == value * NANO


@pytest.mark.parametrize(
    "text",
    ["", " ", "1e3", "0x1", "1.", ".5", "1,5", "+1", "--1", "NaN", "inf", "1.0000000001", "12345678901", "1 ",
     "9999999999", "٣", "1\n", "１"],
)  # fmt: skip
def test_what_is_not_plainly_an_amount_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        nano(text)


@pytest.mark.parametrize("text", ["", "1e3", "1.234", "123456", "20%", "٣"])
def test_what_is_not_plainly_a_percentage_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        basis_points(text)
