"""The doors that are Litestar controllers, and how errors look at them."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Controller, MediaType, Request, Response
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.exceptions import HTTPException
from litestar.template.config import TemplateConfig

from app.base.config import Settings
from app.base.errors import AppError
from app.base.paths import TEMPLATES
from app.web.health import HealthController
from app.wire.openai import client

CONTROLLERS: list[type[Controller]] = [HealthController]

_log = structlog.stdlib.get_logger(__name__)


def template_config(_settings: Settings) -> TemplateConfig[JinjaTemplateEngine]:
    return TemplateConfig(directory=TEMPLATES, engine=JinjaTemplateEngine)


def _app_error(_request: Request[Any, Any, Any], error: AppError) -> Response[bytes]:
    return Response(client.error_body(error, None), status_code=error.http_status, media_type=MediaType.JSON)


def _http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    known = AppError(error.detail)
    known.http_status = error.status_code
    known.code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "invalid_request")
    return Response(client.error_body(known, None), status_code=error.status_code, media_type=MediaType.JSON)


def _crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("request.crashed", path=request.url.path, exc_info=error)
    return Response(client.error_body(AppError("Something in the hub went wrong."), None), status_code=500)


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    AppError: _app_error,
    HTTPException: _http_error,
    Exception: _crash,
}
