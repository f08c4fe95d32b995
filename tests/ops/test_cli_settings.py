"""`hub settings`: what an owner sets at run time."""

from __future__ import annotations

from tests.ops.conftest import HubCommand


def test_settings_are_listed_read_and_set(hub: HubCommand):
    usual = hub.json("settings", "list")
    assert (usual["billing"], usual["credit_price"], usual["markup"], usual["sell_below_cost"]) == (
        "off",
        "1",
        "0",
        "off",
    )

    assert hub.json("settings", "set", "billing", "credits") == {"name": "billing", "before": "off", "value": "credits"}
    assert hub("settings", "set", "markup", "20.0").stdout == "markup: 0 → 20\n"

    assert hub("settings", "get", "markup").stdout == "20\n"
    assert hub.json("settings", "list") == usual | {"billing": "credits", "markup": "20"}
    shown = hub("settings", "list").stdout
    assert "credits" in shown and "USD that one credit stands for." in shown


def test_a_value_below_zero_is_a_value_and_no_option(hub: HubCommand):
    hub("settings", "set", "markup", "--", "-10")

    assert hub.json("settings", "get", "markup") == {"name": "markup", "value": "-10"}


def test_what_is_no_setting_or_no_value_of_it_is_refused(hub: HubCommand):
    before = hub.json("settings", "list")

    assert "There is no setting" in hub("settings", "set", "bill", "cost", expect=1).stderr
    assert "There is no setting" in hub("settings", "get", "bill", expect=1).stderr
    assert "billing must be off, cost or credits." in hub("settings", "set", "billing", "free", expect=1).stderr

    assert hub.json("settings", "list") == before
