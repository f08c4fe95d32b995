"""Signature Version 4 against Amazon's published examples and against botocore.

The examples are those of the test suite that Amazon published as `aws-sig-v4-test-suite` (its copy in
https://github.com/awslabs/aws-c-auth/tree/main/tests/aws-signing-test-suite/v4), written out by hand, and the one of
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.providers import addresses, signing, sigv4
from app.adapters.providers.kinds import ToSign
from app.adapters.providers.registry import KINDS
from app.base import clock
from app.base.errors import BadValue
from app.base.secret import Secret
from tests.emulators.bedrock import oracle

_ID, _SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
_TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI"
    "/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38"
    "xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
_MOMENT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
_UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = "application/x-www-form-urlencoded"


def _signed(
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    content: bytes = b"",
    *,
    host: str = "https://example.amazonaws.com",
    service: str = "service",
    token: str | None = None,
) -> dict[str, str]:
    made = dict(headers or {})
    key = sigv4.Key(
        access_key_id=Secret(_ID),
        secret_access_key=Secret(_SECRET),
        session_token=None if token is None else Secret(token),
    )
    sigv4.sign(
        made,
        key,
        method=method,
        url=host + path,
        content=content,
        region="us-east-1",
        service=service,
        moment=_MOMENT,
    )
    return made


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "signature"),
    [
        pytest.param(
            "GET", "/", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31", id="get-vanilla"
        ),
        pytest.param(
            "POST", "/", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", id="post-vanilla"
        ),
        pytest.param(
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            id="get-vanilla-query-order-key-case",
        ),
        pytest.param(
            "GET",
            f"/?{_UNRESERVED}={_UNRESERVED}",
            {},
            b"",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
            id="get-vanilla-query-unreserved",
        ),
        pytest.param(
            "GET",
            "/?\u1234=bar",
            {},
            b"",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            id="get-vanilla-utf8-query",
        ),
        pytest.param(
            "GET",
            "/\u1234",
            {},
            b"",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            id="get-utf8",
        ),
        pytest.param(
            "GET",
            f"/{_UNRESERVED}",
            {},
            b"",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            id="get-unreserved",
        ),
        pytest.param(
            "GET",
            "/example1/example2/../..",
            {},
            b"",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            id="get-relative-relative",
        ),
        pytest.param(
            "GET",
            "//example//",
            {},
            b"",
            "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
            id="get-slashes",
        ),
        pytest.param(
            "GET",
            "/./example",
            {},
            b"",
            "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
            id="get-slash-pointless-dot",
        ),
        pytest.param(
            "GET",
            "/",
            {"My-Header1": " value1", "My-Header2": ' "a   b   c"'},
            b"",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            id="get-header-value-trim",
        ),
        pytest.param(
            "POST",
            "/",
            {"Content-Type": _FORM},
            b"Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
        pytest.param(
            "POST",
            "/",
            {"Content-Type": f"{_FORM}; charset=utf8"},
            b"Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
            id="post-x-www-form-urlencoded-parameters",
        ),
    ],
)
def test_amazons_published_requests_are_signed_as_published(
    method: str, path: str, headers: dict[str, str], content: bytes, signature: str
) -> None:
    names = ";".join(sorted(["host", "x-amz-date", *(name.lower() for name in headers)]))
    assert _signed(method, path, headers, content)["Authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={_ID}/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_amazons_published_session_token_is_signed_as_published() -> None:
    """`post-sts-header-before`: the token is one of the signed headers."""
    made = _signed("POST", "/", token=_TOKEN)
    assert made["X-Amz-Security-Token"] == _TOKEN
    assert made["Authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )


def test_the_example_of_the_documentation_is_signed_as_documented() -> None:
    made = _signed(
        "GET",
        "/?Action=ListUsers&Version=2010-05-08",
        {"Content-Type": f"{_FORM}; charset=utf-8"},
        host="https://iam.amazonaws.com",
        service="iam",
    )
    assert made["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


_SEGMENTS = st.text(min_size=1, max_size=20).map(lambda text: quote(text, safe="-._~:@!$&'()*+,;="))
_PAIRS = st.tuples(st.text(max_size=10), st.text(max_size=10)).map(
    lambda pair: f"{quote(pair[0], safe='-._~')}={quote(pair[1], safe='-._~')}"
)
_HEADER_VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    segments=st.lists(_SEGMENTS, max_size=4),
    pairs=st.lists(_PAIRS, max_size=3, unique=True),
    headers=st.dictionaries(st.sampled_from(["Content-Type", "X-Amz-Meta", "Accept", "X-Other"]), _HEADER_VALUES),
    content=st.binary(max_size=200),
    token=st.none() | st.from_regex(r"[A-Za-z0-9+/=]{1,60}", fullmatch=True),
    port=st.sampled_from(["", ":443", ":8443"]),
)
def test_botocore_signs_every_request_in_the_same_way(
    method: str,
    segments: list[str],
    pairs: list[str],
    headers: dict[str, str],
    content: bytes,
    token: str | None,
    port: str,
) -> None:
    path = "/" + "/".join(segments) + (f"?{'&'.join(pairs)}" if pairs else "")
    host = f"https://bedrock-runtime.us-east-1.amazonaws.com{port}"
    ours = _signed(method, path, headers, content, host=host, service="bedrock", token=token)

    dated = {**headers, "X-Amz-Date": _MOMENT.strftime("%Y%m%dT%H%M%SZ")}
    if token is not None:
        dated["X-Amz-Security-Token"] = token
    theirs = oracle.signature(method, host + path, dated, content, (_ID, _SECRET), ("bedrock", "us-east-1"))
    assert ours["Authorization"].rpartition("Signature=")[2] == theirs


def test_an_api_key_goes_before_an_access_key_and_needs_no_region() -> None:
    headers: dict[str, str] = {}
    parts = {"api_key": Secret("k3y"), "access_key_id": Secret(_ID), "secret_access_key": Secret(_SECRET)}
    signing.bedrock(headers, parts, ToSign(method="POST", url="https://x.example/", content=b"", region=None))
    assert headers == {"Authorization": "Bearer k3y"}


def test_an_access_key_signs_for_the_region_at_the_present_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: _MOMENT)
    headers = {"Content-Type": "application/json"}
    parts = {"access_key_id": Secret(_ID), "secret_access_key": Secret(_SECRET), "session_token": Secret("t0ken")}
    request = ToSign(method="POST", url="https://x.example/model/a%3Ab/converse", content=b"{}", region="eu-west-1")
    signing.bedrock(headers, parts, request)
    assert headers["X-Amz-Date"] == "20150830T123600Z"
    assert headers["X-Amz-Security-Token"] == "t0ken"
    assert f"Credential={_ID}/20150830/eu-west-1/bedrock/aws4_request" in headers["Authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token" in headers["Authorization"]


def test_an_access_key_without_a_region_is_refused_with_a_sentence() -> None:
    parts = {"access_key_id": Secret(_ID), "secret_access_key": Secret(_SECRET)}
    with pytest.raises(BadValue, match="needs a region"):
        signing.bedrock({}, parts, ToSign(method="POST", url="https://x.example/", content=b"", region=None))


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2",
        ),
    ],
)
def test_a_models_id_is_escaped_in_the_address_as_botocore_escapes_it(model: str, path: str) -> None:
    url = addresses.call_url(
        KINDS["bedrock"], None, KINDS["bedrock"].paths["converse"], model=model, region="eu-central-1"
    )
    assert url == f"https://bedrock-runtime.eu-central-1.amazonaws.com/model/{path}/converse"
    assert quote(model, safe="-._~") == path
