"""Where somebody goes back to after signing in: a page of this hub, whatever the address said."""

from __future__ import annotations

import re

from app.web.mount_point import Connection

_MOST = 2000
_OWN = re.compile(r"/(?![/\\])[!#-;=?-\[\]-_a-z~|%]*")
_NEVER = ("/sign-in", "/sign-out", "/forgot-password", "/reset-password", "/static", "/v1", "/api")


def own(written: str) -> str:
    """The path of ours that this is, without the mount prefix; empty when it is none.

    Browsers read `//host`, `/\\host`, and the same with a tab or a line's end in it, as another host. So a path begins
    with one slash and is plain ASCII without white space, backslashes and empty or dotted steps.
    """
    if len(written) > _MOST or not _OWN.fullmatch(written):
        return ""
    path = re.split(r"[?#]", written, maxsplit=1)[0]
    steps = path.split("/")[1:]
    if "" in steps[:-1] or any(re.fullmatch(r"(\.|%2e){1,2}", step, re.I) for step in steps):
        return ""
    if re.search(r"%(00|0[9ad]|2f|5c)", path, re.I) or _is_no_page(path):
        return ""
    return written


def here(connection: Connection) -> str:
    """The page that was asked for, to come back to; empty when that would not show it again."""
    if connection.scope["method"] != "GET":  # pyright: ignore[reportGeneralTypeIssues]
        return ""
    query = connection.scope["query_string"].decode("latin-1")
    written = own(connection.scope["path"] + (f"?{query}" if query else ""))
    return "" if written == "/" else written


def _is_no_page(path: str) -> bool:
    return any(path == never or path.startswith(f"{never}/") for never in _NEVER)
