"""`up --max-spend-usd`: what all payments of one run may cost, against a service that asks for what it likes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from payment_kit import MAINNET, SEPOLIA, World, challenge, encode, offer
from up_kit import Outcome, Workspace

from run402_cli import Run402
from run402_cli.errors import FlagError
from run402_cli.mcp._run import Toolbox
from run402_cli.mcp.tools import TOOLS
from run402_cli.state.attempts import Journal
from run402_cli.state.profile import current

BASE = "https://api.test"
APP = {
    "spec_version": 1,
    "app": {"id": "shop"},
    "project": {"name": "shop"},
    "release": {"site": {"replace": {"index.html": "hello"}}},
}
PLANS, COMMIT, TIER = "/apply/v1/plans", "/apply/v1/plans/plan_1/commit", "/tiers/v1/prototype"
ANSWERS = {
    TIER: {"tier": "prototype"},
    PLANS: {"plan_id": "plan_1", "operation_id": "op_1", "manifest_digest": "x", "missing_content": [], "warnings": []},
    COMMIT: {"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": {}},
}


class Seller(World):
    """A Cloud gateway that takes `prices`, in micro-USD, by path; `active` is whether the tier is bought already."""

    def __init__(self) -> None:
        super().__init__("", balances={SEPOLIA: 10**9, MAINNET: 0}, unpaid=self._unpaid)
        self.paid = self._answer
        self.prices: dict[str, int] = {}
        self.active = True

    def _unpaid(self, request: httpx.Request) -> httpx.Response:
        price = self.prices.get(request.url.path) if request.method == "POST" else None
        if price is None:
            return self._answer(request)
        asked = encode(challenge(str(request.url), offer(amount=str(price))))
        return httpx.Response(402, headers={"PAYMENT-REQUIRED": asked}, json={"code": "PAYMENT_REQUIRED"})

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/tiers/v1/status":
            return httpx.Response(200, json={"tier": "prototype", "active": self.active})
        return httpx.Response(200, json=ANSWERS.get(request.url.path, {}))

    @property
    def amounts(self) -> list[int]:
        return [int(payment["payload"]["authorization"]["value"]) for payment in self.payments]


@pytest.fixture
def seller(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Seller:
    seller = Seller()
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    monkeypatch.setattr("run402_cli.client._client.LazyTransport", lambda: httpx.MockTransport(seller.handle))
    workspace.wallet(funded=True)
    workspace.keys("prj_1")
    return seller


def up(workspace: Workspace, *more: str) -> Outcome:
    return workspace.run("up", "--project", "prj_1", "--yes", *more)


@pytest.mark.parametrize("app", [True, False], ids=["app manifest", "release manifest"])
def test_more_than_may_be_spent_is_not_signed_and_the_error_says_what_would_allow_it(
    workspace: Workspace, seller: Seller, app: bool
) -> None:
    workspace.manifest("run402.json" if app else "run402.deploy.json", **(APP if app else {}))
    seller.prices = {PLANS: 49_000_000}
    envelope = up(workspace, "--max-spend-usd", "0.10").envelope
    assert seller.payments == []
    assert envelope["code"] == "PAYMENT_LIMIT_EXCEEDED"
    told = {key: envelope["details"][key] for key in ("limit", "limit_usd_micros", "amount_usd_micros")}
    assert told == {"limit": "per_command", "limit_usd_micros": 100_000, "amount_usd_micros": 49_000_000}
    assert all(part in envelope["message"] for part in ("49.00 USD", "0.10 USD", "0.00 USD"))
    action = envelope["next_actions"][0]
    assert action["confirms"] is True
    assert workspace.run(*action["argv"][1:]).code == 0
    assert seller.amounts == [49_000_000]


def test_all_payments_of_a_run_count_together(workspace: Workspace, seller: Seller) -> None:
    workspace.manifest()
    seller.active = False
    seller.prices = {TIER: 100_000, PLANS: 20_000, COMMIT: 20_000}
    envelope = up(workspace, "--max-spend-usd", "0.139999").envelope
    assert seller.amounts == [100_000, 20_000]
    details = envelope["details"]
    assert (details["signed_usd_micros"], details["amount_usd_micros"]) == (120_000, 20_000)
    assert "--max-spend-usd 0.14" in envelope["hint"]
    seller.payments.clear()
    assert up(workspace, "--max-spend-usd", "0.14", "--idempotency-key", "another").code == 0
    assert seller.amounts == [100_000, 20_000, 20_000]


def test_a_payment_that_is_presented_again_counts_once_and_against_the_budget_of_its_run(
    workspace: Workspace, seller: Seller
) -> None:
    workspace.manifest()
    seller.active = False
    seller.prices = {TIER: 100_000}
    answer = seller.paid
    seller.paid = lambda _: httpx.Response(500, json={})
    assert up(workspace, "--max-spend-usd", "1").envelope["code"] == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    first = seller.nonces
    envelope = up(workspace, "--max-spend-usd", "0.05").envelope
    assert seller.nonces == first
    assert (envelope["code"], envelope["details"]["funds_moved"]) == ("PAYMENT_LIMIT_EXCEEDED", "unknown")
    assert envelope["details"]["payment_attempt_id"] == Journal(current().payer).attempts()[0][0].id
    seller.paid = answer
    assert up(workspace, "--max-spend-usd", "0.10").code == 0
    assert seller.nonces == first * 2
    assert sum(attempt.amount for attempt in Journal(current().payer).sent_last_day()) == 100_000


def test_the_budget_of_a_preview_is_refused_where_nothing_is_sent(workspace: Workspace, seller: Seller) -> None:
    workspace.manifest()
    for flag in ("--check", "--print-spec"):
        envelope = workspace.run("up", flag, "--max-spend-usd", "1").envelope
        assert (envelope["code"], envelope["details"]["flag"]) == ("BAD_USAGE", "--max-spend-usd")
        assert [action["argv"][1:] for action in envelope["next_actions"]] == [["up", flag]]
    assert seller.seen == []


def test_the_tier_that_is_asked_for_is_what_an_app_may_cost(workspace: Workspace, seller: Seller) -> None:
    workspace.manifest("run402.json", **APP)
    outcome = up(workspace, "--tier", "hobby", "--max-spend-usd", "4.99").json["result"]["app_result"]
    assert (outcome["status"], outcome["next_actions"][0]["spend"]) == ("blocked", {"max_usd": 5.0})
    assert seller.seen == []


def tool(**arguments: Any) -> Any:
    box = Toolbox(TOOLS)
    return box.call(box.tools["app_up"], {"project_id": "prj_1", "yes": True, **arguments})


def program(**arguments: Any) -> Any:
    with Run402() as run402:
        return run402.up(project_id="prj_1", yes=True, **arguments)


@pytest.mark.parametrize("app", [True, False], ids=["app manifest", "release manifest"])
def test_a_tool_and_a_program_have_a_budget_for_each_call(workspace: Workspace, seller: Seller, app: bool) -> None:
    workspace.manifest("run402.json" if app else "run402.deploy.json", **(APP if app else {}))
    seller.prices = {PLANS: 49_000_000}
    told = tool(max_spend_usd=0.10)
    assert told.failed
    assert "49.00 USD" in told.text
    assert "PAYMENT_LIMIT_EXCEEDED" in told.text
    with pytest.raises(Exception, match=r"0\.10 USD"):
        program(max_spend_usd=0.10)
    assert seller.payments == []
    seller.prices = {PLANS: 90_000}
    for call in (tool, tool, program, program):
        call(max_spend_usd=0.10)
    assert seller.amounts == [90_000] * 4


@pytest.mark.parametrize("amount", [-0.01, float("nan"), float("inf")])
def test_an_amount_that_is_no_money_is_refused(workspace: Workspace, seller: Seller, amount: float) -> None:
    workspace.manifest()
    with pytest.raises(FlagError, match="--max-spend-usd"):
        program(max_spend_usd=amount)
    assert seller.seen == []


def test_a_client_of_a_program_keeps_no_budget_and_its_connection(workspace: Workspace, seller: Seller) -> None:
    workspace.manifest()
    seller.prices = {PLANS: 90_000}
    with Run402() as run402:
        run402.up(project_id="prj_1", yes=True, max_spend_usd=0.10)
        run402.up(project_id="prj_1", yes=True)
        seller.prices = {TIER: 50_000}
        run402.tier.set("prototype")
        assert seller.amounts == [90_000, 90_000, 50_000]
