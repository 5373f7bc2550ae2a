"""`up` with a release manifest: steps, project, link, deploy, events, output."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess

import httpx
import pytest
from up_kit import SITE, CoreGateway, Workspace

from run402_cli import advice
from run402_cli.errors import CommandError
from run402_cli.up._options import UpOptions
from run402_cli.up._prerequisites import idempotency_root
from run402_cli.up._steps import ActionError, StepLog

DEPLOYED = [
    ("app.source.resolve", "succeeded"),
    ("deploy.discover", "succeeded"),
    ("tier.set", "skipped"),
    ("project.resolve", "succeeded"),
]


def test_the_idempotency_root_of_a_run_is_a_digest_of_what_was_asked_for() -> None:
    assert idempotency_root(UpOptions(name="foo", yes=True)) == "up:8c2de512319adb24f541454e"
    assert idempotency_root(UpOptions(name="foo", idempotency_key="mine")) == "mine"


def test_without_a_manifest_the_error_says_how_to_write_one(workspace: Workspace) -> None:
    done = workspace.run("up")
    assert (done.code, done.envelope["code"]) == (1, "UP_MANIFEST_REQUIRED")
    assert {"dir", "candidates", "executable_candidates", "next_actions", "steps"} <= set(done.envelope["details"])
    assert done.steps == [("app.source.resolve", "succeeded"), ("deploy.discover", "failed")]


@pytest.mark.parametrize(
    "typed", [("up", "--check"), ("up", "verify"), ("up", "a b/web", "--check"), ("up", "--dir=a b/web")]
)
def test_in_a_directory_below_the_manifest_the_error_says_where_it_is_and_the_command(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...]
) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    below = workspace.path / "a b" / "web"
    below.mkdir(parents=True)
    if not any("web" in word for word in typed):
        monkeypatch.chdir(below)
    envelope = workspace.run(*typed).envelope
    assert envelope["code"] == "UP_MANIFEST_REQUIRED"
    assert str(workspace.path / "run402.deploy.json") in envelope["message"]
    action = envelope["next_actions"][0]
    assert action["command"] in envelope["message"]
    assert "UP_MANIFEST_REQUIRED" not in workspace.run(*action["argv"][1:]).err


def test_a_check_without_a_manifest_is_followed_by_the_deploy(workspace: Workspace) -> None:
    for typed in (("up", "verify", "--project", "prj_1"), ("up", "--project", "prj_1")):
        retry = workspace.run(*typed).envelope["next_actions"][-1]
        assert retry["command"] == "run402 up --project prj_1 --yes"


def test_check_sends_nothing_and_names_a_placeholder_project(workspace: Workspace) -> None:
    workspace.manifest()
    done = workspace.run("up", "--check").json
    assert (done["mode"], done["dry_run"], done["target"]) == ("check", True, "core")
    assert done["result"] == {
        "project_id": "prj_up_preflight_placeholder",
        "manifest_path": str(workspace.path / "run402.deploy.json"),
    }
    assert not workspace.link.exists()


def test_print_spec_prints_the_release_itself(workspace: Workspace) -> None:
    workspace.manifest(project="prj_1", routes=None)
    assert workspace.run("up", "--print-spec").json == {"project": "prj_1", "routes": None}
    workspace.manifest(project="prj_1", site={"replace": {"a.png": {"data": "iVA=", "encoding": "base64"}}})
    assert workspace.run("up", "--print-spec").json["site"]["replace"]["a.png"] == {"0": 137, "1": 80}


def test_discovery_takes_run402_json_before_the_others(workspace: Workspace) -> None:
    for name in ("app.json", "run402.deploy.json", "run402.json"):
        workspace.manifest(name)
    assert workspace.run("up", "--check").json["result"]["manifest_path"].endswith("/run402.json")


def test_a_program_is_run_only_when_it_is_named(workspace: Workspace) -> None:
    program = workspace.path / "run402.deploy.mjs"
    program.write_text('console.log("made"); export default { project: "prj_1", site: { replace: { a: "b" } } }')
    assert workspace.run("up", "--check").envelope["code"] == "EXECUTABLE_CONFIG_REQUIRES_EXPLICIT_MANIFEST"
    done = workspace.run("up", "--manifest", program.name, "--print-spec")
    assert done.json == {"project": "prj_1", "site": {"replace": {"a": "b"}}}
    assert '"console":"made"' in done.err
    program.write_text("export default 1")
    assert (
        workspace.run("up", "--manifest", program.name, "--check").envelope["code"]
        == "EXECUTABLE_CONFIG_INVALID_EXPORT"
    )
    program.write_text("export default { project: 'prj_1' }")
    assert workspace.run("up", "--manifest", program.name, "--check").envelope["code"] == "MANIFEST_EMPTY"


def test_an_explicit_project_is_deployed_to_and_linked(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    done = workspace.run("up", "--project", "prj_1", "--yes").json
    assert done["result"]["deploy"]["release_id"] == "rel_1"
    assert done["result"]["workspace_link_path"] == str(workspace.link)
    assert [(step["action"], step["state"]) for step in done["steps"]] == [
        *DEPLOYED,
        ("workspace.link.write", "succeeded"),
        ("deploy.apply", "succeeded"),
    ]
    link = json.loads(workspace.link.read_text())
    assert (link["project_id"], link["target"]) == ("prj_1", {"kind": "core"})
    if os.name == "posix":
        assert stat.S_IMODE(workspace.link.stat().st_mode) == 0o600


def test_the_second_run_follows_the_link_and_writes_nothing(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    workspace.run("up", "--project", "prj_1", "--yes")
    before = workspace.link.read_bytes()
    done = workspace.run("up").json
    assert [(step["action"], step["state"]) for step in done["steps"]] == [*DEPLOYED, ("deploy.apply", "succeeded")]
    assert done["steps"][3]["details"]["source"] == "workspace_link"
    assert "workspace_link_path" not in done["result"]
    assert workspace.link.read_bytes() == before


def test_the_manifests_project_needs_no_link(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    done = workspace.run("up").json
    assert done["steps"][3]["details"]["source"] == "manifest"
    assert not workspace.link.exists()


def test_linking_asks_first_and_without_anybody_to_ask_it_is_refused(workspace: Workspace) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    done = workspace.run("up", "--project", "prj_1")
    details = done.envelope["details"]
    assert (done.code, done.envelope["code"]) == (1, "RUN402_APPROVAL_REQUIRED")
    assert details["mutations"] == ["workspace.link.write"]
    assert done.steps[-1] == ("workspace.link.write", "blocked")
    assert not workspace.link.exists()


def test_the_active_project_is_not_deployed_to_unasked(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    workspace.active("prj_1")
    done = workspace.run("up")
    assert (done.envelope["code"], done.envelope["details"]["mutations"]) == ("RUN402_APPROVAL_REQUIRED", [])
    assert gateway.sent() == []
    assert workspace.run("up", "-y").json["steps"][3]["details"]["source"] == "active"


def test_run402_project_id_is_not_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.manifest()
    monkeypatch.setenv("RUN402_PROJECT_ID", "prj_1")
    assert workspace.run("up", "-y").envelope["code"] == "RUN402_PROJECT_REQUIRED"


def as_cloned(workspace: Workspace, *names: str) -> None:
    """The workspace as a git repository that has these files."""
    git = ["git", "-C", str(workspace.path)]
    try:
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git here")
    subprocess.run([*git, "add", "-f", "--", *names], check=True, capture_output=True)


@pytest.mark.parametrize("how", ["link", "manifest", "unpacked link", "link elsewhere"])
def test_a_project_that_a_file_of_a_clone_chooses_is_confirmed_once(
    workspace: Workspace, gateway: CoreGateway, how: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace.keys("prj_1")
    workspace.manifest(**({"project": "prj_1"} if how == "manifest" else {}), site={"replace": {"index.html": "x"}})
    if how != "manifest":
        workspace.linked("prj_1")
    if how == "unpacked link":
        os.utime(workspace.link, (1, 1))
    elif how == "link elsewhere":
        other = tmp_path_factory.mktemp("other") / "project.json"
        workspace.link.rename(other)
        try:
            workspace.link.symlink_to(other)
        except OSError:
            pytest.skip("no links here")
    else:
        as_cloned(workspace, "run402.deploy.json" if how == "manifest" else ".run402/project.json")
    file = workspace.path / "run402.deploy.json" if how == "manifest" else workspace.link
    for words in (["--yes"], ["--plan"], ["--yes", "--quiet"]):
        refused = workspace.run("up", *words)
        assert (refused.code, refused.envelope["code"]) == (1, "BINDING_NOT_CONFIRMED")
        assert refused.envelope["details"]["binding_file"] == str(file)
    action = refused.envelope["next_actions"][0]
    assert action["argv"] == ["run402", "up", "--yes", "--quiet", "--project", "prj_1"]
    assert action["confirms"] is True
    assert gateway.sent() == []
    assert workspace.run("up", "--dry-run").code == 0
    assert workspace.run(*action["argv"][1:]).code == 0
    assert workspace.run("up", "--yes").code == 0
    # The confirmation is of this file for this project.
    if how == "link":
        workspace.linked("prj_2")
        workspace.keys("prj_1", "prj_2")
        assert workspace.run("up", "--yes").envelope["code"] == "BINDING_NOT_CONFIRMED"


def test_what_ci_checks_out_is_the_repositorys_own(
    workspace: Workspace, gateway: CoreGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.keys("prj_1")
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    as_cloned(workspace, "run402.deploy.json")
    for value in ("false", "", "no"):
        monkeypatch.setenv("CI", value)
        assert workspace.run("up", "--yes").envelope["code"] == "BINDING_NOT_CONFIRMED"
    monkeypatch.setenv("CI", "true")
    assert workspace.run("up", "--yes").code == 0


def test_a_link_that_up_wrote_counts_also_when_git_has_it_later(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.keys("prj_1")
    workspace.manifest()
    as_cloned(workspace, "run402.deploy.json")
    assert workspace.run("up", "--project", "prj_1", "--yes").code == 0
    assert workspace.run("up", "--yes").code == 0
    as_cloned(workspace, ".run402/project.json")
    assert workspace.run("up", "--yes").code == 0


def test_link_and_manifest_must_name_one_project(workspace: Workspace) -> None:
    workspace.manifest(project="prj_2", site={"replace": {"index.html": "x"}})
    workspace.linked("prj_1")
    details = workspace.run("up", "-y").envelope["details"]
    assert (details["resolved_project_id"], details["resolved_source"]) == ("prj_1", "workspace_link")


@pytest.mark.parametrize(
    ("link", "args", "reason"),
    [
        ({"target": {"kind": "cloud"}}, [], "target_mismatch"),
        ({}, ["--name", "shop"], "name_missing"),
        ({"name": "shop"}, ["--name", "blog"], "name_mismatch"),
    ],
)
def test_a_link_that_contradicts_the_run_is_a_conflict(
    workspace: Workspace, link: dict[str, object], args: list[str], reason: str
) -> None:
    workspace.manifest()
    workspace.linked("prj_1", **link)
    done = workspace.run("up", "-y", *args)
    assert (done.envelope["code"], done.envelope["details"]["reason"]) == ("RUN402_WORKSPACE_LINK_CONFLICT", reason)


def test_a_link_with_the_same_name_is_followed(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    workspace.linked("prj_1", name="shop", target={"kind": "core"})
    assert workspace.run("up", "-y", "--name", "shop").json["result"]["project_id"] == "prj_1"


def test_a_damaged_link_is_reported_and_kept(workspace: Workspace) -> None:
    workspace.manifest()
    workspace.linked("")
    before = workspace.link.read_bytes()
    done = workspace.run("up", "-y")
    assert (done.envelope["code"], done.envelope["details"]["path"]) == (
        "RUN402_WORKSPACE_LINK_INVALID",
        str(workspace.link),
    )
    assert workspace.link.read_bytes() == before


def test_a_name_alone_does_not_create_a_project_behind_an_address_from_the_environment(
    workspace: Workspace, gateway: CoreGateway
) -> None:
    workspace.manifest()
    assert workspace.run("up", "-y", "--name", "shop").envelope["code"] == "RUN402_CORE_PROJECT_REQUIRED"
    assert gateway.sent() == []


def test_a_name_creates_a_project_on_the_saved_local_gateway(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.target("core")
    assert workspace.run("up", "--name", "shop").envelope["code"] == "RUN402_CORE_PROJECT_REQUIRED"
    done = workspace.run("up", "--name", "shop", "--yes").json
    assert done["result"]["project_id"] == "prj_new"
    assert done["steps"][3]["details"]["source"] == "created"
    assert json.loads(workspace.link.read_text())["name"] == "shop"
    assert workspace.run("up", "--name", "shop", "--yes").json["steps"][3]["details"]["source"] == "workspace_link"
    assert gateway.sent().count("POST /projects/v1") == 1
    assert json.loads((workspace.config / "state.json").read_text())["active_project_id"] == "prj_new"


def test_a_taken_name_on_our_own_gateway_is_found_as_provision_finds_it(
    workspace: Workspace, gateway: CoreGateway
) -> None:
    workspace.manifest()
    workspace.target("core")
    gateway.projects = [{"id": "prj_9", "name": "shop"}]
    workspace.run("up", "--name", "shop", "--yes")
    (made,) = [request for request in gateway.mock.get_requests() if request.url.path == "/projects/v1"]
    assert (made.method, made.headers["idempotency-key"]) == ("POST", "provision:shop")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_nothing_is_made_where_no_link_can_be_written(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.target("core")
    workspace.path.chmod(0o500)
    try:
        assert workspace.run("up", "--name", "shop", "--yes").envelope["code"] == "BAD_ENV"
    finally:
        workspace.path.chmod(0o700)
    assert gateway.sent() == []


def test_nothing_is_made_where_the_link_has_no_place(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.target("core")
    (workspace.path / ".run402").write_text("a file")
    assert workspace.run("up", "--name", "shop", "--yes").envelope["code"] == "BAD_ENV"
    assert gateway.sent() == []


def test_nothing_is_made_for_a_manifest_that_cannot_be_read(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest(site={"replace": {"__source": "local-dir", "path": "missing"}})
    workspace.target("core")
    assert workspace.run("up", "--name", "shop", "--yes").code == 1
    assert "POST /projects/v1" not in gateway.sent()


def test_a_project_without_cached_keys_is_not_deployed_to(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    done = workspace.run("up", "--project", "prj_1", "-y")
    assert (done.envelope["code"], done.steps[-1]) == ("RUN402_PROJECT_KEYS_REQUIRED", ("deploy.apply", "failed"))
    assert gateway.sent() == []


def test_a_refusal_of_the_gateway_keeps_its_own_envelope_and_gets_the_steps(
    workspace: Workspace, gateway: CoreGateway
) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    refusal = {"code": "SQL_FAILED", "message": "relation missing", "details": {"line": 3}, "resource": "database"}
    gateway.plan = httpx.Response(422, json=refusal)
    envelope = workspace.run("up", "--project", "prj_1", "-y").envelope
    assert (envelope["code"], envelope["message"], envelope["resource"]) == (
        "SQL_FAILED",
        "relation missing",
        "database",
    )
    assert (envelope["details"]["line"], envelope["details"]["steps"][-1]["state"]) == (3, "failed")


def test_a_link_to_a_project_that_the_gateway_lost_says_so(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    workspace.linked("prj_1")
    gateway.plan = httpx.Response(404, json={"error": "project_not_found", "message": "no such project"})
    envelope = workspace.run("up").envelope
    assert str(workspace.link) in envelope["next_actions"][0]["command"]


def test_plan_changes_nothing_and_says_how_to_deploy_it(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.keys("prj_1")
    gateway.plan = httpx.Response(
        201,
        json={
            "kind": "plan_response",
            "plan_id": "plan_7",
            "operation_id": "op_7",
            "plan_fingerprint": "fp_7",
            "warnings": [],
        },
    )
    done = workspace.run("up", "--project", "prj_1", "--plan").json
    assert [step["action"] for step in done["steps"] if step["mutation"]] == []
    action = done["result"]["plan"]["next_actions"][0]
    assert action["argv"][-4:] == ["--require-plan", "plan_7", "--plan-fingerprint", "fp_7"]
    assert gateway.sent() == ["POST /apply/v1/plans"]
    assert not workspace.link.exists()


def test_a_reviewed_plan_is_named_in_the_mode_and_sent(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    done = workspace.run("up", "--require-plan", "plan_1", "--plan-fingerprint", "fp").json
    assert done["mode"] == {"kind": "applyReviewed", "planId": "plan_1", "planFingerprint": "fp"}
    sent = json.loads(gateway.mock.get_requests()[0].content)
    assert sent["required_plan"] == {"plan_id": "plan_1", "plan_fingerprint": "fp"}


def test_dry_run_shows_the_steps_and_changes_nothing(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest()
    workspace.target("core")
    done = workspace.run("up", "--name", "shop", "--yes", "--dry-run").json
    assert "placeholder" not in json.dumps(done)
    assert (done["mode"], done["dry_run"], done["result"]["project_id"]) == ("legacyDryRun", True, "prj_planned")
    assert [step["state"] for step in done["steps"][4:]] == ["planned", "planned", "planned"]
    assert gateway.sent() == []
    assert not workspace.link.exists()


def test_events_go_to_stderr_and_show_the_deploy(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    events = [json.loads(line) for line in workspace.run("up").err.splitlines()]
    assert {event["type"] for event in events} == {"action.step"}
    deploy = [event["step"]["details"] for event in events if event["step"]["action"] == "deploy.apply"]
    assert next(details["deploy_event"] for details in deploy if "deploy_event" in details) == "plan.started"
    assert any(details.get("deploy_phase") == "validate" for details in deploy)


def test_events_of_one_kind_in_a_row_are_one_event(workspace: Workspace, gateway: CoreGateway) -> None:
    files = {f"{number}.html": str(number) for number in range(5)}
    workspace.manifest(project="prj_1", site={"replace": files})
    workspace.keys("prj_1")
    steps = [json.loads(line)["step"] for line in workspace.run("up").err.splitlines()]
    uploads = [step for step in steps if step["details"].get("deploy_event", "").startswith("content.upload")]
    assert len(uploads) == 1


def test_quiet_prints_the_result_only(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    for flag in ("--quiet", "--final-only"):
        assert workspace.run("up", flag).err == ""


def test_json_stream_prints_events_and_the_result_as_lines(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    done = workspace.run("up", "--json-stream")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert {line["type"] for line in lines[:-1]} == {"action.event"}
    assert lines[-1]["type"] == "run402.up.result"
    assert lines[-1]["result"]["result"]["deploy"]["release_id"] == "rel_1"
    assert done.err == ""


def test_human_says_where_the_site_is(workspace: Workspace, gateway: CoreGateway) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    assert workspace.run("up", "--human").out.splitlines() == [f"Deployed: {SITE}", "Release rel_1"]


@pytest.mark.parametrize(
    ("args", "code", "detail"),
    [
        (["a", "b"], "BAD_USAGE", None),
        ([".", "--dir", "."], "BAD_USAGE", "dir"),
        (["--tier", "gold"], "BAD_FLAG", "allowed"),
        (["--build-mode", "moon"], "BAD_FLAG", "allowed"),
        (["--max-spend-usd", "-1"], "BAD_FLAG", "value"),
        (["--propagation-budget-s", "soon"], "BAD_FLAG", "value"),
        (["--propagation-budget-s", "nan"], "BAD_FLAG", "value"),
        (["--plan-fingerprint", "x"], "BAD_USAGE", None),
        (["--check", "--plan"], "BAD_USAGE", "modes"),
        (["--human", "--json"], "BAD_USAGE", "flags"),
        (["--human", "--json-stream"], "BAD_USAGE", "flags"),
        (["--dry-run", "--check"], "BAD_USAGE", "flag"),
        (["--verify", "--plan"], "BAD_USAGE", "mode"),
        (["--verify", "--dry-run"], "BAD_USAGE", "mode"),
        (["--require-plan", "p", "--allow-warnings"], "BAD_USAGE", "flag"),
        (["--nam", "x"], "UNKNOWN_FLAG", "closest"),
        (["--name"], "BAD_FLAG", "flag"),
        (["--name="], "BAD_PROJECT_NAME", "field"),
    ],
    ids=str,
)
def test_wrong_arguments_are_found_before_anything_happens(
    workspace: Workspace, args: list[str], code: str, detail: str | None
) -> None:
    workspace.manifest()
    done = workspace.run("up", *args)
    assert (done.code, done.envelope["code"]) == (1, code)
    assert detail is None or detail in done.envelope["details"]
    assert len(done.err.splitlines()) == 1


def test_the_directory_may_be_named_either_way(workspace: Workspace) -> None:
    folder = workspace.path / "app"
    folder.mkdir()
    Workspace(folder, workspace.config, workspace.capsys).manifest()
    for args in (["app"], ["--dir", "app"]):
        assert workspace.run("up", *args, "--check").json["result"]["manifest_path"] == str(
            folder / "run402.deploy.json"
        )
    assert workspace.run("up", "nowhere", "--check").envelope["code"] == "RUN402_SOURCE_INVALID"


def test_an_unusable_address_fails_before_any_step(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "ftp://x")
    assert workspace.run("up").envelope["code"] == "BAD_ENV"


def test_a_lost_gateway_is_a_retryable_network_error_with_the_steps(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    workspace.keys("prj_1")
    with socket.socket() as nobody:  # has the port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("RUN402_API_BASE", f"http://{address}")
        envelope = workspace.run("up").envelope
    assert (envelope["code"], envelope["retryable"]) == ("NETWORK_ERROR", True)
    assert envelope["details"]["steps"][-1]["state"] == "failed"
    assert address in envelope["message"]


def test_actions_act_on_the_project_of_the_run_which_need_not_be_the_active_one() -> None:
    log = StepLog(lambda event: None)
    given = [
        advice.action("edit_request", "secrets", "set", "KEY", "--stdin"),
        advice.action("run_command", "projects", "schema", "--project", "prj_other"),
        advice.action("retry", "up", "--yes"),
        advice.action("run_command", "doctor"),
        {"type": "edit_request", "why": "think"},
    ]
    cause = CommandError("?", code="MISSING_REQUIRED_SECRET", next_actions=given)
    assert ActionError(cause, log).envelope()["next_actions"] == given
    log.project_id = "prj_linked"
    first, *others = ActionError(cause, log).envelope()["next_actions"]
    assert first["command"] == "run402 secrets set KEY --stdin --project prj_linked"
    assert others == given[1:]
