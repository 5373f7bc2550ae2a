"""What a call may cost: every request that may be paid has its ceiling, whoever calls: a command, a tool or Python."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from payment_kit import MAINNET, SEPOLIA, World, challenge, encode, offer

import run402_cli
from run402_cli import Run402
from run402_cli.client import Client
from run402_cli.effects import SURFACE
from run402_cli.errors import Run402Error
from run402_cli.mcp._run import Toolbox
from run402_cli.mcp.tools import TOOLS
from run402_cli.services import ai, apply, apps, billing, contracts, functions, image, pay, prices, projects, tier

PACKAGE = Path(run402_cli.__file__).parent
BASE = "https://api.test"
PROJECT = "prj_123"
TO, ABI = "0x" + "4" * 40, [{"type": "function", "name": "ping", "inputs": []}]
Call = Callable[[Client], Any]

# Each function that makes a request which may be paid, how it is called, and what that may cost.
CALLS: list[tuple[str, Call, int]] = [
    ("tier.set_tier", lambda c: tier.set_tier(c, "prototype"), 100_000),
    ("tier.set_tier", lambda c: tier.set_tier(c, "Prototype"), 100_000),
    ("tier.set_tier", lambda c: tier.set_tier(c, "hobby"), 5_000_000),
    ("tier.set_tier", lambda c: tier.set_tier(c, "TEAM"), 20_000_000),
    ("tier.set_tier", lambda c: tier.set_tier(c, "enterprise"), 0),
    ("tier.set_tier", lambda c: tier.set_tier(c, "prototype/../team"), 0),
    ("projects.provision", lambda c: projects.provision(c), 100_000),
    ("projects.provision", lambda c: projects.provision(c, tier="PROTOTYPE"), 100_000),
    ("projects.provision", lambda c: projects.provision(c, tier="foo"), 0),
    ("apps.fork", lambda c: apps.fork(c, "ver_1", name="x"), 100_000),
    ("billing.checkout", lambda c: billing.checkout(c, ADDRESS, product="tier", tier="team"), 20_000_000),
    ("billing.checkout", lambda c: billing.checkout(c, ADDRESS, product="email_pack"), 100_000),
    ("billing.checkout", lambda c: billing.checkout(c, ADDRESS, product="balance_topup", amount=700_000), 700_000),
    ("image.generate", lambda c: image.generate(c, "a cat"), 30_000),
    ("ai.translate", lambda c: ai.translate(c, PROJECT, "hello", to="de"), 100_000),
    ("contracts.provision_signer", lambda c: contracts.provision_signer(c, PROJECT, chain="base-sepolia"), 1_200_000),
    (
        "contracts._spend",
        lambda c: contracts.call(c, PROJECT, "s", chain="base-sepolia", to=TO, abi=ABI, function="ping", args=[]),
        100_000,
    ),
    ("contracts._spend", lambda c: contracts.deploy(c, PROJECT, "s", bytecode="0x6080"), 100_000),
    ("apply.plan", lambda c: apply.plan(c, PROJECT, {}), 100_000),
    ("apply.commit", lambda c: apply.commit(c, PROJECT, "plan_1", {}), 100_000),
    ("functions.invoke", lambda c: functions.invoke(c, PROJECT, "hello", body="{}"), 100_000),
]
FILES = [{"file": f"{number}.html", "data": "x"} for number in range(6)]
# The same over MCP: the inputs of each tool that stands for a command which pays.
TOOL_INPUTS: dict[str, dict[str, Any]] = {
    "provision_postgres_project": {"tier": "prototype"},
    "create_checkout": {"org_id": ADDRESS, "product": "email_pack"},
    "set_tier": {"tier": "team"},
    "pay_url": {"url": "https://seller.example/report"},
    "generate_image": {"prompt": "a cat"},
    "provision_signer": {"project_id": PROJECT, "chain": "base-sepolia"},
    "contract_call": {
        "project_id": PROJECT,
        "signer_id": "s",
        "chain": "base-sepolia",
        "contract_address": TO,
        "abi_fragment": ABI,
        "function_name": "ping",
        "args": [],
    },
    "contract_deploy": {"project_id": PROJECT, "signer_id": "s", "chain": "base-sepolia", "bytecode": "0x6080"},
    "app_up": {"dir": "app", "project_id": PROJECT, "yes": True},
    "deploy": {"project_id": PROJECT, "site": {"replace": {"index.html": {"data": "x"}}}},
    "deploy_site": {"project": PROJECT, "files": FILES},
    "deploy_site_dir": {"project": PROJECT, "dir": "app"},
    "deploy_function": {"project_id": PROJECT, "name": "hello", "code": "export default () => new Response('x')"},
    "invoke_function": {"project_id": PROJECT, "name": "hello"},
    "assets_put": {"project_id": PROJECT, "key": "a.txt", "content": "x"},
    "ai_translate": {"project_id": PROJECT, "text": "hello", "to": "de"},
    "fork_app": {"version_id": "ver_1", "name": "x"},
}


class Seller(World):
    """Asks `price` for every write, and is never content with what it was paid."""

    def __init__(self) -> None:
        super().__init__("", balances={SEPOLIA: 10**9, MAINNET: 0}, unpaid=self._unpaid)
        self.paid = lambda _: httpx.Response(402, json={"code": "PAYMENT_REQUIRED"})
        self.price = 49_000_000

    def _unpaid(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.host == "api.test":
            return httpx.Response(200, json={"org_id": "o", "tier": "team", "active": True, "signers": []})
        asked = encode(challenge(str(request.url), offer(amount=str(self.price))))
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": asked}, json={"code": "PAYMENT_REQUIRED"})


@pytest.fixture
def seller(config_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seller:
    seller = Seller()
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    monkeypatch.setattr("run402_cli.client._client.LazyTransport", lambda: httpx.MockTransport(seller.handle))
    keys = {PROJECT: {"anon_key": "a", "service_key": "s", "cached_at": "2026-01-01T00:00:00.000Z"}}
    files = {
        "allowance.json": {"address": ADDRESS, "privateKey": PRIVATE_KEY, "funded": True},
        "credentials/project-keys.v1.json": {"version": 1, "source": "local_cache", "projects": keys},
    }
    for name, value in files.items():
        (config_dir / name).parent.mkdir(exist_ok=True)
        (config_dir / name).write_text(json.dumps(value))
        (config_dir / name).chmod(0o600)
    (tmp_path / "app").mkdir()
    for entry in FILES:
        (tmp_path / "app" / entry["file"]).write_text("x")
    (tmp_path / "app" / "run402.deploy.json").write_text('{"site": {"replace": {"index.html": {"data": "x"}}}}')
    monkeypatch.chdir(tmp_path)
    return seller


def code_of(call: Call) -> str:
    with Client() as client, pytest.raises(Run402Error) as caught:
        call(client)
    return str(caught.value.envelope()["code"])


@pytest.mark.parametrize(("name", "call", "ceiling"), CALLS)
def test_a_call_costs_its_ceiling_at_most(seller: Seller, name: str, call: Call, ceiling: int) -> None:
    for price in (49_000_000, ceiling + 1):
        seller.price = price
        assert code_of(call) == "PAYMENT_EXCEEDS_MAX"
    assert seller.payments == []
    if ceiling:
        seller.price = ceiling
        assert code_of(call) == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
        assert len(seller.payments) == 1


def _priced(path: Path) -> set[str]:
    """The outermost functions of a file that make a request with a price."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        words = [word for call in ast.walk(node) if isinstance(call, ast.Call) for word in call.keywords]
        if any(word.arg == "priced" for word in words):
            found.add(f"{path.stem}.{getattr(node, 'name', '')}")
    return found


