from __future__ import annotations

import time

import pytest

from app.adapters.providers.scrub import MAX_CHARACTERS, scrub, scrub_word
from app.base.secret import Secret

KEY = "sk-proj-4f9aQ2m8Zx7LtR1vB6nC3dE5"

LEAKY = [
    (f"Incorrect API key provided: {KEY}.", KEY[:10], KEY[-6:]),
    ("Incorrect API key provided: sk-proj-********dE5. Find it in the dashboard.", "sk-proj", "dE5"),
    ("Incorrect API key provided: sk-4f***dE5.", "4f", "dE5"),
    (
        "Incorrect API key provided: xa***yz. You can obtain an API key from https://console.x.ai.",
        "xa**",
        "console.x.ai",
    ),
    ("Key sk-...dE5 is disabled", "dE5"),
    ("Key sk-proj…dE5 is disabled", "dE5"),
    ("Authentication Fails, Your api key: ****dE5 is invalid", "dE5"),
    ("header Authorization: Bearer abc.def-ghi was refused", "abc.def-ghi"),
    ('{"api_key": "abcdef", "password":"hunter2"}', "abcdef", "hunter2"),
    ("x-api-key=abcdef1234 is wrong", "abcdef1234"),
    ("key AIzaSyA1234567890abcdefghijklmnop", "AIzaSyA"),
    ("AKIAIOSFODNN7EXAMPLE is not allowed", "AKIAIOSFODNN7EXAMPLE"),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln was bad", "eyJhbGci"),
    ("Rate limit reached for gpt-6-luna in organization org-Emulated7f3a on requests per min", "org-Emulated7f3a"),
    ("Rate limit reached in organization org-abc on requests", "org-abc"),
    ("Project `proj_AbCdEf` does not have access", "proj_AbCdEf"),
    ("Your team 16f2151a-40f4-4a80-8ad0-cae00c27e8dd has used all credits", "16f2151a"),
    ("Your account 2100123456 has not activated the model", "2100123456"),
    ("endpoint ep-20240615093012-abcde is closed", "20240615093012"),
    ("Request id: 021752039166483993d717f33c8850963d84c7a3d1278ee168a92", "0217520391"),
    ("user acct_1MZ9xyQ is suspended", "acct_1MZ9xyQ"),
    ("failed to reach http://10.1.2.3:8080/internal?key=1", "10.1.2.3", "8080", "internal"),
    ("upstream 192.168.0.17:443 refused", "192.168.0.17"),
    ("dial tcp [fd00:1:2:3::7]:443: refused", "fd00:1:2:3"),
    ("host gpu-7.prod.internal:8443 is down", "gpu-7", "8443"),
    ("vault.svc.cluster.local timed out", "vault.svc"),
    ("connect localhost:11434 refused, db:5432 too", "11434", "5432"),
    ("ask bob.smith+ai@corp.example.com", "bob.smith", "corp.example.com"),
    ("role arn:aws:iam::123456789012:role/Admin cannot", "123456789012", "role/Admin"),
]


@pytest.mark.parametrize("row", LEAKY, ids=lambda row: row[0][:40])
def test_secrets_accounts_and_addresses_do_not_come_through(row: tuple[str, ...]) -> None:
    text, *leaks = row
    clean = scrub(text, [Secret(KEY)])
    for leak in leaks:
        assert leak not in clean
    assert scrub(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "The model `meta-llama/llama-3.3-70b-instruct` does not exist or you do not have access to it.",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Invalid value for messages[3].content[0].image_url: must be a string.",
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        "token: 12 of 4000 tokens; requests: 3",
        "Invalid 'tools[0].function.name': string does not match pattern '^[a-zA-Z0-9_-]+$'.",
        "max_tokens must be <= 4096, temperature must be between 0 and 2.0",
        "user_message is required for request-level settings",
    ],
)
def test_what_helps_a_caller_stays_as_it_is(text: str) -> None:
    assert scrub(text, [Secret(KEY)]) == text


def test_a_known_secret_goes_whatever_it_looks_like() -> None:
    odd = Secret("correct horse battery")
    assert "horse" not in scrub("You said 'correct horse battery' and that is wrong", [odd])
    # A masked form: head and tail of the key around something else.
    key = Secret("abcdefghijklmnopqrst")
    clean = scrub("bad key abcdefg--------opqrst!", [key])
    assert "abcdefg" not in clean
    assert "opqrst" not in clean


def test_the_text_is_one_short_line_without_control_characters() -> None:
    assert scrub("a\x00\x1b[31mred\x1b[0m\r\n\tb\u202ec\u200b") == "a red b c"
    long = scrub("word " * 500)
    assert len(long) == MAX_CHARACTERS
    assert long.endswith("…")


def test_a_key_at_the_cut_is_not_shown_in_half() -> None:
    for filler in range(980, 1_001):
        assert KEY[:6] not in scrub("[" * filler + " " + KEY + " end", [Secret(KEY)])


@pytest.mark.parametrize("unit", ["x", "a.", "a@", "-", "a-", "*", "sk-", "1:", "a://", "…", "_1a", "token=", "a1b2 "])
def test_no_text_takes_long(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    began = time.perf_counter()
    scrub(text, [Secret(KEY)])
    scrub(text[:990] + " ", [Secret(KEY)])
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("word", ["model_not_found", "InvalidEndpointOrModel.NotFound", "messages[0].content"])
def test_a_code_is_kept(word: str) -> None:
    assert scrub_word(word) == word


@pytest.mark.parametrize("word", [None, 12, "", "two words", "org-Acme123", KEY, "x" * 101, "https://a.example"])
def test_what_is_no_code_is_dropped(word: object) -> None:
    assert scrub_word(word, [Secret(KEY)]) is None
