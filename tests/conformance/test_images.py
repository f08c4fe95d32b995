"""Pictures: drawn, several at once, edited from uploads, refused."""

from __future__ import annotations

import base64

import openai
import pytest

from tests.conformance.doors import Door
from tests.emulators import media


def test_a_picture_comes_as_bytes_with_its_usage(door: Door, client: openai.OpenAI) -> None:
    answer = client.images.generate(
        model=door.model("gpt-image-1"), prompt="a blue door", n=2, size="1024x1024", quality="low"
    )

    pictures = [base64.b64decode(row.b64_json or "") for row in answer.data or []]
    assert pictures == [media.png("a blue door|[]|0"), media.png("a blue door|[]|1")]
    assert answer.usage is not None and answer.usage.output_tokens == 544
    assert door.sent()["body"] == {
        "model": "gpt-image-1",
        "prompt": "a blue door",
        "n": 2,
        "size": "1024x1024",
        "quality": "low",
    }
    door.expect_record(endpoint="images.generations", status="succeeded", images=2)


def test_a_picture_by_address_with_its_revised_prompt(door: Door, client: openai.OpenAI) -> None:
    answer = client.images.generate(model=door.model("dall-e-3"), prompt="a red door", response_format="url")

    assert answer.data is not None
    assert (answer.data[0].url or "").startswith("https://images.invalid/")
    assert answer.data[0].revised_prompt == "Revised: a red door"
    door.expect_record(images=1)


@pytest.mark.parametrize(("kind", "model"), [("xai", "grok-2-image"), ("doubao", "doubao-seedream-4-0-250828")])
def test_pictures_of_other_providers(door: Door, kind: str, model: str) -> None:
    with door.client(kind) as client:
        answer = client.images.generate(model=door.model(model, kind), prompt="a hill", response_format="b64_json")

    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "") == media.png("a hill|[]|0")
    door.expect_record(provider=kind, images=1)


def test_an_edit_uploads_its_pictures_unchanged(door: Door, client: openai.OpenAI) -> None:
    first, second, mask = (media.png(name) for name in ("first", "second", "mask"))
    answer = client.images.edit(
        model=door.model("gpt-image-1"),
        image=[("first.png", first, "image/png"), ("zweites bild.png", second, "image/png")],
        mask=("mask.png", mask, "image/png"),
        prompt="join them – schön",
        size="1024x1024",
    )

    assert answer.usage is not None and answer.usage.input_tokens_details.image_tokens == 200
    sent = door.sent()
    assert sent["path"] == "/openai/v1/images/edits"
    form = sent["body"]
    assert (form["model"], form["prompt"], form["size"]) == ("gpt-image-1", "join them – schön", "1024x1024")
    assert [part["filename"] for part in form["image[]"]] == ["first.png", "zweites bild.png"]
    assert [part["size"] for part in form["image[]"]] == [len(first), len(second)]
    assert form["mask"]["content_type"] == "image/png"
    door.expect_record(endpoint="images.edits", images=1)


def test_a_refusal_for_content_stays_a_refusal(door: Door, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="safety system") as caught:
        client.images.generate(model=door.fault_of_images("content-policy"), prompt="something bad")

    assert caught.value.code == "content_policy_violation"
    door.expect_record(status="refused", http_status=400)


def test_what_a_model_does_not_take_is_named(door: Door, client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=door.model("gpt-image-1"), prompt="x", response_format="url")

    assert caught.value.param == "response_format"
