"""allowance, tier, billing, redeem, pay, image, ai: arguments, what is sent, what is printed, what is saved."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY, keep_wallet, write
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

ORG = "11111111-2222-4333-8444-555555555555"
LOOKUP = f"{BASE}/orgs/v1/lookup?wallet={ADDRESS.lower()}"
SEPOLIA = "https://sepolia.base.org"
MAINNET = "https://mainnet.base.org"
TEMPO = "https://rpc.moderato.tempo.xyz/"
PNG = b"\x89PNG\r\n\x1a\n"


def chain(mock: HTTPXMock, url: str, *amounts: int) -> None:
    for amount in amounts:
        mock.add_response(url=url, json={"result": hex(amount)})


def sent(mock: HTTPXMock) -> Any:
    return json.loads(mock.get_requests()[-1].content)


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("run402_cli.services.allowance.time.sleep", lambda _: None)


def set_rail(folder: Path, rail: str) -> None:
    fields = {"address": ADDRESS, "privateKey": PRIVATE_KEY, "rail": rail}
    (folder / "allowance.json").write_text(json.dumps(fields))


# -- allowance --------------------------------------------------------------------------------------------------------


def test_allowance_status_shows_the_wallet_without_its_key(run: Run, wallet: Path) -> None:
    outcome = run("allowance", "status")
    shown = outcome.json["wallet"]
    assert (shown["address"], shown["rail"], shown["faucet_used"]) == (ADDRESS, "x402", False)
    assert PRIVATE_KEY[2:] not in outcome.out + outcome.err
    assert outcome.out.count("\n") == 1


def test_allowance_status_without_a_wallet_says_what_to_do(run: Run) -> None:
    assert run("allowance", "status").json["wallet"] is None


def test_allowance_create_makes_a_private_file_once(run: Run, config_dir: Path) -> None:
    outcome = run("allowance", "create")
    fields = json.loads((config_dir / "allowance.json").read_text())
    assert re.fullmatch(r"0x[0-9a-f]{40}", outcome.json["address"])
    assert set(fields) == {"address", "privateKey", "created", "funded"}
    assert fields["privateKey"][2:] not in outcome.out + outcome.err
    if os.name == "posix":
        assert stat.S_IMODE((config_dir / "allowance.json").stat().st_mode) == 0o600
    assert run("allowance", "create").error["code"] == "ALLOWANCE_EXISTS"


@pytest.mark.parametrize("command", [["allowance", "create"], ["init"]])
def test_a_damaged_wallet_file_is_never_replaced(run: Run, config_dir: Path, command: list[str]) -> None:
    (config_dir / "allowance.json").write_text('{"privateKey": "0x')
    assert run(*command).error["code"] == "BAD_ENV"
    assert (config_dir / "allowance.json").read_text() == '{"privateKey": "0x'


@pytest.mark.usefixtures("no_sleep")
def test_allowance_fund_waits_for_the_chain(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    chain(httpx_mock, SEPOLIA, 5, 5, 250_005)
    answer = {"transaction_hash": "0x1", "amount_usd_micros": 250_000, "token": "USDC", "network": "base-sepolia"}
    httpx_mock.add_response(url=f"{BASE}/faucet/v1", json=answer)
    shown = run("allowance", "fund").json
    assert shown == {"address": ADDRESS, "rail": "x402", "onchain": {"base-sepolia_usd_micros": 250_005}}
    assert json.loads((wallet / "allowance.json").read_text())["funded"] is True


@pytest.mark.usefixtures("no_sleep")
def test_allowance_fund_that_is_not_seen_is_no_error(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=SEPOLIA, json={"result": "0x0"}, is_reusable=True)
    httpx_mock.add_response(url=f"{BASE}/faucet/v1", json={"transaction_hash": "0x1", "amount_usd_micros": 250_000})
    shown = run("allowance", "fund").json
    assert (shown["balance_confirmed"], shown["amount"], shown["transactionHash"]) == (False, "0.25", "0x1")


def test_allowance_fund_on_tempo(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    set_rail(wallet, "mpp")
    chain(httpx_mock, TEMPO, 0)
    httpx_mock.add_response(url=TEMPO, json={"result": ["0x1"]})
    chain(httpx_mock, TEMPO, 1_000_000)
    assert run("allowance", "fund").json["onchain"] == {"tempo-moderato_pathusd_micros": 1_000_000}
    chain(httpx_mock, TEMPO, 0)
    httpx_mock.add_response(url=TEMPO, json={"error": {"message": "dry"}})
    error = run("allowance", "fund").error
    assert (error["code"], error["details"]) == ("FAUCET_FAILED", {"rail": "mpp"})


def test_allowance_balance_reads_three_networks_and_survives_their_failure(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    chain(httpx_mock, MAINNET, 7)
    httpx_mock.add_response(url=SEPOLIA, status_code=500)
    httpx_mock.add_exception(httpx.ConnectTimeout("slow"), url=TEMPO)
    httpx_mock.add_response(url=LOOKUP, json={"org_id": ORG, "available_usd_micros": 9})
    shown = run("allowance", "balance").json
    assert list(shown["onchain"].values()) == [7, None, None]
    assert shown["run402"] == {"balance_usd_micros": 9}


def test_allowance_balance_is_a_read_under_dry_run(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    for url in (MAINNET, SEPOLIA, TEMPO):
        chain(httpx_mock, url, 1)
    httpx_mock.add_response(url=LOOKUP, status_code=404, json={})
    assert run("allowance", "balance", "--dry-run").json["run402"] == "no organization"


def test_allowance_checkout_and_history_act_on_the_wallets_organization(
    run: Run, wallet: Path, httpx_mock: HTTPXMock
) -> None:
    httpx_mock.add_response(url=LOOKUP, json={"org_id": ORG}, is_reusable=True)
    httpx_mock.add_response(url=f"{BASE}/orgs/v1/{ORG}/checkouts", json={"checkout_url": "u"})
    assert run("allowance", "checkout", "--amount", "5000000").json == {"checkout_url": "u"}
    assert sent(httpx_mock) == {"product": "balance_topup", "amount_usd_micros": 5_000_000}
    assert run("allowance", "checkout", "--amount", "500001").error["code"] == "LOCAL_ERROR"
    httpx_mock.add_response(url=f"{BASE}/orgs/v1/{ORG}/billing/history?limit=20", json={"entries": []})
    assert run("allowance", "history").json == {"entries": []}


@pytest.mark.parametrize("name", ["fund", "balance", "export", "checkout", "history"])
def test_allowance_commands_that_need_a_wallet_say_so(run: Run, name: str) -> None:
    assert run("allowance", name).error["code"] == "NO_ALLOWANCE"


def test_limits_are_set_shown_kept_and_cleared(run: Run, wallet: Path) -> None:
    default = run("allowance", "limits", "get").json
    assert (default["per_payment_usd_micros"], default["per_payment_source"]) == (50_000_000, "default")
    assert (default["per_day_usd_micros"], default["per_day_source"]) == (50_000_000, "default")
    run("allowance", "limits", "set", "--per-payment-usd", "0.5")
    shown = run("allowance", "limits", "set", "--per-day-usd", "2").json
    assert (shown["per_payment_usd_micros"], shown["per_day_usd_micros"]) == (500_000, 2_000_000)
    unset = run("allowance", "limits", "set", "--per-day-usd", "none").json
    assert (unset["per_day_usd_micros"], unset["per_day_source"]) == (50_000_000, "default")
    if os.name == "posix":
        assert stat.S_IMODE(Path(unset["path"]).stat().st_mode) == 0o600
    assert run("allowance", "limits", "clear").json["cleared"] is True
    assert run("allowance", "limits", "get").json == default
    for value in ("", "-1", "1e3", "0.0000001", "9" * 30, "٣"):
        assert run("allowance", "limits", "set", f"--per-day-usd={value}").error["code"] == "BAD_FLAG"
    assert run("allowance", "limits", "set").error["code"] == "BAD_USAGE"


def test_limits_and_ledger_are_those_of_the_key_under_either_of_its_names(
    run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("RUN402_WALLET", "RUN402_ALLOWANCE_PATH"):
        monkeypatch.delenv(variable, raising=False)
    keep_wallet(wallet)
    keep_wallet(wallet / "profiles" / "shop")
    other = wallet / "profiles" / "other"
    write(other / "allowance.json", {"address": "0x" + "1" * 40, "privateKey": PRIVATE_KEY})
    old = wallet / "profiles" / "shop" / "payment-limits.json"
    write(old, {"version": 1, "per_day_usd_micros": 900_000})
    shown = run("allowance", "limits", "get", "--wallet", "default").json
    assert (shown["per_day_usd_micros"], shown["per_day_source"]) == (900_000, "user")
    assert shown["path"] == str(old)
    run("allowance", "limits", "set", "--per-payment-usd", "0.5", "--wallet", "default")
    shown = run("allowance", "limits", "get", "--wallet", "shop").json
    assert (shown["per_payment_usd_micros"], shown["per_day_usd_micros"]) == (500_000, 900_000)
    assert Path(shown["path"]) == wallet / "payments" / ADDRESS.lower() / "payment-limits.json"
    rows = {row["name"]: row for row in run("config", "list", "--wallet", "shop").json["settings"]}
    assert (rows["per_day_usd_micros"]["value"], rows["per_day_usd_micros"]["path"]) == (900_000, shown["path"])
    assert run("allowance", "limits", "get", "--wallet", "other").json["per_payment_source"] == "default"
    damaged = wallet / "profiles" / "shop" / "payment-attempts" / f"pat_{'0' * 32}.json"
    write(damaged, "no record")
    for name, told in (("default", [str(damaged)]), ("shop", [damaged.name]), ("other", [])):
        assert run("allowance", "ledger", "--wallet", name).json["unreadable"] == told


def test_the_ledger_lists_every_attempt_newest_first(run: Run, wallet: Path) -> None:
    folder = wallet / "payment-attempts"
    folder.mkdir()
    for number, state in enumerate(("completed", "ambiguous", "failed")):
        attempt_id = f"pat_{number:032x}"
        record = {
            "version": 1,
            "payment_attempt_id": attempt_id,
            "state": state,
            "mutation_state": "x",
            "origin": "https://seller.example",
            "amount_usd_micros": 30_000,
            "created_at": f"2026-01-0{number + 1}T00:00:00.000Z",
        }
        (folder / f"{attempt_id}.json").write_text(json.dumps(record))
    (folder / ("pat_" + "f" * 32 + ".json")).write_text("[")
    shown = run("allowance", "ledger", "--limit", "2").json
    assert [row["state"] for row in shown["attempts"]] == ["failed", "ambiguous"]
    assert shown["attempts"][0]["host"] == "seller.example"
    assert shown["has_more"] is True
    assert shown["unreadable"] == ["pat_" + "f" * 32 + ".json"]


# -- tier -------------------------------------------------------------------------------------------------------------


def test_tier_set_adds_the_status_afterwards_and_does_without_it(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/hobby", json={"tier": "hobby"}, is_reusable=True)
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/status", json={"active": True})
    httpx_mock.add_response(url=f"{BASE}/tiers/v1/status", status_code=500, json={})
    assert run("tier", "set", "hobby", "--idempotency-key", "k").json == {
        "tier": "hobby",
        "status_after": {"active": True},
    }
    assert httpx_mock.get_requests()[0].headers["idempotency-key"] == "k"
    assert run("tier", "set", "hobby").json == {"tier": "hobby"}


def test_tier_set_wants_one_word_and_a_key_that_http_can_carry(run: Run, wallet: Path) -> None:
    assert run("tier", "set").error["next_actions"] == [
        {"type": "renew_tier", "command": "run402 tier set prototype", "argv": ["run402", "tier", "set", "prototype"]}
    ]
    assert run("tier", "set", "a", "b").error["code"] == "BAD_USAGE"
    assert run("tier", "set", "a", "--idempotency-key", "a\nb").error["code"] == "BAD_FLAG"


# -- billing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "path"),
    [
        (ORG, f"/orgs/v1/{ORG}/billing"),
        (ADDRESS, f"/orgs/v1/lookup?wallet={ADDRESS.lower()}"),
        ("a+b@example.com", "/orgs/v1/lookup?email=a%2Bb%40example.com"),
    ],
)
def test_an_organization_is_found_by_id_wallet_or_email(
    run: Run, wallet: Path, httpx_mock: HTTPXMock, identifier: str, path: str
) -> None:
    httpx_mock.add_response(url=BASE + path, json={"org_id": ORG})
    assert run("billing", "balance", identifier).json == {"org_id": ORG}


@pytest.mark.parametrize("identifier", ["x", "0x12", "a@b", "a b@c.d", "@c.d", "a" * 320 + "@c.de", ORG + "0"])
def test_other_identifiers_are_refused_without_a_request(run: Run, wallet: Path, identifier: str) -> None:
    for command in (["balance"], ["history"], ["checkout", "--product", "email-pack"]):
        assert run("billing", command[0], identifier, *command[1:]).error["code"] == "LOCAL_ERROR"


def test_billing_history_follows_a_cursor(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/orgs/v1/{ORG}/billing/history?limit=50&after=c%2F1", json={"entries": [1]})
    assert run("billing", "history", ORG, "--after", "c/1").json == {"entries": [1]}


def test_billing_link_wallet_lowers_the_address(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"status": "linked", "pool_implications": {"tier": None}, "other": 1}
    httpx_mock.add_response(url=f"{BASE}/orgs/v1/{ORG}/wallets", json=answer)
    shown = run("billing", "link-wallet", ORG, ADDRESS).json
    assert shown == {
        "status": "linked",
        "org_id": ORG,
        "wallet": ADDRESS.lower(),
        "pool_implications": {"tier": None},
    }
    assert run("billing", "link-wallet", ORG, "0x1").error["code"] == "LOCAL_ERROR"
    assert run("billing", "link-wallet", ORG).error["code"] == "BAD_USAGE"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([], "BAD_USAGE"),
        (["--product", "beer"], "BAD_USAGE"),
        (["--product", "tier"], "BAD_USAGE"),
        (["--product", "balance_topup"], "BAD_USAGE"),
        (["--product", "balance-topup", "--amount", "0"], "BAD_FLAG"),
    ],
)
def test_billing_checkout_checks_before_asking(run: Run, wallet: Path, args: list[str], code: str) -> None:
    assert run("billing", "checkout", ORG, *args).error["code"] == code


def test_billing_auto_recharge_takes_the_state_as_flag_or_word(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/orgs/v1/{ORG}/billing/auto-recharge", json={}, is_reusable=True)
    assert run("billing", "auto-recharge", ORG, "off").json == {"org_id": ORG, "enabled": False, "updated": True}
    run("billing", "auto-recharge", ORG, "--state", "on", "--threshold", "0")
    assert sent(httpx_mock) == {"enabled": True, "threshold": 0}
    for args in ([ORG], [ORG, "maybe"], [ORG, "on", "--state", "on"], []):
        assert run("billing", "auto-recharge", *args).error["code"] == "BAD_USAGE"


# -- redeem -----------------------------------------------------------------------------------------------------------


def test_redeem_tells_a_person_and_prints_the_answer(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {
        "amount_usd_micros": 5_000_000,
        "balance_usd_micros": 5_150_000,
        "already_redeemed": True,
        "redeemed_at": "2026-01-01T00:00:00.000Z",
        "next_actions": [{"type": "x"}, {"type": "y", "cli": "run402 tier set hobby"}],
    }
    httpx_mock.add_response(url=f"{BASE}/vouchers/v1/redemptions", json=answer)
    outcome = run("redeem", "R402-1")
    assert outcome.json == answer
    for text in ("5.00 USD", "5.15 USD", "2026-01-01", "run402 tier set hobby"):
        assert text in outcome.err


# -- pay --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([], "BAD_USAGE"),
        (["https://s.example", '{"q":1}'], "BAD_USAGE"),
        (["ftp://s.example"], "BAD_USAGE"),
        (["https://"], "BAD_USAGE"),
        (["https://s.example", "--body", "x"], "BAD_USAGE"),
        (["https://s.example", "--max-usd", "1,5"], "BAD_FLAG"),
        (["https://s.example", "--max-usd="], "BAD_FLAG"),
        (["https://s.example", "--method", "GET POST"], "BAD_FLAG"),
        (["https://s.example", "--idempotency-key", " "], "PAYMENT_SETTLEMENT_FAILED"),
        (["https://s.example", "--idempotency-key", "ключ"], "BAD_FLAG"),
    ],
)
def test_pay_checks_its_arguments_before_calling(run: Run, args: list[str], code: str) -> None:
    assert run("pay", *args).error["code"] == code


def test_pay_points_at_body_when_json_was_given_as_a_word(run: Run) -> None:
    assert "--method POST --body" in run("pay", "https://s.example", '{"q":1}').error["hint"]


def test_pay_sends_a_body_with_its_type(run: Run, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url="https://s.example/", json={"ok": 1}, is_reusable=True)
    run("pay", "https://s.example", "--method", "post", "--body", '{"q":1}')
    run("pay", "https://s.example", "--method", "PUT", "--body", "words")
    types = [request.headers["content-type"] for request in httpx_mock.get_requests()]
    assert types == ["application/json", "text/plain; charset=utf-8"]


# -- image ------------------------------------------------------------------------------------------------------------


def test_image_is_printed_or_written(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"image": base64.b64encode(PNG).decode(), "content_type": "image/png", "aspect": "square"}
    httpx_mock.add_response(url=f"{BASE}/generate-image/v1", json=answer, is_reusable=True)
    assert run("image", "generate", "a cat").json == answer
    assert run("image", "generate", "a cat", "--output", "c.png").json == {
        "file": "c.png",
        "size": 8,
        "aspect": "square",
        "replaced": False,
    }
    assert Path("c.png").read_bytes() == PNG
    Path("c.png").write_bytes(b"mine")
    assert run("image", "generate", "a cat", "--output", "c.png").error["code"] == "FILE_EXISTS"
    assert run("image", "generate", "a cat", "--output", "c.png", "--overwrite").json["replaced"] is True


def test_image_output_is_checked_before_anything_is_paid(run: Run, wallet: Path) -> None:
    assert run("image", "generate", "a cat", "--output", "no/such/c.png").error["code"] == "FILE_NOT_FOUND"
    assert run("image", "generate", "a cat", "--output", ".").error["code"] == "NOT_A_FILE"
    assert run("image", "generate", "a", "cat").error["code"] == "BAD_USAGE"
    assert run("image", "generate", "a", "--aspect", "round").error["details"]["allowed"]


# -- ai ---------------------------------------------------------------------------------------------------------------


def test_ai_translate_uses_the_projects_service_key(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    answer = {"text": "Hallo", "from": "en", "to": "de", "cost": 1}
    httpx_mock.add_response(url=f"{BASE}/ai/v1/translate", json=answer, is_reusable=True)
    outcome = run("ai", "translate", "Hello", "--to", "de", "--context", "greeting")
    assert outcome.json == {"text": "Hallo", "from": "en", "to": "de"}
    assert sent(httpx_mock) == {"text": "Hello", "to": "de", "context": "greeting"}
    assert httpx_mock.get_requests()[0].headers["authorization"] == "Bearer svc_key_1"
    run("ai", "translate", "prj_1", "Hello", "--to", "de")
    assert sent(httpx_mock)["text"] == "Hello"
    run("ai", "translate", "--project", "prj_1", "prj_1", "--to", "de")
    assert sent(httpx_mock)["text"] == "prj_1"


def test_ai_checks_in_order(run: Run, wallet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("ai", "translate", "Hello").error["code"] == "BAD_USAGE"
    assert run("ai", "moderate").error["code"] == "BAD_USAGE"
    assert run("ai", "moderate", "x", "--project", "prj_2").error["code"] == "PROJECT_CREDENTIAL_NOT_FOUND"
    assert run("ai", "usage", "words").error["code"] == "BAD_PROJECT_ID"
    (wallet / "state.json").unlink()
    assert run("ai", "moderate").error["code"] == "PROJECT_REQUIRED"


def test_ai_moderate_and_usage(run: Run, wallet: Path, httpx_mock: HTTPXMock) -> None:
    flagged = {"flagged": True, "categories": {"x": True}, "category_scores": {"x": 0.9}}
    httpx_mock.add_response(url=f"{BASE}/ai/v1/moderate", json={**flagged, "id": 1})
    httpx_mock.add_response(url=f"{BASE}/ai/v1/usage", json={"translation": {}})
    assert run("ai", "moderate", "bad words").json == flagged
    assert run("ai", "usage").json == {"translation": {}}


def test_the_address_of_a_wallet_that_a_file_chose_is_not_printed(run: Run, wallet: Path) -> None:
    keep_wallet(wallet / "profiles" / "other")
    Path(".git").mkdir()
    Path(".run402.json").write_text('{"wallet": "other"}')
    assert run("allowance", "export").error["code"] == "BINDING_NOT_CONFIRMED"
