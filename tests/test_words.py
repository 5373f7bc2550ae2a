"""What is a flag and what a value, words that agents type instead of ours, and where global options may stand."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import click
import pytest

from run402_cli import global_options, main, suggest
from run402_cli.commands._command import Command
from run402_cli.effects import SURFACE
from run402_cli.registry import GROUPS

COMMANDS = [(name, path) for name, group in GROUPS.items() for path in (group.commands or {name: "", **group.words})]
STRENGTH = ("read", "write", "destructive")


def failure(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, object]:
    assert main._guarded(list(args)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    envelope = json.loads(err.splitlines()[-1])
    assert isinstance(envelope, dict)
    return envelope


def parsed(name: str, path: str, *words: str) -> dict[str, object]:
    """The parameters of a command as its parser reads the words."""
    command = importlib.import_module(f"run402_cli.commands.{GROUPS[name].module}").app.find(path)
    assert isinstance(command, Command)
    global_options.reset()
    return command.make_context(f"run402 {name} {path}", list(words)).params


@pytest.mark.parametrize("word", ["-x", "-Z", "--a", "--lower-case", "--a1=x", "--file=a b", "--x=", "--"])
def test_these_are_flags(word: str) -> None:
    assert global_options.looks_like_flag(word)


@pytest.mark.parametrize(
    "word",
    [
        "", "-", "-1", "-12", "-abc", "-é", "--Upper", "--a_b", "--1", "---", "-----BEGIN PRIVATE KEY-----",
        "-- how many\nselect 1", "--tight\nselect 1", "--tight select", "plain", "a=b", "-hunter2secret",
    ],
)  # fmt: skip
def test_these_are_values(word: str) -> None:
    assert not global_options.looks_like_flag(word)


@pytest.mark.parametrize("sql", ["-- how many\nselect 1 as x", "--tight\nselect 1 as x", "-1"])
def test_sql_that_begins_with_a_comment_is_the_sql(sql: str) -> None:
    assert parsed("projects", "sql", sql, "--project", "prj_a")["words"] == (sql,)


TEXTS = ["-----BEGIN PRIVATE KEY-----\nMII", "--help", "--value", "-x", "--a b", ""]


@pytest.mark.parametrize(("name", "path"), COMMANDS, ids=lambda value: value)
def test_every_option_takes_any_text_behind_its_equals_sign(
    name: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = importlib.import_module(f"run402_cli.commands.{GROUPS[name].module}").app.find(path)
    for param in command.params:
        if (
            not isinstance(param, click.Option)
            or param.is_flag
            or not isinstance(param.type, click.types.StringParamType)
        ):
            continue
        flag = next((opt for opt in param.opts if opt.startswith("--")), None)
        if flag is None:  # -o alone: the word behind it is the value
            continue
        context = click.Context(command, info_name=f"run402 {name} {path}")
        monkeypatch.setattr(command, "_check_count", lambda *_: None)
        for text in TEXTS:
            global_options.reset()
            assert command._checked(context, [f"{flag}={text}"])[0] == f"{flag}={text}"


@pytest.mark.parametrize("text", ["-- draft", "-----BEGIN", "-1", "-draft", "-"])
def test_an_option_takes_the_next_word_when_it_cannot_be_a_flag(text: str) -> None:
    assert parsed("projects", "rename", "--name", text)["name"] == text


def test_a_value_that_looks_like_a_flag_is_refused_with_the_command_that_takes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    envelope = failure(capsys, "secrets", "set", "TOK", "--value", "--tight")
    assert envelope["code"] == "BAD_FLAG"
    assert "run402 secrets set <KEY> --value=<value>" in str(envelope["hint"])


@pytest.mark.parametrize("word", ["--", "-x", "--tight"])
def test_a_word_that_may_be_data_is_refused_with_the_ways_to_pass_it(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = failure(capsys, "projects", "sql", word)
    assert sql["code"] == "UNKNOWN_FLAG"
    assert "run402 projects sql --stdin" in str(sql["hint"])
    assert "run402 projects sql --file <path>" in str(sql["hint"])
    assert "run402 secrets set <KEY> --stdin" in str(failure(capsys, "secrets", "set", "K", word)["hint"])


def test_a_flag_without_a_value_takes_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, "projects", "sql", "--stdin=yes")["code"] == "BAD_FLAG"
    assert failure(capsys, "projects", "list", "--quiet=1")["code"] == "BAD_FLAG"


@pytest.mark.skipif(os.name != "posix", reason="words that are not UTF-8")
@pytest.mark.parametrize(
    "words", [[b"projects", b"sql", b"select '\xff'"], [b"\xff"], [b"secrets", b"set", b"K\xfe", b"v"]]
)
def test_a_word_that_is_not_utf8_names_its_place_and_not_itself(words: list[bytes]) -> None:
    done = subprocess.run([sys.executable.encode(), b"-m", b"run402_cli", *words], capture_output=True, check=False)
    envelope = json.loads(done.stderr)
    place = next(i for i, word in enumerate(words, 1) if not word.isascii())
    assert (done.returncode, done.stdout, envelope["code"]) == (1, b"", "BAD_USAGE")
    assert envelope["details"]["word"] == place


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        (["help"], ["--help"]),
        (["help", "projects"], ["projects", "--help"]),
        (["help", "projects", "sql"], ["projects", "sql", "--help"]),
        (["projects", "help", "sql"], ["projects", "sql", "--help"]),
        (["projects", "help"], ["projects", "--help"]),
        (["--quiet", "help", "up"], ["up", "--help"]),
    ],
)
def test_help_is_a_word_too(typed: list[str], plain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main._guarded(typed) == 0
    first = capsys.readouterr().out
    assert main._guarded(plain) == 0
    assert first == capsys.readouterr().out


@pytest.mark.parametrize("word", ["version", "-V"])
def test_version_has_more_spellings(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    main.main([word])
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    "option",
    [["--quiet"], ["--jq", ".local_label"], ["--fields=local_label"], ["--format", "text"], ["--verbose"], ["-r"]],
)
def test_global_options_count_anywhere(place: int, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def run(words: list[str]) -> str:
        assert main._guarded(words) == 0
        return capsys.readouterr().out

    words = ["wallets", "current", "--wallet=one"]
    assert run([*words[:place], *option, *words[place:]]) == run([*words, *option])


def test_a_flag_before_the_command_that_nobody_knows(capsys: pytest.CaptureFixture[str]) -> None:
    envelope = failure(capsys, "--formt", "text", "status")
    assert (envelope["code"], envelope["details"]) == ("UNKNOWN_FLAG", {"flag": "--formt", "closest": ["--format"]})


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["sql"], "projects sql"), (["db"], "projects sql"), (["query"], "projects sql"), (["users"], "auth"),
        (["storage"], "assets"), (["login"], "operator login"), (["rollback"], "deploy promote"),
        (["url"], "subdomains list"), (["dashboard"], "open"), (["console"], "open"),
        (["projcts"], "projects"), (["stauts"], "status"),
        (["projects", "create"], "provision"), (["projects", "rm"], "delete"), (["projects", "show"], "get"),
        (["secrets", "rm"], "delete"), (["secrets", "add"], "set"), (["secrets", "get"], "list"),
        (["wallets", "create"], "new"), (["wallets", "delete"], "rm"), (["deploy", "rollback"], "promote"),
        (["credentials", "project-keys", "rm"], "remove"), (["projects", "lsit"], "list"),
    ],
)  # fmt: skip
def test_what_people_mean_comes_first(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    details = failure(capsys, *words)["details"]
    assert isinstance(details, dict)
    assert details["closest"] == [meant]


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["--limt", "3"], "--limit"), (["--formt", "x"], "--format"), (["--qiet"], "--quiet"), (["--wallt"], "--wallet"),
        (["--x"], None), (["--zzz"], None),
    ],
)  # fmt: skip
def test_flags_are_looked_for_among_own_and_global_ones(
    words: list[str], near: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    details = failure(capsys, "functions", "runs", "list", *words)["details"]
    assert isinstance(details, dict)
    assert details["closest"] == ([near] if near else [])


QUESTIONS = [
    "get", "show", "view", "list", "ls", "status", "info", "describe", "inspect", "read", "find", "open", "whoami", "health",
    "check", "logs", "tail",
]  # fmt: skip


@pytest.mark.parametrize("word", [*QUESTIONS, "op", "gt", "hlep", "vesion", "dbs"])
def test_no_word_leads_to_a_command_of_a_stronger_effect(word: str) -> None:
    places = {(): list(GROUPS)} | {(name,): list(group.commands) for name, group in GROUPS.items() if group.commands}
    for before, known in places.items():
        for found in suggest.command(word, before, [path.split()[0] for path in known]):
            path = " ".join((*before, found))
            effects = [STRENGTH.index(row.effect) for key, row in SURFACE.items() if f"{key} ".startswith(f"{path} ")]
            assert not effects or min(effects) == 0, (word, path)


@pytest.mark.parametrize(
    ("name", "counted", "compared"),
    [("user_todos", [], ["todos"]), ("tdos", ["todos"], ["todos"]), ("ok", [], []), ("n" * 2000 + "todos", [], [])],
)
def test_two_measures_of_spelling(name: str, counted: list[str], compared: list[str]) -> None:
    known = ["members", "todos"]
    assert (suggest.closest(name, known), suggest.alike(name, iter(known))) == (counted, compared)


def test_every_meaning_in_the_table_is_a_command_or_a_group() -> None:
    for path in suggest._TOP:
        group, _, rest = path.partition(" ")
        assert group in GROUPS, path
        assert not rest or rest in GROUPS[group].commands, path


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["functions", "invoke", "f", "--data", "{}"], "--body"),
        (["functions", "update", "f", "--cron", "x"], "--schedule"),
        (["assets", "sign", "k", "--expires-in", "60"], "--ttl"),
    ],
)
def test_flags_of_other_tools_are_known(words: list[str], flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main._guarded([*words, "--project", "prj_1"]) == 1
    error = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert error["details"]["closest"] == [flag]
    assert flag in error["next_actions"][0]["argv"]


def test_a_flag_of_ours_is_told_also_where_secrets_are_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    assert main._guarded(["secrets", "set", "--key", "K", "--value", "hunter22", "--project", "prj_1"]) == 1
    text = capsys.readouterr().err
    assert json.loads(text.splitlines()[-1])["details"]["flag"] == "--key"
    assert "hunter22" not in text


@pytest.mark.parametrize("words", [["archives", "nothing"], ["no-such-command"]])
def test_what_follows_help_in_a_hint_is_no_part_of_the_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main._guarded(words) == 1
    error = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert [action["argv"][-1] for action in error["next_actions"]] == ["--help"]
