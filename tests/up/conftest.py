from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from up_kit import BASE, CoreGateway, Workspace


@pytest.fixture
def workspace(
    tmp_path: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Workspace:
    """An empty directory that is the current one; requests go to BASE."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    return Workspace(tmp_path, config_dir, capsys)


@pytest.fixture
def gateway(httpx_mock: HTTPXMock) -> CoreGateway:
    """A Core gateway that accepts every deploy."""
    core = CoreGateway(httpx_mock)
    core.serve()
    return core
