"""Every route of the local gateway says who may call it, and the floors of core/ hold: rows below routes."""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path

import import_graph
import pytest
from starlette.routing import Route as StarletteRoute

from run402_cli.core.app import ROUTES
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.web.routing import Policy, Route

CORE = Path(__file__).resolve().parent.parent / "run402_cli" / "core"


def files_with_routes() -> list[Path]:
    return [path for path in CORE.rglob("*.py") if "\nROUTES" in path.read_text(encoding="utf-8")]


def files_of_rows() -> list[Path]:
    return [path for path in CORE.rglob("*.py") if path.name == "rows.py" or path.name.endswith("_rows.py")]


def test_every_route_has_a_policy() -> None:
    without = {
        path
        for route in ROUTES
        if isinstance(route, StarletteRoute) and not isinstance(route, Route)
        for path in [route.endpoint.__module__.removeprefix("run402_cli.core.").replace(".", "/") + ".py"]
    }
    assert without == set()


def test_the_name_of_a_policy_means_one_thing() -> None:
    meanings = {(route.who.name, route.who.says) for route in ROUTES if isinstance(route, Route)}
    names = [name for name, _ in meanings]
    assert sorted(names) == sorted(set(names))


def test_every_policy_says_what_opens_it_and_where_that_is_checked() -> None:
    policies = {route.who.name: route.who for route in ROUTES if isinstance(route, Route)}.values()
    assert [who.name for who in policies if not who.opened_by] == []
    asked = [who for who in policies if Kind.NOTHING not in who.opened_by and Kind.CONTROL_TOKEN not in who.opened_by]
    assert [
        who.name for who in asked if not (who.check or who.alone or who.within or Kind.PERSON in who.opened_by)
    ] == []


def test_a_route_that_names_a_project_asks_for_a_credential_of_that_project() -> None:
    named = [route for route in ROUTES if isinstance(route, Route) and "{project_id}" in route.path]
    public = {Kind.NOTHING, Kind.SIGNED_URL, Kind.PERSON}
    loose = [route.path for route in named if not route.who.opened_by & public and route.who.of_the_caller]
    unchecked = [route.path for route in named if not route.who.opened_by & public and not route.who.check]
    assert (len(named) > 60, loose, unchecked) == (True, [], [])


@pytest.mark.parametrize("path", files_of_rows(), ids=lambda path: str(path.relative_to(CORE)))
def test_rows_know_no_http(path: Path) -> None:
    modules = {
        node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    }
    assert not [module for module in modules if module and module.startswith("starlette")]
    assert "run402_cli.core.gateway" not in modules


@pytest.mark.parametrize("path", files_with_routes(), ids=lambda path: str(path.relative_to(CORE)))
def test_routes_execute_no_sql(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sql = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("execute", "executemany")
    ]
    tables = [
        node.lineno for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DDL"
    ]
    assert not sql + tables


# -- the floors of core/ (docs/architecture.md, "Inside core/") ---------------------------------------------------------------

HANDLERS = {route.endpoint.__module__ for route in ROUTES if isinstance(route, Route)}
FLOORS = ("ground", "rows", "gateway", "work", "policies", "routes", "top")
GROUND = {
    "afterwards",
    "aside",
    "attempts",
    "backends",
    "changes",
    "clean_environment",
    "db",
    "logins",
    "role_connection",
    "shares",
    "settings",
    "errors",
    "slots",
    "tasks",
    "tickets",
    "unsettled",
    "content.files",
    "content.journal",
    "content.settling",
    "content.store",
}
ROWS_TOO = {"releases.plans", "releases.migrations", "expose.ddl", "sql.shared"}
TOP = {"bootstrap", "compose", "app", "serve", "purge", "daemon.launcher"}
# Files of a floor that a lower one may use: they know neither the database nor HTTP.
PLAIN = {"web.instants", "sql.lexer", "releases.wire_spec", "releases.migration_scripts", "storage.assets_request"}
UPWARDS = {
    **dict.fromkeys(
        (("background", f"functions.{name}") for name in ("build", "vault", "worker", "workers")),
        "the types of the protocols, which say what the work offers",
    ),
    ("background", "sites.lookup"): "the same",
}


@functools.cache
def floor(module: str) -> str:
    """The floor of `releases.commit`."""
    last = module.rpartition(".")[2]
    if module in TOP:
        return "top"
    if module in GROUND:
        return "ground"
    if module in ("gateway", "background"):
        return "gateway"
    if last == "rows" or last.endswith("_rows") or module in ROWS_TOO:
        return "rows"
    names = vars(importlib.import_module(f"run402_cli.core.{module}"))
    if "ROUTES" in names or f"run402_cli.core.{module}" in HANDLERS:
        return "routes"
    policies = [each for each in names.values() if isinstance(each, Policy)]
    return "policies" if module == "web.routing" or (policies and last in ("policies", "callers", "access")) else "work"


def test_a_file_of_core_imports_from_its_own_floor_and_below() -> None:
    graph = import_graph.graph(CORE.parent, import_graph.BY_NAME)
    head = "run402_cli.core."
    arrows = [
        (name.removeprefix(head), other.removeprefix(head))
        for name, others in graph.items()
        for other in others
        if name.startswith(head) and other.startswith(head) and not name.endswith("__main__")
    ]
    wrong = {(a, b) for a, b in arrows if b not in PLAIN and FLOORS.index(floor(b)) > FLOORS.index(floor(a))}
    assert wrong == set(UPWARDS)
