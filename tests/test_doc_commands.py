"""Commands and options that the hand-written pages show exist: in `sh` blocks, in inline code, and in llms-head.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from run402_cli.command_schemas import detailed, index, names

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "AGENTS.md",
    ROOT / "docs" / "llms-head.txt",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in page.parts),
]
COMMAND = re.compile(r"(?<![\w./-])run402 (?:--(?:wallet|profile) \S+ )?[a-z][^|&;#>\"`)]*")
EVERYWHERE = {"-r", "--json", "--help", "-h", "--profile", "--version"}
# Shown as mistakes, to tell what the program says of them.
MISTAKES = {"run402 projects list --limt 5 2"}


def shown(text: str, *, everything: bool) -> Iterator[str]:
    """What follows from each `run402 ` up to the end of that shell command."""
    if everything:
        lines = text.splitlines()
    else:
        lines = [x for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for x in joined(block)]
        lines += re.findall(r"`(run402 [^`]+)`", text)
    for line in lines:
        yield from (found[0].strip() for found in COMMAND.finditer(re.sub(r"(^|\s)#\s.*", "", line)))


def joined(block: str) -> list[str]:
    return block.replace("\\\n", " ").splitlines()


def complaint(command: str) -> str | None:
    """What is wrong with a command line, if its first word is a group at all."""
    words = command.split()[1:]
    if words[0] in ("--wallet", "--profile"):
        words = words[2:]
    if words in (["help"], ["version"], ["help", "agents"], ["help", "environment"]):
        return None
    known = set(names())
    name = next((" ".join(words[:n]) for n in range(5, 0, -1) if " ".join(words[:n]) in known), None)
    if name is None:
        group = [each for each in known if words and each.split()[0] == words[0]]
        unknown = len(words) > 1 and re.fullmatch("[a-z-]+", words[1]) and not words[1].startswith("-")
        heads = {each.split()[1] for each in group if " " in each}
        return f"no command: {command}" if not group or (unknown and words[1] not in heads) else None
    flags = {flag for option in detailed([name])["commands"][name]["options"] for flag in option["flags"]}
    flags |= EVERYWHERE | {flag for option in index()["global_options"] for flag in option["flags"]}
    wrong = [word for word in re.findall(r"(?<=\s)--?[a-z][a-z-]*", " ".join(words)) if word not in flags]
    return f"{wrong}: {command}" if wrong else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_that_a_page_shows_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    everything = page.suffix == ".txt"
    found = {complaint(each) for each in shown(text, everything=everything) if each not in MISTAKES}
    assert found - {None} == set()


@pytest.mark.parametrize("command", ["run402 projcts list", "run402 projects lst", "run402 projects list --limt 5"])
def test_a_mistake_is_noticed(command: str) -> None:
    assert complaint(command)
