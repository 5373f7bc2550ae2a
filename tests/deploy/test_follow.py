"""After the commit: polling, recorded events, phase events, and every way an operation can end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway_stub import PROJECT, Call, Reply, StubGateway, options, ready, site

from run402_cli import deploy
from run402_cli.client import Client
from run402_cli.deploy import _follow
from run402_cli.errors import ApiError, DeployError, Interrupted, NetworkError
from run402_cli.release.manifest import normalize

RESUME = f"run402 deploy resume op_1 --project {PROJECT}"


def snapshot(status: str, **more: Any) -> Reply:
    return Reply(200, {"operation_id": "op_1", "plan_id": "plan_1", "status": status, "error": None, **more})


def running(gateway: StubGateway, *answers: Reply) -> None:
    """The commit starts an operation that answers like this, one after the other."""
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, {"operation_id": "op_1", "status": "running"}))
    gateway.on("GET", "/apply/v1/operations/op_1", list(answers))


def run(client: Client, tmp_path: Path, seen: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    emit = deploy.silent if seen is None else seen.append
    return deploy.apply(client, site(tmp_path, {"a.txt": b"1"}), options(), emit)


def phases(seen: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["phase"], event["status"]) for event in seen if event["type"] == "commit.phase"]


def test_phases_open_and_close_with_the_status(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    order = ("staging", "gating", "migrating", "schema_settling", "activating")
    running(gateway, *(snapshot(status) for status in order), Reply(200, ready()))
    seen: list[dict[str, Any]] = []
    run(client, tmp_path, seen)
    names = ("stage", "migrate-gate", "migrate", "schema-settle", "activate")
    expected = [("validate", "started")]
    for name in names:
        expected += [(name, "started"), (name, "done")]
    assert phases(seen) == expected
    assert seen[-1] == {
        "type": "ready",
        "releaseId": "rel_1",
        "urls": {"project": "http://x"},
        "slice_kinds": ["release"],
    }


def test_recorded_events_come_out_once_each(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    running(gateway, snapshot("staging"), snapshot("activating"), Reply(200, ready()))
    first = {"id": "7", "type": "commit.phase.detail", "message": "a"}
    second = {"id": "8", "type": "commit.phase.detail", "message": "b"}
    unnumbered = {"type": "log", "line": "x"}
    pages = [
        Reply(200, {"events": [{"id": "synthetic", "type": "log"}, first, unnumbered]}),
        Reply(200, {"events": [first, unnumbered]}),
        Reply(200, {"events": [second]}),
    ]
    gateway.on("GET", "/apply/v1/operations/op_1/events.*", pages)
    seen: list[dict[str, Any]] = []
    run(client, tmp_path, seen)
    assert [event for event in seen if event in (first, second, unnumbered)] == [first, unnumbered, second]
    assert not [event for event in seen if event.get("id") == "synthetic"]
    paths = [call.path for call in gateway.sent("GET", ".*/events.*")]
    assert paths[0].endswith("/events?limit=100")
    assert paths[1].endswith("/events?limit=100&cursor=7")
    assert paths[-1].endswith("/events?limit=100&cursor=8")


def test_all_pages_of_recorded_events_are_read(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    def page(call: Call) -> Reply:
        _, _, cursor = call.path.partition("cursor=")
        number = int(cursor or 0) + 1
        more = {"cursor": str(number)} if number < 4 else {}
        return Reply(200, {"events": [{"id": str(number), "type": "log"}], **more})

    gateway.on("GET", "/apply/v1/operations/op_1/events.*", page)
    seen: list[dict[str, Any]] = []
    run(client, tmp_path, seen)
    assert [event["id"] for event in seen if event["type"] == "log"] == ["1", "2", "3", "4"]


def test_a_cursor_that_does_not_move_ends_the_reading(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    gateway.on("GET", "/apply/v1/operations/op_1/events.*", Reply(200, {"events": [], "cursor": "again"}))
    run(client, tmp_path)
    assert len(gateway.sent("GET", ".*/events.*")) == 1


@pytest.mark.parametrize("answer", [Reply(500), Reply(200, {"events": "?"}), Reply(200, []), Reply(hang_up=True)])
def test_recorded_events_that_cannot_be_read_are_given_up(
    gateway: StubGateway, client: Client, tmp_path: Path, answer: Reply
) -> None:
    running(gateway, snapshot("staging"), snapshot("activating"), Reply(200, ready()))
    gateway.on("GET", "/apply/v1/operations/op_1/events.*", answer)
    assert run(client, tmp_path)["release_id"] == "rel_1"
    assert len(gateway.sent("GET", ".*/events.*")) == 1


@pytest.mark.parametrize("status", ["failed", "rolled_back", "needs_repair"])
def test_an_operation_that_ends_badly_raises_its_error(
    gateway: StubGateway, client: Client, tmp_path: Path, status: str
) -> None:
    error = {
        "code": "MIGRATION_FAILED",
        "message": "column does not exist",
        "resource": "database.migrations.001",
        "details": {"position": 8, "phase": "migrate"},
        "logs": ["line"],
        "safe_to_retry": True,
    }
    running(gateway, snapshot("migrating"), snapshot(status, error=error))
    seen: list[dict[str, Any]] = []
    with pytest.raises(DeployError) as caught:
        run(client, tmp_path, seen)
    envelope = caught.value.envelope()
    assert envelope == {
        "status": "error",
        "code": "MIGRATION_FAILED",
        "message": "column does not exist",
        "resource": "database.migrations.001",
        "details": {"position": 8, "phase": "migrate"},
        "logs": ["line"],
        "safe_to_retry": True,
        "phase": "migrate",
        "operation_id": "op_1",
        "plan_id": "plan_1",
        "retryable": False,
        "rolled_back": status == "rolled_back",
    }
    assert phases(seen)[-1] == ("migrate", "failed")


def test_a_commit_that_failed_at_once_raises_its_error(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    answer = {"operation_id": "op_1", "status": "failed", "error": {"code": "SITE_STAGE_FAILED", "message": "m"}}
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, answer))
    with pytest.raises(DeployError) as caught:
        run(client, tmp_path)
    assert (caught.value.code, caught.value.fields["phase"]) == ("SITE_STAGE_FAILED", "commit")


@pytest.mark.parametrize(
    "error",
    [
        {"code": "X", "retryable": False},
        {"code": "X", "safe_to_retry": False},
        {"code": "function_config_invalid", "retryable": True},
        {"error": {"code": "TIER_LIMIT_EXCEEDED", "message": "m"}},
    ],
)
def test_a_final_activation_error_ends_the_wait(
    gateway: StubGateway, client: Client, tmp_path: Path, error: dict[str, Any]
) -> None:
    running(gateway, snapshot("activating"), snapshot("activation_pending", error=error))
    with pytest.raises(DeployError) as caught:
        run(client, tmp_path)
    assert caught.value.fields["phase"] == "activate"


def test_an_activation_error_that_may_pass_is_waited_out(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    error = {"code": "EDGE_BUSY", "retryable": True}
    running(gateway, snapshot("activation_pending", error=error), snapshot("activation_pending"), Reply(200, ready()))
    seen: list[dict[str, Any]] = []
    assert run(client, tmp_path, seen)["release_id"] == "rel_1"
    assert phases(seen)[1:] == [("activate", "failed")]


@pytest.mark.parametrize(("answer", "kind"), [(Reply(hang_up=True), NetworkError), (Reply(503, {}), ApiError)])
def test_a_poll_that_fails_names_the_operation_and_how_to_go_on(
    gateway: StubGateway, client: Client, tmp_path: Path, answer: Reply, kind: type[NetworkError | ApiError]
) -> None:
    running(gateway, snapshot("staging"), answer)
    with pytest.raises(kind) as caught:
        run(client, tmp_path)
    envelope = caught.value.envelope()
    assert envelope["operation_id"] == "op_1"
    assert envelope["next_actions"][0]["command"] == RESUME


def test_an_interrupt_while_following_names_resume(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    running(gateway, snapshot("staging"), snapshot("activating"))

    def stop(event: dict[str, Any]) -> None:
        if event.get("phase") == "activate":
            raise Interrupted("SIGTERM", 143)

    with pytest.raises(Interrupted) as caught:
        deploy.apply(client, site(tmp_path, {"a.txt": b"1"}), options(), stop)
    assert caught.value.resume == RESUME


def test_waiting_ends_after_the_limit(
    gateway: StubGateway, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_follow, "_GIVE_UP_SECONDS", -1.0)
    running(gateway, snapshot("migrating"))
    with pytest.raises(DeployError) as caught:
        run(client, tmp_path)
    envelope = caught.value.envelope()
    assert {key: envelope[key] for key in ("code", "http", "phase", "retryable", "operation_id")} == {
        "code": "INTERNAL_ERROR",
        "http": 504,
        "phase": "migrating",
        "retryable": True,
        "operation_id": "op_1",
    }
    assert envelope["next_actions"][0]["command"] == RESUME


@pytest.mark.parametrize("broken", [{"release_id": None}, {"urls": None}])
def test_ready_without_a_release_is_nonsense(
    gateway: StubGateway, client: Client, tmp_path: Path, broken: dict[str, Any]
) -> None:
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, ready(**broken)))
    with pytest.raises(DeployError) as caught:
        run(client, tmp_path)
    assert (caught.value.code, caught.value.fields["phase"]) == ("INTERNAL_ERROR", "ready")


def test_the_result_keeps_what_the_commit_said(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    extra = {
        "edge": {"state": "coherent"},
        "subdomain_bindings": [{"host": "x"}],
        "restore_point": {"snapshot_id": "s1"},
    }
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, ready(**extra)))
    result = run(client, tmp_path)
    assert {key: result[key] for key in extra} == extra
    assert list(result)[:5] == ["release_id", "operation_id", "urls", "diff", "warnings"]


def test_resume_follows_to_the_end(gateway: StubGateway, client: Client) -> None:
    gateway.on("POST", "/apply/v1/operations/op_1/resume", snapshot("activating"))
    gateway.on("GET", "/apply/v1/operations/op_1", Reply(200, ready()))
    seen: list[dict[str, Any]] = []
    result = deploy.resume(client, PROJECT, "op_1", seen.append)
    assert result == {
        "release_id": "rel_1",
        "operation_id": "op_1",
        "urls": {"project": "http://x"},
        "diff": {},
        "warnings": [],
    }
    assert phases(seen) == [("activate", "started"), ("activate", "done")]
    assert gateway.calls[0].body == b""


def test_resume_refuses_what_is_no_operation(gateway: StubGateway, client: Client) -> None:
    with pytest.raises(DeployError) as caught:
        deploy.resume(client, PROJECT, "rel_1", deploy.silent)
    assert caught.value.code == "OPERATION_NOT_FOUND"
    assert gateway.calls == []


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"id": "001"}, {"details": {"migration_id": "001", "line": 2}}),
        ({"id": "001"}, {"resource": "database.migrations.001", "details": {"position": 11}}),
        ({"name": "first"}, {"details": {"migration_id": "first_0123456789abcdef", "line": 2}}),
    ],
)
def test_a_failed_migration_names_file_and_line(
    gateway: StubGateway, client: Client, tmp_path: Path, named: dict[str, str], told: dict[str, Any]
) -> None:
    (tmp_path / "one.sql").write_text("select 1;\nselect nope;\n")
    value = {"database": {"migrations": [{**named, "sql_path": "one.sql"}]}}
    manifest = normalize(value, base_dir=tmp_path, project=PROJECT)
    running(gateway, snapshot("failed", error={"code": "MIGRATION_FAILED", "message": "no such column", **told}))
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, manifest, options(), deploy.silent)
    envelope = caught.value.envelope()
    assert envelope["message"] == "one.sql:2: no such column"
    assert (envelope["details"]["file"], envelope["details"]["line"]) == ("one.sql", 2)
