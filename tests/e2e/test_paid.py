"""The whole paid path without a network: wallet, limits, ledger, a gateway that charges, and everything that can break."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli, make
from faulty_proxy import FaultyProxy
from gateway_kit import control
from secret_watch import WATCH, Watch

pytestmark = pytest.mark.e2e

PRICE = 100_000
# Ends the process as a power cut would, when the signed request is about to leave it.
DIE_BEFORE_SENDING = """
import os, sys
from run402_cli.client.http import httpx
send = httpx.Client._send_single_request
def cut(self, request):
    if "payment-signature" in request.headers:
        os._exit(9)
    return send(self, request)
httpx.Client._send_single_request = cut
from run402_cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def charging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A gateway of this module that charges."""
    root = tmp_path_factory.mktemp("charging")
    cli = make(root, root / "data")
    try:
        yield dict(cli.ok("core", "start", "--require-payment", "--port", "0"))
    finally:
        cli("core", "reset", "--yes")


@pytest.fixture
def visitor(tmp_path: Path, charging: dict[str, Any]) -> Cli:
    """Somebody without a wallet."""
    made = make(tmp_path, Path(charging["data_dir"]))
    made.ok("init", f"--api-base={charging['url']}")
    return made


@pytest.fixture
def buyer(visitor: Cli) -> Cli:
    """Somebody with a wallet; no chain can be reached, and none is asked."""
    visitor.ok("allowance", "create")
    return visitor


def ledger(cli: Cli) -> list[dict[str, Any]]:
    return list(cli.ok("allowance", "ledger")["attempts"])


def mine(cli: Cli) -> list[str]:
    return [row["name"] for row in cli.ok("projects", "list")["projects"] if row["project_id"] in stored(cli)]


def stored(cli: Cli) -> set[str]:
    (path,) = cli.config.glob("credentials/project-keys*.json")
    return set(json.loads(path.read_text())["projects"])


def die_before_sending(cli: Cli, *args: str) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [sys.executable, "-c", DIE_BEFORE_SENDING, *args],
        env=cli.environment(),
        cwd=cli.cwd,
        capture_output=True,
        timeout=120,
        check=False,
    )
    WATCH.saw(args, done.stdout, done.stderr)
    return done


def test_status_says_that_the_gateway_charges(charging: dict[str, Any], visitor: Cli) -> None:
    assert charging["require_payment"] is True
    assert visitor.ok("core", "status")["require_payment"] is True


def test_without_a_wallet_the_price_is_an_error_that_says_what_to_do(visitor: Cli) -> None:
    envelope = visitor("projects", "provision", "--name", "free").envelope
    assert (envelope["code"], envelope["http"]) == ("PAYMENT_REQUIRED", 402)
    assert "0.10 USD" in envelope["message"]
    assert "run402 allowance create" in json.dumps(envelope)


def test_a_wallet_pays_for_a_project_and_the_ledger_shows_it(buyer: Cli) -> None:
    made = buyer.ok("projects", "provision", "--name", "shop")
    (attempt,) = ledger(buyer)
    assert (attempt["state"], attempt["amount_usd_micros"]) == ("completed", PRICE)
    assert (attempt["network"], attempt["host"]) == ("eip155:84532", "127.0.0.1")
    assert attempt["transaction"].startswith("local:")
    assert buyer.ok("projects", "get")["name"] == "shop"
    assert buyer.ok("projects", "provision", "--name", "shop")["project_id"] == made["project_id"]
    assert len(ledger(buyer)) == 1


def test_what_is_not_priced_works_as_on_any_gateway(buyer: Cli) -> None:
    buyer.ok("projects", "provision")
    buyer.ok("projects", "sql", "create table notes (id int)")
    (buyer.cwd / "index.html").write_text("<h1>paid</h1>")
    buyer.ok("sites", "deploy-dir", ".", "--confirm-prune")
    assert len(ledger(buyer)) == 1


def test_a_limit_refuses_before_anything_is_signed(buyer: Cli) -> None:
    buyer.ok("allowance", "limits", "set", "--per-payment-usd", "0.05")
    envelope = buyer("projects", "provision", "--name", "shop").envelope
    assert envelope["code"] == "PAYMENT_LIMIT_EXCEEDED"
    assert envelope["details"]["limit"] == "per_payment"
    command = envelope["next_actions"][0]["command"]
    assert ledger(buyer)[0]["state"] == "failed"
    buyer.ok(*command.split()[1:])
    buyer.ok("projects", "provision", "--name", "shop")
    assert [attempt["state"] for attempt in ledger(buyer)] == ["completed", "failed"]


def test_a_daily_limit_lets_one_purchase_through_and_no_second(buyer: Cli) -> None:
    buyer.ok("allowance", "limits", "set", "--per-day-usd", "0.15")
    buyer.ok("projects", "provision", "--name", "one")
    envelope = buyer("projects", "provision", "--name", "two").envelope
    assert (envelope["code"], envelope["details"]["limit"]) == ("PAYMENT_LIMIT_EXCEEDED", "per_day")
    assert mine(buyer) == ["one"]


def test_a_tier_is_bought_once_under_its_idempotency_key(buyer: Cli) -> None:
    first = buyer.ok("tier", "set", "prototype", "--idempotency-key", "march")
    again = buyer.ok("tier", "set", "prototype", "--idempotency-key", "march")
    assert (first["action"], first["lease_expires_at"]) == ("subscribe", again["lease_expires_at"])
    assert first["status_after"]["tier"] == "prototype"
    (attempt,) = ledger(buyer)
    assert (attempt["state"], attempt["amount_usd_micros"]) == ("completed", PRICE)


@pytest.mark.parametrize("named", [["--name", "shop"], []], ids=["named", "unnamed"])
def test_a_process_that_dies_between_signing_and_sending_pays_once(buyer: Cli, named: list[str]) -> None:
    assert die_before_sending(buyer, "projects", "provision", *named).returncode == 9
    assert [attempt["state"] for attempt in ledger(buyer)] == ["submitting"]
    made = buyer.ok("projects", "provision", *named)
    (attempt,) = ledger(buyer)
    assert (attempt["state"], attempt["amount_usd_micros"]) == ("completed", PRICE)
    assert stored(buyer) == {made["project_id"]}


def test_an_answer_lost_after_the_payment_brings_the_same_project_when_repeated(
    buyer: Cli, charging: dict[str, Any]
) -> None:
    """The gateway has taken the payment and made the project; the connection breaks before the buyer hears of it."""
    with contextlib.closing(FaultyProxy(charging["url"].removeprefix("http://"), control(charging))) as proxy:
        buyer.env["RUN402_API_BASE"] = proxy.base
        seen: list[dict[str, Any]] = []

        def lose(exchange: Any) -> Any:
            answer = exchange.forward()
            if answer.status == 402:
                return answer
            seen.append(answer.json)
            return None

        proxy.on("POST", "/projects/v1", lose, times=None)
        envelope = buyer("projects", "provision").envelope
        assert envelope["code"] == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
        assert [attempt["state"] for attempt in ledger(buyer)] == ["ambiguous"]
        proxy.clear()
        again = buyer.ok("projects", "provision")
    (lost,) = seen
    assert again["project_id"] == lost["project_id"]
    assert [attempt["state"] for attempt in ledger(buyer)] == ["completed"]


def test_two_processes_with_the_same_purchase_pay_once(buyer: Cli) -> None:
    running = [buyer.start("projects", "provision", "--name", "both") for _ in range(2)]
    answers = [(process.communicate(timeout=120), process.returncode) for process in running]
    assert [code for _, code in answers] == [0, 0], answers
    assert len({json.loads(out)["project_id"] for (out, _), _ in answers}) == 1
    assert [attempt["state"] for attempt in ledger(buyer)] == ["completed"]


def test_pay_buys_from_the_gateway_as_from_any_seller(buyer: Cli, charging: dict[str, Any], tmp_path: Path) -> None:
    bought = ("--method", "POST", "--body", '{"name": "bought"}')
    # It sends no credential, and this gateway asks for one first.
    refused = buyer.ok("pay", f"{charging['url']}/projects/v1", *bought)
    assert (refused["http_status"], refused["outcome"]) == (401, "not_paid")
    assert ledger(buyer) == []
    seller = make(tmp_path / "seller", tmp_path / "seller-data")
    try:
        shop = seller.ok("core", "start", "--require-payment", "--open", "--port", "0")
        answer = buyer.ok("pay", f"{shop['url']}/projects/v1", *bought)
    finally:
        seller("core", "reset", "--yes")
    assert (answer["http_status"], answer["outcome"]) == (201, "paid")
    assert ledger(buyer)[0]["state"] == "completed"


def test_another_wallet_is_refused_and_does_not_see_the_project(buyer: Cli, charging: dict[str, Any]) -> None:
    made = buyer.ok("projects", "provision", "--name", "private")["project_id"]
    buyer.ok("wallets", "new", "other")
    buyer.env["RUN402_API_BASE"] = charging["url"]
    envelope = buyer("--wallet", "other", "projects", "get", made).envelope
    assert (envelope["code"], envelope["http"]) == ("NOT_AUTHORIZED", 403)
    listed = buyer.ok("--wallet", "other", "projects", "list")["projects"]
    assert made not in {row["project_id"] for row in listed}
    assert made in {row["project_id"] for row in buyer.ok("projects", "list")["projects"]}


def test_an_already_running_gateway_that_does_not_charge_is_not_taken_for_one_that_does(
    cli: Cli, gateway: dict[str, Any]
) -> None:
    envelope = cli("core", "start", "--require-payment").envelope
    assert envelope["code"] == "CORE_ALREADY_RUNNING"
    assert "run402 core stop" in json.dumps(envelope["next_actions"])
    assert cli.ok("core", "status")["pid"] == gateway["pid"]


def test_a_signature_changed_on_the_way_is_no_payment(buyer: Cli, charging: dict[str, Any], http: httpx.Client) -> None:
    with contextlib.closing(FaultyProxy(charging["url"].removeprefix("http://"), control(charging))) as proxy:
        buyer.env["RUN402_API_BASE"] = proxy.base

        def tamper(exchange: Any) -> Any:
            for name in exchange.headers:
                if name.lower() == "payment-signature":
                    exchange.headers[name] = exchange.headers[name][:-8] + "AAAAAAA="
            return exchange.forward()

        proxy.on("POST", "/projects/v1", tamper, times=None)
        envelope = buyer("projects", "provision", "--name", "tampered").envelope
    assert envelope["code"] == "X402_PAYMENT_OUTCOME_AMBIGUOUS"
    assert envelope["details"]["upstream_code"] == "PAYMENT_INVALID"
    names = [
        row["name"] for row in http.get(f"{charging['url']}/projects/v1", headers=control(charging)).json()["projects"]
    ]
    assert "tampered" not in names


# -- the watch that stands over every test of this folder ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "out", "err", "leaks"),
    [
        (("projects", "list"), "", "", []),
        (("projects", "list"), "{key}", "", ["privateKey on stdout of `projects list`"]),
        (("projects", "provision"), "{key}", "", ["privateKey on stdout of `projects provision`"]),
        (("projects", "provision"), "{service}", "", []),
        (("projects", "provision"), "", "{service}", ["service_key on stderr of `projects provision`"]),
        (("deploy", "apply"), "{service}", "", ["service_key on stdout of `deploy apply`"]),
        (("deploy", "apply"), "", "{jwt}", ["the gateway's jwt_secret on stderr of `deploy apply`"]),
    ],
)
def test_the_watch_finds_a_secret_in_the_wrong_place(
    tmp_path: Path, words: tuple[str, ...], out: str, err: str, leaks: list[str]
) -> None:
    watch = a_watch(tmp_path)
    secrets = {"key": "ab" * 32, "service": "r402_service_0123456789", "jwt": "cd" * 32}
    watch.saw(words, out.format(**secrets).encode(), err.format(**secrets).encode())
    assert watch.leaks() == leaks


def test_the_watch_reads_logs_and_payment_records_and_remembers_removed_secrets(tmp_path: Path) -> None:
    watch = a_watch(tmp_path)
    watch.saw(("wallets", "list"), b"", b"")
    (tmp_path / "config" / "allowance.json").unlink()
    (tmp_path / "data" / "gateway.log").write_text("signed with " + "ab" * 32)
    (tmp_path / "config" / "payment-attempts").mkdir()
    (tmp_path / "config" / "payment-attempts" / "pat_1.json").write_text('{"k": "r402_service_0123456789"}')
    assert sorted(watch.leaks()) == ["privateKey in gateway.log", "service_key in pat_1.json"]


def a_watch(root: Path) -> Watch:
    for folder in ("config/credentials", "data/private"):
        (root / folder).mkdir(parents=True)
    (root / "config" / "allowance.json").write_text(json.dumps({"privateKey": "0x" + "ab" * 32}))
    keys = {"projects": {"prj_1": {"service_key": "r402_service_0123456789"}}}
    (root / "config" / "credentials" / "project-keys.v1.json").write_text(json.dumps(keys))
    (root / "data" / "private" / "secrets.json").write_text(json.dumps({"jwt_secret": "cd" * 32}))
    return Watch(configs={root / "config"}, data_dirs={root / "data"})
