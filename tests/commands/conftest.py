"""Run a command line in this process, as the console script does, against recorded answers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path

import config_kit
import pytest
from run_kit import BASE, Outcome, Run, private_keys

from run402_cli.main import _guarded


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """A command installs its own; the test run keeps its own too."""
    saved = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in saved.items():
        signal.signal(number, handler)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config_dir: Path) -> Run:
    """`run("projects", "list", stdin="...")` in an empty working directory. Fails when it prints a private key."""
    folder = tmp_path / "cwd"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    for name in ("RUN402_WALLET", "RUN402_ACTIVE_WALLET_JSON"):
        monkeypatch.setenv(name, "")  # so that what activation sets is taken back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUN402_API_BASE", BASE)

    def call(*args: str, stdin: bytes | str = b"") -> Outcome:
        for name in ("RUN402_WALLET", "RUN402_ACTIVE_WALLET_JSON"):
            monkeypatch.delenv(name, raising=False)
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(data)))
        capfd.readouterr()
        code = _guarded(list(args))
        out, err = capfd.readouterr()
        assert not [key for key in private_keys(config_dir) if key in out + err], f"{args[:2]} printed a private key"
        return Outcome(code, out, err)

    return call


@pytest.fixture
def wallet(config_dir: Path) -> Path:
    """The default wallet with a key, the active project prj_1 and its cached keys."""
    config_kit.keep_wallet(config_dir)
    config_kit.keep_keys(config_dir, prj_1={"anon_key": "anon_key_1", "service_key": "svc_key_1"})
    config_kit.write(config_dir / "state.json", {"version": 1, "active_project_id": "prj_1"})
    return config_dir
