"""Where the bytes of files are: a local folder, or a bucket of an S3-compatible service.

Bytes go in and out through advanced-alchemy's file objects and their obstore backend. Of what it offers the column type
is not used: its objects carry a registry that is one for the whole process, where a test makes a second hub beside the
first, and a row here has to be found and forgotten without asking the store.

A bucket's credentials, region and endpoint come from the environment under Amazon's own names (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL, …), as obstore reads them:
https://developmentseed.org/obstore/latest/authentication/
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from advanced_alchemy.types.file_object.backends.obstore import ObstoreBackend

PIECE_BYTES = 256 * 1024


class StoreFailed(Exception):
    """The store does not take, have or give the bytes; the text is for the log."""


class FileStore:
    """One per process. Opened at its first use: a hub that stores no files needs neither folder nor bucket."""

    def __init__(self, *, folder: Path, url: str = "") -> None:
        """`url` is `s3://bucket/prefix`; without it the files are in `folder`."""
        self._folder = folder
        self._url = url
        self._opened: ObstoreBackend | None = None

    async def save(self, key: str, content: bytes, media_type: str) -> None:
        """
        Raises:
            StoreFailed
        """
        from advanced_alchemy.types.file_object import FileObject

        file = FileObject(backend=self._backend(), filename=key, content_type=media_type)
        try:
            await file.save_async(content)
        except Exception as failure:  # whatever the service's library raises
            raise StoreFailed(f"{type(failure).__name__}: {failure}") from failure

    async def pieces(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, which must not be equal.

        Raises:
            StoreFailed
        """
        import obstore

        store: Any = self._backend().fs
        try:
            found = await obstore.get_async(store, key, options={"range": (start, end)})
            async for piece in found.stream(min_chunk_size=PIECE_BYTES):
                yield bytes(piece)
        except Exception as failure:  # a file that is gone, a service that is away
            raise StoreFailed(f"{type(failure).__name__}: {failure}") from failure

    async def delete(self, keys: Sequence[str]) -> None:
        """What is not there is no error.

        Raises:
            StoreFailed
        """
        backend = self._backend()
        for key in keys:
            try:
                await backend.delete_object_async(key)
            except Exception as failure:
                # A bucket says nothing of a file that is not there; from it this is about the bucket.
                if isinstance(failure, FileNotFoundError) and not self._url:
                    continue
                raise StoreFailed(f"{type(failure).__name__}: {failure}") from failure

    def _backend(self) -> ObstoreBackend:
        if self._opened is None:
            # Loading both takes a tenth of a second that a start without files does not have to wait for.
            from advanced_alchemy.types.file_object.backends.obstore import ObstoreBackend
            from obstore.store import LocalStore, from_url

            try:
                if self._url:
                    store: Any = from_url(self._url)
                else:
                    self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                    store = LocalStore(self._folder)
            except Exception as failure:
                raise StoreFailed(f"{type(failure).__name__}: {failure}") from failure
            self._opened = ObstoreBackend(key="files", fs=store)
        return self._opened
