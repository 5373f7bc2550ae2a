"""Everything about the current account in one document, best effort. See docs/getting-started.md, "Where am I"."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.errors import Run402Error
from run402_cli.services import allowance as allowances
from run402_cli.services import tier as tiers
from run402_cli.state.allowance import Allowance
from run402_cli.state.profile import Profile

T = TypeVar("T")


def status(client: Client) -> dict[str, Any]:
    """Wallet, balances (USD micros), tier, projects, active project and API target.

    GET /tiers/v1/status, /orgs/v1/lookup, /projects/v1 and the chains' balances, all at once; whatever fails is null, and
    the project list falls back to the local key cache. Without a wallet nothing is sent and the document is short.
    Raises DamagedState when a state file cannot be read as what it is: this document does not guess.
    """
    profile = client.profile
    profile.require_readable(signs=not client.delegate_token())
    if profile.allowance is None:
        return _without_wallet(profile)
    tier, org, listing, on_chain = _look_up(client, profile.allowance)
    tier = tier if isinstance(tier, dict) else {}
    prepaid, held = allowances.credit(org)
    return {
        "wallet": {
            "local_label": profile.name,
            "server_label": profile.meta.get("label"),
            "address": profile.allowance.address,
        },
        "rail": profile.allowance.rail,
        "balances": {
            "on_chain_usd_micros": on_chain,
            "on_chain_token": "pathUSD" if profile.allowance.rail == "mpp" else "USDC",
            "prepaid_credit_usd_micros": prepaid,
            "held_usd_micros": held,
        },
        "tier": _tier(tier),
        "organization_lifecycle_state": tier.get("organization_lifecycle_state"),
        "lease_perpetual": tier.get("lease_perpetual"),
        "projects": _cached(profile) if listing is None else _projects(listing),
        "active_project": profile.active.get(),
        "target": _target(profile),
    }


def on_chain_balance(client: Client, allowance: Allowance) -> int | None:
    """USD micros of the rail's stablecoin: x402 adds up Base mainnet and Sepolia. None when no network answered."""
    from run402_cli.client.payments import chain

    tokens = [chain.PATH_USD] if allowance.rail == "mpp" else [chain.USDC_MAINNET, chain.USDC_SEPOLIA]
    with ThreadPoolExecutor(len(tokens)) as pool:
        found = list(pool.map(lambda token: chain.balance(client.http, token, allowance.address), tokens))
    known = [amount for amount in found if amount is not None]
    return sum(known) if known else None


def _look_up(client: Client, allowance: Allowance) -> tuple[Any, Any, Any, int | None]:
    _ = client.http  # made once, before the threads share it

    def listing() -> Any:
        return client.request("GET", "/projects/v1", context="listing projects", auth=client.principal())

    with ThreadPoolExecutor(4) as pool:
        tier = pool.submit(_quietly, lambda: tiers.status(client))
        org = pool.submit(_quietly, lambda: allowances.lookup(client, allowance.address))
        projects = pool.submit(_quietly, listing)
        chain = pool.submit(_quietly, lambda: on_chain_balance(client, allowance))
        return tier.result(), org.result(), projects.result(), chain.result()


def _quietly(call: Callable[[], T]) -> T | None:
    try:
        return call()
    except Run402Error:
        return None


def _tier(answer: dict[str, Any]) -> dict[str, Any] | None:
    if not answer.get("tier"):
        return None
    named = {"name": answer["tier"]}
    if "status" in answer:
        named["status"] = answer["status"]
    return {**named, "expires": answer.get("lease_expires_at")}


def _projects(listing: Any) -> list[dict[str, Any]]:
    """The first page of GET /projects/v1, each row with `project_id` first and without its raw id."""
    rows = listing.get("projects") if isinstance(listing, dict) else listing
    if not isinstance(rows, list):
        return []
    return [
        {
            "project_id": row.get("id", row.get("project_id")),
            **{key: value for key, value in row.items() if key not in ("id", "project_id")},
        }
        for row in rows
        if isinstance(row, dict)
    ]


def _cached(profile: Profile) -> list[dict[str, Any]]:
    return [{"project_id": project_id} for project_id in profile.keys.all()]


def _target(profile: Profile) -> dict[str, str]:
    target = profile.target
    return {"api_base": target.api_base, "api_base_source": target.source, "kind": target.kind}


def _without_wallet(profile: Profile) -> dict[str, Any]:
    active = profile.active.get()
    if profile.target.is_core and active:
        hint = f"No wallet is needed for this gateway. The active project: {advice.command('projects', 'get', active)}"
    elif profile.target.is_core and profile.keys.all():
        choose = advice.command("projects", "use", next(iter(profile.keys.all())))
        hint = f"No wallet is needed for this gateway. No project is active; choose one: {choose}"
    elif profile.target.is_core:
        hint = "No wallet is needed for this gateway. Create a project: run402 projects provision --name my-app"
    else:
        hint = "No wallet yet. Create one: run402 init. Or work offline: run402 core start --use"
    return {
        "wallet": None,
        "target": _target(profile),
        "projects": _cached(profile),
        "active_project": profile.active.get(),
        "hint": hint,
    }
