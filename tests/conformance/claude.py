"""A hub with both an emulated Anthropic and the OpenAI-compatible emulator behind it, and clients for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.conformance.hub import HUB_KEY, Hub, running_hub
from tests.emulators.anthropic.handle import AnthropicUpstream, running_anthropic
from tests.emulators.anthropic.models import MODELS
from tests.emulators.handle import Upstream

FAULTS = (
    *("429-after-9", "400", "401", "403", "500", "529", "html-502", "close-before-answer", "wrong-type", "empty-200"),
    *("cut-after-4", "reset-after-4", "error-mid-stream-after-4", "no-done", "garbage", "half-utf8"),
    *("no-usage", "negative-usage", "crlf", "no-space", "one-byte-chunks"),
)
"""Each gets a provider of its own, of either kind."""
_OTHERS = {"openai": ("gpt-4o-mini", "o3-mini"), "deepseek": ("deepseek-reasoner",)}
METERS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "web_searches")
Json = dict[str, Any]


def _model(public: str, provider: str, upstream_model: str) -> Json:
    return {"model": public, "type": "chat", "routes": [{"provider": provider, "upstream_model": upstream_model}]}


def _provider(name: str, kind: str, base_url: str, secret: str) -> Json:
    credentials = [{"label": "main", "secret": secret}]
    return {"name": name, "kind": kind, "base_url": base_url, "credentials": credentials}


def _config(claude: AnthropicUpstream, others: Upstream) -> Json:
    providers = [_provider("anthropic", "anthropic", claude.base_url(), claude.key())]
    # An address with the version in it is the same one.
    providers.append(_provider("versioned", "anthropic", f"{claude.base_url()}/v1", claude.key()))
    models = [_model(f"claude/{name}", "anthropic", name) for name in MODELS]
    models.append(_model("versioned/claude-opus-4-6", "versioned", "claude-opus-4-6"))
    for kind, names in _OTHERS.items():
        providers.append(_provider(kind, kind, others.base_url(kind), others.key(kind)))
        models += [_model(f"{kind}/{name}", kind, name) for name in names]
    for upstream, kind, plain in ((claude, "anthropic", "claude-opus-4-6"), (others, "openai", "gpt-4o-mini")):
        for fault in FAULTS:
            secret, name = f"sk-{kind}-{fault}-0123456789", f"{kind}-broken-{fault}"
            upstream.set_keys({secret: ""})
            providers.append(_provider(name, kind, upstream.base_url(kind), secret))
            pace = "slow-20+" if "-after-4" in fault else ""
            models.append(_model(f"{kind}-fault/{fault}", name, f"{plain}+{pace}fault-{fault}"))
    team = {
        "name": "acme",
        "members": [{"email": "ada@example.com", "role": "admin"}],
        "keys": [{"name": "conformance", "secret": "env:CONFORMANCE_KEY", "models": ["*"]}],
    }
    return {"billing": "off", "providers": providers, "models": models, "teams": [team]}


class ClaudeDoor:
    """The hub, what is behind it, and official clients for it. They retry nothing."""

    def __init__(self, hub: Hub, claude: AnthropicUpstream, others: Upstream) -> None:
        self.hub, self.claude, self.others = hub, claude, others
        self.last_headers: dict[str, str] = {}

    def client(self, **options: Any) -> anthropic.Anthropic:
        web = anthropic.DefaultHttpxClient(trust_env=False, event_hooks={"response": [self._note]})
        given = {"base_url": self.hub.root, "api_key": HUB_KEY, "max_retries": 0, "http_client": web}
        return anthropic.Anthropic(**(given | options))

    def async_client(self, **options: Any) -> anthropic.AsyncAnthropic:
        web = anthropic.DefaultAsyncHttpxClient(trust_env=False)
        given = {"base_url": self.hub.root, "api_key": HUB_KEY, "max_retries": 0, "http_client": web}
        return anthropic.AsyncAnthropic(**(given | options))

    def openai_client(self, **options: Any) -> openai.OpenAI:
        web = openai.DefaultHttpxClient(trust_env=False, event_hooks={"response": [self._note]})
        given = {"base_url": self.hub.base_url, "api_key": HUB_KEY, "max_retries": 0, "http_client": web}
        return openai.OpenAI(**(given | options))

    def raw(self) -> httpx.Client:
        headers = {"x-api-key": HUB_KEY, "anthropic-version": "2023-06-01"}
        return httpx.Client(base_url=self.hub.root, headers=headers, trust_env=False, timeout=20)

    def record(self) -> Json:
        """The newest call as the hub wrote it down."""
        row = self.hub.call(self.last_headers["x-hub-call-id"])
        return dict.fromkeys(METERS, 0) | row | row["usage"]

    def _note(self, response: Any) -> None:
        self.last_headers = {name.lower(): value for name, value in response.headers.items()}


@pytest.fixture(scope="session")
def claude_upstream() -> Iterator[AnthropicUpstream]:
    with running_anthropic() as started:
        yield started


@pytest.fixture(scope="session")
def claude_door(
    claude_upstream: AnthropicUpstream, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClaudeDoor]:
    data_dir = tmp_path_factory.mktemp("claude") / "data"
    data_dir.mkdir(mode=0o700)
    with running_hub(_config(claude_upstream, upstream), data_dir) as hub:
        yield ClaudeDoor(hub, claude_upstream, upstream)