def test_every_request_with_a_price_is_called_here_and_its_price_is_of_the_table() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if PACKAGE / "client" not in path.parents]
    assert {name for path in files for name in _priced(path)} == {name for name, _, _ in CALLS}
    assert inspect.signature(pay.pay).parameters["max_usd_micros"].default == prices.UNPUBLISHED


def test_every_tool_of_a_command_that_pays_is_called_here() -> None:
    paying = {name for name, surface in SURFACE.items() if surface.spends}
    assert set(TOOL_INPUTS) == {name for name, tool in TOOLS.items() if paying.intersection(tool.cli)}


@pytest.mark.parametrize("name", sorted(TOOL_INPUTS))
def test_a_tool_pays_no_more_than_the_command(seller: Seller, name: str) -> None:
    box = Toolbox(TOOLS)
    answer = box.call(box.tools[name], dict(TOOL_INPUTS[name]))
    assert "PAYMENT_EXCEEDS_MAX" in answer.text
    assert seller.payments == []


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.tier.set("Prototype"),
        lambda r: r.projects.provision(tier="foo"),
        lambda r: r.apps.fork("ver_1", name="x"),
        lambda r: r.ai.translate(PROJECT, "hello", to="de"),
        lambda r: r.functions.invoke(PROJECT, "hello"),
        lambda r: r.contracts.provision_signer(PROJECT, chain="base-sepolia"),
        lambda r: r.image.generate("a cat"),
        lambda r: r.up("app", project_id=PROJECT, yes=True),
        lambda r: r.pay("https://seller.example/report"),
    ],
)
def test_python_pays_no_more_than_the_command(seller: Seller, call: Callable[[Run402], Any]) -> None:
    with Run402() as run402, pytest.raises(Run402Error) as caught:
        call(run402)
    assert caught.value.envelope()["code"] == "PAYMENT_EXCEEDS_MAX"
    assert seller.payments == []
