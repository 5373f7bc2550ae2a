"""Who pays: each command runs its examples against a service that wants money for everything it is asked."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from payment_kit import MAINNET, SEPOLIA, World, challenge, encode, offer
from refusals_kit import examples

from run402_cli import command_schemas, main
from run402_cli.client import browser
from run402_cli.effects import READ, SURFACE

BASE = "https://api.test"
# They start programs of this machine, or wait for somebody there; none of them calls a service.
LOCAL = ("completion", "core", "dev", "docs", "mcp", "open", "skill")
# What a paying command reads before it buys.
READS = {"/tiers/v1/status": {"tier": "team", "active": True}}
# They read before they buy: where reads cost money too, they stop there.
READS_FIRST = {"allowance checkout", "billing checkout"}
# What the user names is called with the user's method.
ANY_METHOD = {"pay", "functions invoke"}
# What the dearest of a command's examples may cost, in micro-USD.
CEILINGS = {
    **dict.fromkeys(("tier set", "allowance checkout", "billing checkout"), 5_000_000),
    **dict.fromkeys(("projects provision", "apps fork", "up"), 100_000),
    **dict.fromkeys(("apply", "deploy apply", "sites deploy", "sites deploy-dir", "functions deploy"), 100_000),
    **dict.fromkeys(("assets put", "functions invoke", "pay", "ai translate"), 100_000),
    **dict.fromkeys(("contracts call", "contracts deploy"), 100_000),
    "contracts provision-signer": 1_200_000,
    "image generate": 30_000,
}
MANIFEST = '{"project_id": "prj_123", "site": {"replace": {"index.html": {"data": "x"}}}}'
FILES = {
    "site.json": '{"files": [{"file": "index.html", "data": "x"}]}',
    "run402.deploy.json": MANIFEST,
    "site/run402.deploy.json": MANIFEST,
    "hello.ts": "export default () => new Response('x')",
    "logo.png": "x",
    "img/a.png": "x",
    **{f"dist/{name}.html": "x" for name in range(6)},  # fewer would need --confirm-prune
}


class Enough(BaseException):
    """The command asks for ever: it follows or waits for something."""


class Payer(Protocol):
    def __call__(self, command: str, everything: bool, price: int = 1000) -> list[str]: ...


@pytest.fixture
def payments(
    config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Payer]:
    """Runs the examples of a command: what it paid for, as `METHOD path`. `everything`: reads cost money too."""
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr(browser.Callback, "wait", lambda *_: (_ for _ in ()).throw(Enough))

    def run(command: str, everything: bool, price: int = 1000) -> list[str]:
        return [paid for words in examples(command) for paid in _run(words, _world(everything, price))]

    def _run(words: list[str], world: World) -> list[str]:
        monkeypatch.setattr("run402_cli.client._client.LazyTransport", lambda: httpx.MockTransport(world.handle))
        monkeypatch.setattr(sys, "stdin", io.StringIO(""))
        _furnish(config_dir, tmp_path / "work")
        monkeypatch.chdir(tmp_path / "work")
        try:
            main.main([word.replace("<org-id>", ADDRESS).replace("0x6080...", "0x6080") for word in words])
        except (SystemExit, Enough):
            pass
        finally:
            capsys.readouterr()
        return [
            f"{request.method} {request.url.path}" for request in world.seen if "payment-signature" in request.headers
        ]

    yield run


def _world(everything: bool, price: int) -> World:
    def unpaid(request: httpx.Request) -> httpx.Response:
        if len(world.seen) > 60:
            raise Enough
        if request.method in ("GET", "HEAD") and not everything and request.url.host == "api.test":
            return httpx.Response(200, json=READS.get(request.url.path, {"org_id": "o", "project_id": "prj_123"}))
        asked = encode(challenge(str(request.url), offer(amount=str(price))))
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": asked}, json={"code": "PAYMENT_REQUIRED"})

    world = World("", balances={SEPOLIA: 10**9, MAINNET: 0}, unpaid=unpaid)
    world.paid = lambda _: httpx.Response(402, json={"code": "PAYMENT_REQUIRED"})
    return world


def _furnish(home: Path, work: Path) -> None:
    """A wallet, a project with its keys, and the files that examples name; nothing is left of an earlier run."""
    for name in ("RUN402_WALLET", "RUN402_PROFILE", "RUN402_ACTIVE_WALLET_JSON"):
        os.environ.pop(name, None)  # as an example with --wallet leaves them
    for folder in (home, work):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    keys = {"prj_123": {"anon_key": "a", "service_key": "s", "cached_at": "2026-01-01T00:00:00.000Z"}}
    files = {
        "allowance.json": {"address": ADDRESS, "privateKey": PRIVATE_KEY, "funded": True},
        "credentials/project-keys.v1.json": {"version": 1, "source": "local_cache", "projects": keys},
        "state.json": {"version": 1, "active_project_id": "prj_123"},
    }
    for name, value in files.items():
        path = home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))
        path.chmod(0o600)
    for name, text in FILES.items():
        path = work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def _walked() -> list[str]:
    return [name for name in command_schemas.names() if name.split()[0] not in LOCAL]


@pytest.mark.parametrize("everything", [True, False], ids=["all costs", "reads are free"])
def test_exactly_the_declared_commands_pay(payments: Payer, everything: bool) -> None:
    paid = {name: found for name in _walked() if (found := payments(name, everything))}
    declared = {name for name, surface in SURFACE.items() if surface.spends}
    assert set(paid) == (declared - READS_FIRST if everything else declared)
    reads = {name for name, found in paid.items() if any(request.startswith("GET ") for request in found)}
    assert reads <= ANY_METHOD


def test_no_command_that_reads_may_pay() -> None:
    assert [name for name, surface in SURFACE.items() if surface.spends and surface.effect == READ] == []


def test_every_command_that_pays_has_a_ceiling() -> None:
    assert set(CEILINGS) == {name for name, surface in SURFACE.items() if surface.spends}


@pytest.mark.parametrize("command", sorted(CEILINGS))
def test_a_command_pays_up_to_its_ceiling_and_no_more(payments: Payer, command: str) -> None:
    assert payments(command, False, CEILINGS[command] + 1) == []
    assert payments(command, False, CEILINGS[command]) != []
