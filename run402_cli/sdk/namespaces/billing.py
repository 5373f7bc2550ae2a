"""Balance, ledger and card checkouts of an organization.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import billing as _billing

if TYPE_CHECKING:
    from typing import Any


class Billing(Namespace[None]):
    """Balance, ledger and card checkouts of an organization."""

    def balance(self, identifier: str) -> Any:
        """Prepaid balance, e-mail credits and tier of an organization, given by id, wallet address or e-mail.

        GET /orgs/v1/{org_id}/billing, or /orgs/v1/lookup?wallet= or ?email= for the other identifiers.

        Returns {org_id, available_usd_micros, held_usd_micros?, email_credits_remaining, tier, lease_expires_at,
        auto_recharge_enabled, auto_recharge_threshold}. Raises ValidationError for an unusable identifier.
        """
        return self._call(_billing.balance, identifier)

    def org_id_of(self, identifier: str) -> str:
        """The organization's id, looked up unless it is one already: the answer of `balance` -> its `org_id`."""
        return self._call(_billing.org_id_of, identifier)

    def history(self, identifier: str, *, limit: int = 50, after: str | None = None) -> Any:
        """Ledger entries of an organization, newest first.

        GET /orgs/v1/{org_id}/billing/history?limit=&after= -> {org_id, entries, has_more, next_cursor}; USD micros.
        """
        return self._call(_billing.history, identifier, limit=limit, after=after)

    def create_email(self, email: str) -> Any:
        """Create an organization for an e-mail address.

        POST /orgs/v1/email {email} -> {id, email, email_credits_remaining, verification_sent}. No credentials.
        """
        return self._call(_billing.create_email, email)

    def link_wallet(self, org_id: str, wallet: str) -> dict[str, Any]:
        """Link a wallet to an organization: link-wallet ORG_ID ADDRESS.

        POST /orgs/v1/{org_id}/wallets {wallet} -> {status, org_id, wallet, pool_implications?}; the address in lower
        case.
        """
        return self._call(_billing.link_wallet, org_id, wallet)

    def checkout(
        self,
        identifier: str,
        *,
        product: str,
        tier: str | None = None,
        amount: int | None = None,
        success_url: str | None = None,
        cancel_url: str | None = None,
    ) -> Any:
        """Create a card checkout for an organization, given by id, wallet address or e-mail.

        Read the organization, then POST /orgs/v1/{org_id}/checkouts -> {org_id, product, checkout_url, topup_id}.

        `product` is tier (with `tier`), email_pack or balance_topup (with `amount` in USD micros). The payer is sent to
        `success_url` or `cancel_url` afterwards. Raises ValidationError for a
        tier or an amount that cannot be bought.
        """
        return self._call(
            _billing.checkout,
            identifier,
            product=product,
            tier=tier,
            amount=amount,
            success_url=success_url,
            cancel_url=cancel_url,
        )

    def auto_recharge(self, org_id: str, *, enabled: bool, threshold: int | None = None) -> dict[str, Any]:
        """Buy e-mail packs automatically when few are left: auto-recharge ORG_ID --state on|off.

        PATCH /orgs/v1/{org_id}/billing/auto-recharge {enabled, threshold?} -> {org_id, enabled, updated}.
        """
        return self._call(_billing.auto_recharge, org_id, enabled=enabled, threshold=threshold)
