"""`run402 schema`: the manifest of the tree, its facts about effect and credentials, and the output schemas."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from schema_kit import command_of, problems

from run402_cli import command_schemas, global_options
from run402_cli.commands._command import Auth
from run402_cli.effects import AUTH_CLASSES, SURFACE
from run402_cli.main import _guarded
from run402_cli.registry import GROUPS

NAMES = list(command_schemas.names())


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    assert _guarded(list(argv)) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert _guarded(list(argv)) == 1
    return dict(json.loads(capsys.readouterr().err))


def test_the_table_of_effects_and_the_registry_have_the_same_commands() -> None:
    assert sorted(SURFACE) == sorted(NAMES)


def test_every_auth_class_is_explained_and_used() -> None:
    used = {name for row in SURFACE.values() for name in row.auth}
    assert used == set(AUTH_CLASSES) == set(get_args(Auth))


def test_index_lists_every_command_with_effect_and_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    document = run(capsys, "schema")
    assert list(document["commands"]) == NAMES
    assert document["commands"]["secrets delete"] == {
        "summary": "Remove one secret.",
        "effect": "destructive",
        "auth": ["service_key"],
    }
    assert set(document["exit_codes"]) == {"0", "1", "2", "130", "141", "143"}
    assert {"UNKNOWN_FLAG", "INTERRUPTED"} <= set(document["error_codes"]["every_command"])
    assert {"API_ERROR", "NETWORK_ERROR", "PAYMENT_LIMIT_EXCEEDED"} <= set(document["error_codes"]["calls_gateway"])
    flags = {option["flags"][0] for option in document["global_options"]}
    assert flags == {"--wallet", *global_options.OPTIONS}


def test_no_command_module_is_imported_for_it() -> None:
    code = (
        "import sys; from run402_cli import command_schemas; command_schemas.index(); command_schemas.everything();"
        "print([m for m in sys.modules if m.startswith('run402_cli.commands')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_index_survives_a_round_trip_through_jq(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "schema", "--jq", ".") == command_schemas.index()


def test_a_command_is_shown_with_all_that_a_caller_needs(capsys: pytest.CaptureFixture[str]) -> None:
    entry = run(capsys, "schema", "snapshots", "list")["commands"]["snapshots list"]
    options = {option["flags"][0]: option for option in entry["options"]}
    assert options["--limit"] == {
        "flags": ["--limit"],
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "value": "N",
        "help": options["--limit"]["help"],
    }
    assert options["--kind"]["values"] == ["manual", "pre_migration", "pre_restore", "scheduled"]
    assert options["--project"]["env"] == ["RUN402_PROJECT_ID"]
    assert (entry["effect"], entry["auth"], entry["calls_gateway"]) == ("read", ["principal"], True)
    assert "PROJECT_REQUIRED" in entry["error_codes"]
    assert entry["output"]["kind"] == "json"


def test_a_default_is_a_value_or_words_for_it() -> None:
    lines = {option["flags"][0]: option for option in command_schemas.entry("core logs")["options"]}
    assert lines["--lines"]["default"] == 200
    assert lines["--data-dir"]["default"] == "RUN402_CORE_DATA_DIR, then the user data directory"


def test_a_repeatable_option_and_positional_words_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    entry = command_schemas.entry("secrets set")
    assert [(word["name"], word["required"]) for word in entry["arguments"]] == [("KEY", True), ("VALUE", False)]
    options = {option["flags"][0]: option for option in command_schemas.entry("assets put")["options"]}
    assert options["--meta"]["repeatable"] is True


def test_words_of_a_group_show_its_commands_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(run(capsys, "schema", "functions", "runs")["commands"]) == [
        name for name in NAMES if name.startswith("functions runs ")
    ]
    assert list(run(capsys, "schema", "secrets set")["commands"]) == ["secrets set"]


def test_an_older_spelling_leads_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(run(capsys, "schema", "org", "members", "list")["commands"]) == ["org member list"]


def test_an_unknown_command_is_refused_with_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    envelope = refused(capsys, "schema", "secrets", "sett")
    assert envelope["code"] == "UNKNOWN_COMMAND"
    assert envelope["details"] == {"command": "secrets sett", "closest": ["secrets set"]}


def test_all_and_a_command_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "schema", "--all", "secrets")["code"] == "BAD_USAGE"


def test_everything_holds_index_and_full_entries(capsys: pytest.CaptureFixture[str]) -> None:
    document = run(capsys, "schema", "--all")
    assert {**document, "commands": None} == {**command_schemas.index(), "commands": None}
    assert list(document["commands"]) == NAMES
    assert document["commands"]["status"] == command_schemas.entry("status")


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("secrets set", {"FILE_NOT_FOUND", "LOCAL_ERROR", "PROJECT_CREDENTIAL_NOT_FOUND"}),
        ("wallets rm", {"WALLET_PROTECTED"}),
        ("core start", {"CORE_DEPENDENCIES_MISSING"}),
        ("identity link nostr complete", {"IDENTITY_LINK_INVALID_EVENT"}),
        ("deploy apply", {"INVALID_SPEC", "EXECUTABLE_CONFIG_TIMEOUT"}),
    ],
)
def test_error_codes_of_a_command_are_found_in_the_source(name: str, codes: set[str]) -> None:
    assert codes <= set(command_schemas.entry(name)["error_codes"])


def test_error_codes_of_others_are_not_among_them() -> None:
    assert not {"INVALID_SPEC", "FAUCET_FAILED", "FILE_NOT_FOUND"} & set(
        command_schemas.entry("secrets list")["error_codes"]
    )
    assert "calls_gateway" not in command_schemas.entry("wallets list")


def test_exit_codes_tell_verdicts_from_failures() -> None:
    verify = command_schemas.entry("deploy verify")
    assert (verify["exit_codes"], verify["verdict_exits"]) == ([0, 1, 2], [2])
    gate = command_schemas.entry("errors")
    assert (gate["exit_codes"], gate["verdict_exits"]) == ([0, 1, 2], [1])
    plain = command_schemas.entry("secrets set")
    assert (plain["exit_codes"], plain.get("verdict_exits")) == ([0, 1], None)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_of_a_command_has_a_flag_a_type_and_a_help_text(name: str) -> None:
    entry = command_schemas.entry(name)
    assert entry["description"]
    assert entry["usage"].startswith(f"run402 {name}")
    for option in entry["options"]:
        assert option["flags"][0].startswith("--")
        assert option["help"]
        assert option["type"] in ("string", "boolean", "integer", "number")
        assert ("value" in option) == (option["type"] != "boolean")


# -- output schemas


@pytest.mark.parametrize("group", GROUPS)
def test_output_schemas_are_there_for_each_command_and_no_other(group: str) -> None:
    assert list(command_schemas._schemas(group)["commands"]) == [name for name in NAMES if name.split()[0] == group]


@pytest.mark.parametrize("name", NAMES)
def test_output_schema_is_valid_and_stands_alone(name: str) -> None:
    output = command_schemas.output_schema(name)
    assert output is not None
    flags = {flag for option in command_schemas.entry(name)["options"] for flag in option["flags"]} | {"--json"}
    assert set(output.get("with", {})) <= flags
    for form in (output, *output.get("with", {}).values()):
        assert form["kind"] in ("json", "jsonl", "text", "bytes")
        assert (form["kind"] in ("json", "jsonl")) == ("schema" in form)
        if "schema" not in form:
            continue
        Draft202012Validator.check_schema(form["schema"])
        assert form["schema"]["$schema"] == command_schemas.DIALECT
        assert set(command_schemas._references(form["schema"])) == set(form["schema"].get("$defs", {}))


def test_this_command_prints_what_its_own_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["schema"], ["schema", "secrets"], ["schema", "--all"]):
        assert _guarded(argv) == 0
        assert problems(argv, 0, capsys.readouterr().out) == []


def test_a_document_that_differs_from_the_schema_is_noticed() -> None:
    argv = ["--wallet", "main", "secrets", "list"]
    assert command_of(argv) == "secrets list"
    assert problems(argv, 0, '{"secrets": []}') == []
    assert problems(argv, 0, '{"secrets": [{"key": 1}]}')
    assert problems(argv, 0, "{}")
    assert problems(argv, 0, "no json")
    dry = '{"dry_run": true, "requests": [], "files": []}'
    assert problems([*argv, "--dry-run"], 0, dry) == []
    assert problems(argv, 0, dry)


def test_a_code_that_begins_like_a_variable_is_told() -> None:
    codes = command_schemas.detailed(["up"])["commands"]["up"]["error_codes"]
    assert {"RUN402_APPROVAL_REQUIRED", "RUN402_PROJECT_REQUIRED"} <= set(codes)
    assert "RUN402_PROJECT_ID" not in codes
