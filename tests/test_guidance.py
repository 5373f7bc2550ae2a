"""The next step of a local error, and what no error repeats."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from run402_cli import advice, completion, global_options, guidance
from run402_cli.errors import ApiError, CommandError, FlagError, UsageError, ValidationError, project_required
from run402_cli.main import main

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvFAKE\n-----END PRIVATE KEY-----"
HEX = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"


def shown(words: list[str], error: Any) -> dict[str, Any]:
    global_options.remember(words)
    try:
        return guidance.finished(error.envelope())
    finally:
        global_options.reset()


def first(words: list[str], error: Any) -> str:
    command = shown(words, error)["next_actions"][0]["command"]
    assert isinstance(command, str)
    return command


@pytest.mark.parametrize(
    ("words", "error", "command"),
    [
        (
            ["projects", "delete", "--wallet", "w", "prj_1"],
            CommandError("No.", code="CONFIRMATION_REQUIRED", hint="run402 projects delete --project prj_1 --confirm"),
            "run402 projects delete --wallet w prj_1 --confirm",
        ),
        (
            ["branches", "renew", "--project", "prj_1"],
            UsageError("Missing.", hint="run402 branches renew <branch_project_id>; ids: run402 branches list"),
            "run402 branches renew --project prj_1 <branch_project_id>",
        ),
        (
            ["projects", "list", "--limit=0"],
            FlagError("At least 1.", details={"flag": "--limit", "min": 1}),
            "run402 projects list --help",
        ),
        (
            ["functions", "logs", "f", "--tail", "x"],
            FlagError("A number.", details={"flag": "--tail", "value": "x"}),
            "run402 functions logs f --tail <tail>",
        ),
        (
            ["functions", "update", "f", "--schedule", "x y", "--project", "prj_1"],
            ValidationError("Five fields.", details={"field": "schedule", "value": "x y"}),
            "run402 functions update f --schedule <schedule> --project prj_1",
        ),
        (
            ["functions", "runs", "create", "f", "--run-at=never"],
            ValidationError("An instant.", details={"field": "run_at", "value": "never"}),
            "run402 functions runs create f --run-at <run_at>",
        ),
        (
            ["functions", "logs", "f", "--tail=0"],
            FlagError("At least 1.", details={"flag": "--tail", "value": 0, "min": 1}),
            "run402 functions logs f --tail 1",
        ),
        (
            ["functions", "logz", "a b"],
            CommandError("?", code="UNKNOWN_SUBCOMMAND", details={"subcommand": "logz", "closest": ["logs"]}),
            "run402 functions logs 'a b'",
        ),
        (["status"], CommandError("Later.", code="LOCKED", retryable=True), "run402 status"),
        (["secrets", "list"], project_required(), "run402 secrets list --project <project_id>"),
        (["functions", "list"], ValidationError("Bad."), "run402 functions list --help"),
        (
            ["email", "info", "extra", "--project", "prj_1"],
            UsageError("Unexpected argument 'extra'.", hint="run402 email info"),
            "run402 email info --project prj_1",
        ),
        (
            ["up", "nosuch", "--yes", "--project", "prj_1"],
            CommandError("No such directory.", code="X", hint="run402 up <directory>"),
            "run402 up <directory> --yes --project prj_1",
        ),
        (
            ["ci", "link", "github", "--repo", "a/b"],
            CommandError("Which?", code="X", hint="Pass --branch <name>, or --environment <name>."),
            "run402 ci link github --repo a/b --branch <name>",
        ),
        (
            ["secrets", "list"],
            CommandError("Two.", code="X", hint="Say which one: --wallet office or --wallet a."),
            "run402 secrets list --wallet office",
        ),
        (
            ["functions", "invoke", "f", "--body", "{}", "--body-file", "b.json"],
            CommandError("Both.", code="X", details={"flags": ["--body", "--body-file"]}),
            "run402 functions invoke f --body-file b.json",
        ),
        (
            ["sites", "deploy-dir", ".", "--target=x", "--quiet"],
            CommandError("Gone.", code="UNSUPPORTED_OPTION", field="target"),
            "run402 sites deploy-dir . --quiet",
        ),
        (
            ["deploy", "apply", "--spec", '{"secrets": {"set": {"A": "s3cret"}}}'],
            CommandError("Unsafe.", code="UNSAFE_SECRET_MANIFEST"),
            "run402 deploy apply --spec <json> --check",
        ),
        (
            ["deploy", "apply", "--manifest", "m.json"],
            ValidationError("Bad."),
            "run402 deploy apply --manifest m.json --check",
        ),
        (
            ["jobs", "submit", "--file", "j.json"],
            CommandError("No JSON.", code="BAD_JSON", details={"parse_error": "x"}),
            "run402 jobs submit --file j.json",
        ),
        (["secrets", "list"], ApiError(400, {}, context="listing"), "run402 secrets list --verbose"),
        (["secrets", "list"], ApiError(429, {}, context="listing"), "run402 secrets list"),
        (["secrets", "set", "A"], ApiError(500, {}, context="setting"), "run402 doctor"),
        (["secrets", "list"], ApiError(401, {}, context="listing"), "run402 status"),
        (
            ["tier", "set", "hobby"],
            CommandError("No node.", code="X", next_actions=[{"type": "retry", "why": "Later."}]),
            "run402 tier set hobby",
        ),
        (
            ["secrets", "set", "TOK", "hunter2", "--project", "prj_1"],
            CommandError("Later.", code="LOCKED", retryable=True),
            "run402 secrets set TOK <secret> --project prj_1",
        ),
        (
            ["wallets", "import", "x", "--key", "hunter2"],
            CommandError("Later.", code="LOCKED", retryable=True),
            "run402 wallets import <secret> --key <secret>",
        ),
    ],
)
def test_the_first_action_is_the_command_with_what_was_missing(words: list[str], error: Any, command: str) -> None:
    assert first(words, error) == command


def test_an_action_stands_with_its_words() -> None:
    for action in shown(["x"], UsageError("No.", hint="run402 projects use <project_id>"))["next_actions"]:
        assert action["argv"] == ["run402", "projects", "use", "<project_id>"]


@pytest.mark.parametrize(
    "words",
    [
        ["secrets", "set", "TLS", PEM],
        ["secrets", "set", "TOK", "-hunter2secret"],
        ["secrets", "delete", "TOK", "hunter2secret"],
        ["secrets", "list", "hunter2secret"],
        ["secrets", "set", "hunter2secret"],
        ["wallets", "import", "x", "hunter2secret", "--key", "hunter2secret"],
        ["allowance", "create", HEX],
        ["projects", "sql", HEX, "--project", HEX],
        ["projects", "use", "r402_service_hunter2secret"],
        ["auth", "set-password", "--token", "hunter2secret", "--new", "hunter2secret", "--project", "prj_none"],
        ["auth", "verify", "--token", "hunter2secret", "hunter2secret"],
        ["nonsense", HEX],
        [HEX],
        ["projects", HEX],
        ["projects", "list", "--fields", HEX, HEX],
        ["credentials", "project-keys", "import", "hunter2secret"],
        ["redeem", "hunter2secret", "hunter2secret"],
    ],
)
def test_no_error_repeats_a_secret(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capfd.readouterr()
    assert ended.value.code == 1
    assert json.loads(err.splitlines()[-1])["status"] == "error"
    for part in ("hunter2secret", HEX, HEX[2:], "MIIEvFAKE", "r402_service"):
        assert part not in out + err


def test_a_hash_of_the_chain_is_no_secret() -> None:
    error = CommandError("Unknown.", code="X", details={"tx_hash": HEX, "transaction": HEX, "key": HEX})
    details = shown(["pay", "https://a.b"], error)["details"]
    assert (details["tx_hash"], details["transaction"], details["key"]) == (HEX, HEX, "<secret>")
    assert shown(["pay", HEX], error)["details"]["tx_hash"] == "<secret>"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run402 ci revoke <id>. Ids: run402 ci list", [["ci", "revoke", "<id>"], ["ci", "list"]]),
        ("Run `run402 core logs` for more.", [["core", "logs"]]),
        ("run402 a b 'x. `y` $(z)' --c, or run402 d", [["a", "b", "x. `y` $(z)", "--c"], ["d"]]),
        ("run402 a b.json; then more", [["a", "b.json"]]),
        ("nothing", []),
    ],
)
def test_commands_are_read_out_of_a_text(text: str, found: list[list[str]]) -> None:
    assert [[str(word) for word in words] for words in advice.commands_in(text)] == found


@pytest.mark.parametrize(
    ("words", "hint", "command"),
    [
        (["subdomains", "claim", "-x"], "It cannot be a NAME", "run402 subdomains claim --help"),
        (["projects", "get", "--", "-x"], "It cannot be a PROJECT", "run402 projects get --help"),
        (["sites", "deploy-dir", "-x"], "./-x", "run402 sites deploy-dir --help"),
        (["message", "send", "--", "-x"], "' -x'", "run402 message send --help"),
        (
            ["email", "update", "-x", "--project", "prj_1"],
            "run402 email update --mailbox=<text>",
            "run402 email update '--mailbox=<text>' --project prj_1",
        ),
        (
            ["secrets", "set", "K", "--hunter", "--project", "prj_1"],
            "run402 secrets set <KEY> --value=<text>",
            "run402 secrets set <KEY> --stdin --project prj_1",
        ),
    ],
)
def test_a_word_that_is_read_as_a_flag_is_told_its_other_spelling(
    words: list[str], hint: str, command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([word.replace("--hunter", "--hunter") for word in words])
    envelope = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert envelope["code"] == "UNKNOWN_FLAG"
    assert hint in envelope["hint"]
    assert envelope["next_actions"][0]["command"] == command


def acted(words: list[str], envelope: dict[str, Any]) -> list[dict[str, Any]]:
    global_options.remember(words)
    return list(guidance.finished({"status": "error", "code": "X", "message": "?", **envelope})["next_actions"])


@pytest.mark.parametrize("http", [{}, {"http": 404}])
def test_an_action_of_any_origin_stays_on_the_project_that_was_typed(http: dict[str, int]) -> None:
    given = [
        advice.action("run_command", "assets", "ls"),
        advice.action("run_command", "assets", "get", advice.Blank("key"), "--output", "x"),
        advice.action("run_command", "assets", "ls", "--project", "prj_b"),
        advice.action("run_command", "wallets", "list"),
        {"type": "think", "why": "because"},
    ]
    first, second, *others = acted(["assets", "sign", "k", "--project", "prj_a"], {"next_actions": given, **http})
    assert first["command"] == "run402 assets ls --project prj_a"
    assert second["command"] == "run402 assets get <key> --output x --project prj_a"
    assert others == given[2:]


def test_every_flag_whose_help_asks_for_agreement_is_one_that_agrees() -> None:
    known = json.loads(completion.OPTIONS_FILE.read_text())
    wording = re.compile(r"(Confirm|Agree|Accept (this|every)|Go on|Replace|Remove the site|Required: this cannot)")
    flags = {
        flag for entry in known.values() for flag, (_, text) in entry.get("flags", {}).items() if wording.match(text)
    }
    assert {"--confirm-prune", "--allow-warning", "--overwrite", "--force", "--yes"} <= flags
    assert [flag for flag in flags if not guidance.agrees(flag)] == []
    assert not any(map(guidance.agrees, ("--project", "--check", "--dry-run", "--json", "--output")))


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        ("sites deploy-dir dist", "--confirm-prune"),
        ("assets get key --output file", "--overwrite"),
        ("sites deploy --manifest site.json", "--allow-outside"),
    ],
)
def test_a_flag_that_agrees_to_a_loss_is_marked_in_every_command(command: str, flag: str) -> None:
    words = command.split()
    given = [advice.action("run_command", *words, flag)]
    assert acted(words, {"next_actions": given})[0]["confirms"] is True
    assert "confirms" not in acted([*words, flag], {"next_actions": given})[0]


def test_what_agrees_to_something_says_so() -> None:
    given = [
        advice.action("retry", "deploy", "promote", "rel_1", "--allow-warning", "A"),
        advice.action("run_command", "projects", "delete", "--confirm"),
        advice.action("run_command", "allowance", "limits", "set", "--per-day-usd", "5"),
        advice.action("retry", "deploy", "promote", "rel_1"),
    ]
    found = acted(["deploy", "promote", "rel_1"], {"next_actions": given})
    assert [action.get("confirms") for action in found] == [True, True, True, None]
    again = acted(["projects", "delete", "--confirm"], {"next_actions": [given[1]]})
    assert "confirms" not in again[0]


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["auth", "magic-link", "ada@example.com"], "run402 auth magic-link --email ada@example.com"),
        (["logs", "req_1"], "run402 logs --request-id req_1"),
        (["projects", "sql", "select 1", "-q"], "run402 projects sql 'select 1'"),
        (["projects", "delete", "prj_1", "--yes"], "run402 projects delete prj_1 --confirm"),
        (["allowance", "limits", "set", "--per-payment", "1"], "run402 allowance limits set --per-payment-usd 1"),
    ],
)
def test_a_word_that_was_typed_takes_the_place_that_wants_it(
    words: list[str], command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert json.loads(capfd.readouterr().err.splitlines()[-1])["next_actions"][0]["command"] == command


@pytest.mark.parametrize("path", [["projects", "delete"], ["wallets", "rm"]])
def test_the_hint_of_a_dry_run_is_a_dry_run(path: list[str]) -> None:
    hint = f"run402 {' '.join(path)} x --confirm; or look first: run402 projects list"
    error = CommandError("No.", code="CONFIRMATION_REQUIRED", hint=hint)
    assert shown([*path, "x", "--dry-run"], error)["hint"] == hint.replace("--confirm", "--confirm --dry-run")
    assert shown([*path, "x"], error)["hint"] == hint
