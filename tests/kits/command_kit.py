"""What the commands declare; and commands in texts: where the sources have them, and whether the program would take them."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from run402_cli import advice, command_schemas
from run402_cli.commands._command import Declaration
from run402_cli.registry import GROUPS
from run402_cli.secrecy import CommandLine

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "run402_cli"
# The first words of a text that speaks of the program and is no command.
PROSE = re.compile(
    r"run402 (?:and|is|was|has|holds|gives|failed|process|command|core` command|to|the|that|of|mcp`|docs|project|waits"
    r"|where)\b"
)
# The maker itself, help (where a word in brackets stands for many), scripts for shells, and the file that GitHub runs.
NOT_TEXTS = ("advice.py", "helptext.py", "commands/completion.py", "services/ci_workflow.py")
MOVED = {"projects info", "projects keys", "deploy release-get"}


def declarations() -> dict[str, Declaration]:
    """What each command declares, by its full name."""
    found = {}
    for name in command_schemas.names():
        group = name.split()[0]
        app = importlib.import_module(f"run402_cli.commands.{GROUPS[group].module}").app
        found[name] = app.declared[name.removeprefix(group).strip() or group]
    return found


def sources() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).as_posix() not in NOT_TEXTS]


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every string but docstrings; an expression in an f-string shows as NUL."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in inner or id(node) in docs:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "\0" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def made(tree: ast.AST) -> Iterator[tuple[int, list[str]]]:
    """(line, words) of every command that advice is asked for; a value that is not in the source is a Blank."""
    skip = {"command": 0, "action": 1, "run": 0, "run_command": 0}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in skip or (isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) != "advice"):
            continue
        given = node.args[skip[name] :]
        words = [_word(each) for each in given]
        if (
            words
            and not isinstance(words[0], advice.Blank)
            and not any(isinstance(each, ast.Starred) for each in given)
        ):
            yield node.lineno, words


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("Blank")
        and isinstance(node.args[0], ast.Constant)
    ):
        return advice.Blank(str(node.args[0].value))
    return advice.Blank("value")


def complaint(words: list[str]) -> str | None:
    """What the program would say of these words: an unknown or moved command, an unknown flag, a missing argument."""
    words = [advice.Blank("value") if word.endswith("...") else word for word in words]
    told = CommandLine(words)
    if any(word in ("--help", "-h", "--version") for word in words[:3] if not isinstance(word, advice.Blank)):
        return (
            None if not words or words[0].startswith("-") or words[0] in GROUPS or words[0] == "help" else "no command"
        )
    if not told.path:
        return None if words[0] in ("--", "--wallet", "--profile") else "no such command"
    name, path = told.path[0], " ".join(told.path[1:]) or told.path[0]
    group = GROUPS[name]
    if group.commands and len(told.path) == 1:
        return (
            None
            if (not told.bare and not told.given) or isinstance(told.bare[0], advice.Blank)
            else "no such subcommand"
        )
    if f"{name} {path}" in MOVED:
        return "moved"
    app = importlib.import_module(f"run402_cli.commands.{group.module}").app
    try:
        command = app.find(path)
    except StopIteration:
        command = app.find(group.aliases.get(path, name))
    wrong = [
        word for word in told.bare if re.fullmatch(r"--?[a-z][a-z-]*", word) and not isinstance(word, advice.Blank)
    ]
    if wrong:
        return f"unknown flag {wrong}"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    needed = sum(each.required for each in arguments)
    if sum(isinstance(word, advice.Blank) for word in words) > needed + 1:
        return None  # one of them may be a flag whose name is a value
    if len(told.bare) < needed:
        return "an argument is missing"
    most = None if any(each.nargs == -1 for each in arguments) else len(arguments)
    return "an argument too many" if most is not None and len(told.bare) > most else None
