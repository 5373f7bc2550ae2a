"""`up` with an app manifest: checks, blocks, the graph, and a whole installation against an answered Cloud."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from up_kit import KEYS, Outcome, Workspace

from run402_cli.release.canonical import canonical_sha256
from run402_cli.state import allowed_variables
from run402_cli.up import UpOptions

BASE = "https://api.run402.com"
SITE = "https://shop.run402.com"


def app_manifest(**more: Any) -> dict[str, Any]:
    return {
        "$schema": "https://run402.com/schemas/run402-app.v1.schema.json",
        "spec_version": 1,
        "app": {"id": "shop"},
        "project": {"name": "shop", "origin": {"subdomain": "${input.name}"}},
        "resources": {
            "mailboxes": {"order_desk": {"roles": ["default_outbound"]}, "noreply": {"slug": "no-reply-2"}},
            "webhooks": {
                "orders": {
                    "mailbox": "order_desk",
                    "url": "https://${input.name}.example/in",
                    "events": ["reply", "delivery"],
                }
            },
        },
        "secrets": {"STRIPE_KEY": {"required": True, "source_env": "SHOP_STRIPE"}, "OPTIONAL": {}},
        "release": {
            "site": {"replace": {"index.html": "from ${RUN402_MAILBOX_ORDER_DESK_ADDRESS}, ${NOBODY}!"}},
            "secrets": {"require": ["STRIPE_KEY"]},
        },
        "verify": {"http": [{"id": "home", "path": "/", "expect": {"status": 200}, "retries": 0}]},
        **more,
    }


class Cloud:
    """A Cloud gateway with one mailbox, on which a deploy succeeds at once; `fail` maps a route to an answer."""

    def __init__(self, mock: HTTPXMock) -> None:
        self.mock = mock
        self.fail: dict[str, httpx.Response] = {}
        self.mailboxes = [{"mailbox_id": "mbx_1", "slug": "order-desk", "address": "order-desk@mail.run402.com"}]
        self.webhooks: list[dict[str, Any]] = []
        mock.add_callback(self._answer, is_reusable=True, is_optional=True)

    def bodies(self, route: str) -> list[Any]:
        return [
            json.loads(request.content)
            for request in self.mock.get_requests()
            if f"{request.method} {request.url.path}" == route
        ]

    def sent(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.mock.get_requests()]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        route = f"{request.method} {request.url.path}"
        if route in self.fail:
            return self.fail[route]
        if route == "POST /mailboxes/v1":
            slug = json.loads(request.content)["slug"]
            self.mailboxes.append({"mailbox_id": "mbx_2", "slug": slug, "address": f"{slug}@mail.run402.com"})
        settings = {"default_outbound_mailbox_id": None, "auth_sender_mailbox_id": None}
        answers: dict[str, Any] = {
            "GET /tiers/v1/status": {"tier": "team", "active": True},
            "GET /projects/v1": {"projects": []},
            "POST /projects/v1": {"project_id": "prj_new", **KEYS},
            "POST /apply/v1/app-installs": {"id": "inst_1"},
            "GET /mailboxes/v1": {"mailboxes": self.mailboxes, "mailbox_settings": settings},
            "POST /mailboxes/v1": {"mailbox_id": "mbx_2"},
            "PATCH /mailboxes/v1/settings": {},
            "POST /projects/v1/admin/prj_new/secrets": {},
            "POST /apply/v1/plans": {"plan_id": "plan_1", "operation_id": "op_1", "missing_content": [], "diff": {}},
            "POST /apply/v1/plans/plan_1/commit": {
                "operation_id": "op_1",
                "status": "ready",
                "release_id": "rel_1",
                "urls": {},
            },
            "GET /apply/v1/operations/op_1": {
                "operation_id": "op_1",
                "status": "ready",
                "release_id": "rel_1",
                "urls": {},
            },
            "GET /apply/v1/operations/op_1/events": {"events": []},
            "GET /mailboxes/v1/mbx_1/webhooks": {"webhooks": self.webhooks},
            "POST /mailboxes/v1/mbx_1/webhooks": {"webhook_id": "whk_1"},
            "GET /": {},
        }
        if route not in answers:
            return httpx.Response(404, json={"error": "not_found", "message": route})
        return httpx.Response(200, json=answers[route])


@pytest.fixture
def shop(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with an app manifest, a funded wallet, the Cloud as target, and the app's secret set."""
    monkeypatch.delenv("RUN402_API_BASE")
    monkeypatch.setenv("SHOP_STRIPE", "sk_live_very_secret")
    workspace.wallet(funded=True)
    write(workspace)
    return workspace


