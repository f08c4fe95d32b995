"""Logging: structured events named `noun.verb`, JSON in production, readable in a terminal.

Ids are bound once per call. Fields whose name promises a secret are dropped, whoever passes them, and bodies are never
passed. Foreign libraries that use `logging` come through the same renderer at WARNING: httpx, for one, logs every URL.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from app.base.config import LogFormat

_SECRET_NAMES = frozenset(
    {"authorization", "api_key", "secret", "password", "token", "cookie", "body", "prompt", "answer", "headers"}
)

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure(log_format: LogFormat, level: str) -> None:
    """Set up both `structlog` and `logging`, once per process."""
    is_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_secrets,
    ]
    if is_json:
        structlog.configure(
            processors=[_to_json],
            wrapper_class=structlog.make_filtering_bound_logger(number),
            logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            processors=[*shared, _console(colors=sys.stderr.isatty())],
            wrapper_class=structlog.make_filtering_bound_logger(number),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
            cache_logger_on_first_use=True,
        )
    handler = logging.StreamHandler(sys.stderr)
    final: structlog.types.Processor = _render_json_text if is_json else _console(colors=False)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                final,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))


def _console(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    # The renderer's own traceback shows local variables, and with them keys and bodies.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def _drop_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _SECRET_NAMES.intersection(event):
        del event[name]
    return event


def _to_json(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    """All of `shared` and the rendering in one step: a line is written for every call."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, method, event)
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    line = {name: value for name, value in event.items() if name not in _SECRET_NAMES}
    line["level"] = method
    line["timestamp"] = f"{_second(seconds)}.{microseconds:06d}Z"
    return _encode(line)


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _render_json_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return _encode(event).decode()
