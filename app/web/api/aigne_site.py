"""`/__blocklet__.js`: by which AIGNE's clients find the hub before every call.

They ask the address that they were given for its components and go on to the mount point of the one with AIGNE Hub's
DID. On Blocklet Server that server answers in our place.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from app.web.api.aigne_query import Query, encode
from app.web.api.visit import Visit

COMPONENT_DID = "z8ia3xzq2tMq8CRHfaXj1BTYJyYnEcHbqP8cJ"
"""AIGNE Hub's, as the clients have it built in."""


async def answer(visit: Visit) -> None:
    """JSON with `type=json`, else a script that sets `window.blocklet` as Blocklet Server's does."""
    address = visit.address_of_hub()
    mount_point = urlsplit(address).path or "/"
    component = {"did": COMPONENT_DID, "mountPoint": mount_point, "title": "AIGNE Hub", "name": "ai-kit"}
    site = encode(
        {
            "appName": "AIGNE Hub",
            "appUrl": address.removesuffix(mount_point) if mount_point != "/" else address,
            "prefix": mount_point,
            "componentMountPoints": [component],
        }
    )
    if Query(visit).text("type") == "json":
        await visit.answer(site)
    else:
        await visit.answer(b"window.blocklet = " + site + b";\n", content_type=b"application/javascript; charset=utf-8")