def write(workspace: Workspace, **more: Any) -> None:
    (workspace.path / "run402.json").write_text(json.dumps(app_manifest(**more)))


def result(done: Outcome) -> Any:
    assert done.out, done.err
    return done.json["result"]["app_result"]


def test_check_compiles_the_graph_and_sends_nothing(shop: Workspace) -> None:
    done = shop.run("up", "--name", "shop", "--check")
    outcome = done.json["result"]
    assert done.steps == [("app.source.resolve", "succeeded"), ("deploy.discover", "succeeded")]
    assert (outcome["project_id"], outcome["app_result"]["status"]) == ("prj_planned", "planned")
    graph = outcome["app_graph"]
    assert graph["schema_version"] == "run402.app_install_graph.v1"
    assert graph["spec_digest"] == canonical_sha256(app_manifest())
    assert {node["id"]: node["depends_on"] for node in graph["nodes"]} == {
        "discover": [],
        "account.ensure": ["discover"],
        "project.ensure": ["account.ensure"],
        "origin.ensure": ["project.ensure"],
        "mailbox.noreply.ensure": ["project.ensure"],
        "mailbox.order_desk.ensure": ["project.ensure"],
        "bindings.resolve": ["mailbox.noreply.ensure", "mailbox.order_desk.ensure"],
        "secrets.ensure": ["project.ensure"],
        "release.apply": ["bindings.resolve", "secrets.ensure"],
        "webhook.orders.ensure": ["release.apply", "mailbox.order_desk.ensure"],
        "verify.http.home": ["webhook.orders.ensure"],
    }
    account = graph["nodes"][1]
    intent = {"id": "account.ensure", "kind": "account.ensure", "intent": {"tier": "ready"}}
    digest = canonical_sha256(intent)
    assert (account["input_digest"], account["ensure_key"]) == (digest, f"appup:shop:account.ensure:{digest[:16]}")
    assert (account["spend"], account["mutation"], account["details"]) == (True, "remote", {"tier": "ready"})
    assert not (shop.path / ".run402").exists()


def test_print_spec_has_no_spec_to_print(shop: Workspace) -> None:
    assert shop.run("up", "--name", "shop", "--print-spec").out == "null\n"


def test_a_build_comes_between_the_bindings_and_the_release(shop: Workspace) -> None:
    write(shop, build={"commands": [{"id": "b", "argv": ["true"]}]}, secrets={}, resources={}, verify={})
    nodes = {node["id"]: node for node in result(shop.run("up", "--name", "shop", "--check"))["graph"]["nodes"]}
    assert nodes["bindings.resolve"]["depends_on"] == ["origin.ensure"]
    assert nodes["build.local"]["depends_on"] == ["bindings.resolve"]
    assert nodes["build.local"]["mutation"] == "local"
    assert nodes["release.apply"]["depends_on"] == ["build.local"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"spec_version": 2}, "spec_version"),
        ({"app": {"id": " "}}, "app.id"),
        ({"project": None}, "project"),
        ({"release": []}, "release"),
        ({"resources": {"mailboxes": {"Order-Desk": {}}}}, "resources.mailboxes.Order-Desk"),
        (
            {"resources": {"webhooks": {"w": {"mailbox": "x", "url": "u", "events": ["e"]}}}},
            "resources.webhooks.w.mailbox",
        ),
        ({"resources": {"mailboxes": {"desk": {"roles": "default_outbound"}}}}, "resources.mailboxes.desk.roles"),
        ({"secrets": {"RUN402_SERVICE_KEY": {}}}, "secrets.RUN402_SERVICE_KEY"),
        ({"secrets": {"A": {"source_env": "B=C"}}}, "secrets.A.source_env"),
        ({"build": {"commands": [{"argv": "npm run build"}]}}, "build.commands[0].argv"),
        ({"verify": {"http": [{"id": "x", "path": "/"}]}}, "verify.http[0].expect"),
        (
            {
                "release": {
                    "functions": {
                        "replace": {"f": {"triggers": [{"type": "email", "mailbox": "${RUN402_MAILBOX_NO_ID}"}]}}
                    }
                }
            },
            "release.functions.replace.f.triggers[0].mailbox",
        ),
    ],
)
def test_an_app_manifest_that_is_not_valid_names_the_field(shop: Workspace, change: Any, field: str) -> None:
    write(shop, **change)
    envelope = shop.run("up", "--name", "shop", "--check").envelope
    assert (envelope["code"], envelope["details"]["field_path"]) == ("APP_SPEC_INVALID", field)
    action = envelope["next_actions"][0]
    assert (action["type"], action["field_path"]) == ("edit_manifest", field)


