"""Settings: read once from the environment, frozen, passed on. Every name is in `.env.example`.

A name that is misspelt does nothing quietly, so unknown `HUB_…` names are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeVar, cast

from msgspec import Struct

from app.base import addresses
from app.base.addresses import Network
from app.base.errors import BadValue
from app.base.secret import Secret

LogFormat = Literal["auto", "json", "console"]
LimitsOnFailure = Literal["open", "closed"]

MEBIBYTE = 1024 * 1024

FILE_PREFIXES = ("HUB_SECRET_", "HUB_KEY_")
"""Names that `hub export` puts in the place of secrets: values for `hub apply`, not settings."""

_Number = TypeVar("_Number", int, float)


class Settings(Struct, frozen=True, kw_only=True):
    data_dir: Path
    """Database, master key, lock files. Nothing else on the machine is written to."""
    database_url: Secret | None
    """`postgresql://user:password@host/name`; None is SQLite in the data folder."""
    host: str
    port: int
    workers: int
    mount_prefix: str
    """`""`, or a path such as `/hub` under which every page and endpoint is served as well."""
    public_url: str
    """Where people reach the hub, for links that leave it; `""` is the address that it listens on."""
    trusted_proxies: tuple[Network, ...]
    """Whose X-Forwarded-For is believed."""
    smtp_url: Secret | None
    """`smtp://user:password@host:port` or `smtps://…`; None: the hub mails nothing."""
    mail_from: str
    """The sender of its mails."""
    session_idle_hours: int
    """How long somebody stays signed in without opening a page."""
    session_days: int
    """How long at most."""
    master_key: Secret | None
    master_key_old: Secret | None
    """The key before this one, while `hub rotate-master-key` has not finished."""
    blocklet_app_ek: Secret | None
    blocklet_did: str
    metrics_token: Secret | None
    log_format: LogFormat
    log_level: str
    max_body_bytes: int
    fetch_private_addresses: bool
    """Whether URLs in requests may lead to this machine and to private networks: for development."""
    files_url: str
    """`s3://bucket/prefix` for the files that models make; `""` is a folder in the data folder."""
    files_keep_days: int
    """How long such a file, and the links to it, last."""
    prices_url: str
    """Where `hub prices refresh` fetches a price bundle; `""` is nowhere."""
    redis_url: Secret | None
    """`redis://:password@host:port/0`, where limits are counted for all processes; None: each counts for itself."""
    limits_on_failure: LimitsOnFailure
    """What becomes of calls while that does not answer: each process counts for itself, or they are refused."""
    max_in_flight: int
    """Calls at one time in one process; more are answered 503 with Retry-After."""
    shutdown_grace_seconds: float
    """How long running calls may finish after SIGTERM."""
    interrupt_grace_seconds: float
    """The same after SIGINT. Blocklet Server kills 1.6 s after it."""

    @property
    def is_blocklet(self) -> bool:
        """Whether Blocklet Server started this process."""
        return bool(self.blocklet_did)

    @property
    def sqlite_path(self) -> Path:
        return self.data_dir / "hub.db"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that the environment describes.

    Raises:
        BadValue: a value that cannot be, or a `HUB_` name that does not exist; the sentence names it.
    """
    reader = _Reader(environ)
    is_blocklet = bool(environ.get("BLOCKLET_DID"))
    settings = Settings(
        data_dir=Path(
            reader.text("HUB_DATA_DIR", environ.get("BLOCKLET_DATA_DIR") or "./data"),
        ).absolute(),
        database_url=reader.secret("DATABASE_URL"),
        host=reader.text("HUB_HOST", "127.0.0.1"),
        port=reader.number("HUB_PORT", environ.get("BLOCKLET_PORT") or 8080, low=0, high=65535),
        workers=reader.number("HUB_WORKERS", 1, low=1, high=64),
        mount_prefix=reader.pattern(
            "HUB_MOUNT_PREFIX", "", r"(/[A-Za-z0-9._~-]+)*", "a path such as /hub, no slash at its end"
        ),
        public_url=reader.pattern(
            "HUB_PUBLIC_URL",
            environ.get("BLOCKLET_APP_URL", "").rstrip("/"),
            r"(https?://[^\s]+[^/])?",
            "a URL such as https://hub.example.com, no slash at its end",
        ),
        # Blocklet Server is the only one that reaches a component, from this machine.
        trusted_proxies=reader.networks("HUB_TRUSTED_PROXIES", "127.0.0.0/8,::1/128" if is_blocklet else ""),
        smtp_url=reader.secret_address(
            "HUB_SMTP_URL",
            r"smtps?://([^\s:@/]+:[^\s:@/]*@)?[A-Za-z0-9._-]+(:\d{1,5})?/?",
            "a URL such as smtps://user:password@mail.example.com, with %40 for an @ in the password",
        ),
        mail_from=reader.pattern(
            "HUB_MAIL_FROM", "", r"([^\r\n<>@]*<[^@\s<>]+@[^@\s<>]+>|[^@\s<>]+@[^@\s<>]+)?", "an e-mail address"
        ),
        session_idle_hours=reader.number("HUB_SESSION_IDLE_HOURS", 12, low=1, high=24 * 365),
        session_days=reader.number("HUB_SESSION_DAYS", 30, low=1, high=365),
        master_key=reader.secret("HUB_MASTER_KEY"),
        master_key_old=reader.secret("HUB_MASTER_KEY_OLD"),
        blocklet_app_ek=reader.secret("BLOCKLET_APP_EK"),
        blocklet_did=environ.get("BLOCKLET_DID", ""),
        metrics_token=reader.secret("HUB_METRICS_TOKEN"),
        log_format=cast(
            LogFormat, reader.pattern("HUB_LOG_FORMAT", "auto", "auto|json|console", "auto, json or console")
        ),
        log_level=reader.pattern("HUB_LOG_LEVEL", "info", "debug|info|warning|error", "debug, info, warning or error"),
        max_body_bytes=reader.number("HUB_MAX_BODY_BYTES", 32 * MEBIBYTE, low=1024, high=1024 * MEBIBYTE),
        fetch_private_addresses=reader.flag("HUB_FETCH_PRIVATE_ADDRESSES"),
        files_url=reader.pattern(
            "HUB_FILES_URL", "", r"(s3://[A-Za-z0-9._-]+(/[^\s]*)?)?", "an address such as s3://bucket/prefix"
        ),
        files_keep_days=reader.number("HUB_FILES_KEEP_DAYS", 7, low=1, high=3650),
        prices_url=reader.pattern(
            "HUB_PRICES_URL", "", r"(https?://[^\s]+)?", "a URL such as https://example.com/prices.json"
        ),
        redis_url=reader.secret_address(
            "HUB_REDIS_URL", r"(rediss?|valkeys?)://[^\s]+", "a URL such as redis://:password@host:6379/0"
        ),
        limits_on_failure=cast(
            LimitsOnFailure, reader.pattern("HUB_LIMITS_ON_FAILURE", "open", "open|closed", "open or closed")
        ),
        max_in_flight=reader.number("HUB_MAX_IN_FLIGHT", 2000, low=1, high=100_000),
        shutdown_grace_seconds=reader.seconds("HUB_SHUTDOWN_GRACE_SECONDS", 30.0),
        interrupt_grace_seconds=reader.seconds("HUB_INTERRUPT_GRACE_SECONDS", 1.4 if is_blocklet else 5.0),
    )
    reader.refuse_unknown()
    _check_mail(settings)
    return settings


