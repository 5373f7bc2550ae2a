"""The arrows of the house: who may import whom. Checked on the source, so that no lazy import escapes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "run402_cli"
SHARED = {
    *(
        "advice",
        "as_typed",
        "secrecy",
        "errors",
        "output",
        "invocation",
        "suggest",
        "registry",
        "surface",
        "standard_input",
    ),
    *("curve", "keccak", "proxies", "local_gateway", "__init__"),
    *("_version", "interpreter", "signals", "helptext", "naming", "environment", "partial_imports", "exits"),
}
MAY_IMPORT = {
    "commands": {"services", "deploy", "up", "client", "state", "release", "archive", "core", "mcp", "command_schemas"},
    "up": {"deploy", "services", "client", "state", "release"},
    "deploy": {"services", "client", "state", "release"},
    "services": {"client", "state", "release", "archive"},
    "client": {"state"},
    "state": set(),
    "release": set(),
    "archive": {"release"},
    "core": {"release", "archive"},
    "mcp": {"services", "deploy", "up", "client", "state", "release", "archive"},
    "sdk": {"services", "deploy", "up", "client", "state", "release", "archive"},
}


def imports(path: Path) -> set[str]:
    """Names of our own first-level modules that the file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "run402_cli":
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("run402_cli.")}
    return names


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    layer = path.relative_to(PACKAGE).parts[0]
    allowed = MAY_IMPORT[layer] | {layer} | SHARED
    assert imports(path) <= allowed, f"{layer} may not import {imports(path) - allowed}"


def test_leaves_and_gateway_do_not_print_or_know_the_command_errors() -> None:
    for layer in ("release", "archive", "core"):
        for path in (PACKAGE / layer).rglob("*.py"):
            assert not imports(path) & {"output", "registry"}, path


def test_only_the_process_edge_exits() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name in ("main.py", "serve.py", "signals.py", "jq_filter.py"):  # the two end a process beside it
            continue
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("exit", "_exit")
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("sys", "os")
        ]
        assert not calls, f"{path} exits the process"


def test_httpx_is_imported_in_one_place_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name == "_httpx.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert "httpx" not in {alias.name for alias in node.names}, path
            if isinstance(node, ast.ImportFrom):
                assert node.module != "httpx", path


def test_test_modules_have_names_of_their_own() -> None:
    """pytest imports modules of folders without __init__.py by their bare name."""
    root = Path(__file__).resolve().parent
    names = [path.name for path in root.rglob("test_*.py") if not (path.parent / "__init__.py").exists()]
    assert sorted(names) == sorted(set(names))


def test_commands_ask_the_human_at_the_terminal() -> None:
    """A command that made a plain Client would report a missing approval where the others ask for it."""
    for path in (PACKAGE / "commands").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Client"), path
