"""Functions that throw, hang, exit, hoard and flood, and bad input, seen from the command line and the site."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

SECRET = "swordfish-in-the-vault"
SOURCES = {
    "throws": "throw new Error(`cannot sign in with ${process.env.API_TOKEN}`);",
    "hangs": "await new Promise(() => {});",
    "spins": "while (true) {}",
    "exits": "process.exit(3);",
    "hoards": "const all = []; while (true) all.push(new Array(1000).fill(1));",
    "floods": "for (let i = 0; i < 1e5; i++) console.log(process.env.API_TOKEN, 'x'.repeat(80)); return new Response();",
    "good": "return new Response('good');",
}
ANSWERS = {"throws": 500, "hangs": 504, "spins": 504, "exits": 500, "hoards": 500, "floods": 200}


def deploy(cli: Cli) -> str:
    """All of them, each behind a route of its name; the address of the site."""
    manifest = {
        "functions": {
            "replace": {
                name: {
                    "source": {"data": f"export default async (req) => {{ {body} }};"},
                    "config": {"timeout_seconds": 2 if ANSWERS.get(name) == 504 else 10, "memory_mb": 64},
                }
                for name, body in SOURCES.items()
            }
        },
        "routes": {
            "replace": [{"pattern": f"/{name}", "target": {"type": "function", "name": name}} for name in SOURCES]
        },
    }
    cli.ok("secrets", "set", "API_TOKEN", "--stdin", stdin=SECRET)
    done = cli.ok("deploy", "apply", "--manifest", "-", stdin=json.dumps(manifest))
    return str(done["urls"]["site"]).rstrip("/")


def test_each_costs_its_own_call_only_and_tells_no_secret(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client
) -> None:
    site = deploy(cli)
    with ThreadPoolExecutor(len(ANSWERS)) as pool:
        calls = {name: pool.submit(http.get, f"{site}/{name}") for name in ANSWERS}
        # While they misbehave: another function and the gateway itself answer.
        while not all(call.done() for call in calls.values()):
            assert http.get(f"{site}/good").text == "good"
            assert http.get(f"{gateway['url']}/health").status_code == 200
        answers = {name: call.result() for name, call in calls.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == ANSWERS
    for name, answer in answers.items():
        request_id = answer.headers["x-run402-request-id"]
        logs = cli.ok("functions", "logs", name, "--request-id", request_id, "--tail", "1000")["logs"]
        assert sum(len(entry["message"]) for entry in logs) < 80 * 1024, name
        assert SECRET not in json.dumps(logs) + answer.text, name
    assert "cannot sign in with [redacted]" in json.dumps(cli.ok("functions", "logs", "throws"))
    envelope = cli("functions", "invoke", "throws").envelope
    assert envelope["http"] == 500
    assert SECRET not in json.dumps(envelope)
    run = (
        "functions",
        "runs",
        "create",
        "throws",
        "--event-type",
        "e",
        "--idempotency-key",
        "k",
        "--max-attempts",
        "1",
    )
    failed = cli(*run, "--wait")
    assert (failed.code, "cannot sign in with [redacted]" in failed.err, SECRET in failed.err) == (1, True, False)
    assert SECRET not in json.dumps(cli.ok("functions", "runs", "list", "throws"))
    assert cli.ok("functions", "invoke", "good")["body"] == "good"


def test_a_body_that_is_no_json_never_leaves_the_machine(cli: Cli, project: dict[str, Any]) -> None:
    cli.ok(
        "functions", "deploy", "api", "--file", "-", stdin="export default () => { console.log('called'); return 1 }"
    )
    assert cli("functions", "invoke", "api", "--body", "{a:1}").envelope["code"] == "FUNCTION_BODY_INVALID_JSON"
    assert cli.ok("functions", "logs", "api")["logs"] == []


def test_a_broken_deploy_leaves_the_working_function(cli: Cli, project: dict[str, Any]) -> None:
    cli.ok("functions", "deploy", "api", "--file", "-", stdin="export default () => new Response('one')")
    (cli.cwd / "api.mjs").write_text("export default () => {\n  return new Response('two';\n};\n")
    envelope = cli("functions", "deploy", "api", "--file", "api.mjs").envelope
    assert (envelope["code"], envelope["line"]) == ("INVALID_FUNCTION_BUNDLE", 2)
    assert envelope["file"].endswith("api.mjs")
    assert cli.ok("functions", "invoke", "api")["body"] == "one"


def test_a_key_that_leads_elsewhere_is_refused_on_both_sides(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any], http: httpx.Client
) -> None:
    (cli.cwd / "a.txt").write_text("a")
    for key in ("../secrets.json", "a/../../b", "/etc/passwd", "a\\b"):
        assert cli("assets", "put", "a.txt", "--key", key).code == 1, key
        assert cli("assets", "get", key, "-o", "out.txt").code == 1, key
    assert not (cli.cwd / "out.txt").exists()
    assert cli.ok("assets", "ls")["blobs"] == []
    public = f"{gateway['url']}/projects/v1/{project['project_id']}/storage/public"
    for path in ("%2e%2e/%2e%2e/private/secrets.json", "..%2f..%2frun402-core.json"):
        assert http.get(httpx.URL(f"{public}/{path}")).status_code in (400, 404)


def test_a_download_whose_bytes_are_damaged_leaves_no_file(
    cli: Cli, gateway: dict[str, Any], project: dict[str, Any]
) -> None:
    content = b"the right bytes " * 64
    (cli.cwd / "a.txt").write_bytes(content)
    [ref] = cli.ok("assets", "put", "a.txt")
    stored = [
        path
        for path in Path(gateway["data_dir"], "content", "cas").rglob("*")
        if path.is_file() and path.name.endswith(ref["sha256"][-16:]) and path.stat().st_size == len(content)
    ]
    assert len(stored) == 1
    stored[0].chmod(0o600)
    stored[0].write_bytes(content.replace(b"right", b"wrong"))
    try:
        (cli.cwd / "old.txt").write_text("old")
        for name, flags in (("new.txt", ()), ("old.txt", ("--overwrite",))):
            assert cli("assets", "get", "a.txt", "-o", name, *flags).code == 1
        assert not (cli.cwd / "new.txt").exists()
        assert (cli.cwd / "old.txt").read_text() == "old"
    finally:
        stored[0].write_bytes(content)
    cli.ok("assets", "get", "a.txt", "-o", "new.txt")
    assert (cli.cwd / "new.txt").read_bytes() == content
