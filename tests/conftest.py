"""Shared fixtures: every test runs with its own empty config directory and no RUN402_* variable of the developer."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import ssl
from pathlib import Path

import pytest

from run402_cli import global_options
from run402_cli.client import plain_http
from run402_cli.state import messaging, profile

# Modules that start something big beside the test: a gateway, Node, a browser, a build, the recorded cases.
WHOLE = {
    *("test_howto", "test_packaging", "test_conformance", "test_mcp_session", "test_mcp_command", "test_programs"),
    *("test_process", "test_pg_install", "test_recovery", "test_hammer"),
}
_numbers = itertools.count()
_is_open = plain_http.is_open

# Every httpx client reads all certificates of the authorities, and tests make thousands: one context serves them all.
ssl.create_default_context = functools.cache(ssl.create_default_context)


# What is imported and collected stays until the end; to look through it for garbage again and again takes its time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make check` leaves to `make test`: whatever needs more than this process."""
    for item in items:
        needs = "postgres_server" in getattr(item, "fixturenames", ())
        if needs or item.path.parent.name in ("e2e", "bench") or item.path.stem in WHOLE:
            item.add_marker("whole")


@pytest.fixture(scope="session")
def config_dirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


@pytest.fixture(autouse=True)
def config_dir(config_dirs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An isolated config directory; nothing of the user's is read or written."""
    for name in list(os.environ):
        if name.startswith("RUN402_") or name == "CI":
            monkeypatch.delenv(name)
    # Numbered here: mktemp looks at all earlier ones for the next number, and there are thousands.
    folder = config_dirs / str(next(_numbers))
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(folder))
    monkeypatch.setattr(profile, "_current", None)
    monkeypatch.setattr(messaging, "_memory", None)
    global_options.reset()
    # Gateways of the tests answer at names like gateway.test, by plain http and from this very process.
    monkeypatch.setattr(plain_http, "is_open", lambda url: _is_open(url) and not url.host.endswith(".test"))
    return folder
