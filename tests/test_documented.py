"""The papers say what the code does: README, .env.example, hub.example.yaml, CHANGELOG."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import rich_click as click
import yaml
from msgspec.structs import asdict

from app.adapters.providers.registry import KINDS
from app.asgi import create_app
from app.base import errors
from app.base.config import FILE_PREFIXES, read_settings
from app.base.errors import AppError
from app.ops import apply, cli, house, key_file
from app.ops.hub_file import SECTIONS
from app.web.api import routes
from app.wire.openai.endpoints import ENDPOINTS
from tests.ops.hub_files import applied, everything

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()
HUB_EXAMPLE = (ROOT / "hub.example.yaml").read_text()

_PAPERS = ("README.md", "DECISIONS.md", "CHANGELOG.md", "SECURITY.md", "bench/README.md")


class _Asked(dict[str, str]):
    """An empty environment that remembers for which names it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return default


def _examples() -> dict[str, str]:
    """Name → value of every line of .env.example that sets one, all of which are commented out."""
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", ENV_EXAMPLE, re.MULTILINE))


def _provider_names() -> set[str]:
    return {name for kind in KINDS.values() for name in kind.environment} | {"AWS_REGION", "AWS_DEFAULT_REGION"}


def _code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def _table(first_heading: str) -> list[list[str]]:
    """The rows of the README's table whose first column has this heading."""
    lines = README.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first_heading} |"))
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def _code_words(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _leaves(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _leaves(found, f"{path} {name}")
    else:
        yield path


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    asked = _Asked()
    read_settings(asked)

    assert set(_examples()) == asked.names | _provider_names()


def test_the_example_gives_the_defaults() -> None:
    settings = {name: value for name, value in _examples().items() if name not in _provider_names()}
    assert asdict(read_settings(settings)) == asdict(read_settings({}))

    for field, default in asdict(read_settings({})).items():
        name = field.upper() if field.upper() in settings else f"HUB_{field.upper()}"
        assert bool(settings[name]) == (default not in (None, "", ())), f"{name} must show its default, and only that."


def test_every_setting_is_explained() -> None:
    above = ""
    for line in ENV_EXAMPLE.splitlines():
        assert not re.match(r"#[A-Z][A-Z0-9_]*=", line) or above.startswith("#"), f"Nothing explains {line}"
        above = line
    assert all(prefix in ENV_EXAMPLE for prefix in FILE_PREFIXES)


async def test_the_example_of_a_hub_file_can_be_applied_and_then_changes_nothing(hub_environ: dict[str, str]) -> None:
    names = set(re.findall(r"env:([A-Z][A-Z0-9_]*)", HUB_EXAMPLE)) - {"NAME"}
    environ = {name: f"dummy-{name.lower()}-0123456789abcdef0123456789" for name in names}

    async with house.opened(read_settings(hub_environ)) as hub:
        assert await applied(hub, HUB_EXAMPLE, environ=environ)
        assert await applied(hub, HUB_EXAMPLE, environ=environ, prune=True) == []
        empty = {table for table, rows in (await everything(hub)).items() if not rows}

    assert not empty & {
        "provider",
        "credential",
        "model",
        "model_alias",
        "deployment",
        "rate",
        "team",
        "api_key",
        "budget",
        "limit_rule",
    }


def test_the_example_of_a_hub_file_shows_every_section_kind_and_field() -> None:
    shown = yaml.safe_load(HUB_EXAMPLE)

    assert sorted(shown) == sorted(SECTIONS)
    assert set(KINDS) - {provider["kind"] for provider in shown["providers"]} == {"demo"}
    keys = [key for team in shown["teams"] for key in team.get("keys", ())]
    for entries, fields in (
        (shown["providers"], {"name", "kind", "base_url", "region", "enabled", "markup", "credentials"}),
        (shown["models"], {"model", "type", "aliases", "routes", "cost", "price", "rates"}),
        (shown["teams"], {"name", "keep_content_days", "credits", "markup", "members", "keys"}),
        (keys, set(key_file.FIELDS)),
        (
            shown["budgets"],
            {"scope", "of", "amount", "unit", "window", "timezone", "warn", "block", "note"},
        ),
        (shown["limits"], {"scope", "of", "each", "amount", "unit", "per", "note"}),
    ):
        assert {field for entry in entries for field in entry} == fields
    listed = re.search(r"# kind is one of: (.*)\.", HUB_EXAMPLE)
    assert listed is not None and set(listed[1].split()) == set(KINDS)


async def test_the_readmes_hub_files_can_be_applied(hub_environ: dict[str, str]) -> None:
    blocks = _code_blocks("yaml")
    assert blocks
    environ = dict.fromkeys(("OPENAI_API_KEY", "ACME_KEY"), "dummy-0123456789abcdef0123456789abcdef")
    async with house.opened(read_settings(hub_environ)) as hub:
        for block in blocks:
            draft = await apply.prepare(hub, block.encode(), "README", environ=environ, kinds=KINDS, is_pruning=False)
            assert draft.plan.changes


def test_the_readme_lists_the_endpoints() -> None:
    rows = _table("method")
    assert rows.pop()[:2] == ["GET", "`/v1/models`, `/v1/models/{id}`"]
    assert rows == [
        [
            "POST",
            f"`/v1{endpoint.path}`",
            ", ".join(endpoint.model_types),
            {"json": "JSON", "multipart": "form", "either": "JSON or form"}[endpoint.body],
            "yes" if endpoint.can_stream or endpoint.is_binary else "no",
        ]
        for endpoint in ENDPOINTS
    ]


def test_the_readme_lists_the_paths_of_aigne() -> None:
    listed = {path for row in _table("AIGNE path") for path in _code_words(row[0])}
    calls = {path for path in routes.CALLS if path.startswith("/api/")}
    lists = [row.pattern for row in routes.RESOURCES if row.pattern.pattern.startswith(("/api/", "/__"))]

    assert {path for path in calls if "/sdk/" not in path} <= listed
    for pattern in lists:
        assert any(pattern.fullmatch(path) for path in listed), pattern
    for path in listed - calls:
        assert any(pattern.fullmatch(path) for pattern in lists), path


def test_the_readme_lists_every_path_of_the_doors_for_programs() -> None:
    named = set(re.findall(r"`(/[^` ]+)`", README))
    # An id stands in for what is in braces.
    examples = {re.sub(r"\{[^}]+\}", "0" * 32, path) for path in named}
    rows = (*routes.CALL_PATTERNS, *routes.RESOURCES)

    assert {path for path in routes.CALLS if "/sdk/" not in path} <= named
    assert [row.pattern.pattern for row in rows if not any(row.pattern.fullmatch(path) for path in examples)] == []


def test_the_readme_lists_the_pages_that_need_no_account(hub_environ: dict[str, str]) -> None:
    served = {route.path for route in create_app(read_settings(hub_environ)).app.routes}
    listed = {_code_words(row[0])[0] for row in _table("path")}
    assert listed <= served


def test_the_readme_lists_the_commands_and_says_what_they_are_for() -> None:
    rows = _table("command")
    assert sorted(_code_words(row[0])[0] for row in rows) == sorted(_leaves(cli.hub, "hub"))
    assert all(row[1] for row in rows)
    # CHANGELOG names the groups.
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert all(re.search(rf"\b{name}\b", changes) for name in cli.Hub().list_commands(click.Context(cli.hub)))


def test_the_readme_lists_the_errors_of_the_code() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    rows = _table("status")
    listed = {code: (row[0].split(", "), row[2]) for row in rows for code in _code_words(row[1])}

    assert [code for code in listed if f'"{code}"' not in sources] == []
    # Base classes, and what the pages and commands alone use.
    unlisted = {"internal_error", "bad_value", "not_allowed", "not_found", "provider_error"}
    for _, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, AppError) and error.code not in unlisted:
            statuses, owner = listed[error.code]
            assert str(error.status) in statuses and owner == error.owner, error


def test_the_readme_names_the_headers_of_the_code() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py")).lower()
    headers = [_code_words(row[0])[0] for row in _table("header")]
    assert [name for name in headers if f'b"{name.lower()}"' not in sources] == []
    assert sorted(set(re.findall(r'b"(x-hub-[a-z-]+)"', sources))) == sorted(
        n for n in headers if n.startswith("x-hub-")
    )


def test_the_readme_names_every_provider() -> None:
    first_screen = " ".join(README.split("\n## ")[0].split())
    for kind in KINDS.values():
        if kind.name not in ("custom", "demo"):
            assert kind.title.partition(" (")[0] in first_screen


@pytest.mark.parametrize("paper", _PAPERS)
def test_what_a_paper_tells_people_to_make_exists(paper: str) -> None:
    targets = set(re.findall(r"^\.PHONY: (\w+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    # In code alone: the word is a common verb.
    outside = re.split(r"^```.*$", (ROOT / paper).read_text(), flags=re.MULTILINE)
    code = [*outside[1::2], *(word for text in outside[::2] for word in _code_words(text))]
    code += re.findall(r"^ {4}(.*)$", "".join(outside[::2]), re.MULTILINE)
    told = {target for text in code for target in re.findall(r"^make ([a-z]+)", text, re.MULTILINE)}
    assert told <= targets and (told or paper != "README.md")


@pytest.mark.parametrize("paper", _PAPERS)
def test_what_a_paper_links_to_exists(paper: str) -> None:
    text = (ROOT / paper).read_text()
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings
        elif "://" not in target:
            assert (ROOT / paper).parent.joinpath(target).exists(), target
    for named in re.findall(r"`((?:app|migrations|tests|bench)/[\w/.]+)`", text):
        assert (ROOT / named).exists(), named


def test_a_decision_says_what_why_at_what_cost_and_what_else() -> None:
    for decision in (ROOT / "DECISIONS.md").read_text().split("\n## ")[1:]:
        words = re.findall(r"^\*\*(\w+)\.\*\*", decision, re.MULTILINE)
        assert words == ["What", "Why", "Cost", "Weighed"], decision.splitlines()[0]


def test_the_version_is_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert metadata.version("aigne-hub-py") == version
    assert newest is not None and newest[1] == version
