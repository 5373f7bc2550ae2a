"""One table of environment variables: what the source reads, what help says, and what is in force."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from run402_cli import environment
from run402_cli.main import _guarded

PACKAGE = Path(environment.__file__).parent
OURS = re.compile(r"(RUN402_[A-Z_]+|CORE_GATEWAY_URL|GITHUB_[A-Z_]+|GH_TOKEN|ACTIONS_ID_[A-Z_]+)")
# Error codes and prefixes of names: not variables.
CODES = re.compile(r".*(_CONFLICT|_REQUIRED|_LINK_[A-Z]+|_FAILED|_INVALID|_COLLISION|_INVALID_SPEC|_)")


def reads() -> set[str]:
    """The names of variables that stand as constants in modules which look at the environment."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "environ" not in text and "_VARIABLE" not in text and "_path(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and OURS.fullmatch(node.value):
                found.add(node.value)
    return {name for name in found if not CODES.fullmatch(name)}


def test_every_variable_that_the_source_reads_is_in_the_table() -> None:
    handed_to_others = {
        *("RUN402_FUNCTION_NAME", "RUN402_ANON_KEY", "RUN402_RELEASE_ID", "RUN402_DEPLOYMENT_ID"),
        *("RUN402_API_BASE_URL", "RUN402_PUBLIC_ORIGIN", "RUN402_PROJECT"),
    }
    assert reads() - environment.VARIABLES.keys() - environment.INTERNAL - handed_to_others == set()


def test_help_environment_names_each_and_fits_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["help", "environment"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}\n" in out for name in environment.VARIABLES)
    assert max(map(len, out.splitlines())) <= 80
    assert "no telemetry" in out


def listed(capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, dict[str, object]]:
    assert _guarded([*flags, "config", "list"]) == 0
    return {str(row["variable"] or row["name"]): row for row in json.loads(capsys.readouterr().out)["settings"]}


def test_each_setting_says_where_it_comes_from(
    config_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (config_dir / "target.json").write_text(json.dumps({"api_base": "http://127.0.0.1:4020", "target_kind": "core"}))
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_x")
    rows = listed(capsys)
    assert rows["RUN402_API_BASE"]["value"] == "http://127.0.0.1:4020"
    assert rows["RUN402_API_BASE"]["source"] == "file"
    assert rows["RUN402_API_BASE"]["path"] == str(config_dir / "target.json")
    assert (rows["RUN402_PROJECT_ID"]["value"], rows["RUN402_PROJECT_ID"]["source"]) == ("prj_x", "variable")
    assert rows["RUN402_FORMAT"]["source"] == "default"
    assert listed(capsys, "--format", "json")["RUN402_FORMAT"]["source"] == "flag"
    assert rows["per_payment_usd_micros"]["source"] == "default"
    assert {row["source"] for row in rows.values()} <= {"flag", "variable", "binding", "file", "default"}


def test_no_secret_and_no_password_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, variable in environment.VARIABLES.items():
        if variable.secret:
            monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128")
    monkeypatch.setenv("RUN402_CORE_URL", "http://me:hunter2@core.example")
    rows = listed(capsys)
    assert "hunter2" not in json.dumps(rows)
    assert rows["RUN402_DELEGATE_TOKEN"]["value"] == "(set)"
    assert rows["HTTPS_PROXY"]["value"] == "http://proxy.example:3128"


def test_a_damaged_file_is_told_and_the_rest_is_shown(config_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config_dir / "target.json").write_text("{")
    row = listed(capsys)["RUN402_API_BASE"]
    assert row["value"] is None
    assert str(config_dir / "target.json") in str(row["error"])
