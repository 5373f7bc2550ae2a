"""Organizations' money: balance, ledger, card checkouts, linked wallets. See docs/billing.md."""

from __future__ import annotations

import re
from typing import Any

from run402_cli.client import Client, segment, with_query
from run402_cli.errors import ApiError, ValidationError
from run402_cli.services import prices

TIERS = tuple(prices.TIERS)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_WALLET = re.compile(r"0x[0-9a-fA-F]{40}")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_MIN_TOPUP = 500_000
_TOPUP_STEP = 10_000


def is_email(text: str) -> bool:
    return len(text) <= 320 and _EMAIL.fullmatch(text) is not None


def wallet_address(text: str) -> str:
    """The address in lower case; ValidationError LOCAL_ERROR unless it is 0x and 40 hex digits."""
    if not _WALLET.fullmatch(text):
        raise ValidationError(
            f"{text!r} is not a wallet address: it must be 0x and 40 hex digits.", reason="BAD_ADDRESS"
        )
    return text.lower()


def _reading_path(identifier: str) -> str:
    """The path that reads an organization by id, wallet or e-mail. ValidationError LOCAL_ERROR for anything else."""
    if _UUID.fullmatch(identifier):
        return f"/orgs/v1/{segment(identifier)}/billing"
    if identifier[:2].lower() == "0x":
        return with_query("/orgs/v1/lookup", wallet=wallet_address(identifier))
    if is_email(identifier):
        return with_query("/orgs/v1/lookup", email=identifier)
    raise ValidationError(
        f"{identifier!r} is neither an organization id (UUID) nor a wallet address nor an e-mail address.",
        reason="BAD_ORG",
    )


def balance(client: Client, identifier: str) -> Any:
    """GET /orgs/v1/{org_id}/billing, or /orgs/v1/lookup?wallet= or ?email= for the other identifiers.

    Returns {org_id, available_usd_micros, held_usd_micros?, email_credits_remaining, tier, lease_expires_at,
    auto_recharge_enabled, auto_recharge_threshold}. Raises ValidationError for an unusable identifier.
    """
    return client.request("GET", _reading_path(identifier), context="reading the balance", auth=client.principal())


def org_id_of(client: Client, identifier: str) -> str:
    """The organization's id, looked up unless it is one already: the answer of `balance` -> its `org_id`."""
    if _UUID.fullmatch(identifier):
        return identifier
    answer = balance(client, identifier)
    org_id = answer.get("org_id") if isinstance(answer, dict) else None
    if not isinstance(org_id, str) or not org_id:
        raise ApiError(404, _no_organization(identifier), context="looking up the organization")
    return org_id


def _no_organization(identifier: str) -> dict[str, Any]:
    message = f"{identifier} has no organization yet. It gets one with its first tier, voucher or top-up."
    return {"code": "ORGANIZATION_NOT_FOUND", "message": message}


def history(client: Client, identifier: str, *, limit: int = 50, after: str | None = None) -> Any:
    """GET /orgs/v1/{org_id}/billing/history?limit=&after= -> {org_id, entries, has_more, next_cursor}; USD micros."""
    _reading_path(identifier)
    path = f"/orgs/v1/{segment(org_id_of(client, identifier))}/billing/history"
    path = with_query(path, limit=limit, after=after)
    return client.request("GET", path, context="reading the billing history", auth=client.principal())


def create_email(client: Client, email: str) -> Any:
    """POST /orgs/v1/email {email} -> {id, email, email_credits_remaining, verification_sent}. No credentials."""
    if not is_email(email):
        raise ValidationError(f"{email!r} is not an e-mail address.", reason="BAD_EMAIL")
    return client.request("POST", "/orgs/v1/email", context="creating the organization", body={"email": email})


def link_wallet(client: Client, org_id: str, wallet: str) -> dict[str, Any]:
    """POST /orgs/v1/{org_id}/wallets {wallet} -> {status, org_id, wallet, pool_implications?}; the address in lower case."""
    address = wallet_address(wallet)
    answer = client.request(
        "POST",
        f"/orgs/v1/{segment(org_id)}/wallets",
        context="linking the wallet",
        auth=client.principal(),
        body={"wallet": address},
    )
    fields = answer if isinstance(answer, dict) else {}
    linked = {
        "status": fields.get("status", "ok"),
        "org_id": fields.get("org_id", org_id),
        "wallet": fields.get("wallet", address),
    }
    if "pool_implications" in fields:
        linked["pool_implications"] = fields["pool_implications"]
    return linked


def checkout(
    client: Client,
    identifier: str,
    *,
    product: str,
    tier: str | None = None,
    amount: int | None = None,
    success_url: str | None = None,
    cancel_url: str | None = None,
) -> Any:
    """Read the organization, then POST /orgs/v1/{org_id}/checkouts -> {org_id, product, checkout_url, topup_id}.

    `product` is tier (with `tier`), email_pack or balance_topup (with `amount` in USD micros). The payer is sent to
    `success_url` or `cancel_url` afterwards. Raises ValidationError for a
    tier or an amount that cannot be bought.
    """
    answer = balance(client, identifier)
    found = answer.get("org_id") if isinstance(answer, dict) else None
    org_id = found if isinstance(found, str) and found else identifier if _UUID.fullmatch(identifier) else None
    if org_id is None:
        raise ApiError(404, _no_organization(identifier), context="looking up the organization")
    body: dict[str, Any] = {"product": product}
    if product == "tier":
        if tier not in TIERS:
            raise ValidationError(f"{tier!r} is not a tier: choose {', '.join(TIERS)}.", reason="BAD_TIER")
        body["tier"] = tier
    elif product == "balance_topup":
        body["amount_usd_micros"] = _topup(amount)
    urls = {"success_url": success_url, "cancel_url": cancel_url}
    body |= {key: value for key, value in urls.items() if value is not None}
    return client.request(
        "POST",
        f"/orgs/v1/{segment(org_id)}/checkouts",
        context="creating the checkout",
        auth=client.principal(),
        body=body,
        priced=_price(body),
    )


def _price(body: dict[str, Any]) -> int:
    if body["product"] == "tier":
        return prices.of_tier(body["tier"])
    return int(body.get("amount_usd_micros", prices.UNPUBLISHED))


def _topup(amount: int | None) -> int:
    if amount is None or amount < _MIN_TOPUP or amount % _TOPUP_STEP:
        raise ValidationError(
            f"A top-up is at least {_MIN_TOPUP} micro-USD (0.50 USD), in steps of {_TOPUP_STEP} (0.01 USD), not {amount}.",
            reason="BAD_AMOUNT",
        )
    return amount


def auto_recharge(client: Client, org_id: str, *, enabled: bool, threshold: int | None = None) -> dict[str, Any]:
    """PATCH /orgs/v1/{org_id}/billing/auto-recharge {enabled, threshold?} -> {org_id, enabled, updated}."""
    body: dict[str, Any] = {"enabled": enabled}
    if threshold is not None:
        body["threshold"] = threshold
    client.request(
        "PATCH",
        f"/orgs/v1/{segment(org_id)}/billing/auto-recharge",
        context="changing the auto-recharge",
        auth=client.principal(),
        body=body,
    )
    return {"org_id": org_id, "enabled": enabled, "updated": True}
