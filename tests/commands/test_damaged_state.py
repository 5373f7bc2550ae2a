"""Every state file of the table with every kind of damage: named by doctor, never taken for absent, left as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import Run

from run402_cli import Run402
from run402_cli.errors import Run402Error
from run402_cli.mcp._run import Toolbox
from run402_cli.mcp.tools import TOOLS
from run402_cli.state import catalogue, inspection
from run402_cli.state.files import DamagedState, StateFile
from run402_cli.state.profile import Profile, select

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
# A command that reads the file, for each file that commands read; the others are read by doctor, or as said.
READERS: dict[str, tuple[str, ...]] = {
    "config.json": ("projects", "list"),
    "allowance.json": ("projects", "list"),
    "meta.json": ("status",),
    "target.json": ("service", "health"),
    "state.json": ("projects", "current"),
    "credentials/project-keys.v1.json": ("projects", "sql", "select 1"),
    "projects.json": ("projects", "list"),
    "payment-limits.json": ("allowance", "limits", "get"),
    "operator-session.json": ("operator", "overview"),
    "control-plane-session.json": ("operator", "status"),
    "write-auth-session.json": ("operator", "status"),
    ".run402.local.json": ("projects", "list"),
    ".run402.json": ("projects", "list"),
    ".run402/project.json": ("up", "--yes"),
    ".run402/messaging.json": ("rooms", "list", "--org", "o", "--room", "r"),
    "gateway.json": ("core", "projects", "import", "a.r402ar"),
    ".run402-skill.json": ("skill", "status"),
}
BY_DOCTOR = {"cli-update-check.json", "payments/0x*/payment-limits.json", "payment-attempts/pat_*.json"}


def cut(path: Path) -> None:
    path.write_text('{"version": 1, "api_ba')


def empty(path: Path) -> None:
    path.write_text("")


def other_type(path: Path) -> None:
    path.write_text('"text"')


def wrong_fields(path: Path, kind: StateFile) -> None:
    path.write_text(
        json.dumps({**valid(kind), **{key: [[1]] if list not in types else 7 for key, types in kind.types.items()}})
    )


def directory(path: Path) -> None:
    path.mkdir()


def newer(path: Path, kind: StateFile) -> None:
    path.write_text(json.dumps({**valid(kind), "version": 99}))


def valid(kind: StateFile) -> dict[str, Any]:
    """The required fields with values of their types."""
    samples: dict[type, Any] = {str: "x", int: 1, float: 1, list: [], dict: {}}
    return {key: samples[kind.types[key][0]] for key in kind.required}


def unreadable(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0)


DAMAGES: dict[str, Callable[..., None]] = {
    "cut": cut,
    "empty": empty,
    "other type": other_type,
    "wrong fields": wrong_fields,
    "directory": directory,
    "newer version": newer,
}
if hasattr(os, "geteuid") and os.geteuid() != 0:
    DAMAGES["unreadable"] = unreadable


@pytest.fixture
def here(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; no wallet and no gateway is chosen."""
    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(tmp_path / "core"))
    for name in ("RUN402_WALLET", "RUN402_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    return Path.cwd()


def place(kind: StateFile, here: Path, config: Path) -> Path:
    """Where the test puts it."""
    name = kind.name.replace("*", "0" * 32)
    if kind.place == "gateway":
        return here.parent / "core" / name
    return (here if kind.place in ("directory", "workspace") else config) / name


def damaged(kind: StateFile, how: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    harm = DAMAGES[how]
    harm(path, kind) if how in ("wrong fields", "newer version") else harm(path)


def looks(path: Path) -> Any:
    return "directory" if path.is_dir() else path.read_bytes() if os.access(path, os.R_OK) else "closed"


FILES = [kind for kind in catalogue.FILES if kind.place != "skill"]


def test_every_file_of_the_table_has_a_reader_here() -> None:
    assert {kind.name for kind in catalogue.FILES} == READERS.keys() | BY_DOCTOR


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("kind", FILES, ids=lambda kind: kind.name)
def test_doctor_names_the_file_and_nothing_touches_it(
    kind: StateFile, how: str, here: Path, config_dir: Path, run: Run, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(json={}, is_optional=True, is_reusable=True)
    path = place(kind, here, config_dir)
    damaged(kind, how, path)
    before = looks(path)
    outcome = run("doctor", "--no-scan")
    report = json.loads(outcome.out)
    assert (outcome.exit, report["ok"]) == (1, False)
    (check,) = [check for check in report["checks"] if check["name"] == "state_files"]
    assert [Path(row["path"]).resolve() for row in check["value"]["damaged"]] == [path.resolve()]
    (row,) = check["value"]["damaged"]
    assert row["next_actions"][0]["argv"][0] == "mv"
    assert looks(path) == before


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("kind", [kind for kind in FILES if kind.name in READERS], ids=lambda kind: kind.name)
def test_the_reading_command_stops_before_any_request(
    kind: StateFile, how: str, here: Path, config_dir: Path, run: Run, httpx_mock: HTTPXMock
) -> None:
    if kind is catalogue.LINK:
        (here / "run402.deploy.json").write_text('{"database": {"migrations": [{"id": "m1", "sql": "select 1"}]}}')
    path = place(kind, here, config_dir)
    damaged(kind, how, path)
    others = {each: each.read_bytes() for each in here.parent.rglob("*") if each.is_file() and each != path}
    outcome = run(*READERS[kind.name])
    assert (outcome.exit, outcome.out) == (1, "")
    assert outcome.error["code"] in {"BAD_ENV", kind.code, kind.shape_code}
    assert str(path) in outcome.error["message"] or kind.name in outcome.error["message"]
    away = outcome.error["next_actions"][0]
    assert (away["argv"][0], f"`{away['command']}`." in outcome.error["hint"]) == ("mv", True)
    assert httpx_mock.get_requests() == []
    after = {each: each.read_bytes() for each in here.parent.rglob("*") if each.is_file() and each != path}
    assert after == others


POINTERS = [catalogue.CONFIG, catalogue.TARGET, catalogue.ALLOWANCE, catalogue.ACTIVE, catalogue.KEYS]


@pytest.mark.parametrize("kind", POINTERS, ids=lambda kind: kind.name)
def test_python_and_tools_stop_as_well(kind: StateFile, here: Path, config_dir: Path, httpx_mock: HTTPXMock) -> None:
    damaged(kind, "cut", place(kind, here, config_dir))

    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was asked")

    with pytest.raises(Run402Error) as caught, Run402(transport=httpx.MockTransport(refuse)) as r:
        r.projects.list()
    assert isinstance(caught.value, DamagedState)
    box = Toolbox(TOOLS)
    content = box.call(box.tools["list_projects"], {})
    assert content.failed
    assert kind.name in content.text
    assert httpx_mock.get_requests() == []


@pytest.mark.parametrize("kind", POINTERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "words",
    [("wallets", "list"), ("--help",), ("projects", "--help"), ("schema",), ("completion", "bash")],
)
def test_what_needs_neither_gateway_nor_wallet_goes_on_working(
    kind: StateFile, words: tuple[str, ...], here: Path, config_dir: Path, run: Run
) -> None:
    damaged(kind, "cut", place(kind, here, config_dir))
    assert run(*words).exit == 0


def test_wallets_list_says_which_file_is_damaged(here: Path, config_dir: Path, run: Run) -> None:
    (config_dir / "allowance.json").write_text("{")
    (config_dir / "config.json").write_text("{")
    outcome = run("wallets", "list")
    (row,) = outcome.json
    assert (row["active"], row["problems"][0]["code"]) == (None, "BAD_ENV")
    assert "config.json" in outcome.err


def test_a_flag_or_variable_that_decides_alone_still_does(
    here: Path, config_dir: Path, run: Run, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpx_mock.add_response(json={"projects": []}, is_reusable=True)
    key = json.dumps({"address": ADDRESS, "privateKey": "0x" + "1" * 64})
    (config_dir / "profiles" / "work").mkdir(parents=True)
    (config_dir / "profiles" / "work" / "allowance.json").write_text(key)
    (config_dir / "config.json").write_text("{")
    assert run("projects", "list", "--wallet", "work").exit == 0
    (config_dir / "config.json").unlink()
    (config_dir / "target.json").write_text("{")
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:4999")
    assert run("projects", "list", "--wallet", "default").exit == 0
    (config_dir / "state.json").write_text("{")
    assert run("snapshots", "list", "--project", "prj_1").exit == 0
    assert run("snapshots", "list").error["code"] == "BAD_ENV"


def test_a_config_directory_that_is_a_file_is_named(
    here: Path, tmp_path: Path, run: Run, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(path))
    for words in (("projects", "list"), ("service", "health"), ("status",), ("allowance", "create")):
        error = run(*words).error
        assert (error["code"], str(path) in error["message"]) == ("BAD_ENV", True)
    assert json.loads(run("doctor", "--no-scan").out)["ok"] is False
    assert httpx_mock.get_requests() == []


def test_a_profile_without_damage_has_no_faults(here: Path, config_dir: Path) -> None:
    (config_dir / "target.json").write_text(json.dumps({"api_base": "https://x.example", "unknown": [1]}))
    (config_dir / "projects.json").write_text("never read again")
    (config_dir / "credentials").mkdir()
    (config_dir / "credentials" / "project-keys.v1.json").write_text(json.dumps({"version": 1, "projects": {}}))
    assert inspection.faults(Profile(select(None))) == []
