"""run402 deploy, as typed: arguments, modes, credentials, results."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import config_kit
import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.commands import deploy as deploy_commands

SITE = {"project_id": "prj_1", "site": {"replace": {"index.html": "<h1>hi</h1>"}}}
READY = {"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": {"project": "http://x"}}
PLAN = {"kind": "plan_response", "plan_id": "plan_1", "operation_id": "op_1", "is_noop": False, "summary": "s"}


@pytest.fixture
def cloud(wallet: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wallet whose target.json calls the gateway a Cloud one; app.json in the working directory."""
    monkeypatch.delenv("RUN402_API_BASE")
    (wallet / "target.json").write_text(json.dumps({"api_base": BASE, "target_kind": "cloud"}))
    Path("app.json").write_text(json.dumps(SITE))
    return wallet


def answer(httpx_mock: HTTPXMock, method: str, path: str, body: Any = None, status: int = 200) -> None:
    httpx_mock.add_response(method=method, url=f"{BASE}{path}", json=body, status_code=status)


def deployable(httpx_mock: HTTPXMock, **plan: Any) -> None:
    answer(httpx_mock, "POST", "/apply/v1/plans", {**PLAN, **plan})
    answer(httpx_mock, "POST", "/apply/v1/plans/plan_1/commit", READY)
    answer(httpx_mock, "GET", "/apply/v1/operations/op_1/events?limit=100", {"events": []})


def bodies(httpx_mock: HTTPXMock) -> list[Any]:
    return [json.loads(request.content) for request in httpx_mock.get_requests() if request.content]


# -- which project


def of_a_clone(project: str) -> None:
    Path(".git").mkdir(exist_ok=True)
    Path("app.json").write_text(json.dumps({**SITE, "project_id": project}))


@pytest.mark.parametrize("words", [(), ("--plan",), ("--rehearse",), ("--require-plan", "plan_1")])
def test_the_manifest_of_a_clone_chooses_no_other_project_than_the_active_one(
    cloud: Path, run: Run, httpx_mock: HTTPXMock, words: tuple[str, ...]
) -> None:
    of_a_clone("prj_2")
    for command in (("deploy", "apply"), ("apply",)):
        error = run(*command, "--manifest", "app.json", *words).error
        assert (error["code"], error["details"]["project_id"]) == ("BINDING_NOT_CONFIRMED", "prj_2")
        action = error["next_actions"][0]
        assert action["argv"] == ["run402", *command, "--manifest", "app.json", *words, "--project", "prj_2"]
        assert action["confirms"] is True
    assert httpx_mock.get_requests() == []
    assert run("deploy", "apply", "--manifest", "app.json", "--check").exit == 0