def _check_mail(settings: Settings) -> None:
    if settings.smtp_url is None:
        return
    if not settings.mail_from:
        raise BadValue("HUB_SMTP_URL needs HUB_MAIL_FROM, the address that mails come from.", param="HUB_MAIL_FROM")
    # The address that a browser says could be anybody's; a link in a mail is followed with trust.
    if not settings.public_url:
        raise BadValue("HUB_SMTP_URL needs HUB_PUBLIC_URL, for the links in mails.", param="HUB_PUBLIC_URL")


class _Reader:
    """Takes values out of an environment, with the name in every complaint."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._known: set[str] = set()

    def text(self, name: str, default: str) -> str:
        self._known.add(name)
        return self._environ.get(name, "").strip() or default

    def secret(self, name: str) -> Secret | None:
        text = self.text(name, "")
        return Secret(text) if text else None

    def secret_address(self, name: str, pattern: str, wanted: str) -> Secret | None:
        """An address with a password in it: no sentence repeats it."""
        given = self.secret(name)
        if given is not None and not re.fullmatch(pattern, given.reveal()):
            raise BadValue(f"{name} must be {wanted}.", param=name)
        return given

    def pattern(self, name: str, default: str, pattern: str, wanted: str) -> str:
        text = self.text(name, default)
        if not re.fullmatch(pattern, text):
            raise BadValue(f'{name} is "{text}"; it must be {wanted}.', param=name)
        return text

    def networks(self, name: str, default: str) -> tuple[Network, ...]:
        listed = [text.strip() for text in self.text(name, default).split(",") if text.strip()]
        try:
            return tuple(addresses.network(text) for text in listed)
        except BadValue as refusal:
            raise BadValue(f"{name}: {refusal.sentence}", param=name) from None

    def flag(self, name: str) -> bool:
        """Off where nothing is said."""
        return self.pattern(name, "0", "0|1", "0 or 1") == "1"

    def number(self, name: str, default: int | str, *, low: int, high: int) -> int:
        return self._between(name, self.text(name, str(default)), int, low, high)

    def seconds(self, name: str, default: float) -> float:
        return self._between(name, self.text(name, str(default)), float, 0, 3600)

    def _between(self, name: str, text: str, read: Callable[[str], _Number], low: float, high: float) -> _Number:
        try:
            value = read(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise BadValue(f'{name} is "{text}"; it must be a number from {low} to {high}.', param=name)
        return value

    def refuse_unknown(self) -> None:
        unknown = sorted(
            name
            for name in self._environ
            if name.startswith("HUB_") and not name.startswith(FILE_PREFIXES) and name not in self._known
        )
        if unknown:
            raise BadValue(
                f"There is no setting {unknown[0]}. The settings are listed in .env.example.", param=unknown[0]
            )
