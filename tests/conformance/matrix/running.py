"""Runs the whole matrix: emulators as providers, one hub in this process, each client's own library before it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.conformance.hub import run_hub
from tests.conformance.matrix.aigne_driver import AigneDriver
from tests.conformance.matrix.anthropic_driver import MessagesDriver
from tests.conformance.matrix.asking import Driver, Refused
from tests.conformance.matrix.features import FEATURES, Test
from tests.conformance.matrix.gemini_driver import GeminiDriver
from tests.conformance.matrix.openai_drivers import ChatDriver, ResponsesDriver
from tests.conformance.matrix.providers import FAULTS, STANDS, Provider
from tests.hubs import HUB_KEY, running_hub

Json = dict[str, Any]
Level = Literal["full", "emulated", "no", "failed"]

DRIVERS: Mapping[str, Callable[[str, str], Driver]] = {
    "chat": ChatDriver,
    "responses": ResponsesDriver,
    "messages": MessagesDriver,
    "generate_content": GeminiDriver,
    "aigne": AigneDriver,
}
TITLES = {
    "chat": "Chat completions",
    "responses": "Responses",
    "messages": "Messages",
    "generate_content": "generateContent",
    "aigne": "AIGNE",
}
NOT_SAID: Mapping[tuple[str, str], str] = {("responses", "stop"): "the format has no stop sequences"}
"""(format, feature) → why no caller can ask for it."""
PROVIDERS: tuple[Provider, ...] = tuple(provider for stand in STANDS for provider in stand.providers)

_SEALED_BY_OTHERS = "not where OpenRouter's own responses began it: what it seals passes by unread, and unmarked"
NOT_BEGUN: Mapping[tuple[str, str], tuple[str, str]] = {
    ("responses", "openai"): ("openrouter", _SEALED_BY_OTHERS),
    ("responses", "xai"): ("openrouter", _SEALED_BY_OTHERS),
}
"""(format, provider) → who cannot have begun the tool loop that it is to end, and why."""

_BEGINNERS = ("anthropic", "google", "bedrock", "openrouter")
"""Who begins tool loops that others end: each has signatures or thoughts of its own."""

Key = tuple[str, str, str]
"""Format, kind of provider, feature."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    level: Level
    notes: tuple[str, ...] = ()
    """What the header `x-hub-fidelity` said; of a failure, what was wrong; of a `no`, why."""


async def run(only: Callable[[Key], bool] = lambda _key: True) -> dict[Key, Cell]:
    cells: dict[Key, Cell] = {}
    with contextlib.ExitStack() as stack:
        handles = [(stand, stack.enter_context(stand.run())) for stand in STANDS]
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found = [(provider, handle) for stand, handle in handles for provider in stand.providers]
        environ = {"HUB_DATA_DIR": str(Path(folder) / "data")}
        (Path(folder) / "data").mkdir(mode=0o700)
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "BLOCKLET_"))}
        outside.pop("DATABASE_URL", None)
        run_hub(outside | environ, "migrate")
        async with running_hub(environ, _hub_yaml(found)) as hub:
            for format_, make in DRIVERS.items():
                driver = make(hub.root, HUB_KEY)
                for provider, handle in found:
                    for feature in FEATURES:
                        key = (format_, provider.kind, feature)
                        if (format_, feature) in NOT_SAID:
                            cells[key] = Cell(level="no", notes=(NOT_SAID[format_, feature],))
                        elif only(key):
                            cells[key] = await _cell(format_, driver, provider, handle, feature)
                await driver.close()
    return cells


async def _cell(format_: str, driver: Driver, provider: Provider, handle: Any, feature: str) -> Cell:
    # It is looked at whole.
    getattr(handle, "clear", handle.reset)()
    excepted, why = NOT_BEGUN.get((format_, provider.kind), ("", ""))
    test = Test(
        driver=driver,
        provider=provider,
        last_sent=lambda: json.dumps(provider.last(handle)["body"]),
        others=tuple(one for one in PROVIDERS if one.kind in _BEGINNERS and one.kind != excepted),
    )
    if excepted and feature == "foreign_loop":
        test.remarks.add(why)
    try:
        await FEATURES[feature][1](test)
    except Refused as refused:
        reason = provider.cannot.get(feature)
        if reason is not None and 400 <= refused.status < 500:
            return Cell(level="no", notes=(reason,))
        return Cell(level="failed", notes=(str(refused),))
    except Exception as failure:
        return Cell(level="failed", notes=(f"{type(failure).__name__}: {failure}"[:500],))
    if feature in provider.cannot:
        return Cell(level="failed", notes=("it can, although the matrix says that it cannot",))
    level = "emulated" if any("emulated" in one or "dropped" in one for one in test.fidelity) else "full"
    return Cell(level=level, notes=(*sorted(test.fidelity), *sorted(test.remarks)))


def _hub_yaml(found: list[tuple[Provider, Any]]) -> Json:
    providers: list[Json] = []
    models: list[Json] = []
    for provider, handle in found:
        row = _row(provider, handle, provider.kind)
        providers.append(row)
        for name in dict.fromkeys((provider.model, provider.thinker)):
            models.append(_model(f"{provider.kind}/{name}", provider.kind, name))
        # Each fault has a provider of its own: one that is cooled must not disturb the others.
        for fault in FAULTS:
            broken = f"{provider.kind}-{fault}"
            providers.append(_row(provider, handle, broken))
            models.append(_model(f"{provider.kind}/broken-{fault}", broken, provider.faults[fault]))
    team = {"name": "acme", "keys": [{"name": "matrix", "secret": HUB_KEY, "models": ["*"]}]}
    return {"billing": "off", "providers": providers, "models": models, "teams": [team]}


def _row(provider: Provider, handle: Any, name: str) -> Json:
    row: Json = {"name": name, "kind": provider.kind, "base_url": provider.base_url(handle), **provider.extra}
    secrets = provider.credential(handle)
    return row if secrets is None else row | {"credentials": [{"label": "main", **secrets}]}


def _model(public: str, provider: str, upstream_model: str) -> Json:
    return {"model": public, "type": "chat", "routes": [{"provider": provider, "upstream_model": upstream_model}]}
