"""A request is read only as far as the hub must, and reaches the provider with every other byte as it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import AppError, BadRequest, MediaTypeRefused
from app.wire.openai import body
from app.wire.openai.endpoints import BY_PATH
from app.wire.request import Incoming, Outgoing, Request, text_bytes

CHAT = BY_PATH["/chat/completions"]
SPEECH = BY_PATH["/audio/speech"]
EDITS = BY_PATH["/images/edits"]
TRANSCRIPTIONS = BY_PATH["/audio/transcriptions"]
JSON = "application/json"


def incoming(content_type: str, content: bytes) -> Incoming:
    return Incoming(path="/", headers={b"content-type": content_type.encode("latin-1", "replace")}, body=content)


def read(content: bytes | str | dict[str, Any], endpoint: Any = CHAT, content_type: str = JSON) -> Request:
    if isinstance(content, dict):
        content = json.dumps(content)
    return body.read(endpoint, incoming(content_type, content.encode() if isinstance(content, str) else content))


def written(request: Request, endpoint: Any = CHAT, deviations: Any = ()) -> Outgoing:
    return body.write(request, endpoint, "the/upstream-model", deviations)


def raw_fields(content: bytes) -> dict[str, bytes]:
    return {name: bytes(raw) for name, raw in msgspec.json.decode(content, type=dict[str, msgspec.Raw]).items()}


def test_only_the_model_is_written_anew() -> None:
    content = (
        '{"temperature": 1.50, "model" : "gpt","messages":[ {"role":"user", "content":"\\u00e9 é 🙂"} ], '
        '"new_field": {"deep": [1e400, -0.0, 12345678901234567890123456789]}, "seed":null, "":1}'
    )

    fields, sent = raw_fields(content.encode()), raw_fields(written(read(content)).content)

    assert sent.pop("model") == b'"the/upstream-model"'
    del fields["model"]
    assert sent == fields and list(sent) == list(fields)


@given(
    st.dictionaries(
        st.text(max_size=6).filter(lambda name: name not in ("model", "messages", "stream", "stream_options")),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_fields_that_nobody_knows_survive_byte_for_byte(unknown: dict[str, Any], is_escaped: bool) -> None:
    content = json.dumps({**unknown, "model": "m", "messages": [1]}, ensure_ascii=is_escaped)

    sent = raw_fields(written(read(content)).content)

    assert {**sent, "model": b'"m"'} == raw_fields(content.encode())


def test_of_a_field_that_stands_there_twice_the_checked_one_is_sent() -> None:
    request = read('{"model":"a","messages":[1],"model":"b","messages":[2],"stream":true,"stream":false}')

    assert (request.model, request.is_streamed) == ("b", False)
    sent = written(request).content
    assert sent.count(b'"model"') == 1 and raw_fields(sent)["messages"] == b"[2]"


@pytest.mark.parametrize(
    ("options", "sent", "wants"),
    [
        (None, {"include_usage": True}, False),
        ("null", {"include_usage": True}, False),
        ("{}", {"include_usage": True}, False),
        (
            '{"include_usage": false, "include_obfuscation": false}',
            {"include_usage": True, "include_obfuscation": False},
            False,
        ),
        ('{"include_usage": null}', {"include_usage": True}, False),
        ('{"include_usage": true, "x": [1]}', {"include_usage": True, "x": [1]}, True),
    ],
)
def test_usage_is_asked_for_in_streams_beside_what_the_client_asks(options: str | None, sent: Any, wants: bool) -> None:
    more = "" if options is None else f', "stream_options": {options}'
    request = read(f'{{"model":"m","messages":[1],"stream":true{more}}}')

    assert request.is_streamed and request.wants_usage is wants
    assert json.loads(written(request).content)["stream_options"] == sent


def test_what_does_not_stream_is_not_asked_for_usage() -> None:
    assert "stream_options" not in json.loads(written(read({"model": "m", "messages": [1]})).content)


def test_a_providers_deviations_are_applied_to_a_copy() -> None:
    request = read({"model": "m", "messages": [1], "max_tokens": 5})

    def deviate(document: Any) -> None:
        document["max_completion_tokens"] = document.pop("max_tokens")

    assert "max_tokens" not in json.loads(written(request, deviations=(deviate,)).content)
    # The next provider gets the request as it came.
    assert json.loads(written(request).content)["max_tokens"] == 5


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":null}', "messages"),
        (b'{"model":"m","messages":"hi"}', "messages"),
        (b'{"model":"m","messages":[ ]}', "messages"),
        (b'{"messages":[1]}', "model"),
        (b'{"model":null,"messages":[1]}', "model"),
        (b'{"model":["m"],"messages":[1]}', "model"),
        (b'{"model":"' + b"m" * 201 + b'","messages":[1]}', "model"),
        (b'{"model":"m","messages":[1],"stream":"true"}', "stream"),
        (b'{"model":"m","messages":[1],"stream":1}', "stream"),
        (b'{"model":"m","messages":[1],"stream_options":true}', "stream_options"),
        (b'{"model":"m","messages":[1],"stream_options":{"include_usage":"yes"}}', "stream_options.include_usage"),
    ],
)
def test_a_wrong_type_names_its_field(content: bytes, param: str) -> None:
    with pytest.raises(BadRequest, match=param) as refusal:
        read(content)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    "content",
    [b"", b" ", b"{", b"[]", b'"x"', b"1", b"null", b"{}x", b"{'a':1}", b'{"a":NaN}', b'{"a":01}', b'{"a":"\x01"}',
     b'{"\xff":1}', b'{"model":"\xff","messages":[1]}', b'{"model":"m","messages":["\xc3"]}', b'{"a":"\\q"}',
     b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b'{"a":' + b"[" * 65 + b"]" * 65 + b"}",
     b'{"a":' + b"[" * 200_000, b"{" * 200_000, b'{"a":[' + b"[]," * 450_000 + b"[]]}"],
)  # fmt: skip
def test_what_is_not_json_within_bounds_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequest):
        read(content)


@given(st.binary(max_size=300))
def test_no_body_brings_the_reading_down(content: bytes) -> None:
    for endpoint, content_type in ((CHAT, JSON), (EDITS, "multipart/form-data; boundary=b")):
        with pytest.raises(AppError):
            body.read(endpoint, incoming(content_type, content))


@given(st.text(max_size=80))
def test_no_content_type_brings_the_reading_down(content_type: str) -> None:
    for endpoint in (CHAT, EDITS):
        with pytest.raises(AppError):
            body.read(endpoint, incoming(content_type.encode("utf-8", "replace").decode("latin-1"), b"{}"))


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", 'application/json;a="b;c"']
)
def test_a_content_type_may_be_written_in_any_way(content_type: str) -> None:
    assert read({"model": "m", "messages": [1]}, content_type=content_type).model == "m"


@pytest.mark.parametrize(
    "content_type", ["", "text/json", "application/json, text/plain", "application/x-www-form-urlencoded"]
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(MediaTypeRefused):
        read({"model": "m", "messages": [1]}, content_type=content_type)


def test_the_characters_to_be_spoken_are_counted_as_characters() -> None:
    request = read('{"model":"m","voice":"a","input":"\\u00e9🙂 a\\n"}', SPEECH)

    assert request.characters == 5 and not request.is_streamed
    assert read({"model": "m", "input": "x", "stream_format": "sse"}, SPEECH).is_streamed
    assert not read({"model": "m", "input": "x", "stream_format": "audio"}, SPEECH).is_streamed


def test_embedded_files_do_not_count_as_text() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 10_000}}

    size = text_bytes(read({"model": "m", "messages": [{"role": "user", "content": [picture]}]}))

    assert size < 200
    assert text_bytes(read({"model": "m", "messages": [{"role": "user", "content": "word " * 1000}]})) > 5000


BOUNDARY = "----b0undary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form whose parts have these heads."""
    pieces = [
        b"--" + BOUNDARY.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts
    ]
    return b"".join(pieces) + b"--" + BOUNDARY.encode() + b"--\r\n"


