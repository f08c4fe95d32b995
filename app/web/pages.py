"""Pages: one way to make any of them, whole or in part, with the headers that every page has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import metadata
from typing import Any
from urllib.parse import unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.datastructures import Cookie
from litestar.response import Template
from litestar.template.config import TemplateConfig

from app.base.paths import TEMPLATES
from app.web import filters, static
from app.web.authentication import begun, known
from app.web.guards import CSRF_FIELD
from app.web.mount_point import address_of, url

ZONE_COOKIE = "hub_zone"
"""The browser's IANA time zone, written by `app.js`."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    # A page may hold what only one person may see, and a sign-in link in its address.
    "Cache-Control": "no-store",
    "Vary": "Cookie, HX-Request, HX-Target",
}


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    static.shipped()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters.ALL)
    constants: dict[str, Any] = {"csrf_field": CSRF_FIELD, "version": metadata.version("aigne-hub-py")}
    environment.globals |= constants
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment))


def page(
    request: Request[Any, Any, Any],
    template: str,
    *,
    status: int = 200,
    cookies: Sequence[Cookie] = (),
    headers: dict[str, str] | None = None,
    **names: Any,
) -> Template:
    """`template` with `names` and what every page knows: `url`, `static_url`, `me` and the reader's time zone."""
    return Template(
        template,
        context={
            "url": partial(url, request),
            "static_url": partial(_static_url, request),
            "address": address_of(request),
            "me": known(request),
            "csrf_token": "" if (session := begun(request)) is None else session.csrf_token,
            "zone": filters.zone(unquote(request.cookies.get(ZONE_COOKIE, ""))),
            **names,
        },
        status_code=status,
        media_type=MediaType.HTML,
        headers={**_HEADERS, **(headers or {})},
        cookies=list(cookies),
    )


def go(request: Request[Any, Any, Any], path: str, *, cookies: Sequence[Cookie] = ()) -> Response[None]:
    """After a form: on to a page of ours, never anywhere else."""
    return Response(None, status_code=303, headers={**_HEADERS, "Location": url(request, path)}, cookies=list(cookies))


def bare(status: int, headers: dict[str, str] | None = None) -> Response[None]:
    """No page, its headers only. htmx takes 204 for "leave it as it is"."""
    return Response(None, status_code=status, headers={**_HEADERS, **(headers or {})}, media_type=MediaType.HTML)


def wanted_part(request: Request[Any, Any, Any]) -> str | None:
    """The id of the element that htmx will swap; None when the whole page is wanted."""
    if not is_htmx(request) or "hx-history-restore-request" in request.headers:
        return None
    return request.headers.get("hx-target")


def is_htmx(request: Request[Any, Any, Any]) -> bool:
    return request.headers.get("hx-request") == "true"


def is_for_person(request: Request[Any, Any, Any]) -> bool:
    """Whether a browser asks for a page, rather than a program for an answer."""
    return is_htmx(request) or "text/html" in request.headers.get("accept", "")


def _static_url(request: Request[Any, Any, Any], name: str) -> str:
    """
    Raises:
        KeyError: there is no such file, which a test shall find.
    """
    files = static.shipped()
    _ = files.files[name]
    return url(request, f"/static/{files.version}/{name}")
