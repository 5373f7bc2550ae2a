"""The arrows of the house: who may import whom. Checked on the source, so that no lazy import escapes."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import import_graph
import pytest
from source_kit import PACKAGE, nodes

SHARED = {
    *("advice", "as_typed", "secrecy", "errors", "output", "global_options"),
    *("suggest", "registry", "effects", "standard_input"),
    *("curve", "keccak", "proxies", "local_gateway", "__init__"),
    *(
        "_version",
        "interpreter",
        "signals",
        "helptext",
        "naming",
        "environment",
        "partial_imports",
        "exits",
        "file_lock",
        "uploads",
        "nesting",
        "secret_names",
        "work_tree",
        "ownership",
        "exact_json",
        "text_files",
    ),
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
    for node in nodes(path):
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


def _is_name(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def test_only_the_process_edge_exits() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name in ("main.py", "serve.py", "signals.py", "jq_filter.py"):  # the two end a process beside it
            continue
        calls = [ast.unparse(node.func) for node in nodes(path) if isinstance(node, ast.Call) and _is_name(node.func)]
        exits = {"sys.exit", "os._exit", "exit", "quit", "SystemExit", "typer.Exit", "click.exceptions.Exit"}
        assert not exits & set(calls), f"{path} exits the process; raise errors.Verdict"


def test_httpx_is_imported_in_one_place_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.parts[-2:] == ("client", "http.py"):
            continue
        for node in nodes(path):
            if isinstance(node, ast.Import):
                assert "httpx" not in {alias.name for alias in node.names}, path
            if isinstance(node, ast.ImportFrom):
                assert node.module != "httpx", path


def test_tests_share_what_stands_in_kits_only() -> None:
    """A test module that another imports runs twice, and cannot be moved; a kit is imported by its bare name."""
    root = Path(__file__).resolve().parent
    assert list(root.rglob("__init__.py")) == []
    kits = "|".join(path.stem for path in (root / "kits").glob("*.py"))
    other = re.compile(rf"^\s*(?:from|import) (?:\.|tests\b|conftest\b|test_|\S+\.(?:{kits})\b)", re.MULTILINE)
    assert other.search("    from test_snapshots import sql") and other.search("import core.deploy_kit")
    assert [path for path in root.rglob("*.py") if other.search(path.read_text(encoding="utf-8"))] == []


def test_commands_ask_the_human_at_the_terminal() -> None:
    """A command that made a plain Client would report a missing approval where the others ask for it."""
    for path in (PACKAGE / "commands").glob("*.py"):
        for node in nodes(path):
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Client"), path


def circle(package: Path, by_name: dict[str, str]) -> str:
    """An import circle of the package, as `a -> b -> a`; empty when there is none."""
    try:
        TopologicalSorter(import_graph.graph(package, by_name)).prepare()
    except CycleError as exc:
        return " -> ".join(reversed(exc.args[1]))
    return ""


def test_no_import_circle() -> None:
    """Imports inside functions and for the type checker count too: each module can be read after those it builds on."""
    assert circle(PACKAGE, import_graph.BY_NAME) == ""


def test_who_imports_what_it_is_told_still_does() -> None:
    for name in import_graph.BY_NAME:
        text = (PACKAGE.parent / name.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
        assert "import_module(" in text, name


@pytest.mark.parametrize(
    "back",
    [
        "from made.a import word",
        "import made.a",
        "from made import a",
        "def later() -> None:\n    from made.a import word",
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from made import a",
        "import importlib\nimportlib.import_module('made.a')",
        "a = __import__('made.a')",
        "from importlib import import_module\nfor name in ('a', 'other'):\n    import_module(f'made.{name}')",
        "import importlib\nhomes = {'word': 'made.a'}\nimportlib.import_module(homes['word'])",
    ],
)
def test_a_circle_is_found_however_it_is_closed(tmp_path: Path, back: str) -> None:
    package = tmp_path / "made"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from made.b import word\n")
    (package / "b.py").write_text("word = 1\n")
    assert circle(package, {}) == ""
    (package / "b.py").write_text(f"word = 1\n{back}\n")
    assert circle(package, {}) in ("made.a -> made.b -> made.a", "made.b -> made.a -> made.b")


def test_an_import_by_a_name_that_cannot_be_read_is_refused_or_listed(tmp_path: Path) -> None:
    package = tmp_path / "made"
    (package / "parts").mkdir(parents=True)
    (package / "parts" / "one.py").write_text("from made import loader\n")
    (package / "loader.py").write_text("import importlib, sys\nimportlib.import_module(sys.argv[1])\n")
    with pytest.raises(import_graph.UnreadableImport, match=r"made\.loader:2"):
        circle(package, {})
    assert circle(package, {"made.loader": "made.parts."})
    assert circle(package, {"made.loader": "made.others."}) == ""


# Why a file may be longer than 400 lines, and a function longer than 50.
TABLE, OPTIONS, WHOLE = (
    "a table, a row for each operation",
    "the options of its command",
    "one subject, read as a whole",
)
LONG_FILES = {
    **dict.fromkeys((f"mcp/tools/{name}.py" for name in ("deploys", "functions", "money", "organizations")), TABLE),
    **dict.fromkeys(("command_table.py", "sdk/namespaces/__init__.py"), "generated"),
    **dict.fromkeys((f"commands/{name}.py" for name in ("auth", "deploy", "email", "functions", "projects")), OPTIONS),
    **dict.fromkeys(("errors.py", "archive/verify.py", "client/payments/gateway.py"), WHOLE),
    **dict.fromkeys((f"core/daemon/{name}.py" for name in ("launcher", "postgres")), WHOLE),
    **dict.fromkeys((f"services/{name}.py" for name in ("archive_import", "functions", "projects")), TABLE),
}
LONG_FUNCTIONS = {
    "commands/ci.py:link": OPTIONS,
    "commands/deploy.py:_apply": OPTIONS,
    "commands/domains.py:connect": OPTIONS,
    "commands/errors.py:errors": OPTIONS,
    "commands/functions.py:runs_create": OPTIONS,
    "commands/projects.py:export": OPTIONS,
    "commands/projects.py:rest": OPTIONS,
    "commands/transfer.py:init": OPTIONS,
    "commands/up.py:up": OPTIONS,
    "core/releases/planning.py:evaluate": "one step after the other",
}


def test_no_file_is_long_without_a_reason() -> None:
    lengths = {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, lines in lengths.items() if lines > 400} == set(LONG_FILES)


def test_no_function_is_long_without_a_reason() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}:{node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= 50
    }
    assert found == set(LONG_FUNCTIONS)


def test_every_table_of_the_gateway_has_one_owner() -> None:
    owners: dict[str, set[str]] = {}
    for path in (PACKAGE / "core").rglob("*.py"):
        for table in re.findall(r"CREATE TABLE IF NOT EXISTS (internal\.\w+)", path.read_text(encoding="utf-8")):
            owners.setdefault(table, set()).add(path.relative_to(PACKAGE).as_posix())
    assert {table: files for table, files in owners.items() if len(files) > 1} == {}
    made = {path for files in owners.values() for path in files}
    assert {
        path for path in made if not path.endswith(("rows.py", "bootstrap.py", "expose/ddl.py"))
    } <= TABLES_ELSEWHERE


# A table beside the work that it belongs to, where nobody else reads it.
TABLES_ELSEWHERE = {"core/releases/migrations.py", "core/releases/plans.py"}


# main.py makes the command that runs; the Python API binds the calls of its namespaces.
PRIVATE_FOR = {("main.py", "run402_cli.commands"), ("sdk/_run402.py", "run402_cli.sdk.namespaces")}


def test_no_private_module_is_imported_from_outside_its_package() -> None:
    files = import_graph.modules(PACKAGE)
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in import_graph.imported(path, files)
        for owner, _, last in [name.rpartition(".")]
        if last.startswith("_") and not last.startswith("__") and last != "_version"
        if (PACKAGE.parent / owner.replace(".", "/")) not in path.parents
        if (path.relative_to(PACKAGE).as_posix(), owner) not in PRIVATE_FOR
    }
    assert found == set()
