"""The plan, its warnings, conflicts, errors, and the modes that stop early."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_stub import COMMAND, PROJECT, Call, Reply, StubGateway, manifest, options, ready, site

from run402_cli import deploy
from run402_cli.client import Client
from run402_cli.errors import ApiError, DeployError, NetworkError, Run402Error, ValidationError
from run402_cli.release import wire
from run402_cli.release.manifest import normalize

CONFLICT = Reply(409, {"code": "base_release_conflict", "message": "moved", "safe_to_retry": True, "phase": "plan"})
BLOCKING = {"code": "W1", "requires_confirmation": True, "message": "sure?", "severity": "warn"}
SECRET = {"code": "MISSING_REQUIRED_SECRET", "requires_confirmation": False, "message": "no key", "affected": ["KEY"]}
HARMLESS = {"code": "W0", "requires_confirmation": False, "message": "fyi", "severity": "info"}


def plan_with(gateway: StubGateway, **more: Any) -> None:
    gateway.on("POST", "/apply/v1/plans", lambda call: Reply(200, gateway.plan(call.json["spec"], **more)))


def text_site(tmp_path: Path, **more: Any) -> Any:
    return manifest(tmp_path, site={"replace": {"index.html": "<h1>hi</h1>"}}, **more)


# -- plan request


def test_the_plan_names_content_and_carries_the_idempotency_key(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    deploy.apply(client, text_site(tmp_path, idempotency_key="k1"), options(), deploy.silent)
    (plan,) = gateway.sent("POST", "/apply/v1/plans")
    assert list(plan.json) == ["spec", "idempotency_key"]
    assert list(plan.json["spec"]) == ["project_id", "site"]
    (commit,) = gateway.sent("POST", "/apply/v1/plans/plan_1/commit")
    assert commit.json == {"idempotency_key": "k1"}


def test_a_spec_too_large_for_a_request_travels_as_content(
    gateway: StubGateway, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "INLINE_PLAN_BYTES", 100)
    gateway.on("POST", "/apply/v1/plans", Reply(200, {"plan_id": "plan_1", "operation_id": "op_1"}))
    deploy.apply(client, text_site(tmp_path, idempotency_key="k1"), options(), deploy.silent)
    (plan,) = gateway.sent("POST", "/apply/v1/plans")
    assert list(plan.json) == ["spec", "idempotency_key", "manifest_ref"]
    assert plan.json["spec"] == {"project_id": PROJECT}
    reference = plan.json["manifest_ref"]
    stored = gateway.stored[reference["sha256"]]
    assert (len(stored), reference["content_type"]) == (
        reference["size"],
        "application/vnd.run402.deploy-manifest+json",
    )
    assert json.loads(stored)["site"]["replace"]["index.html"]["size"] == 11


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("plan", "PLAN_REQUIRES_INLINE_SPEC"),
        ("dry_run", "PLAN_REQUIRES_INLINE_SPEC"),
        ("require", "PLAN_REQUIRES_INLINE_SPEC"),
    ],
)
def test_a_spec_too_large_is_refused_where_it_must_be_inline(
    gateway: StubGateway, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, code: str
) -> None:
    monkeypatch.setattr(wire, "INLINE_PLAN_BYTES", 100)
    calls = {
        "plan": lambda: deploy.plan(client, text_site(tmp_path), options()),
        "dry_run": lambda: deploy.dry_run(client, text_site(tmp_path), options()),
        "require": lambda: deploy.apply(client, text_site(tmp_path), options(require_plan="plan_9"), deploy.silent),
    }
    with pytest.raises(DeployError) as caught:
        calls[mode]()
    assert (caught.value.code, caught.value.fields["resource"]) == (code, "manifest_ref")
    assert gateway.calls == []


def test_long_sql_goes_to_the_local_gateway_as_content(
    gateway: StubGateway, core_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "INLINE_PLAN_BYTES", 100)
    gateway.on("POST", "/projects/v1/prj_test/content", Reply(201, {}))
    text = "select 1; -- " + "é" * 100
    sections: dict[str, Any] = {"database": {"migrations": [{"id": "1", "sql": text}]}}
    deploy.apply(core_client, text_site(tmp_path, **sections), options(), deploy.silent)
    staged = [
        base64.b64decode(call.json["bytes_base64"]).decode()
        for call in gateway.sent("POST", "/projects/v1/prj_test/content")
    ]
    assert staged[0] == text
    (planned,) = gateway.sent("POST", "/apply/v1/plans")
    (sent,) = planned.json["spec"]["database"]["migrations"]
    assert (sent["sql_ref"]["size"], sent["checksum"]) == (len(text.encode()), sent["sql_ref"]["sha256"])
    assert "sql" not in sent and "manifest_ref" not in planned.json
    assert gateway.calls.index(gateway.sent("POST", "/projects/v1/prj_test/content")[0]) < gateway.calls.index(planned)


def test_a_dry_run_stores_no_large_spec_in_the_local_gateway(
    gateway: StubGateway, core_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "INLINE_PLAN_BYTES", 100)
    with pytest.raises(DeployError) as caught:
        deploy.dry_run(core_client, text_site(tmp_path), options())
    assert caught.value.code == "DRY_RUN_REQUIRES_INLINE_SPEC"


def test_each_dialect_has_its_own_spelling(gateway: StubGateway, core_client: Client, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"database": {"migrations": [{"id": "1", "sql": "select 1"}]}}
    gateway.on("POST", "/projects/v1/prj_test/content", Reply(201, {}))
    deploy.apply(core_client, text_site(tmp_path, **sections), options(), deploy.silent)
    deploy.apply(core_client, text_site(tmp_path, **sections), options(cloud_dialect=True), deploy.silent)
    core, cloud = (call.json["spec"] for call in gateway.sent("POST", "/apply/v1/plans"))
    assert (core["project"], core["database"]["migrations"][0]["sql"]) == (PROJECT, "select 1")
    assert "contentType" in core["site"]["replace"]["index.html"]
    assert (cloud["project_id"], cloud["database"]["migrations"][0]["sql_ref"]["size"]) == (PROJECT, 8)


def test_a_reviewed_plan_commits_nothing(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    plan_with(gateway, plan_fingerprint="pfp_1", warnings=[BLOCKING])
    plan = deploy.plan(client, text_site(tmp_path, idempotency_key="k1"), options())
    assert (plan["plan_fingerprint"], plan["payment_required"]) == ("pfp_1", None)
    assert plan["diff"] == {"is_noop": False, "summary": "changed", "warnings": [BLOCKING]}
    (call,) = gateway.calls
    assert call.json["mode"] == "reviewed_plan"
    assert "idempotency_key" not in call.json


def test_a_required_plan_is_named_in_plan_and_commit_and_its_warnings_pass(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    plan_with(gateway, warnings=[BLOCKING])
    chosen = options(require_plan="plan_9", plan_fingerprint="pfp_9")
    deploy.apply(client, text_site(tmp_path), chosen, deploy.silent)
    required = {"plan_id": "plan_9", "plan_fingerprint": "pfp_9"}
    assert gateway.sent("POST", "/apply/v1/plans")[0].json["required_plan"] == required
    assert gateway.sent("POST", "/apply/v1/plans/plan_1/commit")[0].json == {"required_plan": required}


def test_a_plan_that_was_not_stored_cannot_be_committed(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    plan_with(gateway, operation_id=None)
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    assert caught.value.code == "DRY_RUN_PLAN_NOT_COMMITTABLE"
    assert gateway.sent("PUT") == []


def test_an_older_gateway_without_diff_or_warnings_is_enough(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    gateway.on("POST", "/apply/v1/plans", Reply(200, {"plan_id": "plan_1", "operation_id": "op_1"}))
    result = deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    assert (result["diff"], result["warnings"]) == ({}, [])


def test_payment_is_announced_and_the_deploy_goes_on(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    payment = {"amount": "1", "asset": "USDC", "payTo": "0x1", "reason": "quota"}
    plan_with(gateway, payment_required=payment)
    seen: list[dict[str, Any]] = []
    deploy.apply(client, text_site(tmp_path), options(), seen.append)
    assert {"type": "payment.required", **payment} in seen
    assert seen[-1]["type"] == "ready"


# -- warnings


@pytest.mark.parametrize(
    ("warnings", "allowed", "code", "left"),
    [
        ([HARMLESS, BLOCKING], (), "W1", ["W1"]),
        ([BLOCKING, SECRET], (), "MISSING_REQUIRED_SECRET", ["MISSING_REQUIRED_SECRET", "W1"]),
        ([BLOCKING, SECRET], ("MISSING_REQUIRED_SECRET",), "W1", ["W1"]),
        ([{"requires_confirmation": True}], (), "DEPLOY_WARNING_REQUIRES_CONFIRMATION", None),
    ],
)
def test_a_blocking_warning_stops_before_any_upload(
    gateway: StubGateway,
    client: Client,
    tmp_path: Path,
    warnings: list[Any],
    allowed: tuple[str, ...],
    code: str,
    left: list[str] | None,
) -> None:
    plan_with(gateway, warnings=warnings)
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path), options(allow_warning_codes=allowed), deploy.silent)
    envelope = caught.value.envelope()
    assert (envelope["code"], envelope["phase"], envelope["resource"]) == (code, "plan", "warnings")
    assert envelope["fix"] == {"action": "review_warnings", "path": "warnings"}
    assert envelope["allowed_warning_codes"] == sorted(allowed)
    if left is not None:
        assert envelope["unacknowledged_warning_codes"] == left
    assert envelope["hint"] and envelope["next_actions"]
    assert [call.path for call in gateway.calls] == ["/apply/v1/plans"]


@pytest.mark.parametrize("given", [{"allow_warnings": True}, {"allow_warning_codes": ("W1",)}])
def test_acknowledged_warnings_pass_and_are_in_the_result(
    gateway: StubGateway, client: Client, tmp_path: Path, given: dict[str, Any]
) -> None:
    plan_with(gateway, warnings=[BLOCKING])
    assert deploy.apply(client, text_site(tmp_path), options(**given), deploy.silent)["warnings"] == [BLOCKING]


TAKES_AWAY: list[dict[str, Any]] = [
    {"site": {"replace": {"index.html": "hi"}}},
    {"site": {"patch": {"delete": ["a.html"]}}},
    {"functions": {"replace": {"f": {"source": {"data": "export default () => 1"}}}}},
    {"functions": {"patch": {"delete": ["f"]}}},
    {"subdomains": {"set": ["a"]}},
    {"secrets": {"delete": ["KEY"]}},
]
TAKES_NOTHING: list[dict[str, Any]] = [
    {"site": {"patch": {"put": {"index.html": "hi"}}}},
    {"subdomains": {"add": ["a"]}},
    {"database": {"migrations": [{"id": "m", "sql": "select 1"}]}},
]


def silent_plans(gateway: StubGateway, **more: Any) -> None:
    """Answers as the official Core does: no diff, no warnings."""
    answer = {"plan_id": "plan_1", "project_id": "prj_test", "base_release_id": "rel_0", "noop": False, **more}
    gateway.on("POST", "/apply/v1/plans", lambda _call: Reply(201, answer))
    gateway.on("POST", "/projects/v1/prj_test/content", lambda _call: Reply(201, {"staged": True}))


@pytest.mark.parametrize("sections", TAKES_AWAY)
def test_a_gateway_that_tells_nothing_about_removals_is_asked_about(
    gateway: StubGateway, core_client: Client, tmp_path: Path, sections: dict[str, Any]
) -> None:
    silent_plans(gateway)
    with pytest.raises(DeployError) as caught:
        deploy.apply(core_client, manifest(tmp_path, **sections), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert (envelope["code"], envelope["phase"]) == ("REMOVALS_UNKNOWN", "plan")
    section, name = next((key, next(iter(value))) for key, value in sections.items())
    assert all(part.startswith(f"{section}.{name}") for part in envelope["warnings"][0]["affected"])
    assert [call.path for call in gateway.calls] == ["/apply/v1/plans"]
    deploy.apply(
        core_client, manifest(tmp_path, **sections), options(allow_warning_codes=(envelope["code"],)), deploy.silent
    )
    assert gateway.sent("POST", "/apply/v1/plans/plan_1/commit")


@pytest.mark.parametrize("sections", TAKES_NOTHING)
def test_what_cannot_remove_anything_is_not_asked_about(
    gateway: StubGateway, core_client: Client, tmp_path: Path, sections: dict[str, Any]
) -> None:
    silent_plans(gateway)
    deploy.apply(core_client, manifest(tmp_path, **sections), options(), deploy.silent)
    assert gateway.sent("POST", "/apply/v1/plans/plan_1/commit")


@pytest.mark.parametrize("plan", [{"base_release_id": None}, {"noop": True}, {"warnings": []}])
def test_a_first_release_or_one_that_is_told_about_is_not_asked_about(
    gateway: StubGateway, core_client: Client, tmp_path: Path, plan: dict[str, Any]
) -> None:
    silent_plans(gateway, **plan)
    deploy.apply(core_client, text_site(tmp_path), options(), deploy.silent)
    assert gateway.sent("POST", "/apply/v1/plans/plan_1/commit")


def test_a_rehearsal_that_would_commit_stops_at_warnings_too(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    plan_with(gateway, warnings=[BLOCKING])
    with pytest.raises(DeployError) as caught:
        deploy.rehearse(client, text_site(tmp_path), options(commit_rehearsed=True), deploy.silent)
    assert caught.value.code == "W1"
    assert [call.path for call in gateway.calls] == ["/apply/v1/plans"]
    report = {"status": "ready", "report": {"status": "passed"}}
    gateway.on("POST", "/apply/v1/plans/plan_1/rehearse", lambda _call: Reply(200, report))
    assert deploy.rehearse(client, text_site(tmp_path), options(), deploy.silent)["ok"] is True
    agreed = options(commit_rehearsed=True, allow_warning_codes=("W1",))
    assert deploy.rehearse(client, text_site(tmp_path), agreed, deploy.silent)["ok"] is True


def test_missing_secrets_say_how_to_set_them(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    plan_with(gateway, warnings=[SECRET])
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    actions = caught.value.envelope()["next_actions"]
    assert actions[0]["command"] == "run402 secrets set KEY --stdin"
    assert "KEY" in actions[0]["why"]
    assert [action["type"] for action in actions] == ["edit_request", "retry"]  # no flag can accept it


def test_a_route_warning_brings_its_own_guidance(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    plan_with(gateway, warnings=[BLOCKING, {**BLOCKING, "code": "PUBLIC_ROUTED_FUNCTION"}])
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert envelope["code"] == "W1"
    assert "browser" in envelope["hint"]
    assert envelope["next_actions"][-1]["command"] == "run402 deploy apply --allow-warnings"


def test_readonly_wildcard_routes_are_warned_about_here(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    route = {"pattern": "/api/*", "methods": ["GET"], "target": {"type": "function", "name": "api"}}
    release = manifest(tmp_path, routes={"replace": [route]})
    seen: list[dict[str, Any]] = []
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, release, options(), seen.append)
    assert caught.value.code == "WILDCARD_ROUTE_EXCLUDES_MUTATION_METHODS"
    (warned,) = [event for event in seen if event["type"] == "plan.warnings"]
    plan_with(gateway, warnings=warned["warnings"])
    assert len(deploy.plan(client, release, options())["warnings"]) == 1


# -- conflicts


def test_a_base_that_moved_is_planned_again(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    commits = [CONFLICT, Reply(200, ready())]
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", commits)
    seen: list[dict[str, Any]] = []
    result = deploy.apply(client, text_site(tmp_path, idempotency_key="k1"), options(), seen.append)
    assert result["release_id"] == "rel_1"
    assert len(gateway.sent("POST", "/apply/v1/plans")) == 2
    (retry,) = [event for event in seen if event["type"] == "deploy.retry"]
    assert {key: retry[key] for key in ("attempt", "nextAttempt", "maxAttempts", "code", "phase", "resource")} == {
        "attempt": 1,
        "nextAttempt": 2,
        "maxAttempts": 3,
        "code": "base_release_conflict",
        "phase": "plan",
        "resource": None,
    }
    assert {call.json["idempotency_key"] for call in gateway.sent("POST", "/apply/v1/plans.*")} == {"k1"}


def test_three_conflicts_are_enough(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    gateway.on("POST", "/apply/v1/plans", CONFLICT)
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert (envelope["attempts"], envelope["max_retries"], envelope["last_retry_code"]) == (
        3,
        2,
        "base_release_conflict",
    )
    assert len(gateway.calls) == 3


@pytest.mark.parametrize(
    ("body", "base"),
    [
        ({"code": "BASE_RELEASE_CONFLICT", "safe_to_retry": False}, None),
        ({"code": "BASE_RELEASE_CONFLICT", "retryable": True}, None),
        ({"code": "BASE_RELEASE_CONFLICT", "details": {"safe_to_retry": True}}, None),
        ({"code": "OTHER", "safe_to_retry": True}, None),
        ({"code": "BASE_RELEASE_CONFLICT", "safe_to_retry": True}, {"release_id": "rel_0"}),
        ({"code": "BASE_RELEASE_CONFLICT", "safe_to_retry": True}, {"release": "empty"}),
    ],
)
def test_other_conflicts_are_not_planned_again(
    gateway: StubGateway, client: Client, tmp_path: Path, body: dict[str, Any], base: Any
) -> None:
    gateway.on("POST", "/apply/v1/plans", Reply(409, body))
    release = text_site(tmp_path, **({"base": base} if base else {}))
    with pytest.raises(DeployError):
        deploy.apply(client, release, options(), deploy.silent)
    assert len(gateway.calls) == 1


def test_the_nested_error_form_is_understood(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    body = {"error": {"code": "BASE_RELEASE_CONFLICT", "message": "moved"}, "safe_to_retry": True}
    gateway.on("POST", "/apply/v1/plans", [Reply(409, body), Reply(409, body), Reply(500, {"code": "END"})])
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    assert caught.value.code == "END"
    assert len(gateway.calls) == 3


# -- errors


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (
            Reply(400, {"code": "invalid_thing", "message": "m", "details": {"phase": "validate", "fix": {"a": 1}}}),
            {"code": "invalid_thing", "phase": "validate", "fix": {"a": 1}, "retryable": False, "http": None},
        ),
        (
            Reply(422, {"error": "unsupported_capability", "message": "m", "capability": "site.patch"}),
            {"code": "API_ERROR", "http": 422, "error": "unsupported_capability", "capability": "site.patch"},
        ),
        (Reply(500, {"message": "m"}), {"code": "INTERNAL_ERROR", "http": 500, "retryable": True, "phase": "plan"}),
        (Reply(403, {"code": "NOT_AUTHORIZED"}), {"code": "NOT_AUTHORIZED", "http": 403, "category": "auth"}),
        (Reply(402, {"message": "pay"}), {"code": "PAYMENT_REQUIRED", "http": 402}),
        (
            Reply(409, {"code": "PROJECT_HAS_PENDING_TRANSFER", "details": {"x": 1}}),
            {"code": "PROJECT_HAS_PENDING_TRANSFER", "details": {"x": 1}},
        ),
        (Reply(hang_up=True), {"code": "NETWORK_ERROR", "retryable": True, "phase": "plan"}),
    ],
)
def test_the_gateways_refusal_reaches_the_user(
    gateway: StubGateway, client: Client, tmp_path: Path, reply: Reply, expected: dict[str, Any]
) -> None:
    gateway.on("POST", "/apply/v1/plans", reply)
    with pytest.raises(Run402Error) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert {key: envelope.get(key) for key in expected} == expected


@pytest.mark.parametrize("reply", [Reply(hang_up=True), Reply(500), Reply(200, ["garbled"]), Reply(200, None)], ids=str)
def test_a_commit_without_a_usable_answer_leaves_two_ways_on(
    gateway: StubGateway, client: Client, tmp_path: Path, reply: Reply
) -> None:
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", reply)
    with pytest.raises(Run402Error) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert (envelope["operation_id"], envelope["plan_id"], envelope["phase"]) == ("op_1", "plan_1", "commit")
    assert [action["command"] for action in envelope["next_actions"]] == [
        COMMAND,
        f"run402 deploy resume op_1 --project {PROJECT}",
    ]


def test_who_cannot_resume_is_told_to_deploy_again(
    gateway: StubGateway, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUN402_DELEGATE_TOKEN")
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(hang_up=True))
    with pytest.raises(NetworkError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    assert [action["command"] for action in caught.value.envelope()["next_actions"]] == [COMMAND]


BUSY = Reply(429, {"code": "RATE_LIMITED", "message": "slow down", "retryable": True}, {"Retry-After": "0"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/content/v1/plans"),
        ("POST", "/content/v1/plans/cplan_1/commit"),
        ("POST", "/apply/v1/plans/plan_1/commit"),
        ("PUT", "/put/.*"),
    ],
)
def test_a_busy_gateway_is_given_the_time_it_asks_for(
    gateway: StubGateway, client: Client, tmp_path: Path, method: str, path: str
) -> None:
    waiting = [True]

    def once(call: Call) -> Reply:
        if waiting:
            waiting.clear()
            return BUSY
        return usual(call)

    usual = next(handler for verb, known, handler in gateway._handlers if verb == method and known.pattern == path)
    gateway.on(method, path, once)
    seen: list[dict[str, Any]] = []
    assert deploy.apply(client, text_site(tmp_path), options(), seen.append)["release_id"] == "rel_1"
    announced = [event for event in seen if event["type"] == "deploy.retry"]
    assert [event["code"] for event in announced] == ([] if method == "PUT" else ["RATE_LIMITED"])


def test_a_busy_gateway_is_reported_when_it_stays_busy_or_asks_for_too_long(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    commit = "/apply/v1/plans/plan_1/commit"
    for reply, attempts in ((BUSY, 4), (Reply(429, {"code": "RATE_LIMITED"}, {"Retry-After": "3600"}), 1)):
        gateway.calls.clear()
        gateway.on("POST", commit, reply)
        with pytest.raises(DeployError) as caught:
            deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
        assert len(gateway.sent("POST", commit)) == attempts
        assert caught.value.envelope()["retry_after_seconds"] == int(reply.headers["Retry-After"])


def test_a_busy_gateway_is_reported_at_once_before_anything_began(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    gateway.on("POST", "/apply/v1/plans", BUSY)
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert (envelope["code"], envelope["retryable"], envelope["phase"]) == ("RATE_LIMITED", True, "plan")
    assert envelope["next_actions"][0]["command"] == COMMAND
    assert len(gateway.calls) == 1


def test_a_failing_content_plan_is_a_common_api_error(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    gateway.on("POST", "/content/v1/plans", Reply(500, {"code": "INTERNAL", "message": "m"}))
    with pytest.raises(ApiError) as caught:
        deploy.apply(client, text_site(tmp_path), options(), deploy.silent)
    assert caught.value.envelope()["http"] == 500


def test_spec_errors_come_after_plan_started_and_before_any_request(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    seen: list[dict[str, Any]] = []
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, text_site(tmp_path, subdomains={"set": ["a", "b"]}), options(), seen.append)
    assert (caught.value.code, caught.value.fields["phase"]) == ("SUBDOMAIN_MULTI_NOT_SUPPORTED", "validate")
    assert [event["type"] for event in seen] == ["plan.started"]
    assert gateway.calls == []


def test_a_missing_file_is_reported_under_the_systems_name(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError) as caught:
        deploy.apply(client, manifest(tmp_path, site={"replace": {"a": {"path": "no"}}}), options(), deploy.silent)
    assert caught.value.code == "ENOENT"
    assert gateway.calls == []


# -- functions and tiers, assets, rehearsal


def function(tmp_path: Path, **config: Any) -> Any:
    spec = {"functions": {"patch": {"set": {"f": {"source": "export default 1", **config}}}}}
    return normalize({"project_id": PROJECT, **spec}, base_dir=tmp_path, project=None)


def test_a_function_over_the_tier_is_refused_before_the_plan(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    gateway.on("GET", "/tiers/v1/status", Reply(200, {"tier": "prototype"}))
    with pytest.raises(DeployError) as caught:
        deploy.plan(client, function(tmp_path, config={"timeout_seconds": 11}), options())
    assert (caught.value.code, caught.value.fields["details"]["tier_max"]) == ("BAD_FIELD", 10)
    assert gateway.sent("POST") == []


def test_an_unknown_tier_checks_nothing(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    gateway.on("GET", "/tiers/v1/status", Reply(500))
    deploy.plan(client, function(tmp_path, config={"timeout_seconds": 900}), options())
    assert len(gateway.sent("POST")) == 1


def test_schedules_are_counted_with_those_of_the_live_release(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    gateway.on("GET", "/tiers/v1/status", Reply(200, {"tier": "prototype"}))
    live = {"functions": [{"name": "old", "schedule": "0 * * * *"}]}
    gateway.on("GET", "/apply/v1/releases/active.*", Reply(200, live))
    with pytest.raises(DeployError) as caught:
        deploy.plan(client, function(tmp_path, schedule="0 * * * *"), options())
    assert caught.value.fields["details"]["count_source"] == "active_release_inventory"
    assert gateway.sent("GET", ".*/active.*")[0].path.endswith("?site_limit=1")


def test_assets_are_listed_with_what_a_second_look_knows(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    entry = {
        "key": "a.png",
        "sha256": "0" * 64,
        "size_bytes": 4,
        "content_type": "image/png",
        "visibility": "public",
        "status": "upload_pending",
        "asset_ref": {"url": "u", "cdn_url": "c"},
    }
    later = {**entry, "asset_ref": {"width_px": 2, "height_px": 3}}

    def plan(call: Call) -> Reply:
        asset = later if "dry_run" in call.path else entry
        return Reply(200, gateway.plan(call.json["spec"], asset_entries=[asset], missing_content=[]))

    gateway.on("POST", r"/apply/v1/plans(\?dry_run=true)?", plan)
    source = {"data": base64.b64encode(b"\x89PNG").decode(), "encoding": "base64"}
    release = manifest(tmp_path, assets={"put": [{"key": "a.png", "source": source}]})
    assets = deploy.apply(client, release, options(), deploy.silent)["assets"]
    assert assets["totals"] == {"files": 1, "bytes_uploaded": 4, "bytes_reused": 0, "duration_ms": 0}
    assert assets["byKey"]["a.png"]["width_px"] == 2
    assert assets["list"][0]["url"] == "u"


def rehearsed(gateway: StubGateway, status: str) -> None:
    report = {"kind": "rehearsal_report", "status": status}
    gateway.on("POST", "/apply/v1/plans/plan_1/rehearse", Reply(200, {"operation_id": "op_r", "report": report}))


def test_a_rehearsal_uploads_but_commits_nothing(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    rehearsed(gateway, "passed")
    plan_with(gateway, plan_fingerprint="pfp_1", warnings=[BLOCKING])
    seen: list[dict[str, Any]] = []
    out = deploy.rehearse(client, text_site(tmp_path), options(teardown="always"), seen.append)
    assert (out["ok"], out["commit_command"]) == (
        True,
        "run402 deploy apply --require-plan plan_1 --plan-fingerprint pfp_1",
    )
    assert gateway.sent("POST", ".*/rehearse")[0].json == {"teardown": "always"}
    assert {event["type"] for event in seen} == {"content.upload.progress"}
    assert gateway.sent("POST", "/apply/v1/plans/plan_1/commit") == []


def test_a_rehearsal_that_failed_is_not_committed(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    rehearsed(gateway, "failed")
    out = deploy.rehearse(client, text_site(tmp_path), options(commit_rehearsed=True), deploy.silent)
    assert (out["ok"], out["plan_id"]) == (False, "plan_1")
    assert gateway.sent("POST", "/apply/v1/plans/plan_1/commit") == []


def test_a_rehearsal_that_passed_is_committed_when_asked(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    rehearsed(gateway, "passed")
    out = deploy.rehearse(client, text_site(tmp_path), options(commit_rehearsed=True), deploy.silent)
    assert (out["commit"]["release_id"], out["commit"]["diff"]) == ("rel_1", {})


def test_a_large_site_needs_a_few_requests_only(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    release = site(tmp_path, {f"{number}.txt": b"same" for number in range(300)})
    deploy.apply(client, release, options(), deploy.silent)
    assert len(gateway.calls) == 6