@pytest.mark.parametrize(
    ("args", "change", "environment", "code", "node"),
    [
        (["--check"], {}, {}, "PROJECT_REQUIRED", "project.ensure"),
        (["--name", "shop", "--check"], {}, {"SHOP_STRIPE": ""}, "MISSING_SECRET", "secrets.ensure"),
        (["--name", "shop"], {}, {}, "SPEND_APPROVAL_REQUIRED", "account.ensure"),
        (["--name", "shop", "-y", "--max-spend-usd", "0.05"], {}, {}, "SPEND_APPROVAL_REQUIRED", "account.ensure"),
        (
            ["--name", "shop", "-y"],
            {"build": {"commands": [{"id": "b", "shell": "make"}]}},
            {},
            "BUILD_APPROVAL_REQUIRED",
            "build.local",
        ),
        (
            ["--name", "shop", "-y", "--build-mode", "sandbox"],
            {"build": {}},
            {},
            "REMOTE_BUILD_UNSUPPORTED",
            "build.sandbox",
        ),
    ],
)
def test_what_keeps_an_app_from_being_installed_is_a_blocked_node(
    shop: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    change: Any,
    environment: dict[str, str],
    code: str,
    node: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    write(shop, **change)
    done = shop.run("up", *args)
    outcome = result(done)
    assert (done.code, outcome["status"]) == (0, "blocked")
    assert [(reason["code"], reason["node_id"]) for reason in outcome["diagnostics"]] == [(code, node)]
    assert {step["id"] for step in outcome["steps"] if step["status"] == "blocked"} == {node}
    assert outcome["next_actions"][0]["code"] == code


@pytest.mark.parametrize(
    ("secret", "source", "asked"),
    [
        ("AWS_SECRET_ACCESS_KEY", None, True),
        ("THEME", "GITHUB_TOKEN", True),
        ("THEME", "RUN402_DELEGATE_TOKEN", True),
        ("TOKEN", "NPM_TOKEN", True),
        ("THEME", "COMPANY_DATABASE_URL", True),
        ("API_TOKEN", None, False),
        ("API_TOKEN", "STAGING_API_TOKEN", False),
        ("API_TOKEN", "SHOP_KEY", False),
        ("THEME", "COLORS", False),
    ],
)
def test_a_variable_that_is_not_the_apps_is_taken_only_when_it_is_named(
    shop: Workspace, monkeypatch: pytest.MonkeyPatch, secret: str, source: str | None, asked: bool
) -> None:
    variable = source or secret
    write(shop, secrets={secret: {} if source is None else {"source_env": source}}, release={"site": {"replace": {}}})
    check = ["up", "--name", "shop", "--check"]
    assert result(shop.run(*check))["status"] == "planned"  # it is not set: there is nothing to take
    monkeypatch.setenv(variable, "of-somebody")
    outcome = result(shop.run(*check))
    assert outcome["status"] == ("blocked" if asked else "planned")
    if asked:
        (reason,) = outcome["diagnostics"]
        assert (reason["code"], reason["details"]["env"]) == ("SECRET_SOURCE_APPROVAL_REQUIRED", variable)
        assert outcome["next_actions"][0]["argv"][-2:] == ["--allow-env", variable]
    assert result(shop.run(*check, "--allow-env", variable))["status"] == "planned"


def test_a_secret_that_only_the_release_requires_is_asked_about_too(
    shop: Workspace, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Cloud(httpx_mock)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-somebody")
    write(shop, secrets={}, release={"site": {"replace": {}}, "secrets": {"require": ["AWS_SESSION_TOKEN"]}})
    assert result(shop.run("up", "--name", "shop", "-y"))["diagnostics"][0]["code"] == "SECRET_SOURCE_APPROVAL_REQUIRED"
    assert cloud.sent() == []


@pytest.mark.parametrize("brought", ["clone", "chosen by a program"])
def test_a_strangers_manifest_takes_what_was_allowed_its_directory_once(
    shop: Workspace, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch, brought: str
) -> None:
    cloud = Cloud(httpx_mock)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    write(shop, secrets={"OPENAI_API_KEY": {}, "STRIPE_KEY": {"source_env": "SHOP_STRIPE"}}, verify={})
    if brought == "clone":
        (shop.path / ".git").mkdir()
    else:
        monkeypatch.setattr(
            "run402_cli.commands.up.UpOptions", lambda **given: UpOptions(**{**given, "own_manifest": False})
        )
    blocked = result(shop.run("up", "--name", "shop", "-y"))
    codes = {(reason["code"], reason["details"]["env"]) for reason in blocked["diagnostics"]}
    assert codes == {("SECRET_SOURCE_APPROVAL_REQUIRED", name) for name in ("OPENAI_API_KEY", "SHOP_STRIPE")}
    assert cloud.sent() == []
    (action,) = blocked["next_actions"]
    assert action["argv"][-4:] == ["--allow-env", "OPENAI_API_KEY", "--allow-env", "SHOP_STRIPE"]
    assert action["confirms"] is True
    # A look allows nothing for later; the command that it names does.
    check = ["up", "--name", "shop", "--check"]
    assert result(shop.run(*check, *action["argv"][-4:]))["status"] == "planned"
    assert result(shop.run(*check))["status"] == "blocked"
    assert result(shop.run(*action["argv"][1:]))["status"] == "succeeded"
    assert result(shop.run(*check))["status"] == "planned"
    # What a later version of the manifest wants beyond that is asked about again, and so is a copy elsewhere.
    monkeypatch.setenv("DATABASE_URL", "postgres://of-the-user")
    write(shop, secrets={"OPENAI_API_KEY": {}, "DATABASE_URL": {}})
    assert [row["details"]["env"] for row in result(shop.run(*check))["diagnostics"]] == ["DATABASE_URL"]
    write(shop, secrets={"OPENAI_API_KEY": {}})
    (shop.path / "other").mkdir()
    (shop.path / "run402.json").rename(shop.path / "other" / "run402.json")
    assert result(shop.run(*check, "--dir", "other"))["status"] == "blocked"


def test_what_is_allowed_is_kept_beside_other_settings(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"active_wallet": "ci", "of_others": 1}))
    allowed_variables.allow(tmp_path, tmp_path / "app", ["B", "A"])
    allowed_variables.allow(tmp_path, tmp_path / "app", ["C"])
    assert allowed_variables.allowed(tmp_path, tmp_path / "app") == {"A", "B", "C"}
    assert allowed_variables.allowed(tmp_path, tmp_path) == set()
    kept = json.loads((tmp_path / "config.json").read_text())
    assert (kept["active_wallet"], kept["of_others"]) == ("ci", 1)


