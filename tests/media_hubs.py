"""Hubs before the emulated providers of pictures and videos."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.emulators.studio import KEY, Pictures
from tests.hubs import HUB_KEY, RunningHub, running_hub

STRICT_KEY = f"{HUB_KEY}-strict"
OTHER_TEAM = f"{HUB_KEY}-other"

Kinds = Mapping[str, Sequence[str]]
"""Kind of provider → its own names of models, which are the public ones too."""


def media_file(pictures: Pictures, *, image: Kinds | None = None, video: Kinds | None = None) -> dict[str, Any]:
    """A hub.yaml with these models, and a key of a team, a strict one, and one of another team."""
    given = {"image": image or {}, "video": video or {}}
    kinds = sorted({kind for models in given.values() for kind in models})
    return {
        "providers": [_provider(pictures, kind) for kind in kinds],
        "models": [
            {"model": model, "type": type_, "routes": [{"provider": kind, "upstream_model": model, "priority": 0}]}
            for type_, by_kind in given.items()
            for kind, models in by_kind.items()
            for model in models
        ],
        "teams": [
            {
                "name": "acme",
                "keys": [
                    {"name": "ci", "secret": HUB_KEY},
                    {"name": "strict", "secret": STRICT_KEY, "strict": True},
                ],
            },
            {"name": "other", "keys": [{"name": "ci", "secret": OTHER_TEAM}]},
        ],
    }


def _provider(pictures: Pictures, kind: str) -> dict[str, Any]:
    if kind == "bedrock":
        return {"name": kind, "kind": kind, "region": "us-east-1", "credentials": []}
    credentials = [{"label": "c", "secret": KEY}]
    return {"name": kind, "kind": kind, "base_url": pictures.base_url(kind), "credentials": credentials}


@asynccontextmanager
async def running_media_hub(
    environ: Mapping[str, str], pictures: Pictures, *, image: Kinds | None = None, video: Kinds | None = None
) -> AsyncIterator[RunningHub]:
    """One that fetches from this machine, where the emulator is."""
    file = media_file(pictures, image=image, video=video)
    async with running_hub({**environ, "HUB_FETCH_PRIVATE_ADDRESSES": "1"}, file) as started:
        yield started
