"""botocore, which has no types, as far as the emulator and the tests ask it. It judges; the hub never imports it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

auth: Any = import_module("botocore.auth")
awsrequest: Any = import_module("botocore.awsrequest")
config: Any = import_module("botocore.config")
credentials: Any = import_module("botocore.credentials")
exceptions: Any = import_module("botocore.exceptions")
eventstream: Any = import_module("botocore.eventstream")
model: Any = import_module("botocore.model")
session: Any = import_module("botocore.session")
validate: Any = import_module("botocore.validate")


@cache
def service(name: str) -> Any:
    """A service's own model of its operations and documents."""
    return session.Session().get_service_model(name)


def signature(
    method: str, url: str, headers: dict[str, str], content: bytes, secret: tuple[str, str], scope: tuple[str, str]
) -> str:
    """Of a request that has its `X-Amz-Date`, in hex. `secret`: id and key; `scope`: service and region."""
    request = awsrequest.AWSRequest(method=method, url=url, headers=headers, data=content)
    request.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = auth.SigV4Auth(credentials.Credentials(*secret), *scope)
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
