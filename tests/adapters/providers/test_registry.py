from __future__ import annotations

import msgspec
import pytest

from app.adapters.providers import deviations, signing
from app.adapters.providers.addresses import endpoint_url
from app.adapters.providers.kinds import Kind, ToSign
from app.adapters.providers.registry import KINDS
from app.base.errors import BadValue
from app.base.secret import Secret
from app.gateway.formats import FORMATS

SERVED = [kind for kind in KINDS.values() if kind.paths]
NAMED = {
    "openai",
    "anthropic",
    "bedrock",
    "google",
    "deepseek",
    "ollama",
    "openrouter",
    "xai",
    "doubao",
    "poe",
    "ideogram",
    "custom",
}


def test_every_kind_of_the_file_format_has_a_row() -> None:
    assert set(KINDS) == NAMED | {"demo"}
    assert all(name == kind.name for name, kind in KINDS.items())


@pytest.mark.parametrize("kind", SERVED, ids=lambda kind: kind.name)
def test_a_served_kind_says_where_its_facts_come_from(kind: Kind) -> None:
    assert kind.docs.startswith("https://") or kind.name == "demo"
    assert {name.removesuffix(".stream") for name in kind.paths} <= set(FORMATS)
    assert set(kind.deviations) <= set(kind.paths)
    assert all(path.startswith("/") for path in kind.paths.values())
    assert kind.base_url is not None or kind.name == "custom"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_pain_P21_every_kind_says_what_happens_to_a_stream_nobody_reads(kind: Kind) -> None:
    assert kind.on_disconnect in ("cancel", "drain")


def test_pain_P21_a_provider_that_bills_anyway_is_read_to_the_end() -> None:
    assert {name for name, kind in KINDS.items() if kind.on_disconnect == "drain"} == {
        "bedrock",
        "doubao",
        "google",
        "ideogram",
        "poe",
    }


def test_the_environment_names_are_those_of_the_providers_own_tools() -> None:
    found = {name: kind.environment for name, kind in KINDS.items() if kind.environment}
    assert found == {
        "openai": ("OPENAI_API_KEY",),
        "anthropic": ("ANTHROPIC_API_KEY",),
        "google": ("GEMINI_API_KEY",),
        "deepseek": ("DEEPSEEK_API_KEY",),
        "ollama": ("OLLAMA_API_KEY",),
        "openrouter": ("OPENROUTER_API_KEY",),
        "xai": ("XAI_API_KEY",),
        "doubao": ("ARK_API_KEY",),
        "poe": ("POE_API_KEY",),
        "ideogram": ("IDEOGRAM_API_KEY",),
        "bedrock": ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    }


def test_pain_P02_the_two_ways_of_counting_are_told_apart_by_the_row() -> None:
    assert not KINDS["anthropic"].usage.cache_in_input
    assert KINDS["openai"].usage.cache_in_input
    assert not KINDS["xai"].usage.reasoning_in_output


@pytest.mark.parametrize(
    ("kind", "base_url", "path", "url"),
    [
        ("openai", None, "/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("openai", "https://proxy.test/openai/v1/", "/models", "https://proxy.test/openai/v1/models"),
        ("ollama", None, "/chat/completions", "http://localhost:11434/v1/chat/completions"),
        ("ollama", "http://box:11434", "/chat/completions", "http://box:11434/v1/chat/completions"),
        ("ollama", "http://box:11434/", "/chat/completions", "http://box:11434/v1/chat/completions"),
        ("ollama", "http://box:11434/v1", "/chat/completions", "http://box:11434/v1/chat/completions"),
        ("ollama", "http://box:11434/v1/", "/models", "http://box:11434/v1/models"),
        ("ollama", "http://box:11434/api", "/models", "http://box:11434/v1/models"),
        ("deepseek", None, "/chat/completions", "https://api.deepseek.com/chat/completions"),
        ("deepseek", None, "/beta/completions", "https://api.deepseek.com/beta/completions"),
        ("deepseek", "https://api.deepseek.com/v1", "/beta/completions", "https://api.deepseek.com/beta/completions"),
        ("custom", "http://box:8000", "/chat/completions", "http://box:8000/chat/completions"),
        ("custom", "http://box:8000/v1", "chat/completions", "http://box:8000/v1/chat/completions"),
        ("poe", None, "../usage/current_balance", "https://api.poe.com/usage/current_balance"),
    ],
)
def test_an_address_is_the_base_and_the_path(kind: str, base_url: str | None, path: str, url: str) -> None:
    assert endpoint_url(KINDS[kind], base_url, path) == url


def test_a_kind_without_a_base_url_wants_one() -> None:
    with pytest.raises(BadValue, match="base_url"):
        endpoint_url(KINDS["custom"], None, "/models")


_REQUEST = ToSign(method="POST", url="https://provider.example/v1/x", content=b"{}", region=None)


def test_each_way_of_signing_puts_its_part_where_the_provider_looks() -> None:
    secret = {"secret": Secret("s3cret"), "api_key": Secret("k3y")}
    made: dict[str, dict[str, str]] = {}
    for name, sign in (
        ("bearer", signing.bearer),
        ("x_api_key", signing.x_api_key),
        ("x_goog_api_key", signing.x_goog_api_key),
        ("bedrock", signing.bedrock),
        ("unsigned", signing.unsigned),
    ):
        sign(made.setdefault(name, {}), secret, _REQUEST)
    assert made == {
        "bearer": {"Authorization": "Bearer s3cret"},
        "x_api_key": {"x-api-key": "s3cret"},
        "x_goog_api_key": {"x-goog-api-key": "s3cret"},
        "bedrock": {"Authorization": "Bearer k3y"},
        "unsigned": {},
    }


@pytest.mark.parametrize("parts", [{}, {"secret": Secret("")}])
def test_a_local_server_without_a_secret_gets_no_header(parts: dict[str, Secret]) -> None:
    headers: dict[str, str] = {}
    KINDS["ollama"].signing(headers, parts, _REQUEST)
    assert headers == {}


def test_a_limit_of_tokens_reaches_deepseek_under_the_name_it_knows() -> None:
    document = msgspec.json.decode(b'{"max_completion_tokens": 5, "x_new": {"a": [1]}}', type=dict[str, msgspec.Raw])
    deviations.max_tokens_by_its_old_name(document)
    assert msgspec.json.decode(msgspec.json.encode(document)) == {"max_tokens": 5, "x_new": {"a": [1]}}
    assert deviations.max_tokens_by_its_old_name in KINDS["deepseek"].deviations["chat.completions"]


def test_the_new_name_wins_where_a_client_sends_both() -> None:
    document = {"max_tokens": msgspec.Raw(b"9"), "max_completion_tokens": msgspec.Raw(b"5")}
    deviations.max_tokens_by_its_old_name(document)
    assert document == {"max_tokens": msgspec.Raw(b"5")}
