"""stdin, stdout, stderr and the process around them: full, closed, odd; what the caller is told then."""

from __future__ import annotations

import functools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import config_kit
import pytest

from run402_cli.effects import READ, SURFACE

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX streams")

RUN402 = str(Path(sys.executable).with_name("run402"))
PROJECT = "prj_1"
DEEP = 900


class _Gateway(BaseHTTPRequestHandler):
    """Answers every call; /deep with a value that is nested deeply."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b"[" * DEEP + b"]" * DEEP if "/rest/" in self.path else b'{"rows":[{"a":1}],"row_count":1}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gateway)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def caller(gateway: str, home: Path) -> dict[str, str]:
    """The environment of an ordinary caller with one project whose keys are cached."""
    config = home / "config"
    config_kit.keep_keys(config, **{PROJECT: {"service_key": "r402_service_1"}})
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUN402_", "PYTHON"))}
    return {**kept, "RUN402_CONFIG_DIR": str(config), "RUN402_API_BASE": gateway, "HOME": str(home)}


@pytest.fixture
def env(gateway: str, tmp_path: Path) -> dict[str, str]:
    return caller(gateway, tmp_path)


def shell(line: str, env: dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a line of sh in which $R is the program."""
    return subprocess.run(
        ["sh", "-c", line], env={**env, "R": RUN402}, capture_output=True, text=True, timeout=60, check=False, **options
    )


def last(text: str) -> dict[str, Any]:
    envelope = json.loads(text.splitlines()[-1])
    assert envelope["status"] == "error"
    assert "defect" not in text
    assert "Traceback" not in text
    return dict(envelope)


SQL = f"$R projects sql 'insert into t values (1)' --project {PROJECT}"
REST = f"$R projects rest t --key-type service --project {PROJECT}"


@pytest.mark.parametrize("to", [">/dev/full", ">&-"])
def test_a_result_that_cannot_be_written_after_a_write_says_that_it_is_done(env: dict[str, str], to: str) -> None:
    done = shell(f"{SQL} {to}", env)
    envelope = last(done.stderr)
    assert (done.returncode, envelope["code"]) == (1, "BAD_ENV")
    assert envelope["message"].startswith("The command was done.")
    assert (envelope["safe_to_retry"], envelope["mutation_state"]) == (False, "committed")
    assert "Do not repeat it" in envelope["hint"]


@pytest.mark.parametrize("line", ["$R wallets list", f"$R secrets list --project {PROJECT}", f"{SQL} --dry-run"])
def test_after_a_read_or_a_dry_run_it_may_be_repeated(env: dict[str, str], line: str) -> None:
    done = shell(f"{line} >/dev/full", env)
    envelope = last(done.stderr)
    assert (done.returncode, envelope["safe_to_retry"], envelope["mutation_state"]) == (1, True, "not_started")


@pytest.mark.parametrize("line", ["$R --version", "$R --help", "$R projects --help", "$R projects sql --help"])
@pytest.mark.parametrize("to", [">/dev/full", ">&-"])
def test_help_and_version_too_end_in_an_envelope(env: dict[str, str], line: str, to: str) -> None:
    done = shell(f"{line} {to}", env)
    assert done.returncode == 1
    assert last(done.stderr)["mutation_state"] == "not_started"


def test_a_reader_who_left_is_told_only_what_was_changed(env: dict[str, str]) -> None:
    status = "; echo $? >&2"
    quiet = shell(f"({{ sleep 0.2; $R wallets list {status}; }} | true)", env)
    assert quiet.stderr == "141\n"
    written = shell(f"({{ sleep 0.2; {SQL} {status}; }} | true)", env)
    envelope, code = written.stderr.splitlines()
    assert code == "141"
    assert json.loads(envelope)["mutation_state"] == "committed"


