"""Whether a provider's address and credential work, and which models it has. For admins, not on the path of a call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import httpx
import msgspec
from msgspec import Struct

from app.adapters.providers import failures
from app.adapters.providers.addresses import endpoint_url, lists_url
from app.adapters.providers.demo import MODELS
from app.adapters.providers.kinds import Kind, ToSign
from app.base.errors import AppError
from app.base.secret import Secret

_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_MOST_BYTES = 2 * 1024 * 1024
_MOST_MODELS = 2_000
_MOST_NAME = 200
_MAY_LACK_A_LIST = frozenset({"custom", "doubao", "bedrock"})


class ProbeResult(Struct, frozen=True, kw_only=True):
    is_ok: bool
    status: int | None
    """The provider's last answer; None when there was none."""
    sentence: str
    """For the person who asked, without secrets."""
    models: list[str] = []
    """Names as the provider lists them; empty where it has no list."""


class _Answer(Struct):
    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


async def check(
    kind: Kind, base_url: str | None, parts: Mapping[str, Secret], *, region: str | None = None
) -> ProbeResult:
    """Tries the key at its cheapest place, then reads the list of models. No fault of a provider raises.

    Nothing is followed, no proxy or `.netrc` of this machine is used, and 2 MB are read at most.
    """
    if kind.base_url == "demo:":
        return ProbeResult(is_ok=True, status=None, sentence=f"{kind.title} is ready.", models=[m for m, _ in MODELS])
    base_url = lists_url(kind, base_url)
    if (base_url or kind.base_url or "").find("{region}") >= 0:
        if not region:
            return _no(None, f"{kind.title} needs a region.")
        base_url = (base_url or kind.base_url or "").replace("{region}", region)
    headers: dict[str, str] = {"Accept": "application/json", **kind.extra_headers}
    try:
        paths = [path for path in dict.fromkeys((kind.key_check_path, kind.models_path)) if path is not None]
        urls = [endpoint_url(kind, base_url, path) for path in paths]
        async with httpx.AsyncClient(
            timeout=_TIMEOUT, follow_redirects=False, trust_env=False, headers=headers
        ) as client:
            answers = [await _get(client, url, _signed(kind, parts, url, region)) for url in urls]
    except AppError as problem:
        return _no(None, problem.sentence)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
        return _no(None, f"{base_url} is not an address. Write it like https://host/v1.")
    except httpx.TimeoutException:
        return _no(None, f"{kind.title} did not answer within {_TIMEOUT.read:g} s.")
    except httpx.HTTPError as problem:
        return _no(None, f"{kind.title} could not be reached ({type(problem).__name__}).")
    return _judged(kind, paths, answers, parts)


