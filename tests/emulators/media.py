"""Embeddings, images, speech, transcriptions and moderations: small real bytes, the same for the same request."""

from __future__ import annotations

import array
import base64
import hashlib
import struct
import sys
import zlib
from typing import Any

from tests.emulators import answers
from tests.emulators.chat import event
from tests.emulators.checks import Body, Refusal
from tests.emulators.kinds import Kind

Json = dict[str, Any]
_CATEGORIES = [
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/instructions", "self-harm/intent"),
    *("sexual", "sexual/minors", "violence", "violence/graphic"),
]
SPEECH_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def embeddings(kind: Kind, body: Body) -> Json:
    """Raises: Refusal on an empty or mistyped input."""
    if "-embedding-vision" in str(body["model"]):
        raise Refusal("The requested model does not support this API.", param="model", code="InvalidParameter")
    given = body["input"]
    inputs: list[Any] = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
    if not isinstance(given, str | list) or not inputs or "" in inputs:
        raise Refusal("'$.input' is invalid. Please check the API reference.", param="input")
    width = body.get("dimensions") or (768 if kind.name == "ollama" else 1536)
    rows: list[Json] = []
    for at, one in enumerate(inputs):
        row = packed(str(one), width, body.get("encoding_format"))
        rows.append({"object": "embedding", "index": at, "embedding": row})
    spent = sum(len(one) if isinstance(one, list) else len(answers.tokens(str(one))) for one in inputs)
    usage = {"prompt_tokens": spent, "total_tokens": spent}
    if kind.name == "openrouter":
        usage |= {"cost": spent * 2 / 100_000_000}
    return {"object": "list", "data": rows, "model": body["model"], "usage": usage}


def packed(text: str, width: int, encoding_format: str | None) -> Any:
    """A vector of length 1 as it travels."""
    vector = array.array("f", _vector(text, width))
    if encoding_format != "base64":
        return list(vector)
    if sys.byteorder == "big":
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode()


def _vector(text: str, width: int) -> list[float]:
    seed = hashlib.shake_256(text.encode()).digest(width * 2)
    raw = [number / 32768 for number in struct.unpack(f"<{width}h", seed)]
    length = sum(x * x for x in raw) ** 0.5
    return [x / length for x in raw]


def png(seed: str) -> bytes:
    """A real 8x8 picture of one colour, which `seed` decides."""
    colour = hashlib.sha256(seed.encode()).digest()[:3]
    rows = b"".join(b"\x00" + colour * 8 for _ in range(8))

    def part(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def images(kind: Kind, body: Body, given: list[Json] | None = None) -> Json:
    """Pictures for a prompt; `given` are the uploaded ones of an edit.

    Raises:
        Refusal: what the named model does not take.
    """
    model = str(body["model"])
    is_gpt = model.startswith("gpt-image")
    if kind.is_strict and is_gpt and "response_format" in body:
        raise Refusal("Unknown parameter: 'response_format'.", param="response_format", code="unknown_parameter")
    wanted = int(body.get("n") or 1)
    if model == "dall-e-3" and wanted != 1:
        raise Refusal("You must provide n=1 for this model.", param="n", code="invalid_value")
    seed = f"{body['prompt']}|{[one['sha256'] for one in given or []]}"
    rows: list[Json] = []
    for at in range(wanted):
        if is_gpt or body.get("response_format") == "b64_json":
            rows.append({"b64_json": base64.b64encode(png(f"{seed}|{at}")).decode()})
        else:
            rows.append({"url": f"https://images.invalid/{answers.digest(seed.encode())}/{at}.png"})
        if model == "dall-e-3":
            rows[-1]["revised_prompt"] = f"Revised: {body['prompt']}"
    answer: Json = {"created": 1_795_000_000, "data": rows}
    text = len(answers.tokens(str(body["prompt"])))
    pictures = 100 * len(given or [])
    if is_gpt:
        details = {"text_tokens": text, "image_tokens": pictures}
        usage = {"input_tokens": text + pictures, "output_tokens": 272 * wanted, "input_tokens_details": details}
        answer["usage"] = usage | {"total_tokens": text + pictures + 272 * wanted}
        answer |= {"background": "opaque", "output_format": "png", "quality": "low", "size": body.get("size")}
    if kind.name == "doubao":
        answer["usage"] = {"generated_images": wanted, "output_tokens": 4096 * wanted, "total_tokens": 4096 * wanted}
    if kind.name == "xai":
        answer["usage"] = {"cost_in_usd_ticks": 700_000_000 * wanted}
    return answer


def speech(body: Body) -> bytes:
    """A WAV of silence, as many samples as the input has characters; the same bytes for each format."""
    samples = b"\x00\x00" * (len(body["input"]) * 40)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    content = b"WAVE" + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(content)) + content


