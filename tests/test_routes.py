"""Every route of the local gateway says who may call it, and the floors of core/ hold: rows below routes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from starlette.routing import Route as StarletteRoute

from run402_cli.core.app import ROUTES
from run402_cli.core.web.routing import Route

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
