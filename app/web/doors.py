"""The doors that are Litestar's, and how errors look at them: a page for people, OpenAI's JSON shape for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from app.base.errors import AppError
from app.web import pages, return_path, static
from app.web.admin import door as admin
from app.web.authentication import SignInNeeded
from app.web.guards import StepNeeded
from app.web.health import HealthController
from app.web.mount_point import url
from app.web.portal import door as portal
from app.wire.openai import client

template_config = pages.template_config

_CODES = {404: "not_found", 405: "method_not_allowed"}

_log = structlog.stdlib.get_logger(__name__)


def doors() -> Sequence[ControllerRouterHandler]:
    return [HealthController, static.static_file, portal.door(), admin.door()]


def _app_error(request: Request[Any, Any, Any], error: AppError) -> Response[Any]:
    return _answer(request, error)


def _http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    known = AppError(error.detail, code=_CODES.get(error.status_code, "invalid_request"))
    known.http_status = error.status_code
    answer = _answer(request, known)
    answer.headers.update(error.headers or {})
    return answer


def _sign_in_needed(request: Request[Any, Any, Any], error: SignInNeeded) -> Response[Any]:
    """The quiet page, the same for every address behind the lock, whether or not there is something at it."""
    is_front = request.scope["path"] == "/"
    if request.method == "HEAD":
        return pages.bare(200 if is_front else 401)
    if pages.is_htmx(request):
        # The session ended while the page was open: htmx loads the whole page again.
        return _welcome(request, 401, {"HX-Refresh": "true"})
    if is_front or pages.is_for_person(request):
        return _welcome(request, 200 if is_front else 401)
    return _answer(request, error)


def _welcome(request: Request[Any, Any, Any], status: int, headers: dict[str, str] | None = None) -> Response[Any]:
    template, back = "portal/sign_in/welcome.html", return_path.here(request)
    return pages.page(request, template, status=status, headers=headers, email="", next=back, problem="")


def _step_needed(request: Request[Any, Any, Any], error: StepNeeded) -> Response[Any]:
    if pages.is_htmx(request):
        return pages.bare(204, {"HX-Redirect": url(request, error.path)})
    return pages.go(request, error.path) if pages.is_for_person(request) else _answer(request, error)


def _crash(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    # The template of the path, not the path: that of a sign-in link is a secret.
    path = cast("dict[str, object]", request.scope).get("path_template")
    _log.error("request.crashed", path=path, exc_info=error)
    return _answer(request, AppError("Something in the hub went wrong. What it was stands in the log of the server."))


def _answer(request: Request[Any, Any, Any], error: AppError) -> Response[Any]:
    if pages.is_for_person(request):
        template = {404: "errors/404.html", 500: "errors/500.html"}.get(error.http_status, "errors/error.html")
        return pages.page(
            request, template, status=error.http_status, sentence=error.sentence, http_status=error.http_status
        )
    return Response(
        client.error_body(error, None),
        status_code=error.http_status,
        media_type=MediaType.JSON,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"},
    )


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    SignInNeeded: _sign_in_needed,
    StepNeeded: _step_needed,
    AppError: _app_error,
    HTTPException: _http_error,
    Exception: _crash,
}