def speech_events(body: Body) -> list[bytes]:
    sound = speech(body)
    deltas = [sound[at : at + 1024] for at in range(0, len(sound), 1024)]
    usage = {"input_tokens": len(answers.tokens(body["input"])), "output_tokens": len(sound) // 100}
    usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
    events = [event({"type": "speech.audio.delta", "audio": base64.b64encode(one).decode()}) for one in deltas]
    return [*events, event({"type": "speech.audio.done", "usage": usage})]


def heard(fields: Body, *, is_translation: bool) -> str:
    file = fields["file"]
    name = f"{file['filename']} {file['size']}:{file['sha256'][:8]}"
    return f"In English: {name}" if is_translation else f"Heard {name}"


def transcript(fields: Body, *, is_translation: bool) -> Json | str:
    """The answer in the asked format: JSON, or plain text for text, srt and vtt.

    Raises:
        Refusal: the format is not one of this model's.
    """
    text = heard(fields, is_translation=is_translation)
    wanted = fields.get("response_format") or "json"
    by_tokens = str(fields["model"]).startswith("gpt-4o")
    offered = ("json", "text") if by_tokens else ("json", "text", "srt", "verbose_json", "vtt")
    if wanted not in offered:
        raise Refusal(
            f"response_format '{wanted}' is not compatible with model '{fields['model']}'.",
            param="response_format",
            code="unsupported_value",
        )
    seconds = seconds_of(fields)
    if wanted == "text":
        return text + "\n"
    if wanted == "srt":
        return f"1\n00:00:00,000 --> 00:00:{seconds:02},000\n{text}\n\n"
    if wanted == "vtt":
        return f"WEBVTT\n\n00:00:00.000 --> 00:00:{seconds:02}.000\n{text}\n\n"
    answer: Json = {"text": text, "usage": _heard_usage(fields, text)}
    if wanted == "verbose_json":
        answer |= {"task": "translate" if is_translation else "transcribe", "language": "english"}
        answer |= {"duration": float(seconds), "segments": [_segment(text, seconds)]}
        if "word" in (fields.get("timestamp_granularities[]") or []):
            answer["words"] = [{"word": word, "start": 0.0, "end": 0.5} for word in text.split()]
    return answer


def seconds_of(fields: Body) -> int:
    """Length of the upload: 16,000 bytes a second, begun seconds count."""
    return -(-fields["file"]["size"] // 16_000)


def _heard_usage(fields: Body, text: str) -> Json:
    if not str(fields["model"]).startswith("gpt-4o"):
        return {"type": "duration", "seconds": seconds_of(fields)}
    sound, words = 10 * seconds_of(fields), len(answers.tokens(text))
    details = {"text_tokens": 0, "audio_tokens": sound}
    usage = {"type": "tokens", "input_tokens": sound, "input_token_details": details}
    return usage | {"output_tokens": words, "total_tokens": sound + words}


def _segment(text: str, seconds: int) -> Json:
    segment: Json = {"id": 0, "seek": 0, "start": 0.0, "end": float(seconds), "text": text, "tokens": [1, 2, 3]}
    return segment | {"temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.0, "no_speech_prob": 0.01}


def transcript_events(fields: Body) -> list[bytes]:
    text = heard(fields, is_translation=False)
    events = [event({"type": "transcript.text.delta", "delta": token}) for token in answers.tokens(text)]
    done = {"type": "transcript.text.done", "text": text, "usage": _heard_usage(fields, text)}
    return [*events, event(done)]


def moderation(body: Body, seq: int) -> Json:
    given = body["input"]
    inputs: list[Any] = given if isinstance(given, list) and given and isinstance(given[0], str) else [given]
    return {"id": f"modr-emu{seq:08d}", "model": body["model"], "results": [_verdict(str(one)) for one in inputs]}


def _verdict(text: str) -> Json:
    bad = "kill" in text
    return {
        "flagged": bad,
        "categories": {name: bad and name == "violence" for name in _CATEGORIES},
        "category_scores": {name: 0.98 if bad and name == "violence" else 0.001 for name in _CATEGORIES},
        "category_applied_input_types": {name: ["text"] if name == "violence" else [] for name in _CATEGORIES},
    }
