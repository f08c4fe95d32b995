"""What the emulated providers of pictures and videos share: what they were asked, what they made, how they refuse."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from tests.emulators import media

Json = dict[str, Any]

KEY = "sk-pictures-0123456789abcdef"
_BASES = {
    "google": "/google",
    "ideogram": "/ideogram",
    "xai": "/xai/v1",
    "doubao": "/doubao/api/v3",
    "openrouter": "/openrouter/api/v1",
    "poe": "/poe/v1",
    "openai": "/openai/v1",
}


class Refused(Exception):
    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


class Pictures:
    """Where the providers are, what they were asked and what they made."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[Json] = []
        """`kind`, `path`, `headers` and `body` of each request; files of forms as facts."""
        self.files: dict[str, bytes] = {}
        """What is served below `/made/`."""
        self.jobs: dict[str, Json] = {}
        """Videos that were ordered, by the job's id: `kind`, `model`, `looks`, and the order's `body`."""
        self.looks_needed = 2
        self.is_giving = asyncio.Event()
        self.is_giving.set()
        """Cleared, what is below `/made/` with `slow` in its name waits to be given."""
        self.failing_looks = 0
        """So many looks at jobs are answered 503 before they are answered at all."""

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def base_url(self, kind: str) -> str:
        return self.root + _BASES[kind]

    @property
    def last(self) -> Json:
        return self.asked[-1]

    def make(self, name: str) -> bytes:
        """A picture for a name, kept for whoever fetches it."""
        content = media.png(name)
        self.files[f"{len(self.files)}.png"] = content
        return content

    def order(self, kind: str, id_: str, body: Json, model: str) -> None:
        self.jobs[id_] = {"kind": kind, "model": model, "looks": 0, "body": body}

    def look(self, id_: str) -> tuple[Json, bool]:
        """The job, and whether it has ended."""
        if self.failing_looks:
            self.failing_looks -= 1
            raise Refused(503, {"error": {"message": "The service is overloaded."}})
        job = self.jobs.get(id_)
        if job is None:
            raise Refused(404, {"error": {"message": f"Job {id_} not found."}})
        job["looks"] += 1
        return job, job["looks"] >= self.looks_needed

    def film(self, name: str) -> bytes:
        """A video for a name, kept for whoever fetches it."""
        content = b"\0\0\0\x18ftypmp42" + name.encode() * 500
        self.files[f"{'slow' if 'slow' in name else ''}{len(self.files)}.mp4"] = content
        return content

    def address(self) -> str:
        """Of what was made last."""
        return f"{self.root}/made/{list(self.files)[-1]}"

    async def note(self, kind: str, request: web.Request) -> Json:
        if request.content_type.startswith("multipart/"):
            body = await _form(request)
        else:
            raw = await request.read()
            body = json.loads(raw) if raw else {}
        self.asked.append(
            {
                "kind": kind,
                "path": request.path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": body,
            }
        )
        return body


async def _form(request: web.Request) -> Json:
    fields: Json = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader) and part.name is not None
        content = bytes(await part.read())
        if part.filename is None:
            fields[part.name] = content.decode()
        else:
            fact = {"type": part.headers.get("Content-Type"), "bytes": content}
            held = fields.get(part.name)
            fields[part.name] = fact if held is None else [*(held if isinstance(held, list) else [held]), fact]
    return fields


def refuse_unknown(body: Json, *names: str, status: int = 400, why: Any = None) -> None:
    for name in body:
        if name not in names:
            raise Refused(status, why or {"error": {"message": f'Unknown name "{name}"', "param": name, "code": 400}})


def bearer(request: web.Request) -> None:
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        raise Refused(401, {"error": {"message": "Invalid token", "code": "invalid_api_key"}})


def google_error(code: int, message: str, status: str) -> Json:
    return {"error": {"code": code, "message": message, "status": status}}


def google_known(body: Json, *names: str) -> None:
    for name in body:
        if name not in names:
            said = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            raise Refused(400, google_error(400, said, "INVALID_ARGUMENT"))


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()
