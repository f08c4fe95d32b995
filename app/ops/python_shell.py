"""A Python prompt inside the hub's event loop, so that `await` works in it."""

from __future__ import annotations

import ast
import asyncio
import code
import inspect
import types
from typing import Any

from app.base.config import Settings
from app.domain.calls import reports
from app.domain.catalog import credentials, deployments, providers, rates
from app.domain.identity import api_keys, teams, users
from app.ops import house

_MODULES = {
    "api_keys": api_keys,
    "credentials": credentials,
    "deployments": deployments,
    "providers": providers,
    "rates": rates,
    "reports": reports,
    "teams": teams,
    "users": users,
}


async def run(settings: Settings, text: str | None, banner: str) -> dict[str, Any]:
    """Run `text`, or ask until the end of the input; gives the variables as they are then."""
    async with house.opened(settings) as hub:
        # What is done in there tells the trail nothing by itself.
        async with hub.changing() as deed:
            deed.tell("shell.open", "hub", "hub", "hub", after={"interactive": text is None})
        variables: dict[str, Any] = {"hub": hub, **_MODULES}
        console = _AwaitingConsole(variables, asyncio.get_running_loop())
        if text is not None:
            compiled = compile(text, "<command>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            await console.run_here(compiled)
        else:
            await asyncio.to_thread(console.interact, banner, "")
        return variables


class _AwaitingConsole(code.InteractiveConsole):
    """Asks in a thread and runs what was typed on the loop."""

    def __init__(self, variables: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(variables)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._variables = variables
        self._loop = loop

    def runcode(self, code: types.CodeType) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self.run_here(code), self._loop).result()
        except SystemExit:
            raise
        except BaseException:  # as every prompt does: show it and ask again
            self.showtraceback()

    async def run_here(self, compiled: types.CodeType) -> None:
        """Run on this loop; code that awaits gives a coroutine."""
        result = types.FunctionType(compiled, self._variables)()
        if inspect.iscoroutine(result):
            await result
