"""`archives`, `cloud archives` and `core projects import` as command lines."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import archive_kit as kit
import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

CORE = "http://core.test"
RESULT = {
    "schema_version": "run402.project_archive.import_result.v1",
    "status": "imported",
    "archive_digest": "sha256:x",
    "project_id": "prj_new",
    "project_name": "shop",
    "release_id": "rel_1",
    "required_secrets": [],
    "diagnostics": [],
    "next_action": {"type": "none"},
}
ROOT = f"{BASE}/projects/v1/prj_1/archives"


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return kit.write_tar(tmp_path / "a.r402ar")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kit.write_directory(tmp_path / "a")


# -- archives -----------------------------------------------------------------------------------------------------------


def test_verify_exits_0_only_for_a_whole_archive(run: Run, tar: Path) -> None:
    done = run("archives", "verify", str(tar), "--json")
    assert (done.json["ok"], done.json["verified"], done.json["archive"]["file_count"]) == (True, True, 21)
    kit.repack(tar, lambda found: found.update({"auth/config.json": b"{}"}))
    done = run("archives", "verify", str(tar))
    document = json.loads(done.out)
    assert (done.exit, document["ok"], document["verified"]) == (1, False, False)
    assert re.fullmatch(
        r"It is no whole .* auth/config.json .*\. Next: run402 projects export --output <file>\n", done.err
    )
    assert document["archive"]["diagnostics"][0] == {
        "code": "ARCHIVE_SIZE_MISMATCH",
        "severity": "blocking",
        "resource_type": "descriptor",
        "resource_id": "auth.config",
        "path": "auth/config.json",
        "message": document["archive"]["diagnostics"][0]["message"],
        "next_action": {"type": "read_docs", "message": "`run402 docs archives` explains each code."},
        "retryable": False,
        "context": {
            "expected_size": document["archive"]["diagnostics"][0]["context"]["expected_size"],
            "actual_size": 2,
        },
    }


def test_inspect_exits_0_for_whatever_it_can_report(run: Run, tar: Path) -> None:
    assert run("archives", "inspect", str(tar)).json["archive"]["ok"] is True
    missing = run("archives", "inspect", "no/such/path").json["archive"]
    assert [found["code"] for found in missing["diagnostics"]] == ["ENOENT"]


def test_the_size_limit_can_be_raised_but_not_made_nonsense(run: Run, tar: Path) -> None:
    assert run("archives", "verify", str(tar), "--max-bytes", "9999999999").json["ok"] is True
    refused = run("archives", "verify", str(tar), "--max-bytes", "100")
    assert json.loads(refused.out)["archive"]["diagnostics"][0]["code"] == "ARCHIVE_SIZE_LIMIT_EXCEEDED"
    assert run("archives", "verify", str(tar), "--max-bytes", "2GB").error["code"] == "BAD_FLAG"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("archives",), "UNKNOWN_SUBCOMMAND"),
        (("archives", "extract"), "UNKNOWN_SUBCOMMAND"),
        (("archives", "verify"), "BAD_USAGE"),
        (("archives", "inspect", "x", "--bogus"), "UNKNOWN_FLAG"),
        (("cloud",), "UNKNOWN_SUBCOMMAND"),
        (("cloud", "files"), "UNKNOWN_SUBCOMMAND"),
        (("cloud", "archives", "list"), "UNKNOWN_SUBCOMMAND"),
        (("core", "projects", "export"), "UNKNOWN_SUBCOMMAND"),
        (("core", "projects", "import"), "BAD_USAGE"),
        (("core", "projects", "import", "x", "--secret"), "BAD_FLAG"),
        (("core", "projects", "import", "x", "--secret", "novalue"), "BAD_FLAG"),
        (("core", "projects", "import", "x", "--secret", "=v"), "BAD_FLAG"),
        (("core", "projects", "import", "x", "--secret", "1A=v"), "BAD_FLAG"),
        (("cloud", "archives", "status"), "BAD_USAGE"),
        (("cloud", "archives", "status", "prj_1"), "BAD_USAGE"),
        (("cloud", "archives", "status", "arc_1", "arc_2"), "BAD_USAGE"),
        (("cloud", "archives", "download", "arc_1"), "BAD_USAGE"),
        (("cloud", "archives", "download", "prj_2", "arc_1", "--project", "prj_3", "--output", "o"), "BAD_USAGE"),
        (("cloud", "archives", "create", "word"), "BAD_USAGE"),
        (("cloud", "archives", "create", "--poll-interval", "99"), "BAD_FLAG"),
    ],
)
def test_wrong_command_lines_are_refused_before_anything_is_sent(
    run: Run, wallet: Path, args: tuple[str, ...], code: str
) -> None:
    assert run(*args).error["code"] == code


# -- cloud archives -----------------------------------------------------------------------------------------------------


def test_status_shows_the_archive(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    archive = {"archive_id": "arc_1", "status": "running", "new_key": 1}
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json=archive)
    assert run("cloud", "archives", "status", "prj_1", "arc_1").json == {"archive": archive}
    assert "apikey" not in httpx_mock.get_requests()[0].headers


def test_download_saves_a_ready_archive(run: Run, wallet: Path, httpx_mock: HTTPXMock, tmp_path: Path) -> None:
    archive = {"archive_id": "arc_1", "status": "ready", "sha256": kit.sha(b"bytes")}
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json=archive)
    httpx_mock.add_response(url=f"{ROOT}/arc_1/download", content=b"bytes")
    document = run("cloud", "archives", "download", "arc_1", "--output=new/o.r402ar").json
    saved = tmp_path / "cwd" / "new" / "o.r402ar"
    assert saved.read_bytes() == b"bytes"
    assert document == {
        "ok": True,
        "project_id": "prj_1",
        "archive_id": "arc_1",
        "output_path": str(saved),
        "bytes_written": 5,
        "replaced": False,
        "sha256": kit.sha(b"bytes"),
        "verify_command": f'run402 archives verify "{saved}" --json',
        "import_command": f'run402 core projects import "{saved}" --name imported-project'
        " --env-file ./required.env --json",
        "archive": archive,
    }


@pytest.mark.parametrize(("secrets", "asked"), [(0, False), (2, True)])
def test_the_import_command_asks_for_values_when_secrets_were_left_out(
    secrets: int, asked: bool, run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    report = {"omitted_sensitive_resource_count": secrets}
    archive = {"archive_id": "arc_1", "status": "ready", "sha256": kit.sha(b"bytes"), "export_report": report}
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json=archive)
    httpx_mock.add_response(url=f"{ROOT}/arc_1/download", content=b"bytes")
    document = run("cloud", "archives", "download", "arc_1", "--output", "o.r402ar").json
    assert ("--env-file" in document["import_command"]) is asked


@pytest.mark.parametrize(
    ("status", "code"),
    [("running", "ARCHIVE_NOT_READY"), ("failed", "ARCHIVE_NOT_READY"), ("expired", "ARCHIVE_EXPIRED")],
)
def test_download_of_an_archive_that_is_not_ready(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, status: str, code: str
) -> None:
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json={"archive_id": "arc_1", "status": status})
    error = run("cloud", "archives", "download", "arc_1", "--output", "o").error
    assert (error["code"], error["details"]) == (code, {"archive_id": "arc_1", "status": status})
    assert error["next_actions"][0]["command"].startswith("run402 cloud archives ")


def test_a_dry_run_of_download_writes_nothing(run: Run, wallet: Path, httpx_mock: HTTPXMock, tmp_path: Path) -> None:
    httpx_mock.add_response(url=f"{ROOT}/arc_1", json={"archive_id": "arc_1", "status": "ready"})
    assert run("cloud", "archives", "download", "arc_1", "--output", "o", "--dry-run").exit == 0
    assert list((tmp_path / "cwd").iterdir()) == []


def test_create_is_projects_export(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="POST", url=ROOT, json={"archive_id": "arc_1", "status": "running"})
    done = run("cloud", "archives", "create", "--auth", "none", "--idempotency-key", "k")
    assert (done.exit, json.loads(done.out)["archive_status"]) == (1, "running")
    request = httpx_mock.get_requests()[0]
    assert request.headers["idempotency-key"] == "k"
    assert json.loads(request.content) == {
        "scope": "portable-runtime-v1",
        "auth": "none",
        "consistency": "pause-writes",
    }


# -- core projects import -----------------------------------------------------------------------------------------------


def sent(httpx_mock: HTTPXMock) -> dict[str, Any]:
    request = httpx_mock.get_requests()[-1]
    assert request.headers["content-type"] == "application/json"
    for name in ("authorization", "apikey", "sign-in-with-x"):
        assert name not in request.headers
    body: dict[str, Any] = json.loads(request.content)
    return body


@pytest.mark.parametrize("word", ["import", "apply"])
def test_a_directory_is_named_and_the_answer_printed(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, folder: Path, word: str
) -> None:
    httpx_mock.add_response(method="POST", url=f"{CORE}/archives/v1/import", status_code=201, json=RESULT)
    done = run("core", "projects", word, "../a", "--name", "shop", "--core-url", f"{CORE}//")
    document = done.json
    action, secret = document["import"].pop("next_actions")
    assert action["argv"][:3] == ["run402", "credentials", "issue"]
    assert secret["command"] == "run402 secrets set API_TOKEN <value> --project prj_new"
    codes = [warning["code"] for warning in document["import"].pop("warnings")]
    assert codes == ["SECRET_VALUES_REQUIRED", "AUTH_SUBJECT_STUBS_IMPORTED"]
    assert document == {"ok": True, "import": {**RESULT, "keys_cached": False}}
    body = sent(httpx_mock)
    assert Path(body.pop("archive_path")).resolve() == folder
    assert body == {"name": "shop", "dry_run": False, "require_runnable": False, "secret_values": {}}


def test_a_tar_is_unpacked_for_the_gateway_and_removed(
    run: Run, httpx_mock: HTTPXMock, tar: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUN402_CORE_URL", CORE)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    seen: list[set[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = Path(json.loads(request.content)["archive_path"])
        assert path.name.startswith("run402-archive-")
        seen.append({p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()})
        return httpx.Response(200, json={**RESULT, "status": "dry_run"})

    httpx_mock.add_callback(answer, method="POST", url=f"{CORE}/archives/v1/import")
    done = run("core", "projects", "import", str(tar), "--dry-run", "--require-runnable")
    assert done.json["ok"] is True
    assert seen == [set(kit.files(tar))]
    assert list(temporary.iterdir()) == []
    assert (sent(httpx_mock)["dry_run"], sent(httpx_mock)["require_runnable"]) == (True, True)


def test_an_import_names_the_pages_that_would_write_to_the_source_project(
    run: Run, httpx_mock: HTTPXMock, tmp_path: Path
) -> None:
    page = b"<script>const ANON_KEY = 'r402_anon_0123456789abcdef0123456789abcdef'</script>"
    content = kit.documents()
    content["portable_release_state"]["site"]["paths"].append(
        {"path": "old.html", "content_sha256": kit.sha(page), "size_bytes": len(page), "content_type": "text/html"}
    )
    tar = kit.write_tar(tmp_path / "keys.r402ar", content, blobs=(kit.PAGE, kit.CODE, kit.PICTURE, page))
    httpx_mock.add_response(json=RESULT)
    done = run("core", "projects", "import", str(tar), "--core-url", CORE, "--secret", "API_TOKEN=v")
    found = {warning["code"]: warning for warning in done.json["import"]["warnings"]}["SITE_NAMES_SOURCE_PROJECT"]
    assert found["context"] == {"files": ["old.html"], "file_count": 1}
    command = "run402 credentials project-keys export --project prj_new --reveal"
    assert found["next_action"]["command"] == command
    assert command in [action["command"] for action in done.json["import"]["next_actions"]]
    assert "0123456789abcdef" not in done.out + done.err


def test_an_import_names_what_did_not_come_along_and_how_to_set_it_right(
    run: Run, httpx_mock: HTTPXMock, tar: Path
) -> None:
    note = {"code": "CLOUD_ONLY_FEATURE_EXCLUDED", "severity": "warning", "message": "stays", "retryable": False}
    shop = {**note, "resource_type": "subdomain", "resource_id": "shop", "next_action": {"type": "none"}}
    strange = {**note, "resource_type": "mail", "next_action": {"type": "run_command", "command": "rm -rf ."}}
    schema = "run402.project_archive.portability_report.v1"
    kit.replaced(
        tar,
        "manifest/portability-report.json",
        json.dumps({"schema_version": schema, "entries": [shop, strange]}).encode(),
    )
    assert "rm -rf" not in run("archives", "verify", str(tar)).out + run("archives", "inspect", str(tar)).out
    httpx_mock.add_response(json=RESULT)
    given = run("core", "projects", "import", str(tar), "--core-url", CORE, "--secret", "API_TOKEN=v").json["import"]
    assert "API_TOKEN" not in json.dumps(given["warnings"])
    commands = [action.get("command") for action in given["next_actions"]]
    assert commands[1:] == ["run402 subdomains claim <name> --project prj_new"]
    assert "rm -rf" not in json.dumps(given)


def asking_for(path: Path, *names: str) -> Path:
    """An archive whose functions have secrets of these names."""
    content = kit.documents()
    asked = [{"name": name, "required": True, "targets": ["function:api"]} for name in names]
    content["secret_requirements"]["secrets"] = asked
    content["portable_release_state"]["secrets"]["keys"] = list(names)
    return kit.write_directory(path, content)


def test_of_an_env_file_only_the_secrets_of_the_archive_are_sent(
    run: Run, httpx_mock: HTTPXMock, folder: Path, tmp_path: Path
) -> None:
    httpx_mock.add_response(json=RESULT)
    (tmp_path / "cwd" / ".env").write_text("API_TOKEN=mine\nAWS_SECRET_ACCESS_KEY=hush\nDATABASE_URL=hush\n")
    done = run("core", "projects", "import", str(folder), "--core-url", CORE, "--env-file", ".env", "--secret", "X=1")
    assert sent(httpx_mock)["secret_values"] == {"API_TOKEN": "mine", "X": "1"}
    warning = {each["code"]: each for each in done.json["import"]["warnings"]}["ENV_NAMES_NOT_SENT"]
    assert "AWS_SECRET_ACCESS_KEY, DATABASE_URL" in warning["message"]
    assert "hush" not in done.out + done.err


def test_secret_values_come_from_the_file_and_the_flags(run: Run, httpx_mock: HTTPXMock, tmp_path: Path) -> None:
    folder = asking_for(tmp_path / "asks", *"ABCDEFG", "A2")
    httpx_mock.add_response(json=RESULT)
    lines = [
        "# comment",
        "",
        "export A=one # trailing",
        " B = 'q # uoted' ",
        'C="x=y"',
        "D=",
        "E=a#b",
        "A2=1",
        "A2=2",
        "F='open",
    ]
    (tmp_path / "cwd" / "env").write_bytes("\r\n".join(lines).encode())
    flags = ["--secret", "D=from=flag", "--secret", "G=", "--secret", "D=last"]
    done = run("core", "projects", "import", str(folder), "--core-url", CORE, "--env-file", "env", *flags)
    assert done.exit == 0
    assert sent(httpx_mock)["secret_values"] == {
        "A": "one",
        "B": "q # uoted",
        "C": "x=y",
        "D": "last",
        "E": "a#b",
        "A2": "2",
        "F": "'open",
        "G": "",
    }
    assert "uoted" not in done.out + done.err


@pytest.mark.parametrize(
    ("data", "line", "key"),
    [
        (b"A=1\nnovalue\n", 2, None),
        (b"=x", 1, None),
        (b"1A=x", 1, "1A"),
        (b"A=1\n\nB C=2", 3, "B C"),
        (b"A=\xff", 1, None),
    ],
)
def test_an_env_file_that_is_none_stops_before_anything_is_sent(
    run: Run, folder: Path, tmp_path: Path, data: bytes, line: int, key: str | None
) -> None:
    path = tmp_path / "cwd" / "env"
    path.write_bytes(data)
    error = run("core", "projects", "import", str(folder), "--core-url", CORE, "--env-file", "env").error
    expected = {"path": str(path), "line": line, **({"key": key} if key else {})}
    assert (error["code"], error["details"]) == ("INVALID_ENV_FILE", expected)


def test_a_missing_env_file_has_the_systems_code(run: Run, folder: Path) -> None:
    done = run("core", "projects", "import", str(folder), "--core-url", CORE, "--env-file", "none")
    assert done.error["code"] == "ENOENT"
    assert "cannot read 'none'" in done.error["message"]
    assert done.error["next_actions"][0]["argv"][-2:] == ["--env-file", "<env_file>"]


@pytest.mark.parametrize("named", [(), ("--name", "shop"), ("--name=shop",)])
def test_onto_a_name_that_is_taken_the_same_import_with_another_name_is_next(
    named: tuple[str, ...], run: Run, httpx_mock: HTTPXMock, folder: Path
) -> None:
    httpx_mock.add_response(status_code=422, json={"error": "PROJECT_ALREADY_EXISTS", "message": "Taken."})
    done = run("core", "projects", "import", str(folder), "--core-url", CORE, *named, "--require-runnable")
    assert done.exit == 1
    command = f"run402 core projects import {folder} --core-url {CORE} --require-runnable --name <name>"
    assert done.err.splitlines()[-1] == f"Taken. Next: {command}"


def test_secret_values_can_come_from_stdin(run: Run, httpx_mock: HTTPXMock, tmp_path: Path) -> None:
    httpx_mock.add_response(json=RESULT)
    folder = asking_for(tmp_path / "asks", "KEY")
    args = ("core", "projects", "import", str(folder), "--core-url", CORE, "--env-file", "-")
    assert run(*args, stdin="KEY=value\n").exit == 0
    assert sent(httpx_mock)["secret_values"] == {"KEY": "value"}


def test_an_archive_that_does_not_verify_is_not_sent(run: Run, tar: Path) -> None:
    kit.repack(tar, lambda found: found.update({"auth/config.json": b"{}"}))
    done = run("core", "projects", "import", str(tar), "--core-url", CORE, "--env-file", "not-even-read")
    document = json.loads(done.out)
    assert (done.exit, document["ok"], document["import"]["status"]) == (1, False, "failed")
    assert list(document["import"]) == [
        *("schema_version", "status", "archive_digest", "required_secrets", "diagnostics", "next_action"),
    ]
    found = document["import"]["diagnostics"]
    assert [item["code"] for item in found] == [
        *("IMPORT_VERIFY_FAILED", "ARCHIVE_SIZE_MISMATCH", "ARCHIVE_DIGEST_MISMATCH")
    ]
    assert found[0]["context"] == {"diagnostic_count": 2}


@pytest.mark.parametrize(
    ("answer", "code", "action", "retryable"),
    [
        (
            {"status_code": 422, "json": {"error": "PROJECT_ALREADY_EXISTS"}},
            "PROJECT_ALREADY_EXISTS",
            "read_docs",
            False,
        ),
        ({"status_code": 400, "json": {"code": "X"}}, "X", "read_docs", False),
        ({"status_code": 429, "json": {}}, "IMPORT_CONFORMANCE_FAILED", "read_docs", True),
        (
            {"status_code": 503, "json": {"error": "archive_import_unavailable"}},
            "archive_import_unavailable",
            "retry_later",
            True,
        ),
        ({"status_code": 500, "text": "oops"}, "NON_JSON_RESPONSE", "retry_later", True),
        ({"status_code": 200, "json": {"hello": 1}}, "IMPORT_CONFORMANCE_FAILED", "contact_support", False),
    ],
)
def test_other_answers_become_a_failed_result(
    run: Run, httpx_mock: HTTPXMock, folder: Path, answer: dict[str, Any], code: str, action: str, retryable: bool
) -> None:
    httpx_mock.add_response(**answer)
    done = run("core", "projects", "import", str(folder), "--core-url", CORE)
    result = json.loads(done.out)["import"]
    assert (done.exit, result["status"], result["next_action"]["type"]) == (1, "failed", action)
    found = result["diagnostics"][0]
    assert (found["code"], found["retryable"], found["context"]["http_status"]) == (
        code,
        retryable,
        answer["status_code"],
    )
    assert "project_id" not in result


def test_a_result_with_an_error_status_is_passed_through(run: Run, httpx_mock: HTTPXMock, folder: Path) -> None:
    blocked = {**RESULT, "status": "blocked"}
    httpx_mock.add_response(status_code=422, json=blocked)
    done = run("core", "projects", "import", str(folder), "--core-url", CORE)
    assert (done.exit, json.loads(done.out)) == (1, {"ok": False, "import": blocked})


def test_details_that_may_be_secrets_are_hidden(run: Run, httpx_mock: HTTPXMock, folder: Path) -> None:
    details = {"secret_values": "hush-hush", "ApiToken": "hush-hush", "path": "shown"}
    httpx_mock.add_response(status_code=422, json={"error": "X", "details": details})
    done = run("core", "projects", "import", str(folder), "--core-url", CORE)
    assert "hush-hush" not in done.out + done.err
    assert "shown" in done.out


def test_a_stream_has_two_lines(run: Run, httpx_mock: HTTPXMock, folder: Path) -> None:
    httpx_mock.add_response(json=RESULT)
    done = run("core", "projects", "import", str(folder), "--core-url", CORE, "--json-stream")
    first, last = (json.loads(line) for line in done.out.splitlines())
    assert first == {
        "event": "core_archive_import_started",
        "stage": "verify",
        "resource_type": "project_archive",
        "resource_id": str(folder),
        "status": "running",
        "completed_units": 0,
        "total_units": 1,
        "code": None,
        "message": first["message"],
        "next_action": {"type": "none"},
        "retryable": False,
        "context": {"archive_path": str(folder), "core_url": CORE, "project_name": "imported-project"},
    }
    assert (last["event"], last["status"], last["completed_units"], last["code"]) == (
        *("core_archive_import_complete", "imported", 1, None),
    )
    assert last["result"].items() >= RESULT.items()


def test_the_active_core_target_imports_and_is_named_when_it_is_away(
    run: Run, httpx_mock: HTTPXMock, folder: Path
) -> None:
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    error = run("core", "projects", "import", str(folder)).error
    assert (error["code"], error["retryable"]) == ("NETWORK_ERROR", True)
    assert "gateway.test" in error["message"]
    assert [request.url.host for request in httpx_mock.get_requests()] == ["gateway.test"]


def test_nothing_is_sent_to_an_address_that_nobody_named(
    run: Run, httpx_mock: HTTPXMock, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RUN402_API_BASE")
    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(tmp_path / "core"))
    httpx_mock.add_response(url="http://127.0.0.1:4020/health", json={"hello": "stranger"})
    error = run("core", "projects", "import", str(folder), "--secret", "K=v").error
    assert error["code"] == "CORE_NOT_FOUND"
    assert [request.method for request in httpx_mock.get_requests()] == ["GET"]


def test_the_gateway_that_runs_here_imports_and_its_keys_are_cached(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RUN402_API_BASE")
    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(tmp_path / "core"))
    (tmp_path / "core").mkdir()
    here = "http://127.0.0.1:4777"
    (tmp_path / "core" / "gateway.json").write_text(json.dumps({"url": here, "pid": 7, "port": 4777}))
    project = f"{here}/projects/v1/{RESULT['project_id']}"
    httpx_mock.add_response(url=f"{here}/health", json={"mode": "core", "pid": 7})
    httpx_mock.add_response(url=f"{here}/archives/v1/import", status_code=201, json=RESULT)
    httpx_mock.add_response(url=project, json={"anon_key": "anon_secret_1", "service_key": "svc_secret_1"})
    done = run("core", "projects", "import", str(folder))
    assert done.json["import"]["keys_cached"] is True
    assert "secret_1" not in done.out + done.err
    stored = json.loads((wallet / "credentials" / "project-keys.v1.json").read_text())
    assert stored["projects"][RESULT["project_id"]]["service_key"] == "svc_secret_1"


@pytest.mark.parametrize("flag", [None, "7"])
def test_an_import_takes_its_time_unless_told_otherwise(
    run: Run, httpx_mock: HTTPXMock, tar: Path, flag: str | None
) -> None:
    httpx_mock.add_response(json=RESULT)
    more = [] if flag is None else ["--http-timeout", flag]
    run("core", "projects", "import", str(tar), "--core-url", CORE, "--secret", "API_TOKEN=v", *more)
    sent = next(request for request in httpx_mock.get_requests() if request.url.path == "/archives/v1/import")
    assert sent.extensions["timeout"]["read"] == (None if flag is None else 7.0)
