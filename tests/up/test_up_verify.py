"""The manifest's HTTP checks, after a deploy and again by `up verify`."""

from __future__ import annotations

import httpx
import pytest
from up_kit import SITE, CoreGateway, Workspace

from run402_cli.up._verify import fresh_hosts, site_url

PAGE = f"{SITE}/about.html"


def manifest(workspace: Workspace, *, status: int = 200, **check: object) -> None:
    workspace.manifest(
        project="prj_1",
        site={"replace": {"index.html": "x"}},
        verify={"http": [{"id": "about", "path": "/about.html", "expect": {"status": status}, **check}]},
    )
    workspace.keys("prj_1", site_url=SITE)


def test_a_passed_check_is_reported(workspace: Workspace, gateway: CoreGateway) -> None:
    manifest(workspace)
    gateway.pages[PAGE] = httpx.Response(200, text="hello")
    done = workspace.run("up")
    assert done.code == 0
    assert done.json["result"]["verification"]["http"] == [
        {
            "id": "about",
            "status": "succeeded",
            "path": "/about.html",
            "url": PAGE,
            "expected_status": 200,
            "actual_status": 200,
        }
    ]
    assert done.json["result"]["verify"]["status"] == "verified"
    assert done.steps[-1] == ("app.verify", "succeeded")


def test_a_failed_check_prints_the_result_and_exits_1(workspace: Workspace, gateway: CoreGateway) -> None:
    manifest(workspace, status=204)
    gateway.pages[PAGE] = httpx.Response(200, text="hello")
    done = workspace.run("up")
    assert (done.code, done.json["result"]["verify"]["status"]) == (1, "failed")
    warning = done.json["result"]["verify"]["warnings"][0]
    assert (warning["code"], warning["details"]["actual_status"]) == ("VERIFY_FAILED", 200)
    assert done.json["result"]["deploy"]["release_id"] == "rel_1"


@pytest.mark.parametrize("flags", [["--quiet"], ["--quiet", "--jq", ".mode"], ["--human", "--quiet"]])
def test_a_failed_check_says_why_and_what_to_run_whatever_is_shown(
    workspace: Workspace, gateway: CoreGateway, flags: list[str]
) -> None:
    manifest(workspace, status=204)
    gateway.pages[PAGE] = httpx.Response(200, text="hello")
    done = workspace.run("up", *flags)
    assert done.code == 1
    assert done.err == f"{PAGE} answered 200, not 204. Next: run402 up verify --project prj_1\n"
    again = workspace.run("up", "verify", "--project", "prj_1", "--quiet")
    first, seen = again.json["result"]["next_actions"]
    assert (again.code, first["argv"][:3]) == (1, ["run402", "up", "verify"])
    assert seen["command"] == "run402 deploy release active --project prj_1"  # PAGE is below the project's own address
    assert again.err.endswith(f"Next: {seen['command']}\n")