def test_a_project_that_was_named_once_is_not_asked_about_again(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    of_a_clone("prj_2")
    for _ in range(2):
        deployable(httpx_mock)
    assert run("deploy", "apply", "--manifest", "app.json", "--project", "prj_2").exit == 0
    assert run("deploy", "apply", "--manifest", "app.json").exit == 0
    assert {found for body in bodies(httpx_mock) for found in re.findall("prj_[0-9]", json.dumps(body))} == {"prj_2"}
    of_a_clone("prj_3")
    assert run("deploy", "apply", "--manifest", "app.json").error["code"] == "BINDING_NOT_CONFIRMED"


@pytest.mark.parametrize("how", ["active", "CI", "variable", "spec", "own"])
def test_what_the_user_chose_is_not_asked_about(
    cloud: Path, run: Run, monkeypatch: pytest.MonkeyPatch, httpx_mock: HTTPXMock, how: str
) -> None:
    of_a_clone("prj_1" if how == "active" else "prj_2")
    if how == "own":
        Path(".git").rmdir()
    elif how == "CI":
        monkeypatch.setenv("CI", "true")
    elif how == "variable":
        monkeypatch.setenv("RUN402_PROJECT_ID", "prj_2")
    deployable(httpx_mock)
    given = ("--spec", Path("app.json").read_text()) if how == "spec" else ("--manifest", "app.json")
    assert run("deploy", "apply", *given).exit == 0


# -- arguments


@pytest.mark.parametrize(
    ("args", "details"),
    [
        ((), {}),
        (("--manifest", "app.json", "--spec", "{}"), {"sources": ["--manifest", "--spec"]}),
        (("--spec", "{}", "--spec", "{}"), {"flag": "--spec"}),
        (("--manifest", "no.json"), {"flag": "--manifest", "path": "no.json"}),
        (("--spec", "{}", "--check", "--plan"), {"existing_mode": "check", "flag": "--plan"}),
        (
            ("--spec", "{}", "--require-plan", "p", "--rehearse"),
            {"existing_mode": "rehearse", "flag": "--require-plan"},
        ),
        (("--spec", "{}", "--commit"), {"flag": "--commit"}),
        (("--spec", "{}", "--teardown", "never"), {"flag": "--teardown", "value": "never"}),
        (("--spec", "{}", "--plan-fingerprint", "f"), {"flag": "--plan-fingerprint"}),
        (("--spec", "{}", "--require-plan", "p", "--allow-warnings"), {"flag": "--require-plan"}),
        (("--spec", "{}", "--concurrency", "0"), {"flag": "--concurrency", "value": "0"}),
        (("--spec", "{}", "--concurrency", "65"), {"flag": "--concurrency", "value": "65"}),
        (
            ("--spec", '{"project_id":"prj_2","site":{"replace":{"a":"b"}}}', "--project", "prj_3"),
            {"spec_project_id": "prj_2", "flag_project_id": "prj_3"},
        ),
    ],
)
def test_wrong_arguments_are_named(run: Run, args: tuple[str, ...], details: dict[str, Any]) -> None:
    error = run("deploy", "apply", *args).error
    assert (error["code"], error["details"], error["trace_id"]) == ("BAD_USAGE", details, None)


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("{bad", "BAD_USAGE"),
        ("{}", "MANIFEST_EMPTY"),
        ("[]", "MANIFEST_EMPTY"),
        ('{"secrets":[{"key":"A","value":"s3cret"}]}', "UNSAFE_SECRET_MANIFEST"),
        ('{"secrets":{"set":{"A":"s3cret"}}}', "UNSAFE_SECRET_MANIFEST"),
        ('{"site":{"replace":{"a":"b"}}}', "PROJECT_REQUIRED"),
        ('{"project_id":"p","site":{"replace":{"a":"b"}},"subdomain":"x"}', "LOCAL_ERROR"),
        ('{"project_id":"p","project":"q","site":{"replace":{"a":"b"}}}', "RUN402_PROJECT_CONFLICT"),
    ],
)
def test_unusable_manifests_stop_before_any_request(run: Run, spec: str, code: str) -> None:
    outcome = run("deploy", "apply", "--spec", spec)
    assert outcome.error["code"] == code
    assert "s3cret" not in outcome.err


def test_a_configuration_program_is_run_and_what_it_prints_goes_to_stderr(run: Run) -> None:
    Path("app.mjs").write_text(
        'console.log("hello"); export default ({ rootDir }) => ({ project: "prj_1", site: { replace: { a: rootDir } } })'
    )
    outcome = run("deploy", "apply", "--manifest", "app.mjs", "--print-spec")
    assert outcome.json == {"project": "prj_1", "site": {"replace": {"a": str(Path.cwd())}}}
    assert outcome.err == "hello\n"


def test_a_configuration_program_of_a_clone_is_not_told_the_wallet_that_the_clone_chose(
    run: Run, config_dir: Path
) -> None:
    config_kit.keep_wallet(config_dir / "profiles" / "rich")
    Path(".git").mkdir()
    Path(".run402.json").write_text('{"wallet": "rich"}')
    Path("app.mjs").write_text(
        f"""import {{ spawnSync }} from "node:child_process";
        const words = ["-m", "run402_cli", "allowance", "export"];
        const done = spawnSync({json.dumps(sys.executable)}, words, {{ cwd: {json.dumps(Path.cwd().anchor)} }});
        console.log(String(done.stdout) + String(done.stderr));
        export default {{ project: "prj_1", site: {{ replace: {{ a: "b" }} }} }};"""
    )
    told = run("deploy", "apply", "--manifest", "app.mjs", "--print-spec")
    assert told.exit == 0
    assert "NO_ALLOWANCE" in told.err
    assert run("wallets", "bind", "rich", "--confirm").exit == 0
    assert config_kit.ADDRESS in run("deploy", "apply", "--manifest", "app.mjs", "--print-spec").err


