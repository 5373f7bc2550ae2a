"""The calls of a project: those of `r` that are about one, with its id filled in, for people, editors and type checkers."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import run402_cli
from run402_cli import Run402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

import sdk_commands
import sdk_methods
from sdk_namespaces import NAMESPACES

# (group, method) -> the function behind it.
METHODS = {
    (group, name): method
    for group in NAMESPACES
    if group
    for method in sdk_methods.group(group).methods
    for name in (method.name, method.older)
    if name
}
METHODS |= {
    (group, old): METHODS[newer, new]
    for group, (newer, names) in sdk_commands.OLDER_GROUPS.items()
    for old, new in names.items()
}
GROUPS = {group for group, _ in METHODS}
ABOUT_ONE = sorted(key for key, method in METHODS.items() if method.takes_project)


@pytest.fixture
def r() -> Iterator[Run402]:
    with Run402(api_base="http://127.0.0.1:4999") as opened:
        yield opened


def of_project(r: Run402, group: str) -> Any:
    project = r.project("prj_7")
    return project if group == "projects" else getattr(project, group)


def both(r: Run402, group: str, name: str) -> tuple[Any, Any]:
    """One call of `r` and the same of a project."""
    return getattr(getattr(r, group), name), getattr(of_project(r, group), name)


@pytest.mark.parametrize(("group", "name"), ABOUT_ONE)
def test_a_project_makes_the_same_call_with_its_id(
    r: Run402, group: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = METHODS[group, name]
    calls: list[Any] = []
    module = importlib.import_module(f"run402_cli.{method.module.name}")
    monkeypatch.setattr(module, method.source.name, lambda *args, **words: calls.append((args, words)))
    full, bound = both(r, group, name)
    words = {
        each.name: f"a {each.name}"
        for each in inspect.signature(bound).parameters.values()
        if each.kind is not each.VAR_KEYWORD
    }
    full(project_id="prj_7", **words)
    bound(**words)
    assert calls[0] == calls[1]
    assert "prj_7" in (*calls[1][0], *calls[1][1].values())


@pytest.mark.parametrize(("group", "name"), ABOUT_ONE)
def test_a_call_of_a_project_looks_like_the_same_without_the_id(r: Run402, group: str, name: str) -> None:
    full, bound = both(r, group, name)
    signature = inspect.signature(full)
    wanted = [each for word, each in signature.parameters.items() if word != "project_id"]
    assert len(wanted) == len(signature.parameters) - 1
    assert inspect.signature(bound) == signature.replace(parameters=wanted)
    assert (bound.__name__, bound.__doc__) == (full.__name__, full.__doc__)
    assert bound.__doc__


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_a_project_has_the_calls_about_it_and_no_other(r: Run402, group: str) -> None:
    wanted = {name for of, name in ABOUT_ONE if of == group}
    if wanted:
        of_its_own = GROUPS | {"id"} if group == "projects" else set()
        assert wanted == {name for name in dir(of_project(r, group)) if not name.startswith("_")} - of_its_own
    else:
        assert not hasattr(r.project("prj_7"), group)


def test_a_class_has_plain_functions(r: Run402) -> None:
    secrets = type(r.secrets)
    assert inspect.isfunction(secrets.set)
    assert [*inspect.signature(secrets.set).parameters] == ["self", "project_id", "key", "value"]


# For the type checker. Behind # stands a part of what it must say of a line; of the other lines it must say nothing.
TYPED = """
from run402_cli import Run402

r = Run402()
project = r.project("prj_7")
reveal_type(r.secrets.list("prj_7"))  # "dict[str, Any]"
reveal_type(project.secrets.list())  # "dict[str, Any]"
reveal_type(project.email.list(limit=1))  # "list[dict[str, Any]]"
r.secrets.set("prj_7", "K", "v")
r.secrets.set(project_id="prj_7", key="K", value="v")
r.secrets.set("K", "v")  # Missing positional argument "value"
project.secrets.set("K", "v")
project.secrets.set(key="K", value="v")
project.secrets.set(1)  # Too few arguments
project.secrets.set("K", 1)  # incompatible type "int"; expected "str"
project.secrets.set("prj_7", "K", "v")  # Too many arguments
project.secrets.set("K", "v", project_id="prj_7")  # Unexpected keyword argument "project_id"
project.mailboxes.create("support")
project.mailboxes.create()  # Too few arguments
project.errors.page(function="hello")
project.deploy.apply({}, concurrency=2)
project.deploy.apply({}, project_id="prj_7")  # Unexpected keyword argument "project_id"
r.deploy.apply({}, project_id="prj_7")
r.expose.validate("{}", project_id="prj_7")
project.expose.validate("{}", project_id="prj_7")  # Unexpected keyword argument "project_id"
project.sql("select 1", [1])
project.sql(1)  # incompatible type "int"; expected "str"
project.email.outbox()  # has no attribute "outbox"
project.provision()  # has no attribute "provision"
project.wallets  # has no attribute "wallets"
"""


@pytest.mark.whole
def test_a_type_checker_knows_every_signature(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(TYPED, encoding="utf-8")
    root = Path(run402_cli.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), "--no-pretty", "program.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    said: dict[int, str] = {}
    for line in done.stdout.splitlines():
        _, number, text = line.split(":", 2) if line.startswith("program.py:") else ("", "0", line)
        said[int(number)] = said.get(int(number), "") + text
    wanted = {number: line.partition("  # ")[2] for number, line in enumerate(TYPED.splitlines(), 1) if "  # " in line}
    assert said.keys() - {0} == wanted.keys(), done.stdout + done.stderr
    assert [(number, said[number]) for number, text in wanted.items() if text not in said[number]] == []
