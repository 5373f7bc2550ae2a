"""Every command that a text of this repository names is one that the program takes, and only advice makes their texts."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from command_kit import PROSE, complaint, made, sources, texts
from source_kit import tree

from run402_cli import advice
from run402_cli.core.web import hints


@cache
def texts_of(path: Path) -> list[tuple[int, str]]:
    return list(texts(tree(path)))


def test_only_advice_puts_a_value_into_a_command() -> None:
    found = [
        (path.name, line, text)
        for path in sources()
        for line, text in texts_of(path)
        if re.search(r"(?<![\w./@-])run402 (?:[a-z][^`.;,:)\n\0]*)?\0", text) and not PROSE.search(text)
        if path.name != "main.py"
    ]
    assert found == []


def test_the_commands_in_the_texts_exist() -> None:
    found = [
        (path.name, line, words, why)
        for path in sources()
        for line, text in texts_of(path)
        if not PROSE.search(text)
        for words in advice.commands_in(text.replace("\0", "<value>"))
        if (why := complaint(words))
    ]
    assert found == []


def test_the_commands_that_advice_is_asked_for_exist() -> None:
    found = [
        (path.name, line, words, why)
        for path in sources()
        for line, words in made(tree(path))
        if (why := complaint(words))
    ]
    assert found == []


@pytest.mark.parametrize("text", sorted({*hints._BY_ERROR.values(), *(words for _, words in hints._BY_PATH)}))
def test_the_hints_of_the_gateway_are_commands(text: str) -> None:
    for project in ("prj_1", None):
        assert complaint(hints.filled(text, project)) is None


@pytest.mark.parametrize(
    "words",
    [
        ["projects", "keys"],
        ["projects", "lst"],
        ["nonsense"],
        ["projects", "list", "--limt", "5"],
        ["subdomains", "claim"],
        ["subdomains", "delete", "a", "b"],
    ],
)
def test_a_mistake_is_noticed(words: list[str]) -> None:
    assert complaint(words)
