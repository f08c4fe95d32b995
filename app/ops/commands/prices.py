"""`hub prices diff|apply|import|refresh`: what providers charge, from price bundles. `what_if.py` has two more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from app.ops import console
from app.ops.commands import replay_table, what_if

if TYPE_CHECKING:
    from app.base.config import Settings
    from app.domain.catalog.bundle import Bundle
    from app.domain.catalog.bundle_changes import Change, Difference

_file_argument = console.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
_provider_option = console.option("--provider", "provider_name", metavar="NAME", help="Only what this provider serves.")
_replace_option = console.option(
    "--replace", is_flag=True, help="Also costs that were set by hand: in the hub's file or the console."
)


@click.group()
def prices() -> None:
    """What providers charge: compare the hub's rates with a price bundle, and take its costs over; look at prices.

    The hub comes with a bundle. `hub prices import` and `hub prices refresh` bring a newer one.
    """


prices.add_command(what_if.what_if)
prices.add_command(what_if.notices)


@prices.command()
@_file_argument
@_provider_option
@_replace_option
@console.json_option
def diff(file: str | None, provider_name: str | None, replace: bool, as_json: bool) -> None:
    """Show what `hub prices apply` would change.

    FILE is a price bundle; without it the hub's own is taken.
    """
    from app.domain.catalog import bundle_changes
    from app.ops import house

    settings = console.settings()
    chosen = _chosen(settings, file)

    async def work() -> Difference:
        async with house.opened(settings) as hub, hub.db.reading() as session:
            await _check_provider(session, provider_name)
            return await bundle_changes.diff(session, chosen, provider_name=provider_name, is_replacing=replace)

    found = console.run(work())
    if as_json:
        console.print_json({**_as_json(found), "is_applied": False})
    else:
        _print(found)


@prices.command()
@_file_argument
@_provider_option
@_replace_option
@console.option("--yes", "-y", is_flag=True, help="Do not ask.")
@console.json_option
def apply(file: str | None, provider_name: str | None, replace: bool, yes: bool, as_json: bool) -> None:
    """Take the costs of a price bundle over as rates; they count from the next call on.

    Prices that were set explicitly stay. Where the bundle's sources disagree, nothing is sold below the higher cost.
    """
    from app.base.errors import BadValue
    from app.domain.catalog import bundle_changes
    from app.ops import house

    settings = console.settings()
    chosen = _chosen(settings, file)

    async def work() -> tuple[Difference, bool]:
        async with house.opened(settings) as hub:
            async with hub.db.reading() as session:
                await _check_provider(session, provider_name)
                found = await bundle_changes.diff(session, chosen, provider_name=provider_name, is_replacing=replace)
            if not as_json:
                _print(found)
            if not found.changes:
                return found, False
            if not yes:
                if as_json or not console.is_terminal():
                    raise BadValue("Nothing was changed. Say --yes to take these costs over.", param="--yes")
                click.confirm("Take these costs over?", abort=True)
            async with hub.changing() as deed:
                done = await bundle_changes.apply(
                    deed.session, chosen, provider_name=provider_name, is_replacing=replace
                )
                after = {"provider": provider_name, "replace": replace, "rates": _costs(done)}
                deed.tell("prices.apply", "price_bundle", done.version, done.version, after=after)
            return done, True

    done, is_done = console.run(work())
    if as_json:
        console.print_json({**_as_json(done), "is_applied": is_done})
    elif is_done:
        console.say(f"Done: {_count(len(done.changes), 'rate')} added, as of the prices of {done.version}.")


@prices.command("import")
@console.argument("file", type=click.Path(exists=True, dir_okay=False))
@console.option("--sha256", metavar="HEX", help="What the file's SHA-256 must be.")
@console.json_option
def import_(file: str, sha256: str | None, as_json: bool) -> None:
    """Check the price bundle FILE and make it the one that the hub goes by.

    No rate changes before `hub prices apply`.
    """
    import hashlib
    import hmac

    from app.base.errors import BadValue
    from app.ops import house, price_bundles

    settings = console.settings()
    raw = Path(file).read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and not hmac.compare_digest(digest.encode(), sha256.strip().lower().encode()):
        raise BadValue(f"{file} is not the file that was meant: its SHA-256 is {digest}.", param="--sha256")

    async def work() -> Bundle:
        async with house.opened(settings) as hub, hub.changing() as deed:
            try:
                stored = price_bundles.store(settings, raw)
            except BadValue as fault:
                raise BadValue(f"{file}: {fault.sentence}") from None
            after = {"stored": f"sha256:{digest}", "rows": len(stored.rows)}
            deed.tell("prices.import", "price_bundle", stored.version, stored.version, after=after)
            return stored

    stored = console.run(work())
    if as_json:
        console.print_json({**_about(stored), "sha256": digest})
    else:
        _print_stored(stored)


@prices.command()
@console.json_option
def refresh(as_json: bool) -> None:
    """Fetch a price bundle from HUB_PRICES_URL. Whatever is wrong with it, the hub goes on with the one it has."""
    from app.ops import house, price_bundles

    settings = console.settings()

    async def work() -> tuple[Bundle, bool]:
        async with house.opened(settings) as hub:
            found, is_new = await price_bundles.refresh(settings)
            if is_new:
                async with hub.changing() as deed:
                    after = {"from": settings.prices_url, "rows": len(found.rows)}
                    deed.tell("prices.refresh", "price_bundle", found.version, found.version, after=after)
            return found, is_new

    found, is_new = console.run(work())
    if as_json:
        console.print_json({**_about(found), "is_new": is_new})
    elif is_new:
        _print_stored(found)
    else:
        console.say(f"Nothing new: the hub goes by the prices of {found.version}.")


def _chosen(settings: Settings, file: str | None) -> Bundle:
    from app.ops import price_bundles

    return price_bundles.current(settings) if file is None else price_bundles.read(Path(file))


async def _check_provider(session: Any, name: str | None) -> None:
    from app.base.errors import NotFound
    from app.domain.catalog import providers

    if name is not None and all(one.name != name for one in await providers.listed(session)):
        raise NotFound(f"There is no provider {name}.", param="--provider")


def _print(found: Difference) -> None:
    console.say(f"Prices of {found.version}, in US dollars per million tokens or characters, else per piece:")
    console.print_table(
        ["provider", "model", "meter", "when", "cost now", "new cost", ""],
        [
            [
                change.provider,
                change.model,
                change.meter,
                _when(change),
                _dollars(change.old_cost_nano),
                _dollars(change.new_cost_nano),
                _remark(change),
            ]
            for change in found.changes
        ],
        empty="No cost differs.",
    )
    for kept in found.kept:
        console.say(
            f"Kept: {kept.meter} of {kept.model} at {kept.provider} costs {_dollars(kept.cost_nano)} as {kept.source} "
            f"says, not {_dollars(kept.bundle_cost_nano)} (--replace takes that)."
        )
    strangers = [f"{one.model} at {one.provider}" for one in found.unmatched if not one.has_rates]
    if strangers:
        console.say(f"No price is known for: {', '.join(strangers)}.")


def _costs(found: Difference) -> list[str]:
    return [
        f"{change.meter} of {change.model} at {change.provider}: {_dollars(change.old_cost_nano) or 'none'} "
        f"→ {_dollars(change.new_cost_nano) or 'none'}"
        for change in found.changes
    ]


def _when(change: Change) -> str:
    words = replay_table.condition_words(change.condition)
    begins = "" if change.effective_from is None else f"from {change.effective_from:%Y-%m-%d} on"
    return ", ".join(filter(None, (words, begins)))


def _remark(change: Change) -> str:
    remarks: list[str] = []
    if change.why == "ended":
        remarks.append("no longer charged")
    if change.review_cost_nano is not None:
        remarks.append(f"sources disagree, up to {_dollars(change.review_cost_nano)}")
    if change.price_nano is not None:
        remarks.append("price stays")
    return "; ".join(remarks)


def _dollars(nano: int | None) -> str:
    from app.base.money import show_nano

    return "" if nano is None else show_nano(nano)


def _as_json(found: Difference) -> dict[str, Any]:
    from msgspec import to_builtins

    return to_builtins(found)


def _about(stored: Bundle) -> dict[str, Any]:
    from msgspec import to_builtins

    return {"version": stored.version, "rows": len(stored.rows), "sources": to_builtins(stored.sources)}


def _print_stored(stored: Bundle) -> None:
    told = ", ".join(f"{source.name} {source.version}" for source in stored.sources)
    console.say(f"The hub goes by the prices of {stored.version} now: {_count(len(stored.rows), 'row')} from {told}.")
    console.say("See what differs with: hub prices diff")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