def _signed(kind: Kind, parts: Mapping[str, Secret], url: str, region: str | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    kind.signing(headers, parts, ToSign(method="GET", url=url, content=b"", region=region))
    return headers


async def _get(client: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> _Answer:
    async with client.stream("GET", url, headers=headers) as response:
        body, is_cut = bytearray(), False
        async for chunk in response.aiter_bytes(64 * 1024):
            body += chunk
            if len(body) > _MOST_BYTES:
                is_cut = True
                break
        return _Answer(response.status_code, response.headers, bytes(body[:_MOST_BYTES]), is_cut)


def _judged(kind: Kind, paths: list[str], answers: list[_Answer], parts: Mapping[str, Secret]) -> ProbeResult:
    models: list[str] = []
    status: int | None = None
    for path, answer in zip(paths, answers, strict=True):
        status = answer.status
        is_key_check = path == kind.key_check_path
        if not 200 <= status < 300:
            if not is_key_check and kind.key_check_path is not None:
                continue  # The key is good; a provider without a list of models is still one.
            if status in (404, 405) and kind.name not in _MAY_LACK_A_LIST:
                return _no(status, f"{kind.title} has nothing at {path} (status {status}). Check the base URL.")
            if status in (404, 405):
                continue  # Nothing else is known that would try the key for free.
            failure = failures.from_answer(kind, status, answer.headers, answer.body, parts.values())
            if kind.lists_url is not None and failure.code == "provider_permission_denied":
                continue  # Amazon knows who asks: a key that may call models need not be one that may list them.
            said = f" It says: {failure.provider_text}" if failure.provider_text else ""
            return _no(status, f"{failure.error.sentence} (status {status}){said}")
        if answer.is_cut:
            return _no(status, f"{kind.title} answered with more than 2 MB.")
        if path == kind.models_path or kind.lists_url is not None:
            found = _model_names(answer.body)
            if found is None:
                return _no(status, f"{kind.title} answered {path} with something else than a list of models.")
            models += found
    count = f" It lists {len(models)} model{'' if len(models) == 1 else 's'}." if models else ""
    return ProbeResult(
        is_ok=True, status=status, sentence=f"{kind.title} accepts the credential.{count}", models=models
    )


def _no(status: int | None, sentence: str) -> ProbeResult:
    return ProbeResult(is_ok=False, status=status, sentence=sentence)


def _model_names(body: bytes) -> list[str] | None:
    """From OpenAI's list (`data`, `id`), Gemini's (`models`, `name`), Amazon's two or a bare list; None when it is none
    of them."""
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(decoded, dict):
        outer = cast(dict[str, Any], decoded)
        if (amazons := _amazons_names(outer)) is not None:
            return amazons
        decoded = outer.get("data", outer.get("models"))
        if decoded is None and "data" in outer:
            return []  # Ollama without any model: {"object": "list", "data": null}
    if not isinstance(decoded, list):
        return None
    names: list[str] = []
    for row in cast(list[Any], decoded)[:_MOST_MODELS]:
        entry = cast(dict[str, Any], row) if isinstance(row, dict) else {}
        name: Any = entry.get("id", entry.get("name", row))
        if isinstance(name, str) and 0 < len(name) <= _MOST_NAME and name.isprintable():
            names.append(name.removeprefix("models/"))
    return names


_AMAZONS_OUTPUTS = frozenset({"TEXT", "IMAGE", "EMBEDDING"})
_NOT_CALLED_HERE = re.compile(r"rerank|(^|\.)stability\.|(^|\.)twelvelabs\.")
"""Of Amazon's lists: models whose documents the hub does not know."""


def _amazons_names(answer: Mapping[str, Any]) -> list[str] | None:
    """What can be called by its own name, or the ids of profiles, by which the rest is called."""
    models, profiles = answer.get("modelSummaries"), answer.get("inferenceProfileSummaries")
    listed: Any = models if models is not None else profiles
    if not isinstance(listed, list):
        return None
    names: list[str] = []
    for row in cast(list[Any], listed)[:_MOST_MODELS]:
        entry = cast(dict[str, Any], row) if isinstance(row, dict) else {}
        name: Any = entry.get("modelId" if models is not None else "inferenceProfileId")
        is_callable = models is None or (
            "ON_DEMAND" in (entry.get("inferenceTypesSupported") or ())
            and not _AMAZONS_OUTPUTS.isdisjoint(entry.get("outputModalities") or ())
        )
        if is_callable and isinstance(name, str) and 0 < len(name) <= _MOST_NAME and not _NOT_CALLED_HERE.search(name):
            names.append(name)
    return names


# In this order: `gpt-4o-transcribe` is no chat model, `text-embedding-…` no text model.
_TYPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"embed|(^|[-/])bge-|(^|[-/])e5-|(^|[-/])gte-|minilm", re.I), "embedding"),
    (re.compile(r"moderation|guard", re.I), "moderation"),
    (re.compile(r"whisper|transcri|(^|[-/])stt|asr", re.I), "transcription"),
    (re.compile(r"(^|[-/])tts|text-to-speech|speech|nova(-2)?-sonic", re.I), "speech"),
    (re.compile(r"sora|veo-|nova-reel|video|seedance|kling|wan2|hailuo|runway", re.I), "video"),
    (
        re.compile(
            r"dall-e|image|imagen|nova-canvas|seedream|seededit|flux|stable-diffusion|sdxl|ideogram|nano-banana|recraft|qwen-image",
            re.I,
        ),
        "image",
    ),
)


def guess_type(model_id: str) -> str:
    """A model's type from its name, where nothing says it: a proposal for a person, not a fact."""
    return next((type_ for pattern, type_ in _TYPES if pattern.search(model_id)), "chat")
