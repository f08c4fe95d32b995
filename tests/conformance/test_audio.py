"""Speech, transcriptions and translations."""

from __future__ import annotations

import openai
import pytest

from tests.conformance.doors import Door
from tests.emulators import answers, media

SOUND = media.speech({"input": "x" * 500})
"""40,044 bytes: three begun seconds by the emulator's clock."""
HEARD = f"note.wav {answers.digest(SOUND)}"


@pytest.mark.parametrize(("form", "content_type"), [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("pcm", "audio/pcm")])
def test_speech_arrives_byte_by_byte(door: Door, client: openai.OpenAI, form: str, content_type: str) -> None:
    spoken = client.audio.speech.create(
        model=door.model("gpt-4o-mini-tts"), voice="alloy", input="good morning", response_format=form
    )

    assert spoken.content == media.speech({"input": "good morning"})
    assert door.last_headers["content-type"] == content_type
    assert door.sent()["body"]["voice"] == "alloy"
    door.expect_record(endpoint="audio.speech", status="succeeded", characters=len("good morning"))


def test_speech_can_be_read_while_it_comes(door: Door, client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model=door.model("gpt-4o-mini-tts"), voice="alloy", input="y" * 400
    ) as answer:
        pieces = list(answer.iter_bytes(1024))

    assert b"".join(pieces) == media.speech({"input": "y" * 400})


def test_speech_as_events_carries_its_usage(door: Door) -> None:
    body = {"model": door.model("gpt-4o-mini-tts"), "voice": "alloy", "input": "hello", "stream_format": "sse"}
    with door.raw() as raw:
        answer = raw.post("/audio/speech", json=body)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"type":"speech.audio.done"' in answer.text


@pytest.mark.parametrize("model", ["whisper-1", "gpt-4o-transcribe"])
def test_a_recording_is_written_down(door: Door, client: openai.OpenAI, model: str) -> None:
    heard = client.audio.transcriptions.create(
        model=door.model(model), file=("note.wav", SOUND, "audio/wav"), language="en", temperature=0
    )

    assert heard.text == f"Heard {HEARD}"
    assert heard.usage is not None
    sent = door.sent()
    assert sent["path"] == "/openai/v1/audio/transcriptions"
    assert sent["body"]["model"] == model
    assert sent["body"]["file"]["content_type"] == "audio/wav"
    assert sent["body"]["language"] == "en"
    if model == "whisper-1":
        door.expect_record(endpoint="audio.transcriptions", seconds=3, usage_source="provider")
    else:
        door.expect_record(audio_in=30, output=3, usage_source="provider")


def test_text_and_subtitles_are_not_json(door: Door, client: openai.OpenAI) -> None:
    for form, expected in (
        ("text", f"Heard {HEARD}\n"),
        ("vtt", f"WEBVTT\n\n00:00:00.000 --> 00:00:03.000\nHeard {HEARD}\n\n"),
    ):
        heard = client.audio.transcriptions.create(
            model=door.model("whisper-1"), file=("note.wav", SOUND, "audio/wav"), response_format=form
        )

        assert heard == expected
        assert door.last_headers["content-type"].startswith("text/plain")


def test_the_long_form_has_segments_and_words(door: Door, client: openai.OpenAI) -> None:
    heard = client.audio.transcriptions.create(
        model=door.model("whisper-1"),
        file=("note.wav", SOUND, "audio/wav"),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )

    assert heard.duration == 3.0
    assert [segment.text for segment in heard.segments or []] == [f"Heard {HEARD}"]
    assert [word.word for word in heard.words or []][:1] == ["Heard"]
    assert door.sent()["body"]["timestamp_granularities[]"] == ["word", "segment"]


def test_a_streamed_transcription_ends_with_its_text(door: Door, client: openai.OpenAI) -> None:
    stream = client.audio.transcriptions.create(
        model=door.model("gpt-4o-transcribe"), file=("note.wav", SOUND, "audio/wav"), stream=True
    )
    events = list(stream)

    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == f"Heard {HEARD}"


def test_a_recording_is_translated(door: Door, client: openai.OpenAI) -> None:
    said = client.audio.translations.create(model=door.model("whisper-1"), file=("note.wav", SOUND, "audio/wav"))

    assert said.text == f"In English: {HEARD}"
    assert door.sent()["path"] == "/openai/v1/audio/translations"
    door.expect_record(endpoint="audio.translations", status="succeeded")


def test_an_upload_without_a_file_is_refused_by_name(door: Door) -> None:
    with door.raw() as raw:
        answer = raw.post("/audio/transcriptions", files={"model": (None, door.model("whisper-1"))})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "file"
