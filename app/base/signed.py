"""Signed JSON: an Ed25519 signature over a value's one canonical text. Whoever has the public key checks it anywhere.

The canonical text is UTF-8 JSON, keys sorted, no white space. Values hold no floats.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

_encode = msgspec.json.Encoder(order="sorted").encode

ALGORITHM = "Ed25519"


class Signature(Struct, frozen=True, kw_only=True):
    algorithm: str
    public_key: str
    """Base64 of its 32 bytes."""
    fingerprint: str
    """SHA-256 of those, in hexadecimal."""
    value: str
    """Base64."""


class BadSignature(ValueError):
    """The value was changed after it was signed, or never signed by this key. The sentence says what is wrong."""


def new_seed() -> bytes:
    """32 random bytes: the private key."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_key(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def fingerprint(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()


def canonical(value: Any) -> bytes:
    return _encode(value)


def sign(seed: bytes, value: Any) -> Signature:
    public = public_key(seed)
    made = Ed25519PrivateKey.from_private_bytes(seed).sign(canonical(value))
    return Signature(
        algorithm=ALGORITHM,
        public_key=base64.b64encode(public).decode(),
        fingerprint=fingerprint(public),
        value=base64.b64encode(made).decode(),
    )


def check(signature: Signature, value: Any) -> None:
    """
    Raises:
        BadSignature
    """
    if signature.algorithm != ALGORITHM:
        raise BadSignature(f"The signature is not of the kind {ALGORITHM}.")
    public, made = _bytes(signature.public_key), _bytes(signature.value)
    if fingerprint(public) != signature.fingerprint:
        raise BadSignature("The fingerprint is not that of the public key beside it.")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(made, canonical(value))
    except (InvalidSignature, ValueError):
        raise BadSignature("The signature does not fit: something was changed after it was signed.") from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadSignature("The signature or its key is not base64.") from None
