"""run402 credentials, as typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

LIST = f"{BASE}/projects/v1/prj_1/credentials"


def cached(config_dir: Path) -> dict[str, dict[str, str]]:
    value = json.loads((config_dir / "credentials" / "project-keys.v1.json").read_bytes())["projects"]
    assert isinstance(value, dict)
    return value


def test_issue_warns_once_and_stores_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    before = {path: path.read_bytes() for path in wallet.rglob("*.json")}
    httpx_mock.add_response(method="POST", url=LIST, json={"credential_id": "pcr_1", "secret": "s3cret"})
    outcome = run("credentials", "issue", "--kind", "service", "--name", " ci ", "--expires", "2030-01-01T00:00:00Z")
    assert outcome.json["secret"] == "s3cret"
    assert "once" in outcome.err or "one time" in outcome.err
    assert "s3cret" not in outcome.err
    body = json.loads(httpx_mock.get_requests()[0].content)
    assert body == {"kind": "service", "name": "ci", "expires_at": "2030-01-01T00:00:00Z"}
    assert {path: path.read_bytes() for path in wallet.rglob("*.json")} == before


def test_issue_with_save_caches_the_key_instead_of_printing_it(
    run: Run, wallet: Path, config_dir: Path, httpx_mock: HTTPXMock
) -> None:
    made = {"credential_id": "pcr_1", "secret": "s3cret_of_the_credential", "next_actions": [{"type": "x"}]}
    httpx_mock.add_response(method="POST", url=LIST.replace("prj_1", "prj_9"), json=made, is_reusable=True)
    issue = ("credentials", "issue", "--name", "ci", "--project", "prj_9", "--save", "--kind")
    outcome = run(*issue, "service")
    assert set(outcome.json) == {"credential_id", "saved"}
    assert (outcome.json["saved"]["project_id"], outcome.json["saved"]["has_service_key"]) == ("prj_9", True)
    assert "of_the_credential" not in outcome.out + outcome.err
    assert cached(config_dir)["prj_9"]["service_key"] == "s3cret_of_the_credential"
    assert cached(config_dir)["prj_1"]["service_key"] == "svc_key_1"
    # An anon key alone is no entry: said before a credential is made.
    assert run(*issue, "anon").json["saved"]["has_anon_key"] is True
    assert run("credentials", "issue", "--name", "a", "--project", "prj_8", "--save", "--kind", "anon").error["hint"]
    assert len(httpx_mock.get_requests()) == 2


@pytest.mark.parametrize(
    "args",
    [
        ("issue",),
        ("issue", "--kind", "root", "--name", "x"),
        ("issue", "--kind", "anon"),
        ("issue", "--kind", "anon", "--name", " "),
        ("issue", "--kind", "anon", "--name", "x", "more"),
        ("list", "more"),
        ("rotate",),
        ("rotate", "prj_1"),
        ("rotate", "pcr_1", "pcr_2"),
        ("revoke",),
        ("token", "--kind", "root"),
    ],
)
def test_usage_errors_send_nothing(run: Run, wallet: Path, args: tuple[str, ...]) -> None:
    assert run("credentials", *args).error["code"] == "BAD_USAGE"


def test_rotate_revoke_list_and_token_call_their_routes(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"secret": "t0ken"}, is_reusable=True)
    run("credentials", "rotate", "pcr/1")
    run("credentials", "revoke", "prj_2", "pcr_1", "--reason", "leaked")
    run("credentials", "revoke", "pcr_1")
    run("credentials", "list", "--include-revoked")
    note = run("credentials", "token").err
    requests = httpx_mock.get_requests()
    assert [(r.method, r.url.raw_path.decode(), r.content.decode()) for r in requests] == [
        ("POST", "/projects/v1/prj_1/credentials/pcr%2F1/rotate", ""),
        ("DELETE", "/projects/v1/prj_2/credentials/pcr_1", '{"reason":"leaked"}'),
        ("DELETE", "/projects/v1/prj_1/credentials/pcr_1", ""),
        ("GET", "/projects/v1/prj_1/credentials?include_revoked=true", ""),
        ("POST", "/projects/v1/prj_1/tokens", '{"kind":"service"}'),
    ]
    assert "? seconds" in note


def test_status_advises_when_the_keys_are_derived(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"state": "legacy"})
    outcome = run("credentials", "status")
    assert outcome.json == {"state": "legacy"}
    assert "credentials issue" in outcome.err
    httpx_mock.add_response(json={"state": "rotatable"})
    assert run("credentials", "status").err == ""


# -- the local cache ----------------------------------------------------------------------------------------------------

KEYS = ("credentials", "project-keys")


def test_import_from_stdin_and_environment(run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(*KEYS, "import", "--project", "prj_2", "--service-key-stdin", stdin=" svc_key_of_two \n").json
    assert (result["imported"], result["service_key_prefix"], result["has_anon_key"]) == (True, "svc_key_...", False)
    monkeypatch.setenv("MY_ANON", "anon_two")
    assert run(*KEYS, "import", "--project", "prj_2", "--anon-key-env", "MY_ANON").json["has_anon_key"] is True
    entry = cached(wallet)["prj_2"]
    assert (entry["service_key"], entry["anon_key"], entry["source"]) == ("svc_key_of_two", "anon_two", "manual_import")
    assert json.loads((wallet / "state.json").read_bytes())["active_project_id"] == "prj_1"


def test_import_keeps_what_describes_the_project_and_drops_the_rest(
    run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wallet / "credentials" / "project-keys.v1.json"
    old = {"anon_key": "a", "service_key": "s", "site_url": "u", "org_id": "o", "mailbox_id": "m", "odd": "x"}
    path.write_text(json.dumps({"projects": {"prj_1": old}}))
    monkeypatch.setenv("MY_KEY", "new")
    assert run(*KEYS, "import", "--project", "prj_1", "--service-key-env", "MY_KEY").exit == 0
    entry = cached(wallet)["prj_1"]
    assert entry.pop("cached_at").endswith("Z")
    assert entry == {"anon_key": "a", "service_key": "new", "site_url": "u", "org_id": "o", "source": "manual_import"}


@pytest.mark.parametrize(
    ("args", "stdin", "code"),
    [
        ((), "", "BAD_USAGE"),
        (("--project", "prj_2"), "", "BAD_USAGE"),
        (("--project", "prj_2", "--service-key-stdin"), " \n", "BAD_USAGE"),
        (("--project", "prj_2", "--service-key-stdin"), "two words", "BAD_USAGE"),
        (("--project", "prj_2", "--service-key-stdin"), "a\nb", "BAD_USAGE"),
        (("--project", "prj_2", "--service-key-stdin", "--service-key-env", "MY_KEY"), "", "BAD_USAGE"),
        (("--project", "prj_2", "--service-key-env", "NOT_SET"), "", "BAD_ENV"),
        (("--project", "prj_2", "--anon-key-env", "NOT_SET"), "", "BAD_ENV"),
        (("--project", "prj_2", "--anon-key-env", "MY_KEY"), "", "BAD_USAGE"),
        (("--project", "prj_2", "sk-the-key-itself"), "", "BAD_USAGE"),
        (("--project", "prj_2", "--service-key-env", "sk-the-key-itself"), "", "BAD_ENV"),
        (("--project", "prj_2", "--service-key", "sk-the-key-itself"), "", "UNKNOWN_FLAG"),
    ],
)
def test_import_errors_store_nothing_and_repeat_no_key(
    run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], stdin: str, code: str
) -> None:
    monkeypatch.setenv("MY_KEY", "k")
    before = cached(wallet)
    outcome = run(*KEYS, "import", *args, stdin=stdin)
    assert outcome.error["code"] == code
    assert "sk-the-key-itself" not in outcome.err
    assert cached(wallet) == before


def test_an_anon_key_alone_names_what_is_missing(run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_ANON", "a")
    error = run(*KEYS, "import", "--project", "prj_2", "--anon-key-env", "MY_ANON").error
    assert error["details"] == {"project_id": "prj_2", "anon_key_env": "<secret>"}


def test_export_needs_reveal_and_a_cached_entry(run: Run, wallet: Path) -> None:
    assert run(*KEYS, "export", "--project", "prj_1").error["code"] == "REVEAL_REQUIRED"
    shown = run(*KEYS, "export", "--project", "prj_1", "--reveal").json
    assert (shown["service_key"], shown["source"], shown["revealed"]) == ("svc_key_1", "local_cache", True)
    error = run(*KEYS, "export", "--project", "prj_none", "--reveal").error
    assert error["code"] == "PROJECT_CREDENTIAL_NOT_FOUND"
    assert ["import" in action["command"] for action in error["next_actions"]] == [True]


def test_list_status_and_remove(run: Run, wallet: Path) -> None:
    listed = run(*KEYS, "list", "--project", "ignored").json
    assert [entry["project_id"] for entry in listed["projects"]] == ["prj_1"]
    assert "svc_key_1" not in json.dumps(listed)
    assert run(*KEYS, "status", "--project", "prj_none").json["configured"] is False
    assert run(*KEYS, "status").error["code"] == "BAD_USAGE"
    assert run(*KEYS, "remove", "--project", "prj_1").json["removed"] is True
    assert run(*KEYS, "remove", "--project", "prj_1").json["removed"] is False
    assert json.loads((wallet / "state.json").read_bytes())["active_project_id"] == "prj_1"


def test_local_commands_do_not_load_the_http_client(tmp_path: Path) -> None:
    import subprocess

    script = (
        "import sys\nfrom run402_cli.main import _guarded\n"
        "_guarded(['credentials', 'project-keys', 'list'])\n_guarded(['wallets', 'list'])\n"
        "assert not {'httpx', '_wallycore', 'pydantic'} & set(sys.modules), 'loaded'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
