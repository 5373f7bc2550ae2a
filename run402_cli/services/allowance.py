"""A wallet's key, its test funds, what it has and may spend, the ledger of payments.

See docs/payments.md, and docs/protocol/payments.md, "Faucets".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from run402_cli.client import Client, with_query
from run402_cli.client.payments import chain
from run402_cli.errors import CommandError, EnvironmentFault, Run402Error, UsageError, no_allowance
from run402_cli.state.allowance import Allowance, Payer, new_allowance_fields, save_allowance
from run402_cli.state.attempts import Attempt, Journal, JournalError
from run402_cli.state.files import now_iso
from run402_cli.state.limits import Limits, clear_limits, limits_from, limits_path, load_limits, save_limits
from run402_cli.state.profile import Profile

POLLS = 30
UNCHANGED = "unchanged"
_LEDGER_KEYS = ("amount_usd_micros", "network", "pay_to", "transaction", "response_status", "last_error_code")


def create(profile: Profile, *, rail: str = "x402") -> Allowance:
    """Make a key for the active wallet and save it in allowance.json (0600); nothing is sent.

    Raises CommandError ALLOWANCE_EXISTS when the wallet has one.
    """
    from run402_cli.client import signing

    _require_none(profile)
    key = signing.new_private_key()
    fields = new_allowance_fields(address=signing.address_of(key), private_key=key, rail=rail)
    return _saved(profile, fields)


def create_bare(profile: Profile) -> dict[str, Any]:
    """Like `create`, in the form of `allowance create`: address in lower case, no rail. Returns {address, path, created}."""
    from run402_cli.client import signing

    _require_none(profile)
    key = signing.new_private_key()
    fields = new_allowance_fields(address=signing.address_of(key).lower(), private_key=key, rail="x402")
    del fields["rail"]
    saved = _saved(profile, fields)
    return {"address": saved.address, "path": str(saved.path), "created": True}


def _require_none(profile: Profile) -> None:
    if profile.allowance is not None:
        raise CommandError(
            f"The wallet {profile.name!r} has a key already ({profile.allowance.address}).",
            code="ALLOWANCE_EXISTS",
            hint="Create a second wallet instead: run402 wallets new <name>",
        )


def update(profile: Profile, **fields: Any) -> Allowance:
    """Change fields of allowance.json; the others stay."""
    if profile.allowance is None:
        raise no_allowance()
    return _saved(profile, {**profile.allowance.fields, **fields})


def _saved(profile: Profile, fields: dict[str, Any]) -> Allowance:
    save_allowance(profile.dir, fields)
    profile.__dict__.pop("allowance", None)  # read it again: the profile keeps what it has seen
    saved = profile.allowance
    assert saved is not None
    return saved


def faucet(client: Client, address: str, *, idempotency_key: str | None = None) -> Any:
    """Ask the test faucet for funds, once.

    POST /faucet/v1 {address} -> {transaction_hash, amount_usd_micros, token, network}. No credentials.
    """
    return client.request(
        "POST",
        "/faucet/v1",
        context="asking the faucet for test funds",
        body={"address": address},
        headers={"Idempotency-Key": idempotency_key} if idempotency_key else None,
    )


def mark_funded(profile: Profile) -> Allowance:
    """Note that the faucet answered, so that it is not asked again."""
    return update(profile, funded=True, lastFaucet=now_iso())


def lookup(client: Client, address: str) -> Any:
    """The organization of a wallet, and its balance.

    GET /orgs/v1/lookup?wallet= -> {org_id, available_usd_micros, held_usd_micros?, exists?} of a wallet's organization.
    """
    path = with_query("/orgs/v1/lookup", wallet=address.lower())
    return client.request("GET", path, context="looking up the organization", auth=client.principal())


def credit(answer: Any) -> tuple[int | None, int | None]:
    """(prepaid, held) USD micros of a lookup; (None, None) when it failed or the organization does not exist."""
    if not isinstance(answer, dict) or answer.get("exists") is False:
        return None, None
    return answer.get("available_usd_micros"), answer.get("held_usd_micros", 0)


def redeem(client: Client, code: str) -> Any:
    """POST /vouchers/v1/redemptions {code} -> {voucher_id, amount_usd_micros, already_redeemed, ...}."""
    return client.request(
        "POST",
        "/vouchers/v1/redemptions",
        context="redeeming the voucher",
        auth=client.principal(),
        body={"code": code},
    )


def show(profile: Profile) -> dict[str, Any]:
    """The local wallet: {wallet: {address, created?, configured, faucet_used, rail, path}} or {wallet: null, hint}."""
    wallet = profile.allowance
    if wallet is None:
        hint = "No wallet yet. Create one: run402 allowance create. Or all at once: run402 init"
        return {"wallet": None, "hint": hint}
    created = {"created": wallet.fields["created"]} if "created" in wallet.fields else {}
    return {
        "wallet": {
            "address": wallet.address,
            **created,
            "configured": True,
            "faucet_used": bool(wallet.fields.get("funded")),
            "rail": wallet.rail,
            "path": str(wallet.path),
        }
    }


def require(profile: Profile) -> Allowance:
    """The wallet, or CommandError NO_ALLOWANCE (BAD_ALLOWANCE_FILE for a file of the wrong shape)."""
    if profile.allowance is None:
        raise no_allowance()
    return profile.allowance


def balance(client: Client) -> dict[str, Any]:
    """Balances on Base, Base Sepolia and Tempo, and the organization's credit, all at once; USD micros.

    GET /orgs/v1/lookup?wallet= and one eth_call per network; a read that fails is null.
    """
    wallet = require(client.profile)
    http = client.http  # made once, before the threads share it
    tokens = (chain.USDC_MAINNET, chain.USDC_SEPOLIA, chain.PATH_USD)
    with ThreadPoolExecutor(len(tokens) + 1) as pool:
        reads = [pool.submit(chain.balance, http, token, wallet.address) for token in tokens]
        org = pool.submit(_quietly, lambda: lookup(client, wallet.address))
        mainnet, sepolia, tempo = (read.result() for read in reads)
        prepaid, _ = credit(org.result())
    return {
        "address": wallet.address,
        "rail": wallet.rail,
        "onchain": {
            "base-mainnet_usd_micros": mainnet,
            "base-sepolia_usd_micros": sepolia,
            "tempo-moderato_pathusd_micros": tempo,
        },
        "run402": "no organization" if prepaid is None else {"balance_usd_micros": prepaid},
    }


def _quietly(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Run402Error:
        return None


def fund(client: Client, *, polls: int = POLLS) -> tuple[dict[str, Any], bool]:
    """Ask the faucet of the wallet's rail and wait for the funds, a second per poll: (document, confirmed).

    POST /faucet/v1 {address}, or JSON-RPC tempo_fundAddress. Raises ApiError, or CommandError FAUCET_FAILED (mpp).
    """
    wallet = require(client.profile)
    if wallet.rail == "mpp":
        return _fund_tempo(client, wallet), True
    before = chain.balance(client.http, chain.USDC_SEPOLIA, wallet.address) or 0
    answer = faucet(client, wallet.address)
    mark_funded(client.profile)
    for _ in range(polls):
        time.sleep(1)
        now = chain.balance(client.http, chain.USDC_SEPOLIA, wallet.address) or 0
        if now > before:
            return {"address": wallet.address, "rail": "x402", "onchain": {"base-sepolia_usd_micros": now}}, True
    fields = answer if isinstance(answer, dict) else {}
    amount = fields.get("amount_usd_micros")
    return {
        "transactionHash": fields.get("transaction_hash"),
        "amountUsdMicros": amount,
        "amount": f"{amount / 1_000_000:.2f}" if isinstance(amount, int) else None,
        "token": fields.get("token"),
        "network": fields.get("network"),
        "balance_confirmed": False,
        "hint": "The faucet has sent the funds; the chain does not show them yet. Look again: run402 allowance balance",
    }, False


def _fund_tempo(client: Client, wallet: Allowance) -> dict[str, Any]:
    chain.balance(client.http, chain.PATH_USD, wallet.address)
    answer = chain.ask(client.http, chain.PATH_USD.rpc_url, "tempo_fundAddress", [wallet.address])
    if answer is None or answer.get("error") or not answer.get("result"):
        error = answer.get("error") if answer is not None else None
        reason = error.get("message") if isinstance(error, dict) else "the Tempo node did not answer"
        raise CommandError(
            f"The faucet gave nothing: {reason}.",
            code="FAUCET_FAILED",
            hint="Wait a little, then repeat: run402 allowance fund",
            details={"rail": "mpp"},
        )
    mark_funded(client.profile)
    now = chain.balance(client.http, chain.PATH_USD, wallet.address) or 0
    return {"address": wallet.address, "rail": "mpp", "onchain": {"tempo-moderato_pathusd_micros": now}}


# -- limits ---------------------------------------------------------------------------------------------------------------


def limits(profile: Profile) -> dict[str, Any]:
    """{per_payment_usd_micros, per_payment_source, per_day_usd_micros, per_day_source, spent_last_day_usd_micros, path}.

    Sends nothing.
    """
    payer = profile.payer
    found, path = limits_from(payer)
    return {**found.to_json(), **_spent(payer), "path": str(path or limits_path(payer))}


def _spent(payer: Payer) -> dict[str, Any]:
    try:
        return {"spent_last_day_usd_micros": Journal(payer).spent_last_day()}
    except JournalError:
        return {"spent_last_day_usd_micros": None}


def set_limits(
    profile: Profile, *, per_payment: int | str | None = UNCHANGED, per_day: int | str | None = UNCHANGED
) -> dict[str, Any]:
    """Change one or both limits (USD micros; None: the built-in one holds); the other stays. Returns `limits`."""
    payer = profile.payer
    old = load_limits(payer)
    new = Limits(
        old.per_payment if per_payment == UNCHANGED else _micros(per_payment),
        old.per_day if per_day == UNCHANGED else _micros(per_day),
    )
    save_limits(payer, new)
    return limits(profile)


def _micros(value: int | str | None) -> int | None:
    if isinstance(value, str):
        raise UsageError(f"A limit is a whole number of USD micros, None or {UNCHANGED!r}, not {value!r}.")
    return value


def drop_limits(profile: Profile) -> dict[str, Any]:
    """Remove the user's limits; the built-in ones hold again. {cleared, ...limits}."""
    cleared = clear_limits(profile.payer)
    return {"cleared": cleared, **limits(profile)}


