"""Pictures and videos in a provider's words: what a client asks is told, or noted, or refused, and never lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from app.base.errors import BadRequest
from app.gateway.formats import FORMATS
from app.wire import pictures
from app.wire.faces import Target
from app.wire.neutral import Source
from app.wire.notes import Notes
from app.wire.orders import ImageOrder
from app.wire.request import Outgoing
from app.wire.videos import VideoOrder

_PICTURE = Source(data="iVBORw0KGgo=", media_type="image/png")
_IMAGE_SETTINGS: dict[str, dict[str, Any]] = {
    "n": {"n": 2},
    "size": {"width": 1536, "height": 1024},
    "aspect": {"aspect": "9:16"},
    "resolution": {"resolution": "2K"},
    "quality": {"quality": "high"},
    "unknown quality": {"quality": "exquisite"},
    "style": {"style": "natural"},
    "unknown style": {"style": "vivid"},
    "background": {"background": "transparent"},
    "media_type": {"media_type": "image/webp"},
    "compression": {"media_type": "image/jpeg", "compression": 50},
    "moderation": {"moderation": "low"},
    "negative_prompt": {"negative_prompt": "birds"},
    "seed": {"seed": 7},
    "images": {"images": (_PICTURE,)},
    "mask": {"images": (_PICTURE,), "mask": _PICTURE},
}
_VIDEO_SETTINGS: dict[str, dict[str, Any]] = {
    "seconds": {"seconds": 6},
    "size": {"width": 1280, "height": 720},
    "aspect": {"aspect": "9:16"},
    "resolution": {"resolution": "1080p"},
    "image": {"image": _PICTURE},
    "last_frame": {"last_frame": _PICTURE},
    "negative_prompt": {"negative_prompt": "birds"},
    "seed": {"seed": 7},
    "has_sound": {"has_sound": True},
}
_DRAWING = (
    ("images.generations", "openai", "gpt-image-2.5-flare"),
    ("images.generations", "custom", "sdxl"),
    ("images.generations", "xai", "grok-imagine-image"),
    ("images.generations", "doubao", "doubao-seedream-5-0-260128"),
    ("images.generations", "doubao", "doubao-seededit-3-0-i2i-250628"),
    ("gemini.image", "google", "gemini-3-pro-image"),
    ("gemini.image", "google", "gemini-2.5-flash-image"),
    ("gemini.image", "google", "imagen-4.0-generate-001"),
    ("ideogram.image", "ideogram", "ideogram-v3"),
    ("chat.images", "openrouter", "google/gemini-3-pro-image"),
    ("chat.images", "poe", "FLUX-2"),
)
_FILMING = (
    ("videos", "openai", "sora-2"),
    ("veo", "google", "veo-3.1-generate-preview"),
    ("ark.videos", "doubao", "doubao-seedance-2-0-260128"),
    ("xai.videos", "xai", "grok-imagine-video"),
    ("chat.videos", "poe", "Veo-3.1"),
)


def _target(origin: str, model: str) -> Target:
    return Target(model=model, origin=origin, is_streamed=False, call_id="c" * 32)


def _drawn(name: str, target: Target, order: ImageOrder) -> tuple[bytes, Notes]:
    upstream = FORMATS[name].order_upstream
    assert upstream is not None
    notes = Notes()
    return _comparable(upstream.write_order(order, target, notes)), notes


def _filmed(name: str, target: Target, order: VideoOrder) -> tuple[bytes, Notes]:
    upstream = FORMATS[name].video_upstream
    assert upstream is not None
    notes = Notes()
    return _comparable(upstream.write_video(order, target, notes)), notes


def _comparable(outgoing: Outgoing) -> bytes:
    """Without a form's boundary, which is another one each time."""
    return re.sub(rb"hub-[0-9a-f]{32}", b"", outgoing.content)


@pytest.mark.parametrize("setting", _IMAGE_SETTINGS)
@pytest.mark.parametrize(("name", "origin", "model"), _DRAWING)
def test_a_setting_of_a_picture_is_told_or_noted_or_refused(name: str, origin: str, model: str, setting: str) -> None:
    target, changes = _target(origin, model), _IMAGE_SETTINGS[setting]
    plain = ImageOrder(prompt="a door", images=changes.get("images", ()) if setting == "mask" else ())
    places = {ours: f"at {ours}" for ours in changes}

    try:
        without, _ = _drawn(name, target, plain)
        told, notes = _drawn(name, target, replace(plain, places=places, **changes))
    except BadRequest as refusal:
        assert refusal.param is not None and refusal.param.removeprefix("at ") in ("n", "images", "mask")
        return

    assert told != without or any(note.path.startswith("at ") for note in notes.all)


@pytest.mark.parametrize("setting", _VIDEO_SETTINGS)
@pytest.mark.parametrize(("name", "origin", "model"), _FILMING)
def test_a_setting_of_a_video_is_told_or_noted(name: str, origin: str, model: str, setting: str) -> None:
    target, changes = _target(origin, model), _VIDEO_SETTINGS[setting]
    plain = VideoOrder(prompt="a door")
    without, _ = _filmed(name, target, plain)

    told, notes = _filmed(name, target, replace(plain, places={ours: f"at {ours}" for ours in changes}, **changes))

    assert told != without or any(note.path.startswith("at ") for note in notes.all)


def test_what_only_openai_knows_goes_to_openai_alone_and_is_noted_elsewhere() -> None:
    order = ImageOrder(prompt="a door", extras={"complexity": Raw(b'"high"')}, unread=("complexity",))

    to_openai, openai_notes = _drawn("images.generations", _target("openai", "gpt-image-2.5-flare"), order)
    to_xai, xai_notes = _drawn("images.generations", _target("xai", "grok-imagine-image"), order)

    assert b'"complexity":"high"' in to_openai and not openai_notes.all
    assert b"complexity" not in to_xai
    assert [(note.path, note.what) for note in xai_notes.all] == [("complexity", "dropped")]


@given(st.integers(16, 8192), st.integers(16, 8192))
def test_the_nearest_shape_keeps_which_side_is_longer(width: int, height: int) -> None:
    shape = pictures.nearest_shape(pictures.shape_of(width, height), ("1:1", "3:2", "2:3", "16:9", "9:16"))

    ratio = pictures.ratio_of(shape)
    assert ratio is not None
    assert (ratio - 1) * (width / height - 1) >= 0


@given(st.sampled_from(("1:1", "16:9", "9:16", "21:9", "2:3")), st.sampled_from((1024, 2048, 4096)))
def test_pixels_follow_from_a_shape(shape: str, longest: int) -> None:
    found = pictures.pixels_for(ImageOrder(prompt="", aspect=shape), longest)

    assert found is not None and max(found) == longest and min(found) % 16 == 0
    assert abs(found[0] / found[1] - (pictures.ratio_of(shape) or 0)) < 0.05


@pytest.mark.parametrize("size", ["1024", "x", "1024x", "0x0", "large", "1024x1024x1024", "99999999x1"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(BadRequest) as caught:
        pictures.size_of(size, "size")

    assert caught.value.param == "size"


@pytest.mark.parametrize(
    ("first", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"RIFF....WEBPVP8 ", "image/webp"),
        (b"GIF89a....", "image/gif"),
    ],
)
def test_a_picture_is_what_its_first_bytes_say(first: bytes, media_type: str) -> None:
    assert pictures.media_type_of_bytes(first) == media_type
