"""`hub receipt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.ops import console

if TYPE_CHECKING:
    from app.gateway.desk.receipt_form import Document

_file = click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command()
@console.argument("call_id", required=False, metavar="[CALL]")
@console.option("--out", type=click.Path(dir_okay=False, writable=True), metavar="FILE", help="Write it to this file.")
@console.option("--verify", "checked_file", type=_file, metavar="FILE", help="Check the receipt in this file.")
@console.option("--key", metavar="KEY", help="With --verify: the fingerprint or public key that must have signed it.")
@console.option("--public-key", "shows_key", is_flag=True, help="Print the key that signs this hub's receipts.")
@console.json_option
def receipt(
    call_id: str | None, out: str | None, checked_file: str | None, key: str | None, shows_key: bool, as_json: bool
) -> None:
    """Print a signed receipt of what a call was charged, item by item, as JSON.

    --verify checks one anywhere: it opens no database and needs no hub. Exit code 1 says that it is not genuine or
    contradicts itself, and why.
    """
    if sum([call_id is not None, checked_file is not None, shows_key]) != 1:
        raise click.UsageError("Give either a CALL, or --verify FILE, or --public-key.")
    if checked_file is not None:
        _verify(checked_file, key, as_json=as_json)
    elif shows_key:
        _show_key(as_json=as_json)
    else:
        assert call_id is not None
        _issue(call_id, out)


def _issue(call_id: str, out: str | None) -> None:
    import msgspec

    from app.gateway.desk import receipts
    from app.ops import house

    settings = console.settings()

    async def work() -> Document:
        async with house.opened(settings) as hub:
            return await receipts.make(hub.db, hub.vault, call_id, settings.public_url)

    document = console.run(work())
    if out is None:
        console.print_json(document)
        return
    Path(out).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    console.say(f"Receipt of call {call_id}: {document.receipt.charge} credits, in {out}")


def _verify(file: str, key: str | None, *, as_json: bool) -> None:
    import sys

    from app.gateway.desk import receipt_form

    raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    found, told = receipt_form.check(raw, key)
    if as_json:
        console.print_json({"ok": True, "call": found.call.id, "charge_nano": found.charge_nano, "checked": told})
        return
    console.say(console.harmless(f"The receipt of call {found.call.id} over {found.charge} credits is good."))
    for sentence in told:
        console.say(console.harmless(f"- {sentence}"))


def _show_key(*, as_json: bool) -> None:
    import base64

    from app.base import signed
    from app.gateway.desk import receipts
    from app.ops import house

    async def work() -> bytes:
        async with house.opened(console.settings()) as hub:
            return await receipts.public_key(hub.db, hub.vault)

    public = console.run(work())
    shown = {
        "algorithm": signed.ALGORITHM,
        "public_key": base64.b64encode(public).decode(),
        "fingerprint": signed.fingerprint(public),
    }
    if as_json:
        console.print_json(shown)
    else:
        console.show_fields(list(shown.items()))
