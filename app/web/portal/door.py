"""The door for everybody: signing in and out. What changes something must come from our own pages."""

from __future__ import annotations

from litestar import Router

from app.web.guards import refuses_forgeries
from app.web.portal.sign_in import SignInController


def door() -> Router:
    return Router(path="/", route_handlers=[SignInController], guards=[refuses_forgeries])
