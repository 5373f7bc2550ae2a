"""The wallet's money: balance, limits, ledger, promo codes.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import allowance as _allowance

if TYPE_CHECKING:
    from typing import Any


class Allowance(Namespace[None]):
    """The wallet's money: balance, limits, ledger, promo codes."""

    def create(self) -> dict[str, Any]:
        """Generate a key pair and save it as the active wallet's.

        Like `create`, in the form of `allowance create`: address in lower case, no rail. Returns {address, path,
        created}.
        """
        return self._call_profile(_allowance.create_bare)

    def faucet(self, address: str, *, idempotency_key: str | None = None) -> Any:
        """Ask the test faucet for funds, once.

        POST /faucet/v1 {address} -> {transaction_hash, amount_usd_micros, token, network}. No credentials.
        """
        return self._call(_allowance.faucet, address, idempotency_key=idempotency_key)

    def lookup(self, address: str) -> Any:
        """The organization of a wallet, and its balance.

        GET /orgs/v1/lookup?wallet= -> {org_id, available_usd_micros, held_usd_micros?, exists?} of a wallet's
        organization.
        """
        return self._call(_allowance.lookup, address)

    def redeem(self, code: str) -> Any:
        """Credit the wallet's organization with a promo code.

        POST /vouchers/v1/redemptions {code} -> {voucher_id, amount_usd_micros, already_redeemed, ...}.
        """
        return self._call(_allowance.redeem, code)

    def status(self) -> dict[str, Any]:
        """Show the local wallet: address, rail, whether the faucet was used.

        The local wallet: {wallet: {address, created?, configured, faucet_used, rail, path}} or {wallet: null, hint}.
        """
        return self._call_profile(_allowance.show)

    show = status  # the older name

    def balance(self) -> dict[str, Any]:
        """Balances on Base, Base Sepolia and Tempo, and the organization's prepaid credit.

        Balances on Base, Base Sepolia and Tempo, and the organization's credit, all at once; USD micros.

        GET /orgs/v1/lookup?wallet= and one eth_call per network; a read that fails is null.
        """
        return self._call(_allowance.balance)

    def fund(self, *, polls: int = 30) -> tuple[dict[str, Any], bool]:
        """Ask the faucet for test funds of the wallet's rail, and wait up to 30 seconds until the chain shows them.

        Ask the faucet of the wallet's rail and wait for the funds, a second per poll: (document, confirmed).

        POST /faucet/v1 {address}, or JSON-RPC tempo_fundAddress. Raises ApiError, or CommandError FAUCET_FAILED (mpp).
        """
        return self._call(_allowance.fund, polls=polls)

    def limits_get(self) -> dict[str, Any]:
        """The limits in force, and what was spent in the last 24 hours.

        {per_payment_usd_micros, per_payment_source, per_day_usd_micros, per_day_source, spent_last_day_usd_micros,
        path}.

        Sends nothing.
        """
        return self._call_profile(_allowance.limits)

    limits = limits_get  # the older name

    def limits_set(
        self, *, per_payment: int | str | None = "unchanged", per_day: int | str | None = "unchanged"
    ) -> dict[str, Any]:
        """Limit what this wallet pays by itself, under all names of its key.

        Change one or both limits (USD micros; None: the built-in one holds); the other stays. Returns `limits`.
        """
        return self._call_profile(_allowance.set_limits, per_payment=per_payment, per_day=per_day)

    set_limits = limits_set  # the older name

    def limits_clear(self) -> dict[str, Any]:
        """Remove the limits of this wallet; the built-in ones hold again.

        Remove the user's limits; the built-in ones hold again. {cleared, ...limits}.
        """
        return self._call_profile(_allowance.drop_limits)

    drop_limits = limits_clear  # the older name

    def ledger(self, *, limit: int = 100) -> dict[str, Any]:
        """Every attempt of this wallet to pay, newest first: time, host, purpose, amount, network, state, transaction.

        Every attempt to pay from this wallet's address, newest first. Reads the journal only; sends nothing.

        {attempts: [{time, host, purpose, amount_usd_micros, network, state, transaction, ...}], has_more,
        spent_last_day_usd_micros, unreadable: [file names, or paths where another name of the key has it]}.
        """
        return self._call_profile(_allowance.ledger, limit=limit)