def test_every_command_whose_effect_is_no_read_counts_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from run402_cli import failures, global_options
    from run402_cli.errors import OutputLost

    for name, surface in SURFACE.items():
        global_options.reset()
        global_options.current.command = name
        envelope = failures.unwritten(OutputLost(OSError(28, "No space left on device")))
        assert envelope["safe_to_retry"] is (surface.effect == READ), name
    global_options.reset()
    global_options.current.command = "core projects apply"  # an older spelling of core projects import
    assert failures.unwritten(OutputLost(OSError(28, "No space")))["safe_to_retry"] is False
    global_options.reset()
    global_options.current.command = "wallets list"
    global_options.current.payments.append({"amount_usd_micros": 30000})
    envelope = failures.unwritten(OutputLost(OSError(28, "No space")))
    assert (envelope["safe_to_retry"], envelope["details"]["payments"]) == (False, [{"amount_usd_micros": 30000}])
    global_options.reset()


# -- streams that are closed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"$R projects sql --stdin --project {PROJECT}",
        f"$R secrets set K --stdin --project {PROJECT}",
        f"$R projects sql --file - --project {PROJECT}",
        "$R jobs submit --file -",
        "$R deploy apply",
        "$R credentials project-keys import --project prj_2 --service-key-stdin",
    ],
)
def test_a_closed_stdin_is_an_empty_one(env: dict[str, str], line: str) -> None:
    closed, empty = shell(f"{line} <&-", env), shell(f"{line} </dev/null", env)
    assert closed.returncode == empty.returncode == 1
    assert last(closed.stderr) == last(empty.stderr)


@pytest.mark.parametrize("line", ["$R wallets list", SQL, "$R nonsense", "$R projects sql"])
def test_a_closed_or_full_stderr_changes_no_exit_code(env: dict[str, str], line: str) -> None:
    plain = shell(line, env)
    for to in ("2>&-", "2>/dev/full"):
        done = shell(f"{line} {to}", env)
        assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_the_mcp_server_says_which_stream_it_misses(env: dict[str, str], closed: str) -> None:
    done = shell(f"$R mcp {closed}", env)
    envelope = last(done.stderr)
    assert (done.returncode, envelope["code"]) == (1, "BAD_ENV")
    for mark, name in (("<&-", "stdin"), (">&-", "stdout")):
        assert (name in envelope["details"]["closed"]) is (mark in closed)


# -- odd surroundings -------------------------------------------------------------------------------------------------------

FIVE = [
    "$R --version",
    "$R projects sql --help",
    "$R wallets list",
    f"$R projects sql 'select 1 as \"é\"' --project {PROJECT}",
    "$R projects sql --project prj_é 'select 1'",
]
SAME = {
    "bare environment": "env -i HOME=$HOME RUN402_CONFIG_DIR=$RUN402_CONFIG_DIR RUN402_API_BASE=$RUN402_API_BASE",
    "no HOME": "env -u HOME",
    "C locale": "env LANG=C LC_ALL=C",
    "unknown locale": "env LC_ALL=xx_YY.nothing",
    "no UTF-8": "env PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 LC_ALL=C",
    "odd stream encoding": "env PYTHONIOENCODING=utf-16",
    "ascii streams": "env PYTHONIOENCODING=ascii:strict",
    "warnings are errors": "env PYTHONWARNINGS=error",
    "all warnings": "env PYTHONWARNINGS=default",
    "development mode": "env PYTHONDEVMODE=1",
    "no docstrings": "env PYTHONOPTIMIZE=2",
    "inspect": "env PYTHONINSPECT=1",
    "few digits": "env PYTHONINTMAXSTRDIGITS=640",
    "no TERM": "env -u TERM",
    "forced colour": "env FORCE_COLOR=1 CLICOLOR_FORCE=1 TERM=xterm-256color",
    "odd COLUMNS": "env COLUMNS=-3 LINES=x",
    "nothing may be written": "prlimit --fsize=0 --",
}


