"""A hub in this process, and browsers that look at its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from litestar import Litestar

from app.asgi import create_app
from app.base.config import Settings, read_settings
from app.base.db import Database
from app.base.secret import Secret
from app.base.vault import Vault
from app.domain.catalog import credentials, deployments, providers
from app.domain.identity import hub_secrets, links, users
from app.domain.identity.users import HubRole
from app.gateway.gateway import Gateway
from app.ops.house import House
from app.web.mount_point import MountPoint

PROVIDER_SECRET = "sk-live-0123456789-nobody-shall-see-this-one"
ADDRESS = "http://hub.test"


@dataclass
class Hub:
    """Runs while its context is open."""

    app: MountPoint
    settings: Settings
    pepper: bytes

    @property
    def litestar(self) -> Litestar:
        return self.app.app

    @property
    def db(self) -> Database:
        return self.litestar.state.db

    @property
    def gateway(self) -> Gateway:
        return self.litestar.state.gateway

    @property
    def vault(self) -> Vault:
        return self.gateway.shared.vault

    @property
    def house(self) -> House:
        return House(self.settings, self.db, self.vault, self.pepper)

    def browser(self, address: str = ADDRESS, client: tuple[str, int] = ("192.0.2.7", 50_000)) -> httpx.AsyncClient:
        """A browser of its own, with its own cookies; it says where its requests come from, as browsers do."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False, client=client),
            base_url=address,
            headers={"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "same-origin"},
        )

    async def link(self, email: str = "ada@example.com", role: HubRole = "owner") -> str:
        """The path of a one-time link for somebody in that role."""
        async with self.db.writing() as session:
            user = await users.ensure(session, email, role)
            return f"/sign-in/{(await links.create(session, user.id)).reveal()}"

    async def signed_in(self, email: str = "ada@example.com", role: HubRole = "owner") -> httpx.AsyncClient:
        browser = self.browser()
        answer = await browser.post(await self.link(email, role))
        assert answer.status_code == 303, answer.text
        return browser

    async def add_provider(self, name: str = "openai", label: str = "main", secret: str = PROVIDER_SECRET) -> str:
        """A provider with a credential and a model; gives the credential's id."""
        async with self.db.writing() as session:
            provider = await providers.add(session, name=name, kind="openai")
            credential = await credentials.add(
                session,
                self.vault,
                self.pepper,
                provider_id=provider.id,
                label=label,
                parts={"secret": Secret(secret)},
            )
            model = await deployments.add_model(session, name=f"{name}/tiny", type="chat")
            await deployments.add(session, model_id=model.id, provider_id=provider.id, upstream_model="tiny-1")
        await self.gateway.snapshots.refresh()
        return credential.id


@asynccontextmanager
async def opened(environ: Mapping[str, str], **settings: str) -> AsyncIterator[Hub]:
    """`settings` are those of the environment, such as `HUB_MOUNT_PREFIX`."""
    read = read_settings({**environ, **settings})
    app = create_app(read)
    async with app.app.lifespan():
        db: Database = app.app.state.db
        async with db.writing() as session:
            pepper = await hub_secrets.prepare(session, app.app.state.gateway.shared.vault)
        yield Hub(app, read, pepper)


def csrf_token(page: httpx.Response) -> str:
    """The token in the forms of this page."""
    return page.text.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]


def part(target: str) -> dict[str, Any]:
    """The headers with which htmx asks for what it swaps into the element of this id."""
    return {"HX-Request": "true", "HX-Target": target, "Accept": "*/*"}
