"""The ten providers as the matrix meets them: models of their emulators, and what they cannot do, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.anthropic.handle import running_anthropic
from tests.emulators.bedrock.handle import running_bedrock
from tests.emulators.gemini.handle import running_gemini
from tests.emulators.handle import Upstream, running_upstream

Json = dict[str, Any]

FAULTS = ("500", "429", "cut")


@dataclass(frozen=True, kw_only=True)
class Provider:
    kind: str
    title: str
    model: str
    thinker: str
    """A model that thinks."""
    shows_thoughts: bool = True
    base_url: Callable[[Any], str]
    """From the emulator's handle."""
    credential: Callable[[Any], Json | None]
    """Its secrets; None where it needs none."""
    last: Callable[[Any], Json]
    """The newest request in the emulator's journal."""
    faults: Mapping[str, str] = field(
        default_factory=lambda: {"500": "fault-500", "429": "fault-429-after-9", "cut": "slow-5+fault-cut-after-6"}
    )
    """Upstream models that go wrong, by what of `FAULTS` they do."""
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Feature → why the provider refuses it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More fields of its row in hub.yaml."""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """An emulator and the providers that it stands for."""

    run: Callable[[], AbstractContextManager[Any]]
    providers: tuple[Provider, ...]


def _openai_wire(kind: str, title: str, model: str, thinker: str, **more: Any) -> Provider:
    def credential(upstream: Upstream) -> Json | None:
        return None if kind == "ollama" else {"secret": upstream.key(kind)}

    return Provider(
        kind=kind,
        title=title,
        model=model,
        thinker=thinker,
        base_url=lambda upstream: upstream.base_url(kind),
        credential=credential,
        last=lambda upstream: upstream.last(kind),
        **more,
    )


OPENAI_WIRE = Stand(
    run=running_upstream,
    providers=(
        _openai_wire("openai", "OpenAI", "gpt-4o-mini", "o3-mini", shows_thoughts=False),
        _openai_wire(
            "deepseek",
            "DeepSeek",
            "deepseek-chat",
            "deepseek-reasoner",
            cannot={"images": "its messages hold text alone"},
        ),
        _openai_wire("ollama", "Ollama", "llama3.2:latest", "llama3.2-reasoner:latest"),
        _openai_wire("openrouter", "OpenRouter", "meta-llama/llama-3.3-70b-instruct", "deepseek/deepseek-r1-reasoner"),
        _openai_wire("xai", "xAI", "grok-4-fast-non-thinking", "grok-4.3-reasoner"),
        _openai_wire("doubao", "Doubao (Ark)", "doubao-seed-1-6-250615", "doubao-seed-1-6-reasoner"),
        _openai_wire("poe", "Poe", "GPT-5-mini", "GPT-5-mini", shows_thoughts=False),
    ),
)

ANTHROPIC = Stand(
    run=running_anthropic,
    providers=(
        Provider(
            kind="anthropic",
            title="Anthropic",
            model="claude-sonnet-4-5-20250929",
            thinker="claude-sonnet-4-5-20250929",
            base_url=lambda anthropic: anthropic.base_url(),
            credential=lambda anthropic: {"secret": anthropic.key()},
            last=lambda anthropic: anthropic.last(),
        ),
    ),
)

GEMINI = Stand(
    run=running_gemini,
    providers=(
        Provider(
            kind="google",
            title="Gemini",
            model="gemini-3.8-flash",
            thinker="gemini-3.8-flash",
            base_url=lambda gemini: gemini.base_url(),
            credential=lambda gemini: {"secret": gemini.key()},
            last=lambda gemini: gemini.last(),
        ),
    ),
)

_CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"

BEDROCK = Stand(
    run=running_bedrock,
    providers=(
        Provider(
            kind="bedrock",
            title="Bedrock",
            model=_CLAUDE,
            thinker=_CLAUDE,
            base_url=lambda bedrock: bedrock.root,
            credential=lambda bedrock: bedrock.access_key,
            last=lambda bedrock: bedrock.last(),
            faults={
                "500": f"{_CLAUDE}+fault-500",
                "429": f"{_CLAUDE}+fault-429",
                "cut": f"{_CLAUDE}+slow-5+fault-cut-after-6",
            },
            extra={"region": "us-east-1"},
        ),
    ),
)

STANDS: tuple[Stand, ...] = (OPENAI_WIRE, ANTHROPIC, GEMINI, BEDROCK)