@pytest.mark.parametrize("name", ["RUN402_SERVICE_KEY", "STRIPE_KEY", "OPTIONAL"])
@pytest.mark.parametrize(
    "release",
    [
        {"site": {"replace": {"index.html": "<p>${%s}"}}},
        {"assets": {"put": [{"key": "a.txt", "text": "k=${%s}"}]}},
        {"functions": {"replace": {"f": {"source": "const k = '${%s}'"}}}},
    ],
)
def test_secrets_and_the_service_key_are_written_into_no_text_of_a_release(
    shop: Workspace, httpx_mock: HTTPXMock, name: str, release: Any
) -> None:
    cloud = Cloud(httpx_mock)
    write(shop, release=json.loads(json.dumps(release).replace("%s", name)))
    envelope = shop.run("up", "--name", "shop", "-y").envelope
    assert (envelope["code"], envelope["details"]["field_path"]) == ("APP_SPEC_INVALID", "release")
    assert f"process.env.{name}" in envelope["message"]
    assert cloud.sent() == []


def with_webhook(url: str) -> dict[str, Any]:
    hook = {"mailbox": "order_desk", "url": url, "events": ["reply"]}
    return {"mailboxes": {"order_desk": {}}, "webhooks": {"orders": hook}}


def test_the_address_of_a_webhook_has_no_service_key(shop: Workspace) -> None:
    write(shop, resources=with_webhook("https://x.example/?k=${RUN402_SERVICE_KEY}"))
    envelope = shop.run("up", "--name", "shop", "-y").envelope
    assert (envelope["code"], envelope["details"]["field_path"]) == ("APP_SPEC_INVALID", "resources")


