"""Which module of a package imports which: the arrows that `test_architecture.py` follows, read from the source.

Every arrow counts, wherever it stands: at the top, inside a function, under `if TYPE_CHECKING`, and by name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Graph = dict[str, set[str]]

# Modules that import what they are told, and how the names begin that they may be told.
BY_NAME = {
    "run402_cli.main": "run402_cli.commands.",  # the module of a command, which registry.py names
    "run402_cli.partial_imports": "(libraries)",  # parts of httpx and typer, for the modules that import those
}


class UnreadableImport(AssertionError):
    """An import by a name that the source does not tell."""


def graph(package: Path, by_name: Mapping[str, str]) -> Graph:
    """The modules that each module of the package imports, by full name.

    `by_name` has the modules that import what they are told: the beginning of the names that each may be told.
    """
    files = modules(package)
    found = {}
    for name, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        arrows = {_module(each, files) for each in _imported(tree, name, files, by_name.get(name))}
        found[name] = {each for each in arrows if each} - {name}
    return found


def modules(package: Path) -> dict[str, Path]:
    """The files of a package by the full names of their modules."""
    return {_name(path, package): path for path in package.rglob("*.py")}


def imported(path: Path, files: Mapping[str, Path]) -> set[str]:
    """The modules of the package that a file names in import statements."""
    named = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {module for name in named if (module := _module(name, files))}


def _name(path: Path, package: Path) -> str:
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def _module(name: str, files: Mapping[str, Path]) -> str | None:
    """The module that `from package import word` means: the one of that name, else the one that has the word."""
    return name if name in files else owner if (owner := name.rpartition(".")[0]) in files else None


def _imported(tree: ast.Module, module: str, files: Mapping[str, Path], told: str | None) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}:{node.lineno} imports by its place; write the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            names = _named(node, tree, files) if told is None else {each for each in files if each.startswith(told)}
            if not names and told is None:
                raise UnreadableImport(f"{module}:{node.lineno}: {ast.unparse(node)}")
            yield from names


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", None) or getattr(node.func, "id", "")


def _named(node: ast.Call, tree: ast.Module, files: Mapping[str, Path]) -> set[str]:
    """What an import by name may mean: its constant; else every text of the file that makes the name of a module of it."""
    wanted = node.args[0]
    if isinstance(wanted, ast.Constant):
        return {str(wanted.value)}
    texts = {each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    head = ""
    if isinstance(wanted, ast.JoinedStr):
        first, *_ = wanted.values
        head = str(first.value) if isinstance(first, ast.Constant) else ""
    return {head + text for text in texts if head + text in files}
