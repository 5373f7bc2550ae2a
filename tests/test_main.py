"""The process edge: streams, exit codes, help, wallet flag, signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from run402_cli import main
from run402_cli.registry import GROUPS

RUN402 = [sys.executable, "-m", "run402_cli"]


def failure(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, object]:
    """Run a command that must fail; returns its envelope."""
    assert main._guarded(list(args)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    envelope = json.loads(err.splitlines()[-1])
    assert envelope["status"] == "error"
    assert isinstance(envelope, dict)
    return envelope


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version_is_bare_and_imports_nothing_but_the_package(flag: str) -> None:
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom run402_cli.main import main\n"
        f"main([{flag!r}])\nprint(sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count(".") == 2
    assert set(json.loads(done.stderr.replace("'", '"'))) <= {
        "run402_cli",
        "run402_cli._version",
        "run402_cli.interpreter",
        "run402_cli.main",
        "__future__",
        "gc",  # a part of the interpreter
    }


@pytest.mark.parametrize("args", [[], ["--help"], ["-h"]])
def test_root_help_lists_every_command_without_loading_any(args: list[str]) -> None:
    code = (
        "import sys\nfrom run402_cli.main import main\n"
        f"try: main({args!r})\nexcept SystemExit as e: assert not e.code\n"
        "assert not [m for m in sys.modules if m.startswith(('typer', 'click', 'httpx', 'run402_cli.commands'))]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in GROUPS)


@pytest.mark.parametrize("args", [["projects"], ["projects", "--help"], ["projects", "nope", "--help"]])
def test_group_help_lists_every_subcommand(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main._guarded(args) == 0
    out = capsys.readouterr().out
    assert all(f"  {path} " in out for path in GROUPS["projects"].commands)


def test_a_command_loads_its_own_module_and_no_other() -> None:
    code = (
        "import sys\nfrom run402_cli.main import main\n"
        "try: main(['wallets', 'current'])\nexcept SystemExit as e: assert not e.code\n"
        "loaded = {m for m in sys.modules if m.startswith('run402_cli.commands.') and '._' not in m}\n"
        "assert loaded == {'run402_cli.commands.wallets'}, loaded\n"
        "assert not [m for m in sys.modules if m in ('pydantic', 'rich', 'eth_account', 'platformdirs', 'starlette')]"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_unknown_command_names_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    envelope = failure(capsys, "projcts")
    assert (envelope["code"], envelope["details"]) == (
        "UNKNOWN_COMMAND",
        {"command": "projcts", "closest": ["projects"]},
    )


def test_unknown_command_with_help_is_still_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, "frobnicate", "--help")["code"] == "UNKNOWN_COMMAND"


def test_unknown_subcommand_lists_the_known_heads(capsys: pytest.CaptureFixture[str]) -> None:
    envelope = failure(capsys, "credentials", "isue")
    assert envelope["code"] == "UNKNOWN_SUBCOMMAND"
    assert envelope["details"] == {
        "command": "credentials",
        "subcommand": "isue",
        "closest": ["issue"],
        "known_subcommands": ["issue", "list", "project-keys", "revoke", "rotate", "status", "token"],
    }


def test_nested_unknown_subcommand_has_a_two_word_label(capsys: pytest.CaptureFixture[str]) -> None:
    details = failure(capsys, "credentials", "project-keys", "exprt")["details"]
    assert isinstance(details, dict)
    assert (details["command"], details["closest"]) == ("credentials project-keys", ["export"])


@pytest.mark.parametrize(
    ("args", "code", "details"),
    [
        (["projects", "list", "--bogus"], "UNKNOWN_FLAG", {"flag": "--bogus", "closest": []}),
        (["projects", "list", "--orgg", "x"], "UNKNOWN_FLAG", {"flag": "--orgg", "closest": ["--org"]}),
        (["projects", "list", "--org"], "BAD_FLAG", {"flag": "--org"}),
        (["projects", "list", "--org", "--all"], "BAD_FLAG", {"flag": "--org"}),
        (["service", "health", "--"], "UNKNOWN_FLAG", {"flag": "--", "closest": []}),
        (["wallets", "current", "--wallet"], "BAD_FLAG", {"flag": "--wallet"}),
        (["wallets", "current", "--profile="], "BAD_FLAG", {"flag": "--profile"}),
    ],
)
def test_argument_errors(args: list[str], code: str, details: object, capsys: pytest.CaptureFixture[str]) -> None:
    envelope = failure(capsys, *args)
    assert (envelope["code"], envelope["details"]) == (code, details)


def test_too_many_and_too_few_arguments_show_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Usage: run402 service health" in str(failure(capsys, "service", "health", "extra")["hint"])
    assert "projects use <project_id>" in str(failure(capsys, "projects", "use")["hint"])


@pytest.mark.parametrize("setting", ["ftp://x", "nonsense", "http://"])
def test_a_bad_api_base_fails_but_help_works(
    setting: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUN402_API_BASE", setting)
    assert failure(capsys, "service", "health")["code"] == "BAD_ENV"
    assert main._guarded(["service", "health", "--help"]) == 0


def test_help_wins_over_a_missing_wallet_and_bad_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main._guarded(["projects", "sql", "--wallet", "ghost", "--bogus", "--help"]) == 0
    assert "run402 projects sql" in capsys.readouterr().out


def test_a_selected_wallet_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    envelope = failure(capsys, "projects", "list", "--wallet", "ghost")
    assert (envelope["code"], envelope["details"]) == ("WALLET_NOT_FOUND", {"wallet": "ghost", "source": "flag"})


def test_the_last_wallet_flag_wins_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main._guarded(["--wallet", "one", "wallets", "current", "--profile=two"]) == 0
    assert json.loads(capsys.readouterr().out)["local_label"] == "two"


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for connection in accepted:
            connection.close()


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_with_an_envelope_and_no_traceback(number: int, exit_code: int, silent_server: str) -> None:
    env = {**os.environ, "RUN402_API_BASE": silent_server}
    process = subprocess.Popen([*RUN402, "service", "health"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        _wait_for_connection(process.pid, silent_server)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out) == (exit_code, b"")
    assert b"Traceback" not in err
    assert json.loads(err.splitlines()[-1])["code"] == "INTERRUPTED"


def _wait_for_connection(pid: int, base: str) -> None:
    import time

    import psutil

    port = int(base.rsplit(":", 1)[1])
    for _ in range(400):
        links = psutil.Process(pid).net_connections("tcp")
        if any(link.raddr and link.raddr.port == port and link.status == "ESTABLISHED" for link in links):
            time.sleep(0.2)
            return
        time.sleep(0.05)
    raise AssertionError("the command never connected")


@pytest.mark.skipif(os.name != "posix", reason="POSIX pipes")
def test_a_closed_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*RUN402, "--help"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


def test_unexpected_failures_are_envelopes_without_the_exception_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(_args: list[str]) -> None:
        raise RuntimeError("0xsecretsecret")

    monkeypatch.setattr(main, "_dispatch", explode)
    envelope = failure(capsys, "anything")
    assert envelope["code"] == "BAD_ENV"
    assert "secret" not in json.dumps(envelope)


def test_system_refusals_name_the_path(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_args: list[str]) -> None:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(main, "_dispatch", refuse)
    assert "/some/file" in str(failure(capsys, "anything")["message"])


def test_stdout_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    env = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "RUN402_CONFIG_DIR": str(tmp_path / "café")}
    done = subprocess.run([*RUN402, "wallets", "list"], env=env, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout.decode("utf-8")) == []