def field(name: str, value: str) -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"', value.encode()


PICTURE = bytes(range(256)) * 3 + b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n"
FILE_HEADS = [
    'Content-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png',
    'Content-Disposition: form-data; name="image[]"; filename="größe ü.png"\r\nContent-Type: image/png',
    'Content-Disposition: form-data; name="image[]"; filename="a\\"b;c.png"\r\nContent-Type: image/webp\r\nX-Own: 1, 2',
    "Content-Disposition: form-data; name=image; filename*=UTF-8''na%C3%AFve.png",
]


def parts_of(outgoing: Outgoing) -> list[bytes]:
    boundary = outgoing.content_type.partition("boundary=")[2].encode()
    assert outgoing.content.endswith(b"--" + boundary + b"--\r\n")
    return outgoing.content.split(b"--" + boundary + b"\r\n")[1:]


@pytest.mark.parametrize("head", FILE_HEADS)
def test_a_file_goes_through_byte_for_byte_with_its_head(head: str) -> None:
    content = form(field("model", "gpt-image"), (head, PICTURE), field("prompt", "größer"))

    parts = parts_of(written(read(content, EDITS, FORM), EDITS))

    assert parts[0].endswith(b"\r\n\r\nthe/upstream-model\r\n")
    assert parts[1] == head.encode() + b"\r\n\r\n" + PICTURE + b"\r\n"
    assert parts[2].rpartition(b"--hub-")[0].endswith(b"\r\n\r\n" + "größer".encode() + b"\r\n")