def test_a_configuration_program_may_not_carry_secrets_and_excludes_dir(run: Run) -> None:
    Path("app.mjs").write_text('export default { project: "prj_1", secrets: { set: { A: "s3cret" } } }')
    outcome = run("deploy", "apply", "--manifest", "app.mjs", "--print-spec")
    assert outcome.error["code"] == "UNSAFE_SECRET_MANIFEST"
    assert "s3cret" not in outcome.err
    error = run("deploy", "apply", "--manifest", "app.mjs", "--dir", "dist").error
    assert (error["code"], error["details"]) == ("BAD_USAGE", {"flag": "--dir", "manifest": "app.mjs"})


def test_an_astro_directory_needs_the_package_of_its_project(run: Run) -> None:
    error = run("deploy", "apply", "--dir", "dist").error
    assert (error["code"], error["details"]["flag"]) == ("BAD_USAGE", "--dir")
    assert "@run402/astro" in error["details"]["import_error"]


def _astro_build() -> None:
    """An Astro build below the current directory, in a project with a small @run402/astro."""
    package = Path("node_modules/@run402/astro")
    package.mkdir(parents=True)
    exports = {"./release-slice": {"import": "./slice.mjs"}}
    (package / "package.json").write_text(json.dumps({"name": "@run402/astro", "exports": exports}))
    (package / "slice.mjs").write_text(
        """import { existsSync } from "node:fs";
        export async function buildAstroReleaseSlice(dist) {
          if (!existsSync(`${dist}/run402/adapter.json`)) throw Object.assign(new Error("no adapter.json"), {
            code: "R402_ASTRO_ADAPTER_MANIFEST_MISSING", file: "F", suggestedFix: "build it", docs: "https://d" });
          return { site: { replace: { __source: "local-dir", path: `${dist}/run402/client` } },
                   functions: { replace: { ssr: { source: "export default 1", class: "ssr" } } } };
        }"""
    )
    Path("dist/run402/server").mkdir(parents=True)


def test_an_astro_build_is_merged_into_the_manifest_and_its_tree_is_scanned(run: Run, wallet: Path) -> None:
    _astro_build()
    error = run("deploy", "apply", "--dir", "dist").error
    assert (error["code"], error["hint"], error["docs"]) == (
        "R402_ASTRO_ADAPTER_MANIFEST_MISSING",
        "build it",
        "https://d",
    )
    Path("dist/run402/adapter.json").write_text("{}")
    spec = '{"site": {"replace": {"old": "x"}}, "subdomains": {"set": ["shop"]}}'
    printed = run("deploy", "apply", "--dir", "dist", "--spec", spec, "--print-spec").json
    assert printed["site"]["replace"]["path"] == str(Path("dist/run402/client").absolute())
    assert (printed["functions"]["replace"]["ssr"]["class"], printed["subdomains"]) == ("ssr", {"set": ["shop"]})
    Path("dist/run402/server/entry.mjs").write_text("getUser()")
    error = run("deploy", "apply", "--dir", "dist").error
    assert error["code"] == "R402_AUTH_PREFLIGHT_FAILED"
    assert error["details"]["findings"][0]["file"] == str(Path("dist/run402/server/entry.mjs"))


def test_a_wallet_is_needed_for_the_cloud(cloud: Path, run: Run) -> None:
    (cloud / "allowance.json").unlink()
    assert run("deploy", "apply", "--manifest", "app.json").error["code"] == "NO_ALLOWANCE"
    for command in ("resume", "events", "verify"):
        assert run("deploy", command, "op_1").error["code"] == "NO_ALLOWANCE"
    assert run("deploy", "list").error["code"] == "NO_ALLOWANCE"
    assert run("deploy", "promote", "rel_1").error["code"] == "NO_ALLOWANCE"
    assert run("deploy", "rehearse", "plan_1").error["code"] == "NO_ALLOWANCE"