# -- ledger ---------------------------------------------------------------------------------------------------------------


def ledger(profile: Profile, *, limit: int = 100) -> dict[str, Any]:
    """Every attempt to pay from this wallet's address, newest first. Reads the journal only; sends nothing.

    {attempts: [{time, host, purpose, amount_usd_micros, network, state, transaction, ...}], has_more,
    spent_last_day_usd_micros, unreadable: [file names, or paths where another name of the key has it]}.
    """
    payer = profile.payer
    try:
        attempts, damaged = Journal(payer).attempts()
    except JournalError as exc:
        raise EnvironmentFault(
            str(exc), hint="Check the permissions of that directory, then repeat the command."
        ) from exc
    rows = [_row(attempt) for attempt in reversed(attempts)]
    return {
        "attempts": rows[:limit],
        "has_more": len(rows) > limit,
        **_spent(payer),
        "unreadable": [path.name if path.parent.parent == payer.folder else str(path) for path in damaged],
    }


def _row(attempt: Attempt) -> dict[str, Any]:
    fields = attempt.fields
    shown = {key: fields.get(key) for key in _LEDGER_KEYS}
    return {
        "time": fields["created_at"],
        "host": fields.get("host") or _host(fields.get("origin")),
        "purpose": fields.get("purpose"),
        "amount_usd_micros": shown.pop("amount_usd_micros"),
        "network": shown.pop("network"),
        "state": attempt.state,
        "mutation_state": attempt.mutation_state,
        "transaction": shown.pop("transaction"),
        "method": fields.get("method"),
        **shown,
        "payment_attempt_id": attempt.id,
    }


def _host(origin: Any) -> str | None:
    return origin.partition("://")[2].partition("/")[0] or None if isinstance(origin, str) else None
