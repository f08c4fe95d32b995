"""Who calls: Bedrock's API keys, and signatures reckoned once more by botocore."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from aiohttp import web

from tests.emulators.bedrock import oracle
from tests.emulators.bedrock.checks import Refused

REGION = "us-east-1"
ACCESS_KEY_ID, SECRET_ACCESS_KEY = "AKIAEMULATED000BEDROCK", "emulated/secret+of/bedrock0123456789abcd"
SESSION_TOKEN = "emulated//session+token=="
API_KEY = "ABSKQmVkcm9ja0VtdWxhdGVk"

_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<names>[^,]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_MUST_BE_SIGNED = {"host", "x-amz-date"}
_MOST_SKEW_SECONDS = 300


def caller(request: web.Request, content: bytes, api_keys: set[str]) -> str:
    """The key or access key id by which the request was let in.

    Raises:
        Refused
    """
    given = request.headers.get("Authorization", "")
    if given.startswith("Bearer "):
        if (key := given.removeprefix("Bearer ")) not in api_keys:
            # The gateway's own words; it sends no type for them.
            raise Refused(403, "", "Authentication failed: Please make sure your API Key is valid.")
        return key
    form = _FORM.fullmatch(given)
    if form is None:
        raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if form["id"] != ACCESS_KEY_ID:
        raise Refused(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    _check_scope(request, form)
    if _signature(request, content, form) != form["signature"]:
        raise Refused(
            403,
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided.",
        )
    return form["id"]


def _check_scope(request: web.Request, form: re.Match[str]) -> None:
    if form["service"] != "bedrock" or form["region"] != REGION:
        raise Refused(403, "InvalidSignatureException", "Credential should be scoped to a valid region and service.")
    names = set(form["names"].split(";"))
    amazons = {name.lower() for name in request.headers if name.lower().startswith("x-amz-")}
    if not (_MUST_BE_SIGNED | amazons) <= names:
        raise Refused(403, "InvalidSignatureException", "Not all headers that must be signed are signed.")
    token = request.headers.get("X-Amz-Security-Token")
    if token not in (None, SESSION_TOKEN):
        raise Refused(403, "ExpiredTokenException", "The security token included in the request is expired")
    moment = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs((datetime.now(UTC) - moment).total_seconds()) > _MOST_SKEW_SECONDS:
        raise Refused(403, "InvalidSignatureException", f"Signature expired: {request.headers['X-Amz-Date']}")


def _signature(request: web.Request, content: bytes, form: re.Match[str]) -> str:
    headers = {name: request.headers[name] for name in form["names"].split(";") if name in request.headers}
    url = f"http://{request.headers['Host']}{request.raw_path}"
    secret, scope = (ACCESS_KEY_ID, SECRET_ACCESS_KEY), (form["service"], form["region"])
    return oracle.signature(request.method, url, headers, content, secret, scope)


def model_of(request: web.Request) -> str:
    """The model in the path, which must be written as botocore writes it: everything but unreserved letters escaped.

    Raises:
        Refused
    """
    segment = request.raw_path.split("/")[2]
    model = unquote(segment)
    if quote(model, safe="-._~") != segment.replace("%2b", "%2B"):
        raise Refused(400, "ValidationException", f"The model id {segment} is not escaped.")
    return model
