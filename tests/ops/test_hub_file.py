"""The file is refused with line and path of everything that is wrong with it, and with nothing secret."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.adapters.providers.registry import KINDS
from app.base.money import NANO
from app.ops import hub_file, hub_state
from app.ops.hub_file import HubFile, PriceItem
from app.ops.hub_state import ModelState, ProviderState, State
from app.ops.marked_yaml import FileRefused
from tests.ops.hub_files import ENVIRON, FULL, KEY_SECRET, OPENAI_SECRET


def read(text: str | bytes, *, state: State = hub_state.EMPTY, prune: bool = False) -> HubFile:
    raw = text.encode() if isinstance(text, str) else text
    return hub_file.read(raw, "hub.yaml", environ=ENVIRON, kinds=KINDS, state=state, is_pruning=prune)


def faults(text: str | bytes, *, state: State = hub_state.EMPTY, prune: bool = False) -> list[str]:
    with pytest.raises(FileRefused) as refused:
        read(text, state=state, prune=prune)
    assert all(str(fault) in refused.value.sentence for fault in refused.value.faults)
    return [str(fault) for fault in refused.value.faults]


def test_the_file_of_the_documentation_is_read():
    file = read(FULL)

    assert file.billing == "off"
    assert file.providers is not None and file.models is not None and file.teams is not None
    openai, aws, local = file.providers
    assert openai.base_url == "https://api.openai.com/v1"
    assert openai.credentials is not None and openai.credentials[0].parts["secret"].reveal() == OPENAI_SECRET
    assert openai.credentials[0].weight == 70
    assert aws.region == "us-east-1" and aws.credentials is not None
    assert list(aws.credentials[0].parts) == ["access_key_id", "secret_access_key"]
    assert local.credentials is None
    mini, image = file.models
    assert mini.aliases == ("gpt-4o-mini", "mini")
    assert mini.cost_nano_by_meter == {"input": 150_000_000, "cache_read": 75_000_000, "output": 600_000_000}
    assert mini.price == PriceItem(2000, {})
    assert image.price == PriceItem(None, {"images": 50_000_000})
    acme, research = file.teams
    assert acme.members == {"a@example.com": "admin", "b@example.com": "member"}
    assert acme.credits_nano == 100 * NANO
    assert acme.keys is not None and acme.keys[0].secret.reveal() == KEY_SECRET
    assert acme.keys[0].terms.expires_at == datetime(2099, 2, 1, tzinfo=UTC)
    assert research.members is None and research.keys is None


def test_the_same_as_json_indented_with_tabs_is_read():
    document = {
        "billing": "off",
        "providers": [{"name": "x", "kind": "custom", "base_url": "http://127.0.0.1:9/v1"}],
        "teams": [{"name": "smile 😀 tab\t", "credits": 5}],
    }
    text = json.dumps(document, indent="\t")
    assert "\\ud83d" in text

    assert faults(text) == [
        "hub.yaml:12: teams[0].name: A name has 1 to 200 characters, none of them a control character, "
        "and no space at either end."
    ]
    file = read(text.replace(" tab\\t", ""))
    assert file.teams is not None and file.teams[0].name == "smile 😀"


@pytest.mark.parametrize("written", ["off", "Off", '"off"', "'off'"])
def test_billing_off_is_off_though_yaml_reads_a_boolean(written: str):
    assert read(f"billing: {written}").billing == "off"


@pytest.mark.parametrize("written", ["on", "true", "false", "no", "yes", "0", "free", "[off]", "~", '"Off"'])
def test_other_words_for_billing_are_refused(written: str):
    assert faults(f"billing: {written}") == ["hub.yaml:1: billing: billing must be off, cost or credits."]


def model(rest: str) -> str:
    return f"models:\n  - {{model: m, type: chat, {rest}}}\n"


def routed(rest: str) -> str:
    return PROVIDER + f"models:\n  - model: m\n    type: chat\n    routes: [{{{rest}}}]\n"


def team(rest: str) -> str:
    return f"teams:\n  - {{name: a, {rest}}}\n"


def key(rest: str) -> str:
    return f"teams:\n  - name: a\n    keys: [{{name: ci, {rest}}}]\n"


PROVIDER = "providers:\n  - {name: openai, kind: openai}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ":1: the file is empty."),
        ("# nothing\n", ":1: the file is empty."),
        (
            "- a\n",
            ":1: this must be a mapping with the keys billing, settings, providers, models, teams, budgets, limits, ",
        ),
        ("billing: cost\nbilling: off\n", ":2: billing: this key is here twice; the first is in line 1."),
        ("billing: cost\nproviders: {\n", ":3: this is not YAML: "),
        ("billing: cost\n\tproviders: []\n", ":2: this is not YAML: "),
        ("billing: cost\n---\nbilling: off\n", ":2: the file must be one document"),
        ("\nproviders: &all []\n", ":2: anchors (&name) are not read"),
        ("providers: []\nmodels: *all\n", ":2: aliases (*name) are not read"),
        ("billing: !!str off\n", ":1: tags (!name) are not read"),
        ("billing: !foo!bar off\n", ":1: this is not YAML: found undefined tag handle a piece of it."),
        (b"billing: cost\nteams: [{name: \xff}]\n", ":2: the file is not UTF-8."),
        ("billing: cost\nteams: [{name: '\x07'}]\n", ":2: the character #x0007 is not allowed in YAML."),
        ("a: " + "[" * 21 + "]" * 21, ":1: nested more than 20 levels deep."),
        ("a: " + "[" * 100_000, ":1: nested more than 20 levels deep."),
        ("billing: cost\n<<: {a: b}\n", ":2: <<: merge keys are not read; write the values out."),
        ("providers:\n", ":1: providers: this must be a list, not nothing. Write [] for an empty one."),
        ("provider: []\n", ':1: provider: there is no such key here. Did you mean "providers"?'),
        (
            "providers:\n  - name: openai\n    kind: openai\n    colour: red\n",
            ":4: providers[0].colour: there is no such key here. "
            "Known here: name, kind, base_url, region, enabled, markup, credentials.",
        ),
        (
            "providers: [openai]\n",
            ":1: providers[0]: this must be a mapping with the keys name, kind, base_url, region",
        ),
        ("providers:\n  - name: a\n", ":2: providers[0]: the key kind is missing."),
        ("providers:\n  - kind: openai\n", ":2: providers[0]: the key name is missing."),
        (
            "providers:\n  - name: a\n    kind: opnai\n",
            ':3: providers[0].kind: there is no kind "opnai". Did you mean "openai"?',
        ),
        ("providers:\n  - {name: Open AI, kind: openai}\n", ":2: providers[0].name: A provider's name has 1 to 63"),
        ("providers:\n  - {name: no, kind: openai}\n", ":2: providers[0].name: YAML reads this as yes or no;"),
        ("providers:\n  - {name: 1, kind: openai}\n", ":2: providers[0].name: YAML reads this as a number;"),
        ("providers:\n  - {name: {}, kind: openai}\n", ":2: providers[0].name: this must be text, not a mapping."),
        (
            PROVIDER + "  - {name: openai, kind: xai}\n",
            ":3: providers[1].name: this provider is here already, in line 2.",
        ),
        ("providers:\n  - {name: a, kind: custom}\n", ":2: providers[0]: a provider of kind custom needs a base_url."),
        ("providers:\n  - {name: a, kind: bedrock}\n", ":2: providers[0]: a provider of kind bedrock needs a region"),
        ("providers:\n  - {name: a, kind: xai, region: eu}\n", ":2: providers[0].region: only bedrock has regions"),
        ("providers:\n  - {name: a, kind: bedrock, region: US East}\n", ":2: providers[0].region: A region is small"),
        ("providers:\n  - {name: a, kind: xai, enabled: 1}\n", ":2: providers[0].enabled: this must be true or false."),
        (
            "providers:\n  - name: a\n    kind: openai\n    credentials:\n      - label: x\n",
            ":5: providers[0].credentials[0]: a credential of kind openai has secret.",
        ),
        (
            "providers:\n  - name: a\n    kind: bedrock\n    region: eu-1\n    credentials: [{access_key_id: A}]\n",
            ":5: providers[0].credentials[0]: a credential of kind bedrock has access_key_id and secret_access_key "
            "(session_token if need be), or api_key.",
        ),
        (
            "providers:\n  - name: a\n    kind: openai\n    credentials: [{api_key: sk-1}]\n",
            ":4: providers[0].credentials[0].api_key: there is no such key here. Known here: label, weight, secret.",
        ),
        (
            "providers:\n  - name: a\n    kind: openai\n    credentials: [{secret: a}, {secret: b}]\n",
            ":4: providers[0].credentials[1]: this label is here already, in line 4.",
        ),
        (
            "providers:\n  - name: a\n    kind: openai\n    credentials:\n      - secret: env:NOT_THERE\n",
            ":5: providers[0].credentials[0].secret: the environment has no NOT_THERE, or it is empty.",
        ),
        (
            "providers:\n  - name: a\n    kind: openai\n    credentials: [{secret: s, weight: 1.5}]\n",
            ":4: providers[0].credentials[0].weight: this must be a whole number from 0 to 1000000.",
        ),
        (
            "models:\n  - model: x\n    type: chatt\n",
            ':3: models[0].type: "chatt" is not possible. Did you mean "chat"?',
        ),
        ("models:\n  - {model: x}\n", ":2: models[0]: the key type is missing."),
        ("models:\n  - {model: 'a b', type: chat}\n", ":2: models[0].model: A model's name has 1 to 200 characters"),
        (
            "models:\n  - {model: x, type: chat}\n  - {model: x, type: chat}\n",
            ":3: models[1].model: this name of a model, or alias, is here already, in line 2.",
        ),
        (
            "models:\n  - {model: x, type: chat, aliases: [y]}\n  - {model: y, type: chat}\n",
            ":2: models[0].aliases[0]: this name of a model, or alias, is here already, in line 3.",
        ),
        (
            "models:\n  - {model: x, type: chat, aliases: [z]}\n  - {model: y, type: chat, aliases: [z]}\n",
            ":3: models[1].aliases[0]: this name of a model, or alias, is here already, in line 2.",
        ),
        (
            PROVIDER + "models:\n  - model: m\n    type: chat\n"
            "    routes:\n      - provider: opnai\n        upstream_model: m\n",
            ':7: models[0].routes[0].provider: there is no provider "opnai". Did you mean "openai"?',
        ),
        (
            routed("provider: openai"),
            ":6: models[0].routes[0]: the key upstream_model is missing.",
        ),
        (
            PROVIDER
            + "models:\n  - model: m\n    type: chat\n    routes:\n"
            + "      - {provider: openai, upstream_model: m}\n" * 2,
            ":8: models[0].routes[1]: this route is here already, in line 7.",
        ),
        (
            routed("provider: openai, upstream_model: m, weight: 010"),
            ":6: models[0].routes[0].weight: this must be a whole number",
        ),
        (
            routed("provider: openai, upstream_model: m, priority: -1"),
            ":6: models[0].routes[0].priority: this must be a whole number",
        ),
        (
            "models:\n  - model: m\n    type: chat\n    cost: {input: 0.15}\n",
            ':4: models[0].cost.input: a number with a point is read as a float; write it as text: "0.15".',
        ),
        (model("cost: {input: '1e3'}"), ':2: models[0].cost.input: "1e3" is not an amount.'),
        (model("cost: {input: '-1'}"), ":2: models[0].cost.input: this must be zero or more."),
        (model("cost: {input: 1_000}"), ":2: models[0].cost.input: this must be a number written"),
        (model("cost: {input: true}"), ":2: models[0].cost.input: this must be a number written"),
        (model("cost: {inptu: '1'}"), ':2: models[0].cost.inptu: there is no such key here. Did you mean "input"?'),
        (model("cost: {reasoning: '1'}"), ":2: models[0].cost.reasoning: there is no such key here."),
        (model("cost: {input: '99999999999'}"), ':2: models[0].cost.input: "99999999999" is not'),
        (
            model("price: {markup_percent: '20', input: '1'}"),
            ":2: models[0].price: a price is either markup_percent or explicit units, not both.",
        ),
        (model("price: {markup_percent: 12.5}"), ":2: models[0].price.markup_percent: a number with a point"),
        (model("price: {markup_percent: '-101'}"), ":2: models[0].price.markup_percent: this must be a percentage"),
        (model("price: {markup_percent: 'x'}"), ':2: models[0].price.markup_percent: "x" is not a percentage.'),
        ("teams:\n  - {}\n", ":2: teams[0]: the key name is missing."),
        ("teams:\n  - {name: a}\n  - {name: a}\n", ":3: teams[1].name: this team is here already, in line 2."),
        (team("keep_content_days: 366"), ":2: teams[0].keep_content_days: this must be a whole number from 0 to 365."),
        (
            team("credits: 1.5"),
            ':2: teams[0].credits: a number with a point is read as a float; write it as text: "1.5".',
        ),
        (team("credits: -5"), ":2: teams[0].credits: this must be zero or more."),
        (team("members: [{email: nobody}]"), ':2: teams[0].members[0].email: "nobody" is not an e-mail address.'),
        (team("members: [{email: a@b, role: boss}]"), ':2: teams[0].members[0].role: "boss" is not possible.'),
        (team("members: [{email: a@b}, {email: A@B}]"), ":2: teams[0].members[1].email: this address is here already"),
        ("teams:\n  - name: a\n    keys:\n      - name: ci\n", ":4: teams[0].keys[0]: the key secret is missing."),
        (
            "teams:\n  - name: a\n    keys:\n      - {name: ci, secret: tooShort}\n",
            ":4: teams[0].keys[0].secret: secret has 8 characters; a key that is given has at least 32.",
        ),
        (
            "teams:\n  - name: a\n    keys:\n"
            "      - {name: ci, secret: env:ACME_KEY}\n      - {name: cd, secret: env:ACME_KEY}\n",
            ":5: teams[0].keys[1].secret: this secret is here already, in line 4.",
        ),
        (key("secret: env:ACME_KEY, models: []"), ":3: teams[0].keys[0].models: models must name"),
        (key("secret: env:ACME_KEY, models: '*'"), ":3: teams[0].keys[0].models: this must be a list, not text."),
        (key("secret: env:ACME_KEY, expires: 2027-02-30"), ":3: teams[0].keys[0].expires: this must be a day"),
        (key("secret: env:ACME_KEY, strict: maybe"), ":3: teams[0].keys[0].strict: this must be true"),
        (key("secret: 12345678901234567890123456789012"), ":3: teams[0].keys[0].secret: a secret must be text"),
    ],
)
def test_a_fault_is_told_with_file_line_and_path(text: str | bytes, expected: str):
    found = faults(text)

    assert len(found) == 1
    assert found[0].startswith(f"hub.yaml{expected}")


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    text = """\
billing: maybe
teams:
  - name: acme
    credits: 1.5
    keys: [{name: ci, secret: short}]
