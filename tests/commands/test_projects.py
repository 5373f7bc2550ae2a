"""run402 projects, as typed: arguments, requests, results, files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

SQL = f"{BASE}/projects/v1/admin/prj_1/sql"
PROJECT = {"project_id": "prj_1", "name": "one"}


def sent(httpx_mock: HTTPXMock) -> httpx.Request:
    requests = httpx_mock.get_requests()
    assert len(requests) == 1
    return requests[0]


def state(config_dir: Path) -> Any:
    return json.loads((config_dir / "state.json").read_bytes())


# -- sql ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (("select 'é'",), ""),
        (("prj_1", "select 'é'"), ""),
        (("select 'é'", "--project", "prj_1"), ""),
        (("--file", "q.sql"), ""),
        (("--file", "-"), "select 'é'"),
        (("--stdin",), "select 'é'"),
        (("prj_1", "--stdin", "--json"), "\ufeffselect 'é'"),
        (("select 'é'", "--params", "[]"), ""),
        (("select 'é'", "--params", ""), ""),
    ],
)
def test_sql_is_sent_as_text_with_the_service_key(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], stdin: str
) -> None:
    Path("q.sql").write_text("select 'é'", encoding="utf-8")
    httpx_mock.add_response(method="POST", url=SQL, json={"status": "ok", "rows": [], "rowCount": 0})
    assert run("projects", "sql", *args, stdin=stdin).json == {"status": "ok", "rows": [], "row_count": 0}
    request = sent(httpx_mock)
    assert request.content.decode() == "select 'é'"
    assert request.headers["content-type"] == "text/plain"
    assert request.headers["authorization"] == "Bearer svc_key_1"
    assert "sign-in-with-x" not in request.headers


@pytest.mark.parametrize(
    ("names", "repeated"),
    [
        (["count", "count"], ["count"]),
        (["a", "b", "a", "b", "a", "c"], ["a", "b"]),
        (["count", "count_2"], None),
        ([], None),
    ],
)
def test_columns_that_share_a_name_are_told(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, names: list[str], repeated: list[str] | None
) -> None:
    answer = {"rows": [dict.fromkeys(names, 1)], "fields": [{"name": name, "type": "int8"} for name in names]}
    httpx_mock.add_response(method="POST", url=SQL, json=answer, is_reusable=True)
    told = run("projects", "sql", "select 1").json
    assert {key: told[key] for key in answer} == answer
    assert [warning["columns"] for warning in told.get("warnings", [])] == ([repeated] if repeated else [])
    for form in ("jsonl", "text"):
        done = run("projects", "sql", "select 1", "--format", form)
        assert ("AS" in done.err) is bool(repeated)


def test_the_lines_of_jsonl_are_the_rows_of_sql(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"rows": [{"a": 1}, {"a": 2}], "row_count": 2, "fields": [{"name": "a", "type": "int4"}]}
    httpx_mock.add_response(method="POST", url=SQL, json=answer)
    assert run("projects", "sql", "select a", "--jsonl").out == '{"a":1}\n{"a":2}\n'


def test_sql_with_parameters_is_sent_as_json(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=SQL, json={"rows": []})
    run("projects", "sql", "select $1", "--params", '[1, null, "é"]')
    assert json.loads(sent(httpx_mock).content) == {"sql": "select $1", "params": [1, None, "é"]}


@pytest.mark.parametrize(
    ("args", "stdin", "code"),
    [
        ((), b"", "BAD_USAGE"),
        (("",), b"", "BAD_USAGE"),
        (("--stdin",), b" \n", "BAD_USAGE"),
        (("--stdin", "select 1"), b"", "BAD_USAGE"),
        (("--stdin", "--file", "q.sql"), b"", "BAD_USAGE"),
        (("select", "1"), b"", "BAD_PROJECT_ID"),
        (("select 1", "--file", "q.sql"), b"", "BAD_USAGE"),
        (("--file", "none.sql"), b"", "FILE_NOT_FOUND"),
        (("--file", "."), b"", "NOT_A_FILE"),
        (("--file", "binary.sql"), b"", "BAD_FILE"),
        (("--file", "nul.sql"), b"", "BAD_FILE"),
        (("--stdin",), b"select '\xff'", "BAD_FILE"),
        (("select \udcff",), b"", "BAD_USAGE"),
        (("select 1", "--params", "{"), b"", "BAD_JSON_FLAG"),
        (("select 1", "--params", "[NaN]"), b"", "BAD_JSON_FLAG"),
        (("select 1", "--params", '{"a":1}'), b"", "BAD_USAGE"),
        (("select 1", "--params"), b"", "BAD_FLAG"),
        (("select 1", "--project", "prj_none"), b"", "PROJECT_CREDENTIAL_NOT_FOUND"),
        (("prj_1", "select 1", "--project", "prj_2"), b"", "BAD_USAGE"),
        (("select 1", "--stdn"), b"", "UNKNOWN_FLAG"),
    ],
)
def test_sql_input_that_cannot_run_sends_nothing(
    run: Run, wallet: Path, args: tuple[str, ...], stdin: bytes, code: str
) -> None:
    Path("q.sql").write_text("select 1")
    Path("binary.sql").write_bytes(b"\x89PNG\xff\xfe")
    Path("nul.sql").write_bytes(b"select 1\0")
    assert run("projects", "sql", *args, stdin=stdin).error["code"] == code


def test_an_sql_error_shows_what_postgresql_said(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    body = {
        "error": "SQL_ERROR",
        "code": "SQL_ERROR",
        "message": 'relation "x" does not exist',
        "hint": "h",
        "position": 15,
    }
    httpx_mock.add_response(method="POST", url=SQL, status_code=400, json=body)
    error = run("projects", "sql", "select * from x").error
    assert {key: error[key] for key in ("message", "hint", "position", "http")} == {
        "message": 'relation "x" does not exist',
        "hint": "h",
        "position": 15,
        "http": 400,
    }


# -- rest ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "path"),
    [
        (("items",), "/rest/v1/items"),
        (("prj_1", "items", "?select=a,b"), "/rest/v1/items?select=a,b"),
        (("items", "a=eq.1", "--query", "b=eq.2"), "/rest/v1/items?b=eq.2"),
        (("items", "--query", "t=eq.a%20b#c"), "/rest/v1/items?t=eq.a%20b%23c"),
        (("a/b?c",), "/rest/v1/a%2Fb%3Fc"),
        (("items", "--key-type", "service"), "/admin/v1/rest/items"),
    ],
)
def test_rest_reads(run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...], path: str) -> None:
    httpx_mock.add_response(json=[{"id": 1}])
    assert run("projects", "rest", *args).json == [{"id": 1}]
    request = sent(httpx_mock)
    key = "svc_key_1" if path.startswith("/admin") else "anon_key_1"
    assert (request.method, request.url.raw_path.decode()) == ("GET", path)
    assert (request.headers["apikey"], request.headers["authorization"]) == (key, f"Bearer {key}")
    assert "prefer" not in request.headers


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("source", ["--body", "--body-file", "stdin"])
def test_rest_writes_ask_for_the_changed_rows(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, method: str, source: str
) -> None:
    body = '{"big": 12345678901234567890, "x": 1.10}'
    Path("b.json").write_text(body)
    given = {"--body": ["--body", body], "--body-file": ["--body-file", "b.json"], "stdin": ["--body-file", "-"]}[
        source
    ]
    httpx_mock.add_response(method=method, json=[])
    args = ["items", "--method", method, "--query", "id=eq.1"] + ([] if method == "DELETE" else given)
    assert run("projects", "rest", *args, stdin=body).json == []
    request = sent(httpx_mock)
    assert request.headers["prefer"] == "return=representation"
    assert request.content.decode() == ("" if method == "DELETE" else body)


def test_rest_calls_a_function(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=f"{BASE}/rest/v1/rpc/add", json=3)
    assert run("projects", "rest", "rpc/add", "--method", "POST", "--body", '{"a":1}').json == 3


def test_rest_prints_an_empty_answer_as_an_empty_string(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=204)
    assert run("projects", "rest", "items", "--method", "DELETE", "--query", "id=eq.1").json == ""


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((), "BAD_USAGE"),
        (("items", "--method", "PUT"), "BAD_FLAG"),
        (("items", "--key-type", "root"), "BAD_FLAG"),
        (("items", "--body", "{}"), "BAD_USAGE"),
        (("items", "--method", "POST", "--body", "{}", "--body-file", "-"), "BAD_USAGE"),
        (("items", "--method", "POST", "--body", "{"), "BAD_JSON_FLAG"),
        (("items", "--method", "POST", "--body-file", "none.json"), "FILE_NOT_FOUND"),
        (("items", "--method", "POST", "--body-file", "-"), "BAD_JSON"),
    ],
)
def test_rest_refuses_before_any_request(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("projects", "rest", *args).error["code"] == code


# -- provision, use, list, current, rename, delete ----------------------------------------------------------------------

NEW = {"project_id": "prj_2", "anon_key": "anon_2", "service_key": "svc_2", "schema_slot": "p2"}


def test_provision_caches_the_keys_and_makes_the_project_active(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {**NEW, "endpoints": {"static_base_url": "http://site"}, "later": 1}
    httpx_mock.add_response(method="POST", url=f"{BASE}/projects/v1", json=answer)
    result = run("projects", "provision", "--name", "my app").json
    assert result["previous_active_project_id"] == "prj_1"
    assert result["later"] == 1
    request = sent(httpx_mock)
    assert request.headers["idempotency-key"] == "provision:my app"
    assert json.loads(request.content) == {"tier": "prototype", "name": "my app"}
    assert request.headers["sign-in-with-x"]
    keys = json.loads((wallet / "credentials" / "project-keys.v1.json").read_bytes())["projects"]
    assert set(keys) == {"prj_1", "prj_2"}
    assert (keys["prj_2"]["service_key"], keys["prj_2"]["site_url"]) == ("svc_2", "http://site")
    assert state(wallet)["active_project_id"] == "prj_2"


@pytest.mark.parametrize("name", ["café", "日本", " edge ", "🦄"])
def test_any_name_has_a_key_that_a_header_can_carry(run: Run, wallet: Path, httpx_mock: HTTPXMock, name: str) -> None:
    httpx_mock.add_response(method="POST", json=NEW, is_reusable=True)
    keys = set()
    for _ in range(2):
        assert run("projects", "provision", "--name", name).exit == 0
    for request in httpx_mock.get_requests():
        keys.add(request.headers["idempotency-key"])
        assert json.loads(request.content)["name"] == name
    assert len(keys) == 1
    assert re.fullmatch(r"provision:[!-~ ]*[!-~]", keys.pop())


@pytest.mark.parametrize(
    ("args", "code", "details"),
    [
        (("--name", ""), "BAD_PROJECT_NAME", {"field": "--name"}),
        (("--name", "a" * 129), "BAD_PROJECT_NAME", {"field": "--name", "length": 129, "max": 128}),
        (("--name", "🦄" * 65), "BAD_PROJECT_NAME", {"field": "--name", "length": 130, "max": 128}),
        (("--name", "a\tb"), "BAD_PROJECT_NAME", {"field": "--name"}),
        (("--org="), "BAD_USAGE", {"field": "--org"}),
        (("--idempotency-key", "a\nb"), "BAD_FLAG", {"flag": "--idempotency-key"}),
    ],
)
def test_provision_checks_its_arguments(
    run: Run, wallet: Path, args: tuple[str, ...] | str, code: str, details: dict[str, Any]
) -> None:
    error = run("projects", "provision", *([args] if isinstance(args, str) else args)).error
    assert (error["code"], error["details"]) == (code, details)


def test_provision_needs_a_credential_on_the_cloud(run: Run, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "https://gateway.test")
    error = run("projects", "provision").error
    assert error["code"] == "NO_ALLOWANCE"
    assert error["next_actions"][0]["type"] == "initialize_wallet"


def test_provision_lets_a_delegate_through(
    run: Run, config_dir: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "https://gateway.test")
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "tok")
    httpx_mock.add_response(json=NEW)
    assert run("projects", "provision").json["project_id"] == "prj_2"
    assert sent(httpx_mock).headers["authorization"] == "Bearer tok"


@pytest.mark.parametrize("file", ["state.json", "credentials/project-keys.v1.json"])
@pytest.mark.parametrize("args", [("provision",), ("delete", "--project", "prj_1", "--confirm"), ("use", "prj_1")])
def test_damaged_state_is_reported_before_anything_changes_on_the_server(
    run: Run, wallet: Path, file: str, args: tuple[str, ...]
) -> None:
    if args[0] == "use" and file != "state.json":
        pytest.skip("use does not write the key cache")
    (wallet / file).write_text("oops")
    assert run("projects", *args).error["code"] in ("BAD_ENV", "PROJECT_CREDENTIAL_NOT_FOUND")
    assert (wallet / file).read_text() == "oops"


def test_a_project_whose_keys_cannot_be_saved_is_named(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    httpx_mock.add_response(json=NEW)
    monkeypatch.setattr(Path, "replace", full)
    outcome = run("projects", "provision", "--name", "x")
    assert outcome.error["details"]["project_id"] == "prj_2"
    assert "No space left" in outcome.error["message"]
    assert "svc_2" not in outcome.err


@pytest.mark.parametrize("answer", ["null", "[]", '"x"', "{}", '{"project_id": 7}'])
def test_a_senseless_answer_to_provision_is_an_error(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: str
) -> None:
    httpx_mock.add_response(text=answer, headers={"content-type": "application/json"})
    before = (wallet / "state.json").read_bytes()
    assert run("projects", "provision").error["code"] == "INTERNAL_ERROR"
    assert (wallet / "state.json").read_bytes() == before


@pytest.mark.parametrize("answered", ["prj_$(touch${IFS}x)", "prj_a b", "-rf", "prj_\n:files", "prj_" + "a" * 200])
def test_an_answered_id_that_is_code_is_not_kept(run: Run, wallet: Path, httpx_mock: HTTPXMock, answered: str) -> None:
    httpx_mock.add_response(json={**NEW, "project_id": answered})
    keys = wallet / "credentials" / "project-keys.v1.json"
    before = [(wallet / "state.json").read_bytes(), keys.read_bytes()]
    error = run("projects", "provision", "--name", "x").error
    assert error["code"] == "BAD_PROJECT_ID"
    assert [(wallet / "state.json").read_bytes(), keys.read_bytes()] == before


def test_a_typed_id_that_is_code_does_not_become_the_active_one(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"project_id": "prj_1"})
    assert run("projects", "use", "prj_$(id)").error["code"] == "BAD_PROJECT_ID"
    assert state(wallet)["active_project_id"] == "prj_1"


def test_use_prints_one_line_and_writes_after_the_server_agreed(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/projects/v1/prj_9", json={"project_id": "prj_9"})
    outcome = run("projects", "use", "prj_9")
    assert outcome.out == '{"active_project_id":"prj_9","set":true,"project_id":"prj_9"}\n'
    assert state(wallet)["active_project_id"] == "prj_9"
    httpx_mock.add_response(url=f"{BASE}/projects/v1/prj_8", status_code=403, json={"code": "NOT_AUTHORIZED"})
    assert run("projects", "use", "prj_8").error["http"] == 403
    assert state(wallet)["active_project_id"] == "prj_9"


def test_list_marks_the_active_project_and_drops_other_fields(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    rows = [
        {"id": "prj_1", "name": "n", "status": None, "effective_status": "frozen", "x": 1},
        {"project_id": "prj_2"},
        {},
    ]
    httpx_mock.add_response(
        url=f"{BASE}/projects/v1?org_id=o%201", json={"projects": rows, "has_more": False, "next_cursor": None}
    )
    result = run("projects", "list", "--org", "o 1").json
    empty = {"name": None, "active": False, "site_url": None, "custom_domains": [], "org_id": None, "status": None}
    assert result == {
        "projects": [
            {**empty, "project_id": "prj_1", "name": "n", "active": True, "status": "frozen"},
            {**empty, "project_id": "prj_2"},
            {**empty, "project_id": ""},
        ],
        "has_more": False,
    }


def test_list_all_uses_the_operator_session_alone(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    session = {"operator_session_token": "op", "email": "e", "wallets": [], "expires_at": 4102444800000}
    (wallet / "operator-session.json").write_text(json.dumps(session))
    (wallet / "operator-session.json").chmod(0o600)
    httpx_mock.add_response(
        url=f"{BASE}/agent/v1/operator/projects", json={"projects": [], "scope": "email", "next_cursor": "c"}
    )
    assert run("projects", "list", "--all").json == {"projects": [], "scope": "email", "next_cursor": "c"}
    assert sent(httpx_mock).headers["authorization"] == "Bearer op"
    assert "sign-in-with-x" not in sent(httpx_mock).headers


@pytest.mark.parametrize("command", ["get", "current"])
def test_a_projects_keys_are_not_printed_whatever_the_gateway_sends(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, command: str
) -> None:
    sends = {"project_id": "prj_1", "name": "shop", "anon_key": "anon-of-it", "service_key": "service-of-it"}
    httpx_mock.add_response(url=f"{BASE}/projects/v1/prj_1", json=sends)
    result = run("projects", command).json
    shows = "run402 credentials project-keys export --project prj_1 --reveal"
    assert result.get("project", result) == {"project_id": "prj_1", "name": "shop", "keys_command": shows}


def test_current_reports_a_refusal_as_data(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=403, json={"code": "NOT_AUTHORIZED", "message": "no"})
    result = run("projects", "current").json
    assert result["validation"] == {"checked": True, "ok": False, "code": "NOT_AUTHORIZED", "message": "no"}
    assert result["project_id"] == result["active_project_id"] == "prj_1"
    (wallet / "state.json").unlink()
    assert run("projects", "current").json == {
        "active_project_id": None,
        "project_id": None,
        "source": "profile_state",
        "validation": {"checked": False, "ok": False},
    }


def test_delete_forgets_keys_and_falls_back_to_the_previous_project(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    pointers = {"active_project_id": "prj_1", "previous_active_project_id": "prj_0"}
    (wallet / "state.json").write_text(json.dumps(pointers))
    httpx_mock.add_response(method="DELETE", url=f"{BASE}/projects/v1/prj_1", status_code=204)
    assert run("projects", "delete", "--confirm").json == {
        "project_id": "prj_1",
        "deleted": True,
        "active_project_id": "prj_0",
    }
    assert state(wallet)["active_project_id"] == "prj_0"
    assert json.loads((wallet / "credentials" / "project-keys.v1.json").read_bytes())["projects"] == {}


def test_a_refused_delete_keeps_everything(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    before = {path: path.read_bytes() for path in wallet.rglob("*.json")}
    error = run("projects", "delete").error
    assert (error["code"], error["details"]["project_id"]) == ("CONFIRMATION_REQUIRED", "prj_1")
    httpx_mock.add_response(status_code=409, json={"code": "PROJECT_HAS_PENDING_TRANSFER"})
    assert run("projects", "delete", "prj_1", "--confirm").error["code"] == "PROJECT_HAS_PENDING_TRANSFER"
    assert {path: path.read_bytes() for path in wallet.rglob("*.json")} == before


@pytest.mark.parametrize(
    "command", ["get", "rename", "tenant-payments", "costs", "usage", "schema", "get-expose", "delete"]
)
def test_a_bare_word_where_only_a_project_may_stand_is_refused(run: Run, wallet: Path, command: str) -> None:
    error = run("projects", command, "nope").error
    assert (error["code"], error["details"]) == ("BAD_PROJECT_ID", {"value": "nope", "expected_prefix": "prj_"})


@pytest.mark.parametrize(("cookie", "expected"), [("a=b", "a=b"), ("tok", "run402_admin=tok"), (" ", None), ("", None)])
def test_costs_sends_admin_mode_and_the_cookie(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, cookie: str, expected: str | None
) -> None:
    monkeypatch.setenv("RUN402_ADMIN_COOKIE", cookie)
    httpx_mock.add_response(url=f"{BASE}/admin/api/finance/project/prj_1?window=24h", json={})
    assert run("projects", "costs", "--window", "24h").json == {}
    assert sent(httpx_mock).headers["x-admin-mode"] == "1"
    assert sent(httpx_mock).headers.get("cookie") == expected


@pytest.mark.parametrize(
    "args",
    [
        ("tenant-payments", "--limit", "0"),
        ("tenant-payments", "--limit", "201"),
        ("tenant-payments", "--limit", "x"),
        ("tenant-payments", "--status", "lost"),
        ("costs", "--window", "1h"),
        ("export", "--scope", "all"),
        ("export", "--auth", "full"),
        ("export", "--consistency", "none"),
        ("export", "--poll-interval", "99"),
        ("export", "--timeout", "999"),
    ],
)
def test_values_outside_the_list_are_bad_flags(run: Run, wallet: Path, args: tuple[str, ...]) -> None:
    assert run("projects", *args).error["code"] == "BAD_FLAG"


def test_moved_and_removed_commands_say_where_to_go(run: Run, wallet: Path) -> None:
    for old in ("info", "keys"):
        error = run("projects", old, "prj_1").error
        assert error["code"] == "COMMAND_MOVED"
        assert error["details"]["source"] == "local_cache"
        assert len(error["next_actions"]) == 2
        assert run("projects", old, "--bogus").error["code"] == "UNKNOWN_FLAG"
    for args in ((), ("--bogus",), ("--help",)):
        error = run("projects", "pin", *args).error
        assert error["code"] == "REMOVED_COMMAND"
        assert "admin lease-perpetual <org_id> --enable" in error["hint"]


def test_a_lost_connection_is_a_network_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    error = run("projects", "usage").error
    assert (error["code"], error["retryable"]) == ("NETWORK_ERROR", True)


def test_a_key_that_no_header_can_carry_is_not_repeated(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_exception(httpx.LocalProtocolError("Illegal header value b'Bearer svc_key_1'"))
    outcome = run("projects", "usage")
    assert outcome.error["code"] == "BAD_ENV"
    assert "svc_key_1" not in outcome.err


# -- expose -------------------------------------------------------------------------------------------------------------

MANIFEST = '{"version":"1","tables":[]}'
CHECK = f"{BASE}/projects/v1/admin/prj_1/expose/validate"


@pytest.mark.parametrize("args", [(MANIFEST,), ("--file", "m.json"), ("--file", "-"), ("prj_1", MANIFEST)])
def test_apply_expose_sends_the_manifest_itself(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, args: tuple[str, ...]
) -> None:
    Path("m.json").write_text(MANIFEST)
    httpx_mock.add_response(method="POST", url=f"{BASE}/projects/v1/admin/prj_1/expose", json={"status": "ok"})
    assert run("projects", "apply-expose", *args, stdin=MANIFEST).json == {"status": "ok"}
    assert json.loads(sent(httpx_mock).content) == json.loads(MANIFEST)


@pytest.mark.parametrize(
    ("args", "code"),
    [((), "BAD_USAGE"), (("{",), "BAD_USAGE"), (("a", "b"), "BAD_PROJECT_ID"), (("--file", "none"), "FILE_NOT_FOUND")],
)
def test_apply_expose_refuses_before_any_request(run: Run, wallet: Path, args: tuple[str, ...], code: str) -> None:
    assert run("projects", "apply-expose", *args).error["code"] == code


@pytest.mark.parametrize(
    ("answer", "has_errors"),
    [
        ({"has_errors": True, "errors": [{"type": "missing-table"}], "warnings": []}, True),
        ({"hasErrors": False, "errors": [], "warnings": [1]}, False),
        ({"errors": [{"type": "missing-table"}]}, True),
        ({}, False),
        ([], False),
    ],
)
def test_validate_findings_are_data(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, answer: Any, has_errors: bool
) -> None:
    httpx_mock.add_response(method="POST", url=CHECK, json=answer)
    result = run("projects", "validate-expose", stdin=MANIFEST).json
    assert list(result) == ["has_errors", "errors", "warnings"]
    assert result["has_errors"] is has_errors
    assert json.loads(sent(httpx_mock).content) == {"manifest": json.loads(MANIFEST)}


def test_validate_takes_the_migration_and_ignores_the_project_of_the_environment(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_env")
    Path("m.sql").write_text("create table t();")
    httpx_mock.add_response(method="POST", url=CHECK, json={}, is_reusable=True)
    for args in (("--migration-file", "m.sql"), ("--migration-sql", "create table t();")):
        assert run("projects", "validate-expose", MANIFEST, *args).exit == 0
    bodies = [json.loads(request.content)["migration_sql"] for request in httpx_mock.get_requests()]
    assert bodies == ["create table t();"] * 2


def test_validate_without_a_project_is_signed_by_the_caller(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    (wallet / "state.json").unlink()
    httpx_mock.add_response(method="POST", url=f"{BASE}/projects/v1/expose/validate", json={})
    assert run("projects", "validate-expose", MANIFEST).exit == 0
    assert sent(httpx_mock).headers["sign-in-with-x"]
    (wallet / "allowance.json").unlink()
    assert run("projects", "validate-expose", MANIFEST).error["code"] == "NO_ALLOWANCE"


def test_validate_of_text_that_is_not_json_sends_nothing(run: Run, wallet: Path) -> None:
    result = run("projects", "validate-expose", "{oops").json
    assert result["has_errors"] is True
    assert [(issue["type"], issue["severity"]) for issue in result["errors"]] == [("schema-shape", "error")]


@pytest.mark.parametrize(
    "args",
    [
        (),
        (MANIFEST, "more"),
        (MANIFEST, "--file", "m.json"),
        (MANIFEST, "--migration-file", "x", "--migration-sql", "y"),
        ("--file", "-", "--migration-file", "-"),
        (MANIFEST, "prj_1", "--project", "prj_2"),
    ],
)
def test_validate_usage_errors(run: Run, wallet: Path, args: tuple[str, ...]) -> None:
    assert run("projects", "validate-expose", *args).error["code"] == "BAD_USAGE"
