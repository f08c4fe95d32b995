"""The door for everybody: signing in and out, and one's own account. What changes something must come from our own
pages."""

from __future__ import annotations

from litestar import Router

from app.web.guards import refuses_forgeries, requires_person
from app.web.portal.account import AccountController, ProofController
from app.web.portal.forgotten import ForgottenController
from app.web.portal.passwords import PasswordController
from app.web.portal.second_factor import SecondFactorController
from app.web.portal.sign_in import SignInController


def door() -> Router:
    entrance = Router(path="/", route_handlers=[SignInController, PasswordController, ForgottenController])
    account = Router(path="/account", route_handlers=[AccountController], guards=[requires_person])
    # Their guard lets in those who must set up a second factor before they see anything else.
    steps = Router(path="/account", route_handlers=[ProofController, SecondFactorController])
    return Router(path="/", route_handlers=[entrance, account, steps], guards=[refuses_forgeries])