def test_a_failing_check_is_tried_as_often_as_it_says(
    workspace: Workspace, gateway: CoreGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("run402_cli.up._verify._RETRY_S", 0)
    manifest(workspace, retries=3)
    gateway.pages[PAGE] = httpx.Response(500)
    assert workspace.run("up").code == 1
    assert gateway.sent().count("GET /projects/v1/prj_1/static/about.html") == 3


def test_a_site_that_is_still_spreading_is_pending_and_exits_0(workspace: Workspace, gateway: CoreGateway) -> None:
    manifest(workspace)
    gateway.pages[PAGE] = httpx.Response(404, headers={"x-run402-edge": "kvs-miss"})
    done = workspace.run("up", "--no-propagation-wait")
    rollup = done.json["result"]["verify"]
    assert (done.code, rollup["status"], rollup["propagation_wait_ms"]) == (0, "propagation_pending", 0)
    assert rollup["next_action"]["argv"] == ["run402", "up", "verify"]
    assert done.steps[-1] == ("app.verify", "propagation_pending")


def test_the_budget_bounds_the_wait(workspace: Workspace, gateway: CoreGateway) -> None:
    manifest(workspace)
    gateway.pages[PAGE] = httpx.Response(404, json={"error": {"code": "NO_SITE_DEPLOYED"}})
    done = workspace.run("up", "--propagation-budget-s", "0.05")
    rollup = done.json["result"]["verify"]
    assert rollup["status"] == "propagation_pending"
    assert 0 < rollup["propagation_wait_ms"] <= 60


def test_up_verify_checks_without_deploying(workspace: Workspace, gateway: CoreGateway) -> None:
    manifest(workspace)
    gateway.pages[PAGE] = httpx.Response(200)
    done = workspace.run("up", "verify")
    assert done.code == 0
    assert set(done.json["result"]) == {"project_id", "manifest_path", "verification", "verify"}
    assert gateway.sent() == ["GET /projects/v1/prj_1/static/about.html"]


def test_up_verify_has_no_fresh_hosts_and_exits_1(workspace: Workspace, gateway: CoreGateway) -> None:
    manifest(workspace)
    gateway.pages[PAGE] = httpx.Response(404, headers={"x-run402-edge": "kvs-miss"})
    assert workspace.run("up", "verify").code == 1


def test_an_edge_that_is_not_settled_counts_as_spreading(workspace: Workspace, gateway: CoreGateway) -> None:
    manifest(workspace)
    gateway.pages[PAGE] = httpx.Response(404)
    host = "http://127.0.0.1:4999/apply/v1/resolve?host=127.0.0.1&path=%2Fprojects%2Fv1%2Fprj_1%2Fstatic%2Fabout.html&method=GET"
    gateway.pages[host] = httpx.Response(200, json={"edge_propagation": {"status": "propagating"}})
    done = workspace.run("up", "verify", "--no-propagation-wait")
    assert (done.code, done.json["result"]["verify"]["status"]) == (0, "propagation_pending")


def test_up_verify_without_checks_says_how_to_write_one(workspace: Workspace) -> None:
    workspace.manifest(project="prj_1", site={"replace": {"index.html": "x"}})
    envelope = workspace.run("up", "verify").envelope
    assert (envelope["code"], list(envelope["details"])[:2]) == ("VERIFY_CHECKS_REQUIRED", ["action", "manifest_path"])


def test_up_verify_needs_keys_and_a_project(workspace: Workspace) -> None:
    manifest(workspace)
    workspace.keys()
    assert workspace.run("up", "verify").envelope["code"] == "PROJECT_CREDENTIAL_NOT_FOUND"
    workspace.manifest(verify={"http": [{"id": "a", "path": "/", "expected_status": 200}]}, routes=None)
    assert workspace.run("up", "verify").envelope["details"]["verify_only"] is True


def test_a_directory_called_verify_needs_a_path(workspace: Workspace) -> None:
    folder = workspace.path / "verify"
    folder.mkdir()
    Workspace(folder, workspace.config, workspace.capsys).manifest()
    assert workspace.run("up", "./verify", "--check").code == 0


def test_paths_keep_the_prefix_of_a_site_below_a_gateway() -> None:
    assert site_url("http://h:1/projects/v1/p/static", "/a") == "http://h:1/projects/v1/p/static/a"
    assert site_url("https://x.run402.com", "/a?b=c") == "https://x.run402.com/a?b=c"
    assert site_url("https://x.run402.com/", "a") == "https://x.run402.com/a"


def test_hosts_claimed_just_now_are_fresh() -> None:
    deploy = {
        "subdomain_bindings": [
            {"host": "old.run402.com", "claimed_at": "2020-01-01T00:00:00.000Z"},
            {"host": "odd.run402.com", "claimed_at": "yesterday"},
            {"host": "new.run402.com", "claimed_at": "2999-01-01T00:00:00.000Z"},
        ]
    }
    spec = {"subdomains": {"set": ["shop"], "add": ["blog"]}}
    found = fresh_hosts(spec, deploy, "https://main.run402.com/")
    assert found == {"shop.run402.com", "blog.run402.com", "main.run402.com", "new.run402.com"}