def test_a_delegate_needs_no_wallet_but_cannot_list(
    cloud: Path, run: Run, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cloud / "allowance.json").unlink()
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "dlg_1")
    deployable(httpx_mock)
    assert run("deploy", "apply", "--manifest", "app.json", "--quiet").json["release_id"] == "rel_1"
    for request in httpx_mock.get_requests():
        assert request.headers["authorization"] == "Bearer dlg_1"
        assert "apikey" not in request.headers
    error = run("deploy", "list").error
    assert (error["code"], error["next_actions"][0]["type"]) == ("DELEGATE_SCOPE_INSUFFICIENT", "run_command")


# -- modes


def test_check_and_print_spec_send_nothing(run: Run) -> None:
    Path("app.json").write_text(json.dumps({**SITE, "site": {"replace": {"a.html": {"path": "missing.html"}}}}))
    assert run("deploy", "apply", "--manifest", "app.json", "--check").json == {
        "ok": True,
        "mode": "check",
        "project_id": "prj_1",
        "manifest_path": str(Path("app.json").absolute()),
    }
    printed = run("deploy", "apply", "--manifest", "app.json", "--print-spec").json
    assert printed == {
        "project": "prj_1",
        "site": {"replace": {"a.html": {"__source": "fs-file", "path": str(Path("missing.html").absolute())}}},
    }
    assert run("apply", "--spec", json.dumps(SITE), "--check").json["manifest_path"] is None


