"""The door for the people who run the hub. Its locks hang here, so no page behind it can forget them."""

from __future__ import annotations

from litestar import Router

from app.web.admin.calls import CallsController
from app.web.admin.overview import OverviewController
from app.web.guards import refuses_forgeries, requires_admin


def door() -> Router:
    return Router(
        path="/",
        route_handlers=[OverviewController, CallsController],
        guards=[requires_admin, refuses_forgeries],
    )