def test_several_pictures_all_go_through_in_their_order() -> None:
    head = 'Content-Disposition: form-data; name="image[]"; filename="{}.png"\r\nContent-Type: image/png'
    pictures = [(head.format(n), PICTURE + bytes([n])) for n in range(16)]
    content = form(*pictures, field("prompt", "p"), field("model", "m"))

    request = read(content, EDITS, FORM)
    parts = parts_of(written(request, EDITS))

    assert [part.content for part in request.parts[:16]] == [picture for _, picture in pictures]
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[:16]] == [picture + b"\r\n" for _, picture in pictures]


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ([field("prompt", "p"), (FILE_HEADS[0], b"x")], "model"),
        ([field("model", "m"), (FILE_HEADS[0], b"x")], "prompt"),
        ([field("model", "m"), field("prompt", "p")], "image"),
        ([field("model", "m"), field("prompt", "p"), field("image", "no file")], "image"),
        ([field("model", ""), field("prompt", "p"), (FILE_HEADS[0], b"x")], "model"),
        ([(FILE_HEADS[0].replace("image", "model", 1), b"m"), field("prompt", "p"), (FILE_HEADS[0], b"x")], "model"),
        (
            [('Content-Disposition: form-data; name="model"', b"\xff"), field("prompt", "p"), (FILE_HEADS[0], b"x")],
            "model",
        ),
    ],
)
def test_a_form_that_is_not_complete_names_the_field(parts: list[tuple[str, bytes]], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read(form(*parts), EDITS, FORM)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/form-data", form(field("model", "m"))),
        ('multipart/form-data; boundary=""', form(field("model", "m"))),
        ("multipart/form-data; boundary=" + "b" * 71, b"--" + b"b" * 71 + b"--"),
        (FORM, b""),
        (FORM, b"no form"),
        (FORM, form(field("model", "m"))[:-20]),
        (FORM, form(("Content-Type: text/plain", b"x"))),
        (FORM, form((f'Content-Disposition: form-data; name="{"n" * 5000}"', b"x"))),
        (FORM, form(*[field("f", "x")] * 65)),
        (FORM, form(("X-A: 1\r\n" * 20 + 'Content-Disposition: form-data; name="a"', b"x"))),
    ],
)
def test_a_form_out_of_bounds_is_refused(content_type: str, content: bytes) -> None:
    with pytest.raises(BadRequest):
        read(content, EDITS, content_type)


@pytest.mark.parametrize(("value", "is_streamed"), [("true", True), ("True", True), ("false", False), ("", False)])
def test_a_transcription_says_in_a_field_that_it_streams(value: str, is_streamed: bool) -> None:
    content = form(field("model", "m"), (FILE_HEADS[0].replace("image", "file", 1), b"RIFF"), field("stream", value))

    assert read(content, TRANSCRIPTIONS, FORM).is_streamed is is_streamed


def test_every_endpoint_meters_something_and_has_its_own_path() -> None:
    assert all(endpoint.meters and endpoint.path == path for path, endpoint in BY_PATH.items())
    assert len({endpoint.name for endpoint in BY_PATH.values()}) == len(BY_PATH)
