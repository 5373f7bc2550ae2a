"""Shared fixtures: every test runs with its own empty config directory and no RUN402_* variable of the developer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from run402_cli import invocation
from run402_cli.state import messaging, profile


@pytest.fixture(autouse=True)
def config_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An isolated config directory; nothing of the user's is read or written."""
    for name in list(os.environ):
        if name.startswith("RUN402_"):
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("RUN402_CONFIG_DIR", str(folder))
    monkeypatch.setattr(profile, "_current", None)
    monkeypatch.setattr(messaging, "_memory", None)
    invocation.reset()
    return folder
