"""The store of files: a folder, or a bucket of an S3-compatible service that asks for Amazon's signature."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from app.adapters.files.store import FileStore, StoreFailed

_CONTENT = b"0123456789" * 1000


class Bucket:
    """What an S3-compatible service does for one bucket: https://docs.aws.amazon.com/AmazonS3/latest/API"""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}

    async def handle(self, request: web.Request) -> web.Response:
        signed = request.headers.get("Authorization", "")
        if not signed.startswith("AWS4-HMAC-SHA256 Credential=AKIATEST/"):
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        key = request.path
        if request.method == "PUT":
            self.objects[key] = await request.read()
            self.types[key] = request.headers.get("Content-Type", "")
            return web.Response(headers={"ETag": '"1"'})
        if request.method == "POST" and "delete" in request.query:
            keys = re.findall(r"<Key>(.*?)</Key>", (await request.read()).decode())
            for one in keys:
                self.objects.pop(f"{key}/{one}", None)
            rows = "".join(f"<Deleted><Key>{one}</Key></Deleted>" for one in keys)
            return web.Response(text=f"<DeleteResult>{rows}</DeleteResult>", content_type="application/xml")
        if key not in self.objects:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        headers = {"ETag": '"1"', "Last-Modified": "Fri, 20 Nov 2026 19:00:00 GMT"}
        content = self.objects[key]
        asked = request.http_range
        if request.method == "GET" and asked.start is not None:
            part = content[asked]
            headers["Content-Range"] = f"bytes {asked.start}-{asked.start + len(part) - 1}/{len(content)}"
            return web.Response(status=206, body=part, headers=headers)
        return web.Response(body=content, headers=headers)


@pytest.fixture
async def bucket(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bucket]:
    bucket = Bucket()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{key:.*}", bucket.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{runner.addresses[0][1]}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    yield bucket
    await runner.cleanup()


async def _read(store: FileStore, key: str, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in store.pieces(key, start, end)])


async def test_a_folder_takes_gives_and_forgets(tmp_path: Path) -> None:
    store = FileStore(folder=tmp_path / "files")

    await store.save("ab/one", _CONTENT, "video/mp4")

    assert await _read(store, "ab/one", 0, len(_CONTENT)) == _CONTENT
    assert await _read(store, "ab/one", 5, 8) == _CONTENT[5:8]
    assert (tmp_path / "files").stat().st_mode & 0o077 == 0
    await store.delete(["ab/one", "ab/two"])
    with pytest.raises(StoreFailed):
        await _read(store, "ab/one", 0, 1)


async def test_a_bucket_takes_gives_and_forgets(bucket: Bucket, tmp_path: Path) -> None:
    store = FileStore(folder=tmp_path / "files", url="s3://media/of/hub")

    await store.save("ab/one", _CONTENT, "video/mp4")

    assert list(bucket.objects) == ["/media/of/hub/ab/one"]
    assert bucket.types["/media/of/hub/ab/one"] == "video/mp4"
    assert await _read(store, "ab/one", 0, len(_CONTENT)) == _CONTENT
    assert await _read(store, "ab/one", 5, 8) == _CONTENT[5:8]
    await store.delete(["ab/one", "ab/two"])
    assert bucket.objects == {} and not (tmp_path / "files").exists()


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file in the way")

    with pytest.raises(StoreFailed):
        await FileStore(folder=tmp_path / "files").save("ab/one", b"x", "image/png")
