"""A hub before two strict upstreams, Gemini's and OpenAI's, for clients of either format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from google import genai
from google.genai import types

from tests.conformance.hub import HUB_KEY, Hub, running_hub
from tests.emulators.gemini.handle import GeminiUpstream, running_gemini
from tests.emulators.handle import Upstream

FAULTS = ("429-after-9", "400", "403", "500", "503", "leaky-error")
IN_STREAMS = ("cut-after-4", "error-mid-stream-after-4", "garbage", "no-usage", "one-byte-chunks", "crlf")
CHATS = ("gemini-3.8-flash", "gemini-3.1-pro-preview", "gemini-2.5-flash", "gemini-2.5-pro")

Json = dict[str, Any]


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiUpstream]:
    with running_gemini() as started:
        yield started


@pytest.fixture(scope="module")
def hub(gemini: GeminiUpstream, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    data_dir = tmp_path_factory.mktemp("gemini") / "data"
    data_dir.mkdir(mode=0o700)
    with running_hub(_hub_yaml(gemini, upstream), data_dir) as started:
        yield started


def _hub_yaml(gemini: GeminiUpstream, upstream: Upstream) -> Json:
    keys = {f"AIzaSyFault{fault}0123456789": "" for fault in (*FAULTS, *IN_STREAMS)}
    gemini.set_keys(keys)
    providers = [
        # A base URL is taken with the version at its end, too.
        _provider("google", "google", f"{gemini.base_url()}/v1beta", gemini.key()),
        _provider("openai", "openai", upstream.base_url("openai"), upstream.key("openai")),
    ]
    models = [_model(f"google/{name}", "google", name, "chat") for name in CHATS]
    models += [
        _model("google/slow", "google", "gemini-3.8-flash+slow-40", "chat"),
        _model("google/draws", "google", "gemini-3.1-flash-image", "image"),
        _model("google/embed", "google", "gemini-embedding-001", "embedding"),
        _model("openai/gpt", "openai", "gpt-4o-mini", "chat"),
        _model("openai/o3", "openai", "o3-mini", "chat"),
        _model("openai/embed", "openai", "text-embedding-3-small", "embedding"),
    ]
    for fault in (*FAULTS, *IN_STREAMS):
        providers.append(_provider(f"broken-{fault}", "google", gemini.base_url(), f"AIzaSyFault{fault}0123456789"))
        models.append(_model(f"fault/{fault}", f"broken-{fault}", f"gemini-3.8-flash+slow-20+fault-{fault}", "chat"))
    providers.append(_provider("wrong-key", "google", gemini.base_url(), "AIzaSyNobodyKnowsThisOne0123456789"))
    models.append(_model("fault/wrong-key", "wrong-key", "gemini-3.8-flash", "chat"))
    team = {
        "name": "acme",
        "members": [{"email": "ada@example.com", "role": "admin"}],
        "keys": [{"name": "conformance", "secret": "env:CONFORMANCE_KEY", "models": ["*"]}],
    }
    return {"billing": "off", "providers": providers, "models": models, "teams": [team]}


def _provider(name: str, kind: str, base_url: str, secret: str) -> Json:
    credentials = [{"label": "main", "secret": secret}]
    return {"name": name, "kind": kind, "base_url": base_url, "credentials": credentials}


def _model(public: str, provider: str, upstream_model: str, type_: str) -> Json:
    return {"model": public, "type": type_, "routes": [{"provider": provider, "upstream_model": upstream_model}]}


@pytest.fixture
def google(hub: Hub) -> Iterator[genai.Client]:
    """Google's own library, pointed at the hub and at nothing else."""
    # Its own connections would outlive the test: it does not close those that it was given.
    with httpx.Client(trust_env=False, timeout=20) as web:
        options = types.HttpOptions(base_url=hub.root, httpx_client=web)
        with genai.Client(api_key=HUB_KEY, http_options=options) as client:
            yield client


@pytest.fixture
def openai_client(hub: Hub) -> Iterator[openai.OpenAI]:
    web = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=hub.base_url, api_key=HUB_KEY, max_retries=0, http_client=web) as client:
        yield client


@pytest.fixture
def raw(hub: Hub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hub.root, headers={"x-goog-api-key": HUB_KEY}, trust_env=False, timeout=20) as client:
        yield client
