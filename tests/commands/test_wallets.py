"""run402 wallets, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from eth_account import Account
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.state import wallets as disk

LABEL = f"{BASE}/wallets/v1/{ADDRESS}/label"


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_WALLET_LABEL_SYNC", "0")


def stored(config_dir: Path, name: str) -> dict[str, str]:
    value = json.loads((config_dir / "profiles" / name / "allowance.json").read_bytes())
    assert isinstance(value, dict)
    return value


def test_new_makes_a_real_key_and_never_prints_it(run: Run, silent: None, config_dir: Path) -> None:
    outcome = run("wallets", "new", "alpha", "--mpp")
    result = outcome.json
    key = stored(config_dir, "alpha")["privateKey"]
    assert Account.from_key(key).address == result["address"]
    assert (result["local_label"], result["rail"], result["created"]) == ("alpha", "mpp", True)
    assert key not in outcome.out + outcome.err
    assert run("wallets", "current").json["local_label"] == "default"


def test_import_from_a_file_and_from_stdin_gives_the_same_address(
    run: Run, silent: None, config_dir: Path, tmp_path: Path
) -> None:
    key_file = tmp_path / "key.txt"
    key_file.write_text(PRIVATE_KEY + "\n")
    assert run("wallets", "import", "one", "--key", str(key_file)).json == {
        "local_label": "one",
        "address": ADDRESS,
        "imported": True,
    }
    assert run("wallets", "import", "two", "--key=-", stdin=PRIVATE_KEY).json["address"] == ADDRESS
    assert stored(config_dir, "two")["privateKey"] == PRIVATE_KEY


@pytest.mark.parametrize(
    "content",
    [
        "",
        "0x12",
        PRIVATE_KEY[2:],
        "0x" + "0" * 64,
        "0x" + "f" * 64,
        PRIVATE_KEY + "\n" + PRIVATE_KEY,
        "é" * 9,
        "x" * 9999,
    ],
)
def test_what_is_no_key_is_refused_and_nothing_is_stored(run: Run, config_dir: Path, content: str) -> None:
    error = run("wallets", "import", "one", "--key", "-", stdin=content).error
    assert (error["code"], error["details"]) == ("BAD_PRIVATE_KEY", {"name": "<secret>"})
    assert list(config_dir.iterdir()) == []


@pytest.mark.parametrize(
    "args",
    [
        ("import", "one", "--key", PRIVATE_KEY),
        ("import", "one", PRIVATE_KEY),
        ("import", PRIVATE_KEY, "--key", "-"),
        ("new", PRIVATE_KEY),
        ("use", PRIVATE_KEY),
    ],
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(
    run: Run, config_dir: Path, args: tuple[str, ...]
) -> None:
    outcome = run("wallets", *args)
    assert outcome.error["code"] in ("FILE_NOT_FOUND", "BAD_USAGE", "BAD_WALLET_NAME")
    assert PRIVATE_KEY[2:] not in outcome.err
    assert list(config_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("new",), "BAD_USAGE"),
        (("new", "Bad!"), "BAD_WALLET_NAME"),
        (("new", "default"), "BAD_WALLET_NAME"),
        (("new", "alpha"), "WALLET_EXISTS"),
        (("import", "alpha"), "WALLET_EXISTS"),
        (("import", "default", "--key", "-"), "BAD_WALLET_NAME"),
        (("import", "beta"), "BAD_USAGE"),
        (("import", "beta", "--key"), "BAD_FLAG"),
        (("import", "beta", "--key", "none.txt"), "FILE_NOT_FOUND"),
        (("import", "beta", "--key", "."), "FILE_NOT_FOUND"),
        (("use",), "BAD_USAGE"),
        (("use", "beta"), "WALLET_NOT_FOUND"),
        (("rename", "alpha"), "BAD_USAGE"),
        (("rename", "alpha", "--to"), "BAD_FLAG"),
        (("rename", "alpha", "--to", "-x"), "BAD_FLAG"),
        (("rename", "alpha", "--to", "-"), "BAD_WALLET_NAME"),
        (("rename", "alpha", "--to", "default"), "BAD_WALLET_NAME"),
        (("rename", "beta", "--to", "gamma"), "WALLET_NOT_FOUND"),
        (("rm",), "BAD_USAGE"),
        (("rm", "default", "--yes"), "WALLET_PROTECTED"),
        (("rm", "beta"), "WALLET_NOT_FOUND"),
        (("rm", "alpha"), "CONFIRMATION_REQUIRED"),
        (("bind", "Bad!"), "BAD_WALLET_NAME"),
        (("list", "more"), "BAD_USAGE"),
        (("list", "--bogus"), "UNKNOWN_FLAG"),
        (("nope",), "UNKNOWN_SUBCOMMAND"),
    ],
)
def test_errors_have_their_code_and_change_nothing(
    run: Run, silent: None, config_dir: Path, args: tuple[str, ...], code: str
) -> None:
    disk.create("alpha", address=ADDRESS, private_key=PRIVATE_KEY, rail="x402")
    before = {path: path.read_bytes() for path in config_dir.rglob("*.json")}
    assert run("wallets", *args).error["code"] == code
    assert {path: path.read_bytes() for path in config_dir.rglob("*.json")} == before


def test_use_rename_bind_and_rm_work_together(run: Run, silent: None, config_dir: Path) -> None:
    assert run("wallets", "new", "alpha").exit == 0
    assert run("wallets", "use", "alpha").json == {"local_label": "alpha", "active": True}
    assert run("wallets", "current").json["source"] == "config"
    assert run("wallets", "rename", "alpha", "beta").json == {"from": "alpha", "to": "beta", "renamed": True}
    assert [row["local_label"] for row in run("wallets", "list").json if row["active"]] == ["beta"]
    bound = run("wallets", "bind", "ghost").json
    assert (bound["wallet"], bound["file"], bound["safe_to_commit"]) == ("ghost", ".run402.json", True)
    assert "wallets new ghost" in bound["warning"]
    assert run("wallets", "current").json["source"] == "binding"
    assert run("wallets", "unbind").json == {"file": ".run402.json", "unbound": True}
    assert run("wallets", "unbind").json["unbound"] is False
    assert "warning" not in run("wallets", "bind").json
    assert run("wallets", "unbind").exit == 0
    assert run("wallets", "rm", "beta", "--yes").json == {"local_label": "beta", "removed": True}
    assert run("wallets", "current").json["source"] == "default"


def test_current_warns_about_a_conflict_and_a_label_that_drifted(
    run: Run, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.create("alpha", address=ADDRESS, private_key=PRIVATE_KEY, rail="x402")
    meta = config_dir / "profiles" / "alpha" / "meta.json"
    meta.write_text(json.dumps({"address": ADDRESS, "label": "shop"}))
    Path(".run402.json").write_text('{"wallet": "other"}')
    monkeypatch.setenv("RUN402_PROFILE", "alpha")
    shown = run("wallets", "current").json
    assert (shown["local_label"], shown["source"], shown["source_detail"]) == ("alpha", "env", "RUN402_WALLET")
    assert [warning["code"] for warning in shown["warnings"]] == ["WALLET_SELECTION_CONFLICT", "WALLET_LABEL_DRIFT"]


def test_the_label_is_pushed_signed_by_the_wallet_itself(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=LABEL, json={"ok": True})
    assert run("wallets", "import", "one", "--key", "-", stdin=PRIVATE_KEY).exit == 0
    request = httpx_mock.get_requests()[0]
    assert json.loads(request.content) == {"label": "one"}
    assert request.headers["SIGN-IN-WITH-X"]


@pytest.mark.parametrize("status", [401, 500])
def test_a_label_that_is_refused_changes_nothing_for_the_caller(
    run: Run, httpx_mock: HTTPXMock, config_dir: Path, status: int
) -> None:
    httpx_mock.add_response(method="POST", url=LABEL, status_code=status, text="no")
    outcome = run("wallets", "import", "one", "--key", "-", stdin=PRIVATE_KEY)
    assert outcome.json["imported"] is True
    assert outcome.err == ""


def test_a_gateway_that_does_not_answer_does_not_fail_the_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:9")
    assert run("wallets", "new", "alpha").json["created"] is True
    monkeypatch.setenv("RUN402_API_BASE", "not a url")
    assert run("wallets", "new", "beta").json["created"] is True


def test_renaming_the_active_wallet_pushes_to_the_gateway_it_pointed_at(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUN402_API_BASE")
    (wallet / "target.json").write_text(json.dumps({"api_base": BASE, "target_kind": "core"}))
    httpx_mock.add_response(method="POST", url=LABEL, json={})
    assert run("wallets", "rename", "default", "--to", "beta").json["renamed"] is True
    assert [str(request.url) for request in httpx_mock.get_requests()] == [LABEL]
    shown = run("credentials", "project-keys", "list", "--wallet", "beta").json
    assert [entry["project_id"] for entry in shown["projects"]] == ["prj_1"]
