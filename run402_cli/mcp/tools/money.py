"""Tiers, the wallet, billing, payments, images, contracts."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from run402_cli.errors import Run402Error, ValidationError, no_allowance
from run402_cli.mcp import _text
from run402_cli.mcp._tool import (
    DESTRUCTIVE,
    LOCAL_READ,
    LOCAL_WRITE,
    PROJECT,
    READ,
    SPENDS,
    WRITE,
    Call,
    Image,
    Reply,
    Tool,
    may,
    need,
    tool,
)
from run402_cli.services import allowance, billing, contracts, image, pay
from run402_cli.services import tier as tiers
from run402_cli.state.attempts import JournalError

_TIERS = "prototype|hobby|team"
_CHAINS = "base-mainnet|base-sepolia"
_CHAIN = need("chain", _CHAINS)
_SIGNER = need("signer_id")
_OPEN = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True}


def _export(call: Call) -> Any:
    wallet = call.client.profile.allowance
    if wallet is None:
        raise no_allowance()
    return {"address": wallet.address}


def _faucet(call: Call) -> Any:
    wallet = call.client.profile.allowance
    if call["address"] is None and wallet is None:
        raise no_allowance()
    address = billing.wallet_address(call["address"]) if call["address"] else wallet.address if wallet else ""
    answer = allowance.faucet(call.client, address)
    if wallet is not None and wallet.address.lower() == address.lower():
        allowance.mark_funded(call.client.profile)
    return {"address": address, **(answer if isinstance(answer, dict) else {})}


def _init(call: Call) -> Reply:
    """Wallet, rail, test funds, tier: each only as far as it is missing."""
    profile, rail = call.client.profile, call["rail"]
    created = profile.allowance is None
    wallet = allowance.create(profile, rail=rail) if created else allowance.require(profile)
    if wallet.fields.get("rail") != rail:
        wallet = allowance.update(profile, rail=rail)
    document: dict[str, Any] = {
        "address": wallet.address,
        "created": created,
        "rail": rail,
        "config_dir": str(profile.dir),
        "faucet": _funded(call, rail),
        "tier": _quiet_tier(call),
        "projects_with_cached_keys": len(profile.keys.all()),
    }
    step = ""
    if "set_tier" in call.names:
        has_tier = isinstance(document["tier"], dict)
        step = "Next: provision_postgres_project." if has_tier else "Next: set_tier, then provision_postgres_project."
    return Reply(document, text="\n\n".join(filter(None, [_text.document("wallet ready", document), step])))


def _funded(call: Call, rail: str) -> str:
    profile = call.client.profile
    if profile.allowance is not None and profile.allowance.fields.get("funded"):
        return "funded before"
    try:
        if rail == "mpp":
            from run402_cli.client.payments import chain

            address = allowance.require(profile).address
            if not chain.call(call.client.http, chain.PATH_USD.rpc_url, "tempo_fundAddress", [address]):
                return "the Tempo faucet gave nothing; call init again later"
        else:
            allowance.faucet(call.client, allowance.require(profile).address)
    except Run402Error as exc:
        return f"the faucet gave nothing: {exc.message}"
    allowance.mark_funded(profile)
    return "test funds are on their way"


def _quiet_tier(call: Call) -> Any:
    try:
        answer = tiers.status(call.client)
    except Run402Error:
        return None
    if not isinstance(answer, dict) or not answer.get("tier"):
        return None
    return {"name": answer["tier"], "active": answer.get("active"), "lease_expires_at": answer.get("lease_expires_at")}


def _balance(call: Call) -> Any:
    org_id = billing.org_id_of(call.client, billing.wallet_address(call["wallet"]))
    return {"wallet": call["wallet"].lower(), **_dict(billing.balance(call.client, org_id))}


def _dict(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {"answer": answer}


def _checkout(call: Call) -> Any:
    product, amount = call["product"], call["amount_usd_micros"]
    if product == "tier" and call["tier"] is None:
        raise ValidationError("product tier needs tier: prototype, hobby or team.", details={"field": "tier"})
    if product == "balance_topup" and amount is None:
        raise ValidationError(
            "product balance_topup needs amount_usd_micros; 5000000 is 5 USD.", details={"field": "amount_usd_micros"}
        )
    return billing.checkout(
        call.client,
        call["org_id"],
        product=product,
        tier=call["tier"],
        amount=None if amount is None else int(amount),
        **call.given("success_url", "cancel_url"),
    )


def _history(call: Call) -> Any:
    return billing.history(call.client, billing.wallet_address(call["wallet"]), limit=max(1, int(call["limit"])))


def _recharge(call: Call) -> Any:
    threshold = call["threshold"]
    limit = None if threshold is None else int(threshold)
    return billing.auto_recharge(call.client, call["org_id"], enabled=call["enabled"], threshold=limit)


# -- paying -------------------------------------------------------------------------------------------------------------


def _pay(call: Call) -> Any:
    url, method, body, key = call["url"], call["method"].upper(), call["body"], call["idempotency_key"]
    if not _is_web(url):
        raise ValidationError(f"{url[:200]!r} is not an http or https address.", details={"field": "url"})
    if not method.isascii() or not method.replace("-", "").isalnum():
        raise ValidationError(f"{method!r} is no HTTP method.", details={"field": "method"})
    if body is not None and method in ("GET", "HEAD"):
        raise ValidationError(
            f"{method} takes no body. Use method POST, or leave the body out.", reason="BODY_NOT_ALLOWED"
        )
    if key is not None and (not key.strip() or not key.isascii() or not key.isprintable()):
        raise ValidationError(
            "idempotency_key takes printable ASCII. Nothing was sent.",
            details={"funds_moved": False},
            reason="BAD_IDEMPOTENCY_KEY",
        )
    return pay.pay(
        call.client,
        url,
        method=method,
        body=body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False),
        max_usd_micros=call["max_usd_micros"],
        idempotency_key=key,
        require_receipt=bool(call["require_receipt"]),
    )


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _generate(call: Call) -> Reply:
    before = _last_attempt(call)
    answer = image.generate(call.client, call["prompt"], aspect=call["aspect"])
    if not answer["image"]:
        raise ValidationError("The gateway's answer holds no image.", code="INTERNAL_ERROR")
    attempt = _last_attempt(call)
    paid = attempt if attempt != before else None
    document = {"aspect": answer["aspect"], "content_type": answer["content_type"], "settlement": paid}
    line = "Settlement: nothing was paid."
    if paid is not None:
        micros, network = paid.get("amount_usd_micros"), paid.get("network")
        line = (
            f"Settlement: {micros} USD micros on {network}, {paid.get('state')}, transaction {paid.get('transaction')}."
        )
    text = "\n\n".join([_text.heading("image"), f"Aspect: {answer['aspect']}. {line}"])
    return Reply(document, text=text, images=[Image(answer["image"], answer["content_type"] or "image/png")])


def _last_attempt(call: Call) -> dict[str, Any] | None:
    """The newest payment of this wallet on record."""
    if call.client.profile.allowance is None:
        return None
    try:
        attempts = allowance.ledger(call.client.profile, limit=1).get("attempts")
    except (JournalError, Run402Error):
        return None
    return attempts[0] if attempts else None


_WALLET = (
    tool(
        "init",
        "Get ready to work: a wallet, test funds for it, a look at the tier. Safe to repeat.",
        LOCAL_WRITE,
        _init,
        may("rail", "x402|mpp", "How the wallet pays.", default="x402"),
        cli="init",
        annotations={"openWorldHint": True},
    ),
    tool(
        "allowance_status",
        "The local wallet: address, rail, whether the faucet was used. Sends nothing.",
        LOCAL_READ,
        lambda c: allowance.show(c.client.profile),
        cli="allowance status",
    ),
    tool(
        "allowance_create",
        "Make a wallet with a new key on this machine. Refuses when there is one.",
        LOCAL_WRITE,
        lambda c: allowance.create_bare(c.client.profile),
        cli=("allowance create", "wallets new"),
    ),
    tool(
        "allowance_export",
        "The wallet's address; never its key.",
        LOCAL_READ,
        _export,
        cli="allowance export",
    ),
    tool(
        "request_faucet",
        "Ask the faucet for test USDC, for this wallet or another address.",
        WRITE,
        _faucet,
        may("address", about="Default: the local wallet."),
        cli="allowance fund",
    ),
    tool(
        "check_balance",
        "Prepaid balance of the organization behind a wallet; USD micros.",
        READ,
        _balance,
        need("wallet"),
        cli=("allowance balance", "billing balance"),
    ),
    tool(
        "redeem_voucher",
        "Turn a promo code into credit. A code counts once; a repeat says already_redeemed.",
        WRITE,
        lambda c: allowance.redeem(c.client, c["code"]),
        need("code"),
        cli="redeem",
    ),
    tool(
        "billing_history",
        "Ledger of the organization behind a wallet, newest first; USD micros.",
        READ,
        _history,
        need("wallet"),
        may("limit", "number", default=20),
        cli=("allowance history", "billing history"),
    ),
    tool(
        "create_checkout",
        "Make a card checkout for an organization: balance_topup needs amount_usd_micros, tier needs tier.",
        WRITE,
        _checkout,
        need("org_id"),
        need("product", "balance_topup|tier|email_pack"),
        may("amount_usd_micros", "number", "5000000 is 5 USD."),
        may("tier", _TIERS),
        may("success_url"),
        may("cancel_url"),
        cli=("billing checkout", "allowance checkout"),
    ),
    tool(
        "create_email_organization",
        "Make an organization for an e-mail address. Repeating it is fine.",
        WRITE,
        lambda c: billing.create_email(c.client, c["email"]),
        need("email"),
        cli="billing create-email",
    ),
    tool(
        "link_wallet_to_organization",
        "Link a wallet to an organization made by e-mail.",
        WRITE,
        lambda c: billing.link_wallet(c.client, c["org_id"], c["wallet"]),
        need("org_id"),
        need("wallet"),
        cli="billing link-wallet",
    ),
    tool(
        "set_auto_recharge",
        "Buy e-mail packs automatically, or stop doing so.",
        WRITE,
        _recharge,
        need("org_id"),
        need("enabled", "bool"),
        may("threshold", "number", "Buy when fewer e-mails are left; the server's default is 2000."),
        cli="billing auto-recharge",
    ),
    tool(
        "tier_status",
        "The organization's tier, lease, limits and usage.",
        READ,
        lambda c: tiers.status(c.client),
        cli="tier status",
        allowance=True,
    ),
    tool(
        "set_tier",
        "Subscribe, renew or change the tier; the wallet pays.",
        SPENDS,
        lambda c: tiers.subscribe(c.client, c["tier"]),
        need("tier", _TIERS),
        cli="tier set",
        reports_402=True,
    ),
    tool(
        "pay_url",
        "Call any address and pay its x402 demand once, up to a ceiling (default 0.10 USD). No credential is sent.",
        SPENDS,
        _pay,
        need("url", format="uri"),
        may("method", about="HTTP method.", default="GET"),
        may("body", "string|{*: any}", "Not with GET and HEAD."),
        may("idempotency_key"),
        may("max_usd_micros", "int", "Pay at most this much; 1000000 is 1 USD.", default=100_000, low=0),
        may("require_receipt", "bool", "Pay only a seller who signs an offer and a receipt."),
        cli="pay",
        annotations=_OPEN,
    ),
    tool(
        "generate_image",
        "Make a PNG from a prompt; costs 0.03 USD.",
        SPENDS,
        _generate,
        need("prompt"),
        may("aspect", "square|landscape|portrait", default="square"),
        cli="image generate",
        reports_402=True,
    ),
)


# -- contracts ----------------------------------------------------------------------------------------------------------


def _contract_call(call: Call) -> Any:
    return contracts.call(
        call.client,
        call.project,
        call["signer_id"],
        chain=call["chain"],
        to=call["contract_address"],
        abi=call["abi_fragment"],
        function=call["function_name"],
        args=call["args"],
        value_wei=call["value"],
        idempotency_key=call["idempotency_key"],
    )


def _contract_deploy(call: Call) -> Any:
    return contracts.deploy(
        call.client,
        call.project,
        call["signer_id"],
        chain=call["chain"],
        bytecode=call["bytecode"],
        value_wei=call["value"],
        idempotency_key=call["idempotency_key"],
    )


def _contract_read(call: Call) -> Any:
    return contracts.read(
        call.client,
        chain=call["chain"],
        to=call["contract_address"],
        abi=call["abi_fragment"],
        function=call["function_name"],
        args=call["args"],
    )


_CALL = (
    need("contract_address"),
    need("abi_fragment", "[any]", "The part of the ABI that has the function."),
    need("function_name"),
    need("args", "[any]"),
)

_CONTRACTS = (
    tool(
        "provision_signer",
        "Create an Ethereum signer whose key nobody holds. It costs rent.",
        WRITE,
        lambda c: contracts.provision_signer(
            c.client, c.project, chain=c["chain"], recovery_address=c["recovery_address"], confirmed=True
        ),
        PROJECT,
        _CHAIN,
        may("recovery_address"),
        cli="contracts provision-signer",
    ),
    tool(
        "get_signer",
        "Show a signer with its balance on the chain.",
        READ,
        lambda c: contracts.get_signer(c.client, c.project, c["signer_id"]),
        PROJECT,
        _SIGNER,
        cli="contracts get-signer",
    ),
    tool(
        "list_signers",
        "List the signers of a project.",
        READ,
        lambda c: contracts.list_signers(c.client, c.project),
        PROJECT,
        cli="contracts list-signers",
    ),
    tool(
        "set_recovery_address",
        "Set the address that a signer's balance can be recovered to; null clears it.",
        WRITE,
        lambda c: contracts.set_recovery(c.client, c.project, c["signer_id"], c["recovery_address"]),
        PROJECT,
        _SIGNER,
        need("recovery_address", "string|null"),
        cli="contracts set-recovery",
    ),
    tool(
        "set_low_balance_alert",
        "Set the balance in wei below which a warning is sent.",
        WRITE,
        lambda c: contracts.set_alert(c.client, c.project, c["signer_id"], c["threshold_wei"]),
        PROJECT,
        _SIGNER,
        need("threshold_wei"),
        cli="contracts set-alert",
    ),
    tool(
        "contract_call",
        "Submit a contract call that changes the chain. It cannot be undone.",
        WRITE,
        _contract_call,
        PROJECT,
        _SIGNER,
        _CHAIN,
        *_CALL,
        may("value", about="Native currency to send along, in wei."),
        may("idempotency_key"),
        cli="contracts call",
    ),
    tool(
        "contract_deploy",
        "Deploy a contract. It cannot be undone.",
        WRITE,
        _contract_deploy,
        PROJECT,
        _SIGNER,
        _CHAIN,
        need("bytecode", about="0x, creation code and encoded constructor arguments."),
        may("value", about="Native currency to send along, in wei."),
        may("idempotency_key"),
        cli="contracts deploy",
    ),
    tool(
        "contract_read",
        "Call a contract function that only reads. Free.",
        READ,
        _contract_read,
        _CHAIN,
        *_CALL,
        cli="contracts read",
    ),
    tool(
        "get_contract_call_status",
        "The state of a submitted contract call.",
        READ,
        lambda c: contracts.status(c.client, c.project, c["call_id"]),
        PROJECT,
        need("call_id"),
        cli="contracts status",
    ),
    tool(
        "drain_signer",
        "Send a signer's whole native balance away, at once.",
        DESTRUCTIVE,
        lambda c: contracts.drain(c.client, c.project, c["signer_id"], to=c["destination_address"]),
        PROJECT,
        _SIGNER,
        need("destination_address"),
        cli="contracts drain",
    ),
    tool(
        "delete_signer",
        "Schedule a signer's key for deletion; refused while it has a balance.",
        DESTRUCTIVE,
        lambda c: contracts.delete(c.client, c.project, c["signer_id"]),
        PROJECT,
        _SIGNER,
        cli="contracts delete",
    ),
)

TOOLS: tuple[Tool, ...] = (*_WALLET, *_CONTRACTS)
