"""Two ways to the same models: straight to the emulator, and through the hub.

A test that passes straight and fails through the hub has found a fault of the hub; one that fails straight has found a
fault of the test or of the emulator.
"""

from __future__ import annotations

from typing import Any

import httpx
import openai

from tests.conformance.hub import Hub
from tests.emulators.handle import Upstream

METERS = ("input", "cache_read", "output", "reasoning", "audio_in", "audio_out", "images", "seconds", "characters")


class Door:
    """Where a client goes in: base URL, key and names of models, and what was seen behind it."""

    def __init__(self, upstream: Upstream, hub: Hub | None) -> None:
        self.upstream, self.hub = upstream, hub
        self.last_headers: dict[str, str] = {}
        """Of the newest answer that one of our clients got, names in lower case."""

    @property
    def is_hub(self) -> bool:
        return self.hub is not None

    def base_url(self, kind: str = "openai") -> str:
        return self.hub.base_url if self.hub else self.upstream.base_url(kind)

    def key(self, kind: str = "openai") -> str:
        return self.hub.key if self.hub else self.upstream.key(kind)

    def model(self, name: str, kind: str = "openai") -> str:
        """The name under which a provider's model is called here."""
        return f"{kind}/{name}" if self.hub else name

    def fault(self, name: str) -> str:
        """The model whose provider is broken in this way; see `tests/emulators/faults.py`."""
        return f"fault/{name}" if self.hub else f"fault-{name}"

    def fault_of_images(self, name: str) -> str:
        return f"fault/image-{name}" if self.hub else f"fault-{name}"

    def client(self, kind: str = "openai", **options: Any) -> openai.OpenAI:
        """The `openai` package's client. It retries nothing, so that each call is one request."""

        def note(response: Any) -> None:
            self.last_headers = {name.lower(): value for name, value in response.headers.items()}

        web = openai.DefaultHttpxClient(trust_env=False, event_hooks={"response": [note]})
        given = {"base_url": self.base_url(kind), "api_key": self.key(kind), "max_retries": 0, "http_client": web}
        return openai.OpenAI(**(given | options))

    def async_client(self, kind: str = "openai", **options: Any) -> openai.AsyncOpenAI:
        async def note(response: Any) -> None:
            self.last_headers = {name.lower(): value for name, value in response.headers.items()}

        web = openai.DefaultAsyncHttpxClient(trust_env=False, event_hooks={"response": [note]})
        given = {"base_url": self.base_url(kind), "api_key": self.key(kind), "max_retries": 0, "http_client": web}
        return openai.AsyncOpenAI(**(given | options))

    def raw(self) -> httpx.Client:
        """A bare HTTP client with the key, for what no SDK would send."""
        headers = {"authorization": f"Bearer {self.key()}"}
        return httpx.Client(base_url=self.base_url(), headers=headers, trust_env=False, timeout=20)

    def sent(self, kind: str = "openai") -> dict[str, Any]:
        """The newest request that reached the provider; it carries the provider's own key and no other."""
        request = self.upstream.last(kind)
        if self.hub:
            assert self.hub.key not in str(request), "the hub's key went to the provider"
        if kind != "ollama":
            assert request["headers"]["authorization"].startswith("Bearer sk-")
        return request

    def expect_record(self, **facts: Any) -> None:
        """Through the hub: the newest call was written down once, with these facts. Straight: nothing to see.

        Raises:
            AssertionError: naming the facts that differ.
        """
        if self.hub is None:
            return
        record = self.record()
        seen = {name: record[name] for name in facts}
        assert seen == facts, record

    def record(self) -> dict[str, Any]:
        """The newest call as the hub wrote it down; its meters stand beside the other facts, zero where not counted."""
        assert self.hub is not None
        row = self.hub.call(self.last_headers["x-hub-call-id"])
        return dict.fromkeys(METERS, 0) | row | row["usage"]
