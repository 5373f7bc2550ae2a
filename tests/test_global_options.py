"""The options that every command takes, such as --jq, --fields, --format, --dry-run and --quiet."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click
import pytest

from run402_cli import global_options, projection, secrecy
from run402_cli.main import _guarded
from run402_cli.registry import GROUPS

PROJECTS = {"projects": [{"project_id": "prj_a", "name": "one"}, {"project_id": "prj_b", "name": "two"}]}
# Own options with the name of a global one; they mean the same, with more detail in the command's help.
SAME_MEANING = {"--max-usd", "--quiet", "--dry-run", "--verbose", "--format", "--raw"}


class _Gateway(BaseHTTPRequestHandler):
    seen: list[str]

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        self.seen.append(f"{self.command} {self.path}")
        body = json.dumps(PROJECTS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _answer

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server that answers everything with PROJECTS; the list of what it was asked."""
    seen: list[str] = []
    handler = type("Handler", (_Gateway,), {"seen": seen})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("RUN402_API_BASE", f"http://127.0.0.1:{server.server_address[1]}")
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _service_key(project_id: str) -> None:
    from run402_cli.state import profile

    keys = {"service_key": "r402_service_1", "anon_key": "r402_anon_1"}
    profile.activate(profile.select(None)).keys.upsert(project_id, keys)


def test_no_command_option_gives_a_global_name_another_meaning() -> None:
    clashes = set()
    for name, group in GROUPS.items():
        app = importlib.import_module(f"run402_cli.commands.{group.module}").app
        for path in group.commands or [name, *group.words]:
            for param in app.find(path).params:
                if isinstance(param, click.Option):
                    clashes |= {opt for opt in param.opts if opt in global_options.OPTIONS}
    assert clashes <= SAME_MEANING


def test_jq_filters_and_prints_a_value_per_line(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["projects", "list", "--jq", ".projects[].project_id"]) == 0
    assert capsys.readouterr().out == '"prj_a"\n"prj_b"\n'


