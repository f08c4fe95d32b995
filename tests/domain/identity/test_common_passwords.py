"""Which passwords are guessed first."""

from __future__ import annotations

import time

import pytest

from app.domain.identity import common_passwords


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Passw0rd!",
        "P@$$w0rd2026",
        "12345678",
        "987654321",
        "qwertyuiop",
        "1qaz2wsx",
        "asdfghjkl;",
        "iloveyou2",
        "letmein123",
        "sunshine99",
        "abcabcabc1",
        "football1!",
        "admin2025",
        "changeme!!",
        "dragon2000",
        "Summer2026!",
        "welcome1welcome1",
        "monkeymonkeymonkey",
        "aigne-hub-2026",
        "lovelace1",
        "ada.lovelace!",
    ],
)
def test_what_is_guessed_first_is_common(password: str) -> None:
    assert common_passwords.is_common(password, ("ada.lovelace@example.com",))


@pytest.mark.parametrize(
    "password",
    [
        "kG7 vmq2",
        "four stray ovens hum",
        "correct horse battery staple",
        "tr4mp0lin-Kiwi-84",
        "漢字パスワード鍵盤海",
        "x9$Lw!pe",
    ],
)
def test_what_nobody_else_has_is_not(password: str) -> None:
    assert not common_passwords.is_common(password, ("ada.lovelace@example.com",))


def test_the_longest_one_is_looked_at_in_no_time() -> None:
    began = time.perf_counter()
    for password in ("ab1" * 42, "qwertyuiop" * 12, "x" * 64 + "y" * 64, "(a+)+$" * 21):
        common_passwords.is_common(password, ("ada@example.com",))
    assert time.perf_counter() - began < 1
