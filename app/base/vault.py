"""The vault: what must be read back later (provider keys, stored answers) is sealed with AES-256-GCM.

Envelope: each secret has a data key of its own, and the data key is wrapped by a master key from the key ring. A sealed
text names the master key that wrapped it, so rotation re-wraps data keys and never touches a secret:

    v1.<master key id>.<nonce + wrapped data key>.<nonce + ciphertext>      (base64url, no padding)

Both layers are bound to where the text lives (table, column, team, row): a row copied over another one does not open.

The master key comes from `HUB_MASTER_KEY`, or from the key that Blocklet Server gives to the app, or from the file
`master.key` in the data folder, made at the first start. A key that does not open the canary refuses to serve.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from app.base.config import Settings
from app.base.secret import Secret

_NONCE_BYTES = 12
_KEY_BYTES = 32
_KEY_LINE = re.compile(r"[A-Za-z0-9_+/=-]{43,64}")


class VaultError(Exception):
    """A sealed text cannot be opened: wrong master key, or it was moved or damaged. Says what to do."""


class Place(Struct, frozen=True):
    """Where a sealed text lives. It opens nowhere else."""

    table: str
    column: str
    row: str
    team: str = ""

    def bound(self) -> bytes:
        return f"hub|{self.table}|{self.column}|{self.team}|{self.row}".encode()


class KeyRing(Struct, frozen=True):
    """Master keys by id. The first seals; all open."""

    keys: tuple[tuple[str, bytes], ...]

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(key_id for key_id, _ in self.keys)})"

    @property
    def primary_id(self) -> str:
        return self.keys[0][0]

    def find(self, key_id: str) -> bytes | None:
        return next((key for known, key in self.keys if known == key_id), None)


class Vault:
    """Seals and opens. Holds the key ring for the life of the process; `reload` takes a ring that was rotated."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def primary_id(self) -> str:
        return self._ring.primary_id

    def reload(self, ring: KeyRing) -> None:
        self._ring = ring

    def seal(self, secret: Secret, place: Place) -> str:
        """`secret` as text for the row that `place` names."""
        data_key = AESGCM.generate_key(bit_length=256)
        body = _encrypt(data_key, secret.reveal().encode(), place.bound())
        return self._wrapped(data_key, place, body)

    def open(self, sealed: str, place: Place) -> Secret:
        """The secret that was sealed for this place.

        Raises:
            VaultError: the master key is not in the ring, or the text does not belong here.
        """
        data_key, body = self._unwrap(sealed, place)
        return Secret(_decrypt(data_key, body, place).decode())

    def rewrap(self, sealed: str, place: Place) -> str:
        """The same secret under the primary master key; the ciphertext itself stays. Unchanged if already so."""
        if sealed.split(".")[1:2] == [self.primary_id]:
            return sealed
        data_key, body = self._unwrap(sealed, place)
        return self._wrapped(data_key, place, body)

    def _wrapped(self, data_key: bytes, place: Place, body: bytes) -> str:
        key_id, master = self._ring.keys[0]
        wrapped = _encrypt(master, data_key, b"wrap|" + place.bound())
        return f"v1.{key_id}.{_text(wrapped)}.{_text(body)}"

    def _unwrap(self, sealed: str, place: Place) -> tuple[bytes, bytes]:
        try:
            version, key_id, wrapped, body = sealed.split(".")
            wrapped_bytes, body_bytes = _bytes(wrapped), _bytes(body)
        except (ValueError, binascii.Error):
            raise VaultError(f"The sealed {place.table}.{place.column} of {place.row} is damaged.") from None
        master = self._ring.find(key_id) if version == "v1" else None
        if master is None:
            raise VaultError(
                f"{place.table}.{place.column} of {place.row} was sealed with master key {key_id}, which is not here. "
                "Give that key back (HUB_MASTER_KEY, HUB_MASTER_KEY_OLD or master.key), or enter the secret again."
            )
        return _decrypt(master, wrapped_bytes, place, b"wrap|"), body_bytes


def load_ring(settings: Settings) -> KeyRing:
    """The key ring that the settings describe; makes the key file at the first start.

    Raises:
        VaultError: a key is not 32 bytes, or the key file can be read by others than its owner.
    """
    if settings.master_key is not None:
        given = [settings.master_key, settings.master_key_old]
        return KeyRing(
            tuple(_identified(_parse_key(key.reveal(), "HUB_MASTER_KEY")) for key in given if key is not None)
        )
    if settings.blocklet_app_ek is not None:
        derived = HKDF(
            algorithm=SHA256(), length=_KEY_BYTES, salt=settings.blocklet_did.encode(), info=b"hub kek"
        ).derive(settings.blocklet_app_ek.reveal().encode())
        return KeyRing((_identified(derived),))
    return _ring_of_file(key_file(settings))


def key_file(settings: Settings) -> Path:
    return settings.data_dir / "master.key"


def prepend_key(path: Path) -> None:
    """Put a new master key in front of those in the file; the old ones still open what they sealed."""
    lines = path.read_text().split() if path.exists() else []
    _write_private(path, [base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode(), *lines])


def keep_first_key(path: Path) -> None:
    """Drop all but the primary key, once nothing is sealed with the others."""
    _write_private(path, path.read_text().split()[:1])


def _ring_of_file(path: Path) -> KeyRing:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        prepend_key(path)
    if path.stat().st_mode & 0o077:
        raise VaultError(f"{path} can be read by other users. Run: chmod 600 {path}")
    lines = path.read_text().split()
    if not lines:
        raise VaultError(f"{path} is empty. Put the master key back, or restore the file from your backup.")
    return KeyRing(tuple(_identified(_parse_key(line, str(path))) for line in lines))


def _write_private(path: Path, lines: list[str]) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _parse_key(text: str, source: str) -> bytes:
    try:
        if re.fullmatch(r"[0-9a-fA-F]{64}", text):
            return bytes.fromhex(text)
        if _KEY_LINE.fullmatch(text):
            key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
            if len(key) == _KEY_BYTES:
                return key
    except (ValueError, binascii.Error):
        pass
    raise VaultError(
        f"The master key in {source} must be 32 random bytes as base64 or 64 hexadecimal digits. "
        'Make one with: python3 -c "import secrets; print(secrets.token_hex(32))"'
    )


def _identified(key: bytes) -> tuple[str, bytes]:
    return hashlib.sha256(b"hub key id" + key).hexdigest()[:8], key


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _decrypt(key: bytes, cipher: bytes, place: Place, label: bytes = b"") -> bytes:
    try:
        return AESGCM(key).decrypt(cipher[:_NONCE_BYTES], cipher[_NONCE_BYTES:], label + place.bound())
    except (InvalidTag, ValueError):
        raise VaultError(
            f"The sealed {place.table}.{place.column} of {place.row} does not open here: "
            "it was moved, changed or damaged."
        ) from None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
