"""Commands in texts: whole words, whatever they hold."""

from __future__ import annotations

import shlex

import pytest

from run402_cli import advice, as_typed, global_options

HOSTILE = ("a b", "'", '"', "$(touch x)", "`touch x`", "; touch x", "a\nb", "", "ü", "-x", "--", "*", "~", "\\")


@pytest.mark.parametrize("word", HOSTILE)
def test_a_shell_reads_back_the_same_words(word: str) -> None:
    made = advice.action("retry", "projects", "use", word)
    assert shlex.split(made["command"]) == made["argv"] == ["run402", "projects", "use", word]


def test_only_a_blank_is_left_open() -> None:
    made = advice.action("edit_request", "projects", "use", advice.Blank("project_id"), why="because")
    assert made["command"] == "run402 projects use <project_id>"
    assert made["argv"][-1] == "<project_id>"
    assert made["why"] == "because"


def test_again_repeats_what_was_typed() -> None:
    global_options.remember(["deploy", "promote", "rel 1"])
    assert advice.command(*as_typed.again("--yes")) == "run402 deploy promote 'rel 1' --yes"
    global_options.reset()
    assert as_typed.words() == ()


@pytest.mark.parametrize("value", ["<h1>", '{"a": "<p>x</p>"}', "a < b", "it's <b>"])
def test_a_made_line_is_read_back_whatever_was_quoted_into_it(value: str) -> None:
    made = advice.command("deploy", "apply", "--spec", value)
    assert advice.parsed(str(made)).argv == ["run402", "deploy", "apply", "--spec", value]


def test_a_flag_comes_again_with_another_value_and_not_with_the_same() -> None:
    global_options.remember(["deploy", "promote", "rel_1", "--allow-warning", "A", "--yes"])
    assert as_typed.again("--allow-warning", "B", "--yes")[3:] == (
        "--allow-warning",
        "A",
        "--yes",
        "--allow-warning",
        "B",
    )
    assert as_typed.again("--allow-warning", "A")[3:] == ("--allow-warning", "A", "--yes")


def test_words_go_onto_an_action_of_any_origin() -> None:
    told = {"type": "edit_request", "command": "old", "argv": ["run402", "dev", "--", "<program>"], "why": "x"}
    found = as_typed.line_of(told)
    assert found is not None
    made = as_typed.extended(told, found, ["--project", "a b"])
    assert made == {
        "type": "edit_request",
        "command": "run402 dev --project 'a b' -- <program>",
        "argv": ["run402", "dev", "--project", "a b", "--", "<program>"],
        "why": "x",
    }
    assert as_typed.extended(told, found, []) is told


@pytest.mark.parametrize("entry", [None, "text", {}, {"argv": "run402 up"}, {"argv": []}, {"argv": ["mv", "a", "b"]}])
def test_an_action_that_runs_no_command_of_ours_has_no_line(entry: object) -> None:
    assert as_typed.line_of(entry) is None
