"""Functions, secrets and logs with the real command line, gateway and Node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from queue import Queue

import pytest
from e2e_kit import Cli

SOURCE = """
export default async (req) => {
  const body = req.method === "POST" ? await req.json() : null;
  console.log(`saw ${JSON.stringify(body)}`, process.env.API_TOKEN ? "with token" : "without token");
  return Response.json({ body, method: req.method });
};
"""
TOKEN = "tok-never-shown"


def following(process: subprocess.Popen[bytes]) -> Queue[str]:
    """The lines that the process prints on stdout, as they come."""
    lines: Queue[str] = Queue()
    assert process.stdout is not None
    stream = process.stdout

    def pump() -> None:
        for line in stream:
            lines.put(json.loads(line)["message"].strip())

    threading.Thread(target=pump, daemon=True).start()
    return lines


def until(lines: Queue[str], text: str) -> None:
    while not lines.get(timeout=60).startswith(text):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send a console signal to one process")
def test_following_goes_on_through_a_restart_of_the_gateway(own_gateway: Cli) -> None:
    own_gateway.ok("projects", "provision")
    own_gateway.ok("functions", "deploy", "hello", "--file", "-", stdin=SOURCE)
    follower = own_gateway.start("functions", "logs", "hello", "--follow")
    try:
        lines = following(follower)
        own_gateway.ok("functions", "invoke", "hello", "--body", "1")
        until(lines, "saw 1")
        own_gateway.ok("core", "stop")
        own_gateway.ok("core", "start")
        own_gateway.ok("functions", "invoke", "hello", "--body", "2")
        until(lines, "saw 2")
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(30) == 0
    finally:
        follower.kill()
        follower.wait()


def test_a_function_is_deployed_called_changed_and_removed(cli: Cli, project: dict[str, str]) -> None:
    deployed = cli.ok("functions", "deploy", "hello", "--file", "-", stdin=SOURCE)
    assert deployed["url"].endswith("/functions/v1/hello")
    called = cli.ok("functions", "invoke", "hello", "--body", '{"a":[1]}')
    assert (called["http_status"], called["body"]) == (200, {"body": {"a": [1]}, "method": "POST"})
    assert cli.ok("functions", "update", "hello", "--timeout", "7")["timeout"] == 7
    assert [row["name"] for row in cli.ok("functions", "list")["functions"]] == ["hello"]
    cli.ok("functions", "delete", "hello")
    assert cli("functions", "invoke", "hello").envelope["http"] == 404


def test_a_secret_reaches_the_function_and_no_output(cli: Cli, project: dict[str, str]) -> None:
    cli.ok("functions", "deploy", "hello", "--file", "-", stdin=SOURCE)
    done = cli("secrets", "set", "API_TOKEN", "--stdin", stdin=TOKEN)
    assert (done.code, TOKEN in done.out + done.err) == (0, False)
    cli.ok("functions", "invoke", "hello", "--method", "GET")
    logs = cli.ok("functions", "logs", "hello")["logs"]
    assert any("with token" in entry["message"] for entry in logs)
    request_id = logs[-1]["request_id"]
    traced = cli.ok("logs", "--request-id", request_id, "--project", project["project_id"])
    assert traced["ok"] is True
    assert {entry["request_id"] for entry in traced["entries"]} == {request_id}
    assert TOKEN not in json.dumps([logs, traced, cli.ok("secrets", "list")])
    cli.ok("secrets", "delete", "API_TOKEN")
    assert cli.ok("secrets", "list") == {"secrets": []}


def test_a_run_is_created_once_waited_for_and_read(cli: Cli, project: dict[str, str]) -> None:
    cli.ok("functions", "deploy", "hello", "--file", "-", stdin=SOURCE)
    create = ("functions", "runs", "create", "hello", "--event-type", "e", "--idempotency-key", "k1")
    run = cli.ok(*create, "--wait")
    assert (run["status"], run["terminal"]) == ("succeeded", True)
    assert cli.ok(*create)["run_id"] == run["run_id"]
    assert [row["run_id"] for row in cli.ok("functions", "runs", "list", "hello")["runs"]] == [run["run_id"]]
    assert cli.ok("functions", "runs", "logs", run["run_id"])["logs"]


def test_a_syntax_error_names_the_place(cli: Cli, project: dict[str, str]) -> None:
    done = cli("functions", "deploy", "bad", "--file", "-", stdin="export default (req) => {\n  oops oops }")
    assert done.code == 1
    error = json.loads(done.err.splitlines()[-1])
    assert error["line"] == 2
