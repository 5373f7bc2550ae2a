"""Functions from the command line to Node and back: routes, runs, schedules, secrets, faults, restarts."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

PAGE = "<!doctype html><title>app</title><h1>static login</h1>"
API = """
export default async (req) => {
  const url = new URL(req.url);
  const headers = new Headers({ "content-type": "application/json" });
  headers.append("set-cookie", "a=1; Path=/");
  headers.append("set-cookie", "b=2; Path=/; HttpOnly");
  console.log("greeting", process.env.GREETING);
  const seen = { ok: true, path: url.pathname, q: url.search, has: !!process.env.GREETING };
  return new Response(JSON.stringify(seen), { headers });
};
"""
LOGIN = "export default async (req) => Response.json({ ok: true, name: (await req.formData()).get('name') });\n"


def app(folder: Path) -> Path:
    """A site with a function behind /api/*, a static page at GET /login and a function at POST /login."""
    document = {
        "site": {
            "replace": {"index.html": {"data": PAGE}, "login.html": {"data": PAGE}},
            "public_paths": {"mode": "explicit", "replace": {"/": {"asset": "index.html", "cache_class": "html"}}},
        },
        "functions": {
            "replace": {
                "api": {"runtime": "node22", "source": {"data": API}},
                "login": {"runtime": "node22", "source": {"data": LOGIN}},
            }
        },
        "secrets": {"require": ["GREETING"]},
        "routes": {
            "replace": [
                {"pattern": "/api/*", "methods": ["GET", "POST"], "target": {"type": "function", "name": "api"}},
                {"pattern": "/login", "methods": ["GET", "HEAD"], "target": {"type": "static", "file": "login.html"}},
                {"pattern": "/login", "methods": ["POST"], "target": {"type": "function", "name": "login"}},
            ]
        },
    }
    path = folder / "app.json"
    path.write_text(json.dumps(document))
    return path


def site(gateway: dict[str, Any], project: dict[str, Any]) -> str:
    return f"{gateway['url']}/projects/v1/{project['project_id']}/static"


def test_a_site_with_routes_and_functions(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client
) -> None:
    manifest = app(cli.cwd)
    missing = cli("deploy", "apply", "--manifest", str(manifest)).envelope
    assert missing["code"] == "MISSING_REQUIRED_SECRET"
    cli.ok("secrets", "set", "GREETING", "--stdin", stdin="hello-from-the-vault")
    cli.ok("deploy", "apply", "--manifest", str(manifest))
    base = site(gateway, project)
    answer = http.get(f"{base}/api/x?y=1")
    assert answer.json() == {"ok": True, "path": "/api/x", "q": "?y=1", "has": True}
    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; Path=/; HttpOnly"]
    assert "static login" in http.get(f"{base}/login").text
    assert http.post(f"{base}/login", data={"name": "ada"}).json() == {"ok": True, "name": "ada"}
    refused = http.delete(f"{base}/api/x")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    assert http.get(f"{base}/login.html").status_code == 404
    request_id = answer.headers["x-run402-request-id"]
    logs = cli.ok("functions", "logs", "api", "--request-id", request_id)["logs"]
    printed = "".join(entry["message"] for entry in logs)
    assert "greeting" in printed
    assert "vault" not in printed
    assert [row["key"] for row in cli.ok("secrets", "list")["secrets"]] == ["GREETING"]


def test_one_function_is_deployed_called_changed_and_removed(cli: Cli, project: dict[str, Any]) -> None:
    source = cli.cwd / "hello.ts"
    source.write_text("export default async (req: Request) => Response.json({ got: await req.json() });\n")
    assert cli.ok("functions", "deploy", "hello", "--file", str(source))["status"] == "deployed"
    called = cli.ok("functions", "invoke", "hello", "--body", '{"a":1}')
    assert (called["http_status"], called["body"]) == (200, {"got": {"a": 1}})
    cli.ok("functions", "update", "hello", "--timeout", "5", "--schedule", "*/15 * * * *")
    listed = cli.ok("functions", "list")["functions"][0]
    assert (listed["timeout"], listed["schedule"]) == (5, "*/15 * * * *")
    assert cli.ok("functions", "rebuild", "hello")["rebuilt"] is True
    run = cli.ok(
        *("functions", "runs", "create", "hello", "--event-type", "x", "--idempotency-key", "k", "--wait"),
    )
    assert run["status"] == "succeeded"
    assert cli.ok("functions", "delete", "hello")["deleted"] is True
    assert cli.ok("functions", "list")["functions"] == []


def test_a_syntax_error_names_file_line_and_message(cli: Cli, project: dict[str, Any]) -> None:
    source = cli.cwd / "bad.mjs"
    source.write_text("export default async () => {\n  const = 1;\n};\n")
    envelope = cli("functions", "deploy", "bad", "--file", str(source)).envelope
    assert envelope["code"] == "INVALID_FUNCTION_BUNDLE"
    assert "bad.mjs:2:" in envelope["message"]


def test_a_cron_trigger_fires(cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client) -> None:
    trigger = {"id": "often", "type": "schedule", "cron": "* * * * *", "run": {"event_type": "tick"}}
    source = {
        "data": "export default async (req) => { console.log((await req.json()).event_type); return new Response(); };"
    }
    manifest = cli.cwd / "cron.json"
    manifest.write_text(json.dumps({"functions": {"replace": {"tick": {"source": source, "triggers": [trigger]}}}}))
    cli.ok("deploy", "apply", "--manifest", str(manifest))
    deadline = time.monotonic() + 75
    runs: list[dict[str, Any]] = []
    while not any(run["status"] == "succeeded" for run in runs):
        assert time.monotonic() < deadline, f"no tick within a minute: {runs}"
        time.sleep(1)
        runs = cli.ok("functions", "runs", "list", "tick")["runs"]
    assert runs[-1]["source"]["trigger_id"] == "often"


def test_runs_survive_a_killed_gateway_and_no_worker_outlives_it(own_gateway: Cli, tmp_path: Path) -> None:
    cli = own_gateway
    cli.ok("projects", "provision")
    source = tmp_path / "job.mjs"
    source.write_text(
        "import { existsSync } from 'node:fs';\n"
        "export default async () => {\n"
        f"  if (!existsSync({json.dumps(str(tmp_path / 'go'))})) while (true) {{}}\n"
        "  return new Response('done');\n"
        "};\n"
    )
    cli.ok("functions", "deploy", "job", "--file", str(source))
    create = ("functions", "runs", "create", "job", "--event-type", "x", "--idempotency-key")
    now = cli.ok(*create, "now")["run_id"]
    later = cli.ok(*create, "later", "--delay", "1h")["run_id"]
    while cli.ok("functions", "runs", "get", now)["status"] != "running":
        time.sleep(0.1)
    status = cli.ok("core", "status")
    pid = status["pid"]
    workers = [
        child for child in psutil.Process(pid).children(recursive=True) if "runner.mjs" in " ".join(child.cmdline())
    ]
    assert workers
    os.kill(pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive
    (tmp_path / "go").touch()
    cli.ok("core", "start", "--port", str(status["port"]))
    deadline = time.monotonic() + 60
    while (run := cli.ok("functions", "runs", "get", now))["status"] != "succeeded":
        assert time.monotonic() < deadline, run
        time.sleep(0.2)
    assert run["attempts"]["total"] == 2
    assert cli.ok("functions", "runs", "get", later)["status"] == "scheduled"
    assert cli.ok("functions", "runs", "cancel", later)["status"] == "cancelled"
