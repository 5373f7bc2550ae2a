"""First-time and repeated setup of a wallet for Run402 Cloud. See docs/getting-started.md, "Cloud"."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.client.payments import chain
from run402_cli.errors import ApiError, CommandError, Run402Error
from run402_cli.services import allowance as allowances
from run402_cli.services import tier as tiers
from run402_cli.state.allowance import Allowance
from run402_cli.state.files import make_private_dir
from run402_cli.state.profile import Profile

Progress = Callable[[str, str], None]

_TOKENS = {"x402": chain.USDC_SEPOLIA, "mpp": chain.PATH_USD}
_POLLS = 30


def set_up(
    client: Client, *, rail: str, switch_rail: bool, voucher: str | None, git_remote: bool, progress: Progress
) -> dict[str, Any]:
    """Make sure of a wallet with test funds, redeem a voucher, report tier and projects.

    POST /faucet/v1 (x402) or tempo_fundAddress (mpp) when the test balance is 0, POST /vouchers/v1/redemptions for a voucher,
    GET /orgs/v1/lookup, GET /tiers/v1/status; their failures are reported inside the summary. Amounts are USD micros. Raises
    CommandError RAIL_SWITCH_REQUIRES_CONFIRM and DamagedState. Safe to repeat with the same rail.
    """
    profile = client.profile
    profile.require_readable()
    make_private_dir(profile.dir)
    progress("Config", str(profile.dir))
    allowance = _wallet(profile, rail, switch_rail=switch_rail, progress=progress)
    token = _TOKENS[rail]
    progress("Network", token.network)
    progress("Rail", rail)
    balance = _funded_balance(client, allowance, token, progress)
    redeemed, voucher_error = _redeem(client, voucher, progress)
    prepaid, held = allowances.credit(_quietly(lambda: allowances.lookup(client, allowance.address)))
    tier = _active_tier(_quietly(lambda: tiers.status(client)))
    progress("Tier", tier["name"] if tier else "none")
    saved = len(profile.keys.all())
    progress("Projects", f"{saved} with cached keys")
    action = _next_action(tier)
    return {
        "config_dir": str(profile.dir),
        "wallet": {
            "local_label": profile.name,
            "server_label": profile.meta.get("label"),
            "address": allowance.address,
        },
        "rail": rail,
        "network": token.network,
        "balances": {
            "on_chain_usd_micros": balance,
            "on_chain_token": token.symbol,
            "prepaid_credit_usd_micros": prepaid,
            "held_usd_micros": held,
        },
        **({"voucher": redeemed} if voucher is not None else {}),
        "tier": tier,
        "projects_saved": saved,
        "next_actions": [action],
        "next_step": action["command"],
        **({"voucher_error": voucher_error} if voucher_error else {}),
        **_git_remote(profile, wanted=git_remote, progress=progress),
    }


def _wallet(profile: Profile, rail: str, *, switch_rail: bool, progress: Progress) -> Allowance:
    existing = profile.allowance
    if existing is None:
        allowance = allowances.create(profile, rail=rail)
        progress("Allowance", f"{_short(allowance.address)} (created)")
        return allowance
    stored = existing.fields.get("rail")
    if stored and stored != rail and not switch_rail:
        change = advice.command("init", *(["mpp"] if rail == "mpp" else []), "--switch-rail")
        keep = advice.command("init", *(["mpp"] if stored == "mpp" else []))
        raise CommandError(
            f"The wallet {profile.name!r} pays by {stored}; this would change it to {rail}.",
            code="RAIL_SWITCH_REQUIRES_CONFIRM",
            hint=f"To change it: {change}. To keep it: {keep}",
            details={"current_rail": stored, "requested_rail": rail},
        )
    progress("Allowance", _short(existing.address))
    if stored == rail:
        return existing
    if stored:
        progress("Note", f"the rail changes from {stored} to {rail}")
    return allowances.update(profile, rail=rail)


def _short(address: str) -> str:
    return f"{address[:6]}...{address[-4:]}"


def _funded_balance(client: Client, allowance: Allowance, token: chain.Token, progress: Progress) -> int:
    """The test balance, after asking the faucet when it is 0 and waiting up to 30 seconds for the funds."""
    balance = chain.balance(client.http, token, allowance.address) or 0
    if balance == 0:
        balance = _ask_faucet(client, allowance, token, progress)
    progress("Balance", f"{balance / 1_000_000:.6f} {token.symbol}")
    return balance


def _ask_faucet(client: Client, allowance: Allowance, token: chain.Token, progress: Progress) -> int:
    progress("Faucet", "asking for test funds, up to 30 seconds")
    try:
        if token is chain.PATH_USD:
            if not chain.call(client.http, token.rpc_url, "tempo_fundAddress", [allowance.address]):
                progress("Faucet", "did not answer. Retry: run402 init mpp")
                return 0
        else:
            allowances.faucet(client, allowance.address)
    except Run402Error as exc:
        progress("Faucet", exc.message)
        return 0
    balance = 0
    for _ in range(_POLLS):
        time.sleep(1)
        balance = chain.balance(client.http, token, allowance.address) or 0
        if balance:
            break
    allowances.mark_funded(client.profile)
    return balance


def _redeem(
    client: Client, code: str | None, progress: Progress
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """(what was redeemed, what went wrong)."""
    if code is None:
        return None, None
    try:
        answer = allowances.redeem(client, code)
    except Run402Error as exc:
        progress("Voucher", exc.message)
        own = exc.code if isinstance(exc, ApiError) else exc.envelope().get("code")
        return None, {"code": own or "VOUCHER_REDEEM_FAILED", "message": exc.message}
    fields = answer if isinstance(answer, dict) else {}
    progress("Voucher", "redeemed")
    return {key: fields.get(key) for key in ("voucher_id", "amount_usd_micros", "already_redeemed")}, None


def _active_tier(answer: Any) -> dict[str, Any] | None:
    if not isinstance(answer, dict) or not answer.get("tier") or answer.get("active") is not True:
        return None
    return {"name": answer["tier"], "expires": answer.get("lease_expires_at")}


def _next_action(tier: dict[str, Any] | None) -> dict[str, str]:
    if tier is None:
        why = "A tier is needed before the first project; prototype is paid with the test funds."
        return advice.action("renew_tier", "tier", "set", "prototype", why=why)
    # The name as scripts know it; deploy takes any.
    return advice.action(
        "deploy", "deploy", "apply", "--manifest", "app.json", why="The wallet has a tier: deploy an app."
    )


def _git_remote(profile: Profile, *, wanted: bool, progress: Progress) -> dict[str, Any]:
    """Gitvault keys of the summary: only with an active project. This CLI adds no remote, and says so."""
    if profile.active.get() is None:
        return {}
    why = "this CLI does not set up Git Vault remotes; nothing was changed in the repository"
    progress("Gitvault", why)
    if wanted:
        return {"gitvault": None, "gitvault_error": {"code": "GITVAULT_SCAFFOLD_FAILED", "message": why}}
    return {"gitvault": None, "gitvault_skipped": why}


def _quietly(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Run402Error:
        return None