models:
  - model: x
    type: poem
    routes: [{provider: nobody, upstream_model: x}]
providers:
  - {name: a, kind: b}
"""
    assert [fault.split(": ")[0] + " " + fault.split(": ")[1] for fault in faults(text)] == [
        "hub.yaml:1 billing",
        "hub.yaml:4 teams[0].credits",
        "hub.yaml:5 teams[0].keys[0].secret",
        "hub.yaml:8 models[0].type",
        "hub.yaml:9 models[0].routes[0].provider",
        "hub.yaml:11 providers[0].kind",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/v1",
        "//host/v1",
        "host/v1",
        "http://",
        "https://user:verySecretPart@host/v1",
        "https://host/v1?key=verySecretPart",
        "https://host/v1#verySecretPart",
        "https://ho st/v1",
        "http://host:99999/v1",
        "http://[::1/v1",
    ],
)
def test_a_base_url_that_is_none_or_holds_a_secret_is_refused_without_repeating_it(url: str):
    found = faults(f"providers:\n  - name: a\n    kind: custom\n    base_url: '{url}'\n")

    assert len(found) == 1 and found[0].startswith("hub.yaml:4: providers[0].base_url: base_url ")
    assert "verySecretPart" not in found[0]


@pytest.mark.parametrize(
    "written",
    [
        "&thisIsAVerySecretSecret0123456789012345",
        "*thisIsAVerySecretSecret0123456789012345",
        "!thisIsAVerySecretSecret0123456789012345 x",
        "!thisIs!AVerySecretSecret0123456789012345 x",
        '"thisIsAVerySecretSecret0123456789012345',
        '"thisIsAVerySecret Secret0123456789012345"',
        '"thisIsAVerySecretSecret0123456789\\n012345"',
        "{thisIsAVerySecretSecret0123456789012345",
        "[thisIsAVerySecretSecret0123456789012345]",
        "env:thisIs-AVerySecretSecret0123456789012345",
        "thisIsAVerySecretSecret",
        "%thisIsAVerySecretSecret0123456789012345",
        "hk-" + "thisIs0" * 7,
    ],
)
def test_a_faulty_secret_is_not_repeated(written: str):
    found = faults(f"teams:\n  - name: a\n    keys:\n      - name: b\n        secret: {written}\n")

    assert found and not any("thisIs" in fault or "VerySecret" in fault for fault in found)


def test_a_route_may_name_a_provider_that_stays_in_the_hub():
    state = State("off", {"kept": ProviderState("1", "openai", None, None, True, {})}, {}, {}, {})
    models = "models:\n  - {model: m, type: chat, routes: [{provider: kept, upstream_model: m}]}\n"

    assert read(models, state=state)
    assert read(models, state=state, prune=True)
    assert read(PROVIDER + models, state=state)
    assert faults(PROVIDER + models, state=state, prune=True) == [
        'hub.yaml:4: models[0].routes[0].provider: there is no provider "kept". Known here: openai.'
    ]


def test_names_of_models_and_aliases_do_not_meet_those_that_stay_in_the_hub():
    state = State("off", {}, {"old": ModelState("1", "chat", None, ["nick"], {})}, {}, {})

    assert faults("models:\n  - {model: nick, type: chat}\n", state=state) == [
        'hub.yaml:2: models[0].model: in the hub, "nick" is an alias of model "old".'
    ]
    assert faults("models:\n  - {model: m, type: chat, aliases: [old]}\n", state=state) == [
        'hub.yaml:2: models[0].aliases[0]: there is a model "old" in the hub.'
    ]
    assert read("models:\n  - {model: nick, type: chat}\n", state=state, prune=True)
    assert read("models:\n  - {model: m, type: chat, aliases: [old]}\n", state=state, prune=True)
