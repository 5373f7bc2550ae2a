"""Standard input: what is piped in counts, a closed one is empty, and no command waits for it in silence."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from run402_cli import standard_input

KEYS = {"version": 1, "source": "local_cache", "projects": {"prj_a": {"anon_key": "anon_a", "service_key": "svc_a"}}}
# The waiting time in the tests: what must not be waited for never comes, what must be waited for comes after the line.
SHORT = "import sys, run402_cli.standard_input as s; s.PATIENCE_S = 0.3; from run402_cli.main import main; main(sys.argv[1:])"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[tuple[str, str, bytes]]]]:
    """(environment of a command, what the gateway was sent: path, content type, body)."""
    seen: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append((self.path, self.headers.get("content-type") or "", body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({"status": "ok", "rows": [], "valid": True}).encode())

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    config = tmp_path / "config"
    (config / "credentials").mkdir(parents=True)
    (config / "credentials" / "project-keys.v1.json").write_text(json.dumps(KEYS))
    env = {
        **os.environ,
        "RUN402_CONFIG_DIR": str(config),
        "RUN402_API_BASE": f"http://127.0.0.1:{server.server_address[1]}",
        "RUN402_PROJECT_ID": "prj_a",
        "RUN402_NO_UPDATE_CHECK": "1",
    }
    try:
        yield env, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(env: dict[str, str], *words: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", SHORT, *words], env=env, capture_output=True, check=False, **how)


def test_sql_that_is_piped_in_is_run(gateway: Any) -> None:
    env, seen = gateway
    done = run(env, "projects", "sql", input=b"-- note\nselect 1")
    assert (done.returncode, seen[0][2]) == (0, b"-- note\nselect 1"), done.stderr


def test_a_value_that_is_piped_in_is_the_secret(gateway: Any) -> None:
    env, seen = gateway
    done = run(env, "secrets", "set", "K", input=b"--tight value\n")
    assert done.returncode == 0, done.stderr
    assert json.loads(seen[0][2])["value"] == "--tight value\n"


@pytest.mark.parametrize("words", [["projects", "sql"], ["secrets", "set", "K"]])
@pytest.mark.parametrize("source", ["empty", "silent"])
def test_without_data_the_command_says_what_is_missing_and_sends_nothing(
    words: list[str], source: str, gateway: Any
) -> None:
    env, seen = gateway
    reader, writer = os.pipe()
    if source == "empty":
        os.close(writer)
    done = run(env, *words, stdin=reader, timeout=60)
    os.close(reader)
    if source == "silent":
        os.close(writer)
    assert (done.returncode, done.stdout, seen) == (1, b"", [])
    assert json.loads(done.stderr)["code"] == "BAD_USAGE"


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (["projects", "validate-expose", "--project", "prj_a", "--quiet"], b'{"version": "1"}'),
        (["projects", "sql", "--stdin"], b"select 1"),
        (["secrets", "set", "K", "--file", "-"], b"v"),
    ],
)
def test_who_waits_says_so_and_takes_what_comes_later(words: list[str], data: bytes, gateway: Any) -> None:
    env, seen = gateway
    process = subprocess.Popen(
        [sys.executable, "-c", SHORT, *words],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        assert "standard input" in line
        assert "pass" in line
        process.communicate(data, timeout=60)
    finally:
        process.kill()
    assert seen, "what came later was not sent"


@pytest.mark.skipif(os.name != "posix", reason="closes a descriptor through a shell")
@pytest.mark.parametrize(
    "words",
    [
        "projects sql --stdin", "projects sql --file -", "projects sql", "secrets set K --stdin", "secrets set K",
        "projects validate-expose", "deploy apply", "jobs submit --stdin", "wallets import w --key -",
        "credentials project-keys import --service-key-stdin", "identity link nostr complete --event-stdin",
        "functions deploy f --file -", "projects rest t --method POST --body-file -", "up",
        "core projects import a.zip --env-file -",
    ],
)  # fmt: skip
def test_a_closed_stdin_is_an_empty_one(words: str, gateway: Any, tmp_path: Path) -> None:
    env, seen = gateway
    shell = ["sh", "-c", f'exec "$0" -m run402_cli {words} <&-', sys.executable]
    done = subprocess.run(shell, env=env, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert (done.returncode, seen) == (1, [])
    assert b"defect" not in done.stdout + done.stderr


def test_a_stand_in_without_a_descriptor_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"abc")))
    assert standard_input.piped() == b"abc"


def test_parameters_come_from_a_file(gateway: Any, tmp_path: Path) -> None:
    env, seen = gateway
    (tmp_path / "p.json").write_text('[1, "two"]')
    done = run(env, "projects", "sql", "select $1, $2", "--params-file", str(tmp_path / "p.json"))
    assert done.returncode == 0, done.stderr
    assert json.loads(seen[0][2])["params"] == [1, "two"]
    for words in (["--params", "[1]", "--params-file", "p.json"], ["--file", "-", "--params-file", "-"]):
        assert json.loads(run(env, "projects", "sql", *words, input=b"").stderr)["code"] == "BAD_USAGE"
    (tmp_path / "o.json").write_text("{}")
    for given in (["--params-file", str(tmp_path / "o.json")], ["--params", "{}"]):
        error = json.loads(run(env, "projects", "sql", "select 1", *given).stderr)
        (action,) = error["next_actions"]
        assert (error["code"], action["argv"][:4]) == ("BAD_USAGE", ["run402", "projects", "sql", "select 1"])
        assert action["argv"][4:] == [given[0], f"<{given[0][2:].replace('-', '_')}>"]


def test_rows_go_in_as_csv(gateway: Any, tmp_path: Path) -> None:
    env, seen = gateway
    (tmp_path / "rows.csv").write_text("title,n\nhello,1\n")
    done = run(
        env, "projects", "rest", "items", "--method", "POST", "--body-file", str(tmp_path / "rows.csv"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert seen[0][1:] == ("text/csv", b"title,n\nhello,1\n")