def test_a_jq_expression_that_does_not_compile_sends_nothing(
    gateway: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _guarded(["projects", "list", "--jq", ".["]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "BAD_FLAG"
    assert gateway == []


def test_a_jq_failure_keeps_the_result(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["projects", "list", "--jq", ".projects.id"]) == 1
    error = json.loads(capsys.readouterr().err)
    assert error["code"] == "JQ_FAILED"
    assert error["safe_to_retry"] is False
    assert error["details"]["result"]["projects"][0]["project_id"] == "prj_a"


@pytest.mark.parametrize("asked", [("--fields", "projectz"), ("--fields", "zzzzzz"), ("--jq", "error")])
@pytest.mark.parametrize("words", [("projects", "sql", "select 1"), ("projects", "rename", "--name", "x")])
def test_what_has_written_is_in_no_next_action(
    words: tuple[str, ...], asked: tuple[str, str], gateway: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _service_key("prj_a")
    assert _guarded([*words, "--project", "prj_a", *asked]) == 1
    error = json.loads(capsys.readouterr().err)
    assert error["safe_to_retry"] is False and error["details"]["result"]
    assert [action["command"] for action in error["next_actions"]] == [f"run402 schema {words[0]} {words[1]}"]
    assert len(gateway) == 1


@pytest.mark.parametrize("flag", ["-r", "--raw"])
def test_raw_prints_strings_bare_and_other_values_as_before(
    flag: str, gateway: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _guarded(["projects", "list", "--jq", ".projects[0].project_id, 7, {a: 1}", flag]) == 0
    assert capsys.readouterr().out == 'prj_a\n7\n{"a":1}\n'


def test_jsonl_is_the_format_of_that_name(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["--jsonl", "projects", "list", "--fields", "projects.project_id"]) == 0
    assert capsys.readouterr().out == '{"project_id":"prj_a"}\n{"project_id":"prj_b"}\n'


def test_the_format_comes_from_the_environment_unless_a_flag_says_otherwise(
    gateway: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_FORMAT", "jsonl")
    assert _guarded(["projects", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert _guarded(["projects", "list", "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["projects"]) == 2


def test_a_bad_format_in_the_environment_is_named_and_nothing_is_sent(
    gateway: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_FORMAT", "yaml")
    assert _guarded(["projects", "list"]) == 1
    error = json.loads(capsys.readouterr().err)
    assert (error["code"], error["details"]["variable"]) == ("BAD_ENV", "RUN402_FORMAT")
    assert gateway == []
    assert _guarded(["projects", "list", "--help"]) == 0


def test_fields_map_lists_and_show_what_is_missing_as_null() -> None:
    fields = (("projects", "project_id"), ("projects", "nope"), ("gone",))
    assert projection.select(PROJECTS, fields) == {
        "projects": [{"project_id": "prj_a", "nope": None}, {"project_id": "prj_b", "nope": None}],
        "gone": None,
    }


def test_jsonl_prints_one_item_per_line(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["projects", "list", "--format", "jsonl", "--fields", "projects.project_id"]) == 0
    assert capsys.readouterr().out == '{"project_id":"prj_a"}\n{"project_id":"prj_b"}\n'


def test_text_is_a_table(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["projects", "list", "--format=text", "--fields", "projects.project_id,projects.name"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["project_id", "name"],
        ["prj_a", "one"],
        ["prj_b", "two"],
    ]


def test_an_unknown_format_is_refused_before_any_request(
    gateway: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _guarded(["projects", "list", "--format", "yaml"]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "BAD_FLAG"
    assert gateway == []


def test_dry_run_shows_a_write_and_does_not_send_it(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _service_key("prj_a")
    assert _guarded(["projects", "sql", "--project", "prj_a", "DELETE FROM t", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    document = json.loads(shown)
    assert document["dry_run"] is True
    assert document["requests"][0]["method"] == "POST"
    assert document["requests"][0]["url"].endswith("/projects/v1/admin/prj_a/sql")
    assert document["requests"][0]["headers"]["authorization"] == "[redacted]"
    assert document["requests"][0]["body"] == "DELETE FROM t"
    assert "r402_service" not in shown
    assert gateway == []


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"key": "logo.png", "sha256": "ab"}, {"key": "logo.png", "sha256": "ab"}),
        ({"key": "hunter2", "name": "n"}, {"key": "[redacted]", "name": "n"}),
        ({"key": f"r402_anon_{'0' * 48}", "sha256": "ab"}, {"key": "[redacted]", "sha256": "ab"}),
        ({"api_key": "k", "sha256": "ab"}, {"api_key": "[redacted]", "sha256": "ab"}),
    ],
)
def test_the_key_of_an_asset_is_no_secret_and_every_other_key_is(sent: dict[str, str], shown: dict[str, str]) -> None:
    assert secrecy.redacted({"put": [sent]}) == {"put": [shown]}


def test_dry_run_of_a_local_change_names_the_files_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(tmp_path / "config"))
    assert _guarded(["wallets", "new", "main", "--dry-run"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"] == [str(tmp_path / "config" / "profiles" / "main" / "allowance.json")]
    assert not (tmp_path / "config" / "profiles").exists()


def test_dry_run_leaves_reads_alone(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["projects", "list", "--dry-run"]) == 0
    assert [p["project_id"] for p in json.loads(capsys.readouterr().out)["projects"]] == ["prj_a", "prj_b"]


def test_verbose_logs_each_request_on_stderr(gateway: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["projects", "list", "--verbose"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["type"], line["method"], line["status"]) for line in lines] == [("http.request", "GET", 200)]


def test_a_slow_answer_ends_at_the_http_timeout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("RUN402_API_BASE", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert _guarded(["projects", "list", "--http-timeout", "0.2"]) == 1
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["code"] == "NETWORK_ERROR"


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "1e9"])
def test_a_timeout_that_is_no_duration_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _guarded(["projects", "list", f"--http-timeout={value}"]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "BAD_FLAG"


def test_quiet_silences_notes_but_not_errors(capsys: pytest.CaptureFixture[str]) -> None:
    from run402_cli import output

    global_options.reset()
    global_options.take("--quiet", None)
    output.event({"type": "x"})
    output.notice("x")
    output.error({"code": "X", "hint": "Wait."})
    global_options.reset()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('{"code":"X","hint":"Wait."')