@pytest.fixture(scope="module")
def ordinary(
    gateway: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """What a line does in ordinary surroundings; it is run once."""
    env = caller(gateway, tmp_path_factory.mktemp("ordinary"))
    return functools.cache(lambda line: shell(line, env))


@pytest.mark.parametrize("odd", SAME.values(), ids=list(SAME))
@pytest.mark.parametrize("line", FIVE, ids=["version", "help", "local", "request", "error"])
def test_odd_surroundings_change_nothing(
    env: dict[str, str], ordinary: Callable[[str], subprocess.CompletedProcess[str]], odd: str, line: str
) -> None:
    if shutil.which(odd.split()[0]) is None:
        pytest.skip(f"no {odd.split()[0]} here")
    same(shell(line.replace("$R", f"{odd} $R"), env), ordinary(line))


def same(one: subprocess.CompletedProcess[str], other: subprocess.CompletedProcess[str]) -> None:
    """But for the name of a new key, which is another each time, and for the place of the configuration."""
    ends = []
    for each in (one, other):
        text = re.sub(r'[^"\s]+/config/', "CONFIG/", each.stderr)
        ends.append((each.returncode, each.stdout, re.sub(r"cli-[0-9a-f]{6}", "cli-", text)))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("line", FIVE, ids=["version", "help", "local", "request", "error"])
def test_a_directory_that_was_deleted_is_no_obstacle(env: dict[str, str], tmp_path: Path, line: str) -> None:
    gone = f"mkdir -p {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone && "
    same(shell(gone + line, env), shell(line, env))


def test_a_user_without_any_home_is_told_what_to_set(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import pathlib, sys\n"
        "def none(*_a): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.home = none\n"
        "from run402_cli.main import _guarded\nsys.exit(_guarded(sys.argv[1:]))"
    )
    kept = {name: value for name, value in env.items() if name not in ("HOME", "RUN402_CONFIG_DIR")}
    for words in (["wallets", "list"], ["status"], ["skill", "path"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], env=kept, capture_output=True, text=True, check=False
        )
        envelope = last(done.stderr)
        assert (done.returncode, envelope["code"]) == (1, "BAD_ENV")
        assert "HOME" in envelope["hint"]


def test_the_programs_that_we_start_keep_the_callers_variables(env: dict[str, str]) -> None:
    code = (
        "import os; from run402_cli import interpreter; interpreter.settle(may_restart=False); "
        "print(os.environ['PYTHONWARNINGS'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**env, "PYTHONWARNINGS": "error"}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "error\n"


# -- values ---------------------------------------------------------------------------------------------------------------


def test_a_deep_answer_is_printed_and_not_called_a_defect(env: dict[str, str]) -> None:
    done = shell(REST, env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None


HUGE = "9" * 5000


@pytest.mark.parametrize(
    "words",
    [
        f"projects sql 'select 1' --params '[{HUGE}]' --project {PROJECT}",
        f"functions logs f --tail {HUGE} --project {PROJECT}",
        f"projects sql 'select 1' --params '{'[' * 5000}' --project {PROJECT}",
        f"projects sql 'select 1' --params '{'[' * 5000}{']' * 5000}' --project {PROJECT}",
        f"allowance limits set --per-payment {HUGE}",
        f"--http-timeout {HUGE} status",
        f"errors --since {HUGE} --project {PROJECT}",
        f"projects rest t --method POST --body '{HUGE}' --project {PROJECT}",
    ],
)
def test_huge_and_deep_values_are_the_callers(env: dict[str, str], words: str) -> None:
    done = shell(f"$R {words}", env)
    assert "defect" not in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)


def test_a_word_that_is_no_text_is_the_callers(env: dict[str, str]) -> None:
    cases: list[list[str | bytes]] = [
        ["projects", "sql", b"select '\xff'", "--project", PROJECT],
        ["wallets", "use", b"\xff"],
        ["secrets", "set", b"\xff", "v", "--project", PROJECT],
    ]
    for words in cases:
        done = subprocess.run([RUN402, *words], env=env, capture_output=True, check=False)
        assert done.returncode == 1
        last(done.stderr.decode())


def test_a_file_size_limit_is_named(env: dict[str, str]) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    done = subprocess.run([RUN402, "allowance", "create"], env=env, capture_output=True, check=False, preexec_fn=limit)
    envelope = last(done.stderr.decode())
    assert (done.returncode, envelope["code"]) == (1, "BAD_ENV")
