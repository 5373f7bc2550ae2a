"""Clients of a stub gateway, and no waiting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_stub import StubGateway

from run402_cli.client import Client
from run402_cli.state import profile


@pytest.fixture
def gateway() -> Iterator[StubGateway]:
    stub = StubGateway()
    yield stub
    stub.close()


@pytest.fixture
def client(gateway: StubGateway, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the stub, which target.json calls a Cloud gateway; a delegate, who may resume operations."""
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "dlg_1")
    (config_dir / "target.json").write_text(json.dumps({"api_base": gateway.base, "target_kind": "cloud"}))
    monkeypatch.setattr(profile, "_current", None)
    with Client() as made:
        yield made


@pytest.fixture
def core_client(gateway: StubGateway, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    (config_dir / "target.json").write_text(json.dumps({"api_base": gateway.base, "target_kind": "core"}))
    monkeypatch.setattr(profile, "_current", None)
    with Client() as made:
        yield made


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and polls without their pauses."""
    from run402_cli.deploy import _apply, _follow, _upload

    monkeypatch.setattr(_upload, "_RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(_follow, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(_apply, "_FIRST_DELAY_MS", 0)
    monkeypatch.setattr(_apply, "_JITTER_MS", 0)