@pytest.mark.parametrize("args", [("--manifest", "-"), ()])
def test_the_manifest_may_come_from_standard_input(
    run: Run, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.setattr(deploy_commands, "_stdin_is_a_document", lambda: True)
    assert run("deploy", "apply", *args, "--check", stdin=json.dumps(SITE)).json["project_id"] == "prj_1"


def test_apply_prints_the_result_and_its_events(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    deployable(httpx_mock)
    outcome = run("deploy", "apply", "--manifest", "app.json")
    assert list(outcome.json) == ["release_id", "operation_id", "urls", "diff", "warnings"]
    types = [json.loads(line)["type"] for line in outcome.err.splitlines()]
    assert types == ["plan.started", "plan.diff", "commit.phase", "ready"]
    principals = ["sign-in-with-x" in request.headers for request in httpx_mock.get_requests()]
    keys = [request.headers.get("apikey") for request in httpx_mock.get_requests()]
    assert (principals, keys) == ([True, True, True], [None, None, "anon_key_1"])


@pytest.mark.parametrize("flag", ["--quiet", "--final-only"])
def test_quiet_prints_the_result_only(cloud: Path, run: Run, httpx_mock: HTTPXMock, flag: str) -> None:
    deployable(httpx_mock)
    outcome = run("apply", "--manifest", "app.json", flag)
    assert (outcome.json["release_id"], outcome.err) == ("rel_1", "")


def test_an_assets_only_manifest_is_deployed(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    deployable(httpx_mock)
    spec = {"project_id": "prj_1", "assets": {"delete": ["a.txt"]}}
    assert run("deploy", "apply", "--spec", json.dumps(spec), "--quiet").exit == 0
    assert bodies(httpx_mock)[0]["spec"]["assets"] == {"delete": ["a.txt"]}


def test_a_failed_rehearsal_is_a_document_and_exit_1(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    answer(httpx_mock, "POST", "/apply/v1/plans", PLAN)
    answer(httpx_mock, "POST", "/apply/v1/plans/plan_1/rehearse", {"report": {"status": "failed"}})
    outcome = run("deploy", "apply", "--manifest", "app.json", "--rehearse")
    document = json.loads(outcome.out)
    assert (outcome.exit, document["ok"]) == (1, False)
    assert document["commit_command"] == "run402 deploy apply --require-plan plan_1"


# -- source scan


@pytest.mark.parametrize(
    ("source", "code", "line"),
    [
        ('import {\n  db, getUser } from "@run402/functions"', "R402_AUTH_UNKNOWN_EXPORT", 2),
        ("\n\nconst u = await getSession (req)", "R402_AUTH_UNKNOWN_EXPORT", 3),
        ("auth.signOut()", "R402_AUTH_UNKNOWN_EXPORT", 1),
        ("localStorage.getItem( 'wl_session' )", "R402_AUTH_UNKNOWN_EXPORT", 1),
        ("export const prerender = true\nauth.user()", None, 0),
        ("export const GET = async () => {\n db().insert({}) }", "R402_AUTH_STATE_CHANGING_GET", 2),
        ("export async function GET() {}", None, 0),
        ("export async function GET(r) { x.sql(`delete from t`) }", "R402_AUTH_STATE_CHANGING_GET", 1),
        ("update internal.sessions\n set authz_version = 1", "R402_AUTH_AUTHZ_VERSION_PROHIBITED", 1),
        ("client.getUser(); auth.sessions.endResponse(); mygetUser()", None, 0),
    ],
)
def test_sources_named_by_the_manifest_are_scanned(
    cloud: Path, run: Run, httpx_mock: HTTPXMock, source: str, code: str | None, line: int
) -> None:
    Path("fn.mjs").write_text(source)
    spec = {"project_id": "prj_1", "functions": {"replace": {"f": {"source": {"path": "fn.mjs"}}}}}
    if code is None:
        deployable(httpx_mock)
        assert run("deploy", "apply", "--spec", json.dumps(spec), "--quiet").exit == 0
        return
    error = run("deploy", "apply", "--spec", json.dumps(spec)).error
    assert error["code"] == "R402_AUTH_PREFLIGHT_FAILED"
    (finding,) = error["details"]["findings"]
    assert (finding["code"], finding["severity"], finding["file"], finding["line"]) == (code, "error", "fn.mjs", line)


def test_prerendered_pages_may_not_use_auth(cloud: Path, run: Run) -> None:
    Path("page.astro").write_text("export const prerender = true\nauth.requireUser()")
    spec = {"project_id": "prj_1", "site": {"replace": {"page.astro": {"path": "page.astro"}}}}
    error = run("deploy", "apply", "--spec", json.dumps(spec)).error
    assert [finding["code"] for finding in error["details"]["findings"]] == ["R402_AUTH_PRERENDERED"]


def test_the_scan_can_be_skipped_and_is_not_part_of_a_plan(
    cloud: Path, run: Run, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("fn.mjs").write_text("getUser()")
    spec = json.dumps({"project_id": "prj_1", "functions": {"replace": {"f": {"source": {"path": "fn.mjs"}}}}})
    answer(httpx_mock, "POST", "/apply/v1/plans", PLAN)
    assert run("deploy", "apply", "--spec", spec, "--plan").exit == 0
    monkeypatch.setenv("RUN402_DEPLOY_SKIP_SCAN", "1")
    deployable(httpx_mock)
    assert run("deploy", "apply", "--spec", spec, "--quiet").exit == 0


# -- GitHub Actions


@pytest.fixture
def github(cloud: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (cloud / "allowance.json").unlink()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", "http://github.test/token?x=1&audience=old")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ght_1")
    return cloud


def oidc(httpx_mock: HTTPXMock) -> None:
    url = "http://github.test/token?x=1&audience=https%3A%2F%2Fapi.run402.com"
    httpx_mock.add_response(url=url, json={"value": "jwt_1"}, match_headers={"Authorization": "Bearer ght_1"})


def test_ci_exchanges_its_token_once_and_uses_nothing_else(github: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    oidc(httpx_mock)
    answer(httpx_mock, "POST", "/ci/v1/token-exchange", {"access_token": "ci_1", "expires_in": 600})
    missing = [{"sha256": "0" * 64, "size": 5, "present": False}]
    deployable(httpx_mock, missing_content=missing)
    answer(httpx_mock, "POST", "/content/v1/plans", {"plan_id": "cplan_1", "missing": []})
    answer(httpx_mock, "POST", "/content/v1/plans/cplan_1/commit", {})
    assert run("deploy", "apply", "--manifest", "app.json", "--quiet").json["release_id"] == "rel_1"
    _github, exchange, *calls = httpx_mock.get_requests()
    assert json.loads(exchange.content)["subject_token"] == "jwt_1"
    assert "authorization" not in exchange.headers
    for call in calls:
        assert call.headers["authorization"] == "Bearer ci_1"
        assert not {"apikey", "sign-in-with-x"} & set(call.headers)
    content = next(json.loads(call.content) for call in calls if call.url.path == "/content/v1/plans")
    assert list(content) == ["project_id", "content"]


def test_ci_refuses_locally_what_it_may_not_deploy(github: Path, run: Run) -> None:
    error = run("deploy", "apply", "--spec", json.dumps({**SITE, "secrets": {"require": ["A"]}})).error
    assert (error["code"], error["resource"], error["phase"]) == ("forbidden_spec_field", "secrets", "validate")
    assert error["hint"]


def test_a_refused_exchange_says_how_to_link(github: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    oidc(httpx_mock)
    answer(httpx_mock, "POST", "/ci/v1/token-exchange", {"error": "access_denied", "code": "FORBIDDEN"}, 403)
    error = run("deploy", "apply", "--manifest", "app.json").error
    assert (error["code"], error["error"], error["http"]) == ("FORBIDDEN", "access_denied", 403)
    assert error["next_actions"][-1]["command"] == "run402 ci link github"


def test_ci_without_a_token_names_the_permission(github: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=403)
    assert "id-token: write" in run("deploy", "apply", "--manifest", "app.json").error["message"]


def test_ci_without_a_project_has_its_own_code(github: Path, run: Run) -> None:
    (github / "state.json").unlink()
    spec = json.dumps({"site": SITE["site"]})
    assert run("deploy", "apply", "--spec", spec).error["code"] == "CI_PROJECT_REQUIRED"


# -- the other commands


def test_operations_are_read_with_principal_and_anon_key(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    answer(httpx_mock, "GET", "/apply/v1/operations?limit=2", {"operations": []})
    answer(httpx_mock, "GET", "/apply/v1/operations/op_1/events", {"events": [], "cursor": None})
    assert run("deploy", "list", "--limit", "2").json == {"operations": []}
    assert run("deploy", "events", "op_1").json == {"events": [], "cursor": None}
    for request in httpx_mock.get_requests():
        assert request.headers["apikey"] == "anon_key_1"
        assert "sign-in-with-x" in request.headers


@pytest.mark.parametrize("command", ["resume", "events", "verify"])
def test_a_word_that_is_no_operation_is_refused_locally(cloud: Path, run: Run, command: str) -> None:
    error = run("deploy", command, "rel_1").error
    assert (error["code"], error["rolled_back"]) == ("OPERATION_NOT_FOUND", False)


def test_verify_exits_2_until_the_edge_agrees(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    report = {"coherent": False, "operation_id": "op_1", "project_id": "prj_1", "paths": []}
    answer(httpx_mock, "GET", "/apply/v1/operations/op_1/edge-coherence", report)
    outcome = run("deploy", "verify", "op_1")
    assert outcome.exit == 2
    assert json.loads(outcome.out) == {
        "status": "not_coherent",
        "coherent": False,
        "operation_id": "op_1",
        "project_id": "prj_1",
        "attempts": 1,
        "elapsed_ms": 0,
        "report": report,
    }


@pytest.mark.parametrize(
    "args", [(), ("op_1", "--operation", "op_2"), ("op_1", "--timeout", "0"), ("op_1", "--timeout", "x")]
)
def test_verify_checks_its_arguments(run: Run, args: tuple[str, ...]) -> None:
    assert run("deploy", "verify", *args).error["code"] == "BAD_USAGE"


def test_promote_sends_the_acknowledged_codes(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    answer(httpx_mock, "POST", "/apply/v1/releases/rel_1/promote", {"release_id": "rel_1", "operation_id": "op_2"})
    outcome = run("deploy", "promote", "rel_1", "--allow-warnings", "--allow-warning", "X")
    assert bodies(httpx_mock) == [{"project": "prj_1", "allow_warning_codes": ["MIGRATIONS_NOT_REVERSIBLE"]}]
    assert json.loads(outcome.err)["type"] == "promote.committed"
    assert run("deploy", "promote", "op_1").error["details"] == {"release_id": "op_1"}


def test_releases_are_wrapped(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    answer(httpx_mock, "GET", "/apply/v1/releases/active?site_limit=1", {"release_id": "rel_1"})
    answer(httpx_mock, "GET", "/apply/v1/releases/diff?from=empty&to=active", {"is_noop": True})
    assert run("deploy", "release", "active", "--site-limit", "1").json == {"release": {"release_id": "rel_1"}}
    assert run("deploy", "release", "diff", "--from", "empty", "--to", "active").json == {"diff": {"is_noop": True}}
    assert run("deploy", "release", "diff", "--from", "active", "--to", "empty").error["details"]["flag"] == "--to"
    assert run("deploy", "release", "diff", "--from", "active").error["code"] == "BAD_USAGE"


def test_diagnose_says_whether_and_why(cloud: Path, run: Run, httpx_mock: HTTPXMock) -> None:
    resolution = {"match": "none", "result": 404, "authorized": False, "edge_propagation": {"status": "sync_pending"}}
    answer(httpx_mock, "GET", "/apply/v1/resolve?host=app.test&path=%2Fx&method=POST", resolution)
    out = run("deploy", "diagnose", "http://App.test:81/x?q=1#f", "--method", "post").json
    assert (out["would_serve"], out["diagnostic_status"], out["match"]) == (False, 404, "none")
    assert out["request"]["ignored"] == {"query": "?q=1", "fragment": "#f"}
    assert [warning["code"] for warning in out["warnings"]] == [
        "query_ignored",
        "fragment_ignored",
        "edge_sync_pending",
    ]
    assert [step["code"] for step in out["next_steps"]] == [
        "retry_after_edge_sync",
        "inspect_edge_propagation",
        "check_static_path",
        "check_spa_fallback",
    ]
    assert out["next_steps"][2]["message"].endswith("run402 deploy release active --project prj_1")


@pytest.mark.parametrize(("host", "asks_dns"), [("nosuch.localhost", False), ("nosuch.test", True)])
def test_diagnose_of_an_unknown_host_names_the_hosts_of_the_project(
    host: str, asks_dns: bool, cloud: Path, run: Run, httpx_mock: HTTPXMock
) -> None:
    resolution = {"match": "host_missing", "result": 404, "authorized": False}
    answer(httpx_mock, "GET", f"/apply/v1/resolve?host={host}&path=%2F&method=GET", resolution)
    steps = {step["code"]: step["message"] for step in run("deploy", "diagnose", f"http://{host}/").json["next_steps"]}
    assert steps["check_domain_binding"].endswith("run402 subdomains list --project prj_1")
    assert ("check_dns" in steps) is asks_dns


@pytest.mark.parametrize(
    "args",
    [
        ("--url", "http://a.test/", "--host", "b"),
        (),
        ("--host", "http://a"),
        ("--host", "a", "--path", "x"),
        ("--host", "a", "--method", "GE T"),
        ("--url", "/x"),
        ("--url", "ftp://x/"),
    ],
)
def test_resolve_refuses_what_is_no_address(cloud: Path, run: Run, args: tuple[str, ...]) -> None:
    assert run("deploy", "resolve", *args).error["code"] == "BAD_USAGE"


def test_credentials_in_a_url_are_not_repeated(cloud: Path, run: Run) -> None:
    outcome = run("deploy", "diagnose", "http://user:pa55@a.test/")
    assert outcome.error["details"]["input"]["url"] == "http://a.test/"
    assert "pa55" not in outcome.err