def test_a_secret_in_the_address_of_a_webhook_is_sent_and_not_shown(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    cloud = Cloud(httpx_mock)
    write(shop, resources=with_webhook("https://x.example/?k=${STRIPE_KEY}"), verify={})
    done = shop.run("up", "--name", "shop", "-y")
    sent = cloud.bodies("POST /mailboxes/v1/mbx_1/webhooks")
    assert [body["url"] for body in sent] == ["https://x.example/?k=sk_live_very_secret"]
    assert result(done)["resources"]["webhooks"]["orders"]["url"] == "https://x.example/?k=***"
    kept = json.dumps(cloud.bodies("POST /apply/v1/app-installs"))
    assert "sk_live_very_secret" not in done.out + done.err + kept


def test_a_core_gateway_cannot_install_an_app(shop: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:4999")
    outcome = result(shop.run("up", "--name", "shop", "-y"))
    assert (outcome["status"], outcome["diagnostics"][0]["code"]) == ("blocked", "UNSUPPORTED_RESOURCE_KIND")
    assert outcome["next_actions"][0]["type"] == "choose_cloud_target"


@pytest.mark.parametrize("args", [["--plan"], ["--require-plan", "plan_1"]])
def test_a_reviewed_plan_of_an_app_is_refused_before_anything_is_done(shop: Workspace, args: list[str]) -> None:
    assert shop.run("up", "--name", "shop", *args).envelope["code"] == "BAD_USAGE"


def test_an_app_is_installed_piece_by_piece(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    cloud = Cloud(httpx_mock)
    done = shop.run("up", "--name", "shop", "-y")
    outcome = result(done)
    assert (done.code, outcome["status"]) == (0, "succeeded"), done.err
    assert done.steps[-9:] == [
        ("projects.provision", "succeeded"),
        ("app.install", "succeeded"),
        ("workspace.link.write", "succeeded"),
        ("app.mailbox.ensure", "succeeded"),
        ("app.secret.ensure", "succeeded"),
        ("deploy.apply", "succeeded"),
        ("app.webhook.ensure", "succeeded"),
        ("app.verify", "succeeded"),
        ("app.install", "succeeded"),
    ]
    assert cloud.bodies("POST /mailboxes/v1") == [{"slug": "no-reply-2", "project_id": "prj_new"}]
    assert cloud.bodies("PATCH /mailboxes/v1/settings") == [{"default_outbound_mailbox_id": "mbx_1"}]
    secrets = cloud.bodies("POST /projects/v1/admin/prj_new/secrets")
    assert secrets == [{"key": "STRIPE_KEY", "value": "sk_live_very_secret"}]
    webhook = {"url": "https://shop.example/in", "events": ["delivery", "reply"]}
    assert cloud.bodies("POST /mailboxes/v1/mbx_1/webhooks") == [webhook]
    page = cloud.bodies("POST /apply/v1/plans")[0]["spec"]["site"]["replace"]["index.html"]
    assert page["size"] == len(b"from order-desk@mail.run402.com, !")
    assert [body["status"] for body in cloud.bodies("POST /apply/v1/app-installs")] == ["applying", "active"]
    last = cloud.bodies("POST /apply/v1/app-installs")[1]
    assert (last["app_key"], last["last_operation_id"]) == ("shop", "op_1")
    assert last["resources"]["webhooks"]["orders"]["id"] == "whk_1"
    assert "RUN402_MAILBOX_NOREPLY_ID" in last["bindings"]["env"]
    assert outcome["verification"]["http"][0]["url"] == f"{SITE}/"
    assert outcome["resources"]["user_secrets"]["STRIPE_KEY"]["satisfied"] is True
    assert {step["status"] for step in outcome["steps"]} == {"succeeded"}
    for secret in ("sk_live_very_secret", KEYS["service_key"]):
        assert secret not in done.out + done.err


def test_a_webhook_that_is_there_is_used_again(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    cloud = Cloud(httpx_mock)
    there = {"webhook_id": "whk_9", "url": "https://shop.example/in", "events": ["reply", "delivery"]}
    cloud.webhooks.append(there)
    outcome = result(shop.run("up", "--name", "shop", "-y"))
    assert outcome["resources"]["webhooks"]["orders"]["id"] == "whk_9"
    assert "POST /mailboxes/v1/mbx_1/webhooks" not in cloud.sent()


def test_a_gateway_without_installation_records_is_no_obstacle(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    Cloud(httpx_mock).fail["POST /apply/v1/app-installs"] = httpx.Response(404, json={"error": "not_found"})
    done = shop.run("up", "--name", "shop", "-y")
    assert (result(done)["status"], done.steps[-1]) == ("succeeded", ("app.install", "skipped"))


def test_a_failed_step_is_recorded_and_reported_as_it_is(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    cloud = Cloud(httpx_mock)
    cloud.fail["POST /mailboxes/v1"] = httpx.Response(409, json={"code": "SLUG_TAKEN", "message": "taken"})
    envelope = shop.run("up", "--name", "shop", "-y").envelope
    assert (envelope["code"], envelope["http"]) == ("SLUG_TAKEN", 409)
    states = {step["action"]: step["state"] for step in envelope["details"]["steps"]}
    assert states["app.mailbox.ensure"] == "failed"
    failed = cloud.bodies("POST /apply/v1/app-installs")[-1]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "SLUG_TAKEN")


def test_a_failed_check_leaves_the_app_deployed_and_exits_with_1(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    cloud = Cloud(httpx_mock)
    cloud.fail["GET /"] = httpx.Response(500, text="no")
    done = shop.run("up", "--name", "shop", "-y")
    outcome = result(done)
    assert (done.code, outcome["status"]) == (1, "deployed_unverified")
    assert {step["status"] for step in outcome["steps"]} == {"failed"}
    assert cloud.bodies("POST /apply/v1/app-installs")[-1]["status"] == "failed"


def test_builds_run_with_the_apps_variables_and_hide_them_when_they_fail(
    shop: Workspace, httpx_mock: HTTPXMock
) -> None:
    Cloud(httpx_mock)
    script = "import os, pathlib; pathlib.Path('out.txt').write_text(os.environ['RUN402_MAILBOX_ORDER_DESK_ID'])"
    (shop.path / "sub").mkdir()
    write(shop, build={"commands": [{"id": "one", "argv": [sys.executable, "-c", script], "cwd": "sub"}]})
    assert result(shop.run("up", "--name", "shop", "-y"))["status"] == "succeeded"
    assert (shop.path / "sub" / "out.txt").read_text() == "mbx_1"
    script = "import os, sys; print(os.environ['STRIPE_KEY'], os.environ['RUN402_SERVICE_KEY']); sys.exit(3)"
    write(shop, build={"commands": [{"id": "two", "argv": [sys.executable, "-c", script]}]})
    details = shop.run("up", "--name", "shop", "-y", "--project", "prj_new").envelope["details"]
    assert (details["build_id"], details["exit_code"], details["output"]) == ("two", 3, "*** ***")


def test_verify_checks_the_promised_address_without_installing(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    cloud = Cloud(httpx_mock)
    shop.keys("prj_1")
    done = shop.run("up", "verify", "--project", "prj_1", "--name", "shop")
    assert (done.code, result(done)["verification"]["http"][0]["status"]) == (0, "succeeded")
    assert cloud.sent() == ["GET /"]


def test_human_output_says_what_is_missing_and_what_comes_next(shop: Workspace) -> None:
    lines = shop.run("up", "--human", "--check").out.splitlines()
    assert lines[0].startswith("Blocked")
    assert lines[1].startswith("- ")
    assert lines[2].startswith("Next: ")
    assert lines[3] == "  run402 up --name NAME --yes"


def test_human_output_of_an_installed_app_is_its_address(shop: Workspace, httpx_mock: HTTPXMock) -> None:
    Cloud(httpx_mock)
    assert shop.run("up", "--name", "shop", "-y", "--human").out == f"Installed: {SITE}\n"


def test_json_stream_ends_with_the_whole_result(shop: Workspace) -> None:
    lines = [json.loads(line) for line in shop.run("up", "--name", "shop", "--check", "--json-stream").out.splitlines()]
    assert {line["type"] for line in lines[:-1]} == {"action.event"}
    assert lines[-1]["type"] == "run402.up.result"
    assert lines[-1]["result"]["result"]["app_result"]["kind"] == "run402.up.result"
