"""Pictures, sound and vectors of the built-in demo, drawn from a digest of the request: the same for the same words."""

from __future__ import annotations

import hashlib
import math
import struct
import wave
import zlib
from array import array
from io import BytesIO

PICTURE_SIDE = 256
SAMPLES_PER_SECOND = 8_000
MAX_DIMENSIONS = 4_096
_VOLUME = 8_000


def picture(prompt: str, number: int) -> bytes:
    """A PNG of two colours that run into each other, made from the prompt and the number of the picture.

    https://www.w3.org/TR/png-3/
    """
    digest = hashlib.sha256(f"{number}:{prompt}".encode()).digest()
    top, bottom = digest[:3], digest[3:6]
    rows = bytearray()
    for y in range(PICTURE_SIDE):
        colour = bytes((a * (PICTURE_SIDE - y) + b * y) // PICTURE_SIDE for a, b in zip(top, bottom, strict=True))
        rows += b"\0" + colour * PICTURE_SIDE
    # 8 bits a channel, colour type 2: red, green, blue.
    header = struct.pack(">IIBBBBB", PICTURE_SIDE, PICTURE_SIDE, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(rows))) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tone(text: str) -> bytes:
    """A WAV file: one tone, its pitch from the text's digest, a second for each 60 characters, three at most."""
    seconds = min(3.0, 0.4 + len(text) / 60)
    pitch = 220 + hashlib.sha256(text.encode()).digest()[0]
    step = 2 * math.pi * pitch / SAMPLES_PER_SECOND
    samples = array("h", (int(_VOLUME * math.sin(step * at)) for at in range(int(seconds * SAMPLES_PER_SECOND))))
    file = BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLES_PER_SECOND)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


def duration_seconds(content: bytes) -> float:
    """Of a WAV file as its header says, of anything else as if it had 16,000 bytes a second."""
    try:
        with wave.open(BytesIO(content)) as sound:
            return sound.getnframes() / sound.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError):
        return len(content) / 16_000


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector from the SHA-256 of the text: equal texts are equal, others stand about at right angles."""
    stream = hashlib.shake_256(hashlib.sha256(text.encode()).digest()).digest(2 * dimensions)
    numbers = [number / 32_768 for number in struct.unpack(f"<{dimensions}h", stream)]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]
