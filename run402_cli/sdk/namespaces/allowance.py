"""The wallet's money: balance, limits, ledger, promo codes.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import allowance as _allowance
from run402_cli.services import funds as _funds

if TYPE_CHECKING:
    from typing import Any


class Allowance(Namespace):
    """The wallet's money: balance, limits, ledger, promo codes."""

    def show(self) -> dict[str, Any]:
        """The local wallet: {wallet: {address, created?, configured, faucet_used, rail, path}} or {wallet: null,
        hint}.
        """
        return self._call_profile(_funds.show)

    def balance(self) -> dict[str, Any]:
        """Balances on Base, Base Sepolia and Tempo, and the organization's credit, all at once; USD micros.

        GET /orgs/v1/lookup?wallet= and one eth_call per network; a read that fails is null.
        """
        return self._call(_funds.balance)

    def fund(self, *, polls: int = 30) -> tuple[dict[str, Any], bool]:
        """Ask the faucet of the wallet's rail and wait for the funds, a second per poll: (document, confirmed).

        POST /faucet/v1 {address}, or JSON-RPC tempo_fundAddress. Raises ApiError, or CommandError FAUCET_FAILED (mpp).
        """
        return self._call(_funds.fund, polls=polls)

    def limits(self) -> dict[str, Any]:
        """{per_payment_usd_micros, per_payment_source, per_day_usd_micros, spent_last_day_usd_micros, path}. Sends
        nothing.
        """
        return self._call_profile(_funds.limits)

    def set_limits(self, *, per_payment: Any = _funds._UNSET, per_day: Any = _funds._UNSET) -> dict[str, Any]:
        """Change one or both limits (USD micros; None takes a limit away); the other stays. Returns `limits`."""
        return self._call_profile(_funds.set_limits, per_payment=per_payment, per_day=per_day)

    def drop_limits(self) -> dict[str, Any]:
        """Remove the user's limits; the built-in one per payment holds again. {cleared, ...limits}."""
        return self._call_profile(_funds.drop_limits)

    def ledger(self, *, limit: int) -> dict[str, Any]:
        """Every attempt to pay from this wallet, newest first. Reads the journal only; sends nothing.

        {attempts: [{time, host, purpose, amount_usd_micros, network, state, transaction, ...}], has_more,
        spent_last_day_usd_micros, unreadable: [file names]}.
        """
        return self._call_profile(_funds.ledger, limit=limit)

    def create(self) -> dict[str, Any]:
        """Like `create`, in the form of `allowance create`: address in lower case, no rail. Returns {address, path,
        created}.
        """
        return self._call_profile(_allowance.create_bare)

    def faucet(self, address: str, *, idempotency_key: str | None = None) -> Any:
        """POST /faucet/v1 {address} -> {transaction_hash, amount_usd_micros, token, network}. No credentials."""
        return self._call(_allowance.faucet, address, idempotency_key=idempotency_key)

    def lookup(self, address: str) -> Any:
        """GET /orgs/v1/lookup?wallet= -> {org_id, available_usd_micros, held_usd_micros?, exists?} of a wallet's
        organization.
        """
        return self._call(_allowance.lookup, address)

    def redeem(self, code: str) -> Any:
        """POST /vouchers/v1/redemptions {code} -> {voucher_id, amount_usd_micros, already_redeemed, ...}."""
        return self._call(_allowance.redeem, code)
