"""A wallet's beginnings: its key, its test funds, its organization. See docs/protocol/payments.md, "Faucets"."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client, with_query
from run402_cli.errors import CommandError, no_allowance
from run402_cli.state.allowance import Allowance, new_allowance_fields, save_allowance
from run402_cli.state.files import now_iso
from run402_cli.state.profile import Profile


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
