"""Ethereum signers held in a KMS, and smart-contract calls through them. With the project's service key.

Chains: base-mainnet, base-sepolia. Amounts in wei are decimal texts. A signer: {signer_id, address, chain, status:
active|suspended|deleted, balance_wei, threshold_wei, recovery_address, created_at}. A call: {call_id, status: submitted|
confirmed|failed, tx_hash, gas_used, gas_cost_usd_micros, receipt?}. See docs/contracts.md.
"""

from __future__ import annotations

import re
from typing import Any

from run402_cli import advice
from run402_cli.client import Client, segment
from run402_cli.errors import ApiError, CommandError, NetworkError
from run402_cli.services import prices
from run402_cli.services._checks import refused

CHAINS = ("base-mainnet", "base-sepolia")
DEFAULT_CHAIN = "base-mainnet"
_BYTECODE = re.compile(r"0x[0-9a-fA-F]+")
_BYTECODE_MAX = 131_072

Json = Any


def _signers(signer_id: str | None = None, tail: str = "") -> str:
    return "/contracts/v1/signers" + ("" if signer_id is None else f"/{segment(signer_id)}{tail}")


def provision_signer(
    client: Client, project_id: str, *, chain: str, recovery_address: str | None = None, confirmed: bool = False
) -> Json:
    """POST /contracts/v1/signers {chain, recovery_address?} -> the signer.

    Lists the signers first: CommandError CONFIRMATION_REQUIRED when one is active and not `confirmed`. A list that cannot
    be read asks for no confirmation.
    """
    auth = client.service_key(project_id)
    active = _active_signers(client, project_id)
    if active and not confirmed:
        again = advice.command("contracts", "provision-signer", "--project", project_id, "--chain", chain, "--yes")
        raise CommandError(
            f"Project {project_id} has {active} active signer(s) already; each costs rent per day.",
            code="CONFIRMATION_REQUIRED",
            hint=f"Create another one: {again}",
            details={"active_signers": active},
        )
    body = {"chain": chain, **({"recovery_address": recovery_address} if recovery_address is not None else {})}
    return client.request("POST", _signers(), context="creating the signer", auth=auth, body=body, priced=prices.SIGNER)


def _active_signers(client: Client, project_id: str) -> int:
    try:
        answer = list_signers(client, project_id)
    except (ApiError, NetworkError):
        return 0
    signers = answer.get("signers") if isinstance(answer, dict) else None
    entries = signers if isinstance(signers, list) else []
    return sum(isinstance(entry, dict) and entry.get("status") == "active" for entry in entries)


def list_signers(client: Client, project_id: str) -> Json:
    """GET /contracts/v1/signers -> {signers: [signer]}, deleted ones included."""
    return client.request("GET", _signers(), context="listing signers", auth=client.service_key(project_id))


def get_signer(client: Client, project_id: str, signer_id: str) -> Json:
    """GET /contracts/v1/signers/{signer} -> the signer with its balance on the chain."""
    auth = client.service_key(project_id)
    return client.request("GET", _signers(signer_id), context="reading the signer", auth=auth)


def set_recovery(client: Client, project_id: str, signer_id: str, address: str | None) -> dict[str, Json]:
    """POST .../{signer}/recovery-address {recovery_address}; None clears it -> {signer_id, recovery_address, updated}."""
    path, body = _signers(signer_id, "/recovery-address"), {"recovery_address": address}
    auth = client.service_key(project_id)
    client.request("POST", path, context="setting the recovery address", auth=auth, body=body)
    return {"signer_id": signer_id, "recovery_address": address, "updated": True}


def set_alert(client: Client, project_id: str, signer_id: str, threshold_wei: str) -> dict[str, Json]:
    """POST .../{signer}/alert {threshold_wei} -> {signer_id, threshold_wei, updated}."""
    path, body = _signers(signer_id, "/alert"), {"threshold_wei": threshold_wei}
    auth = client.service_key(project_id)
    client.request("POST", path, context="setting the alert", auth=auth, body=body)
    return {"signer_id": signer_id, "threshold_wei": threshold_wei, "updated": True}


def call(
    client: Client,
    project_id: str,
    signer_id: str,
    *,
    chain: str = DEFAULT_CHAIN,
    to: str,
    abi: Json,
    function: str,
    args: Json,
    value_wei: str | None = None,
    idempotency_key: str | None = None,
) -> Json:
    """POST /contracts/v1/call {signer_id, chain, contract_address, abi_fragment, function_name, args, value?} -> the call."""
    body = {
        "signer_id": signer_id,
        "chain": chain,
        "contract_address": to,
        "abi_fragment": abi,
        "function_name": function,
        "args": args,
    }
    return _spend(client, project_id, "call", "calling the contract", body, value_wei, idempotency_key)


def deploy(
    client: Client,
    project_id: str,
    signer_id: str,
    *,
    chain: str = DEFAULT_CHAIN,
    bytecode: str,
    value_wei: str | None = None,
    idempotency_key: str | None = None,
) -> Json:
    """POST /contracts/v1/deploy {signer_id, chain, bytecode, value?} -> the call plus contract_address, known at once.

    `bytecode`: 0x, creation code and encoded constructor arguments in hex. ValidationError LOCAL_ERROR when it is malformed
    or longer than 131072 bytes.
    """
    digits = len(bytecode) - 2
    if not _BYTECODE.fullmatch(bytecode) or digits % 2:
        raise refused("bytecode", "The bytecode must be 0x and an even number of hex digits, at least two.")
    if digits // 2 > _BYTECODE_MAX:
        raise refused("bytecode", f"The bytecode has {digits // 2} bytes; {_BYTECODE_MAX} are allowed.")
    body = {"signer_id": signer_id, "chain": chain, "bytecode": bytecode}
    return _spend(client, project_id, "deploy", "deploying the contract", body, value_wei, idempotency_key)


def _spend(
    client: Client, project_id: str, route: str, context: str, body: dict[str, Json], value: str | None, key: str | None
) -> Json:
    return client.request(
        "POST",
        f"/contracts/v1/{route}",
        context=context,
        auth=client.service_key(project_id),
        body={**body, **({"value": value} if value is not None else {})},
        headers={"Idempotency-Key": key} if key else None,
        priced=prices.UNPUBLISHED,
    )


def read(client: Client, *, chain: str, to: str, abi: Json, function: str, args: Json) -> Json:
    """POST /contracts/v1/read {chain, contract_address, abi_fragment, function_name, args} -> {result}. No credentials."""
    body = {"chain": chain, "contract_address": to, "abi_fragment": abi, "function_name": function, "args": args}
    return client.request("POST", "/contracts/v1/read", context="reading the contract", body=body)


def status(client: Client, project_id: str, call_id: str) -> Json:
    """GET /contracts/v1/calls/{call} -> the call."""
    path, auth = f"/contracts/v1/calls/{segment(call_id)}", client.service_key(project_id)
    return client.request("GET", path, context="reading the call", auth=auth)


def drain(client: Client, project_id: str, signer_id: str, *, to: str) -> Json:
    """POST .../{signer}/drain {destination_address}: send the whole native balance away -> {call_id, status, tx_hash}."""
    return client.request(
        "POST",
        _signers(signer_id, "/drain"),
        context="draining the signer",
        auth=client.service_key(project_id),
        body={"destination_address": to},
        headers={"X-Confirm-Drain": signer_id},
    )


def delete(client: Client, project_id: str, signer_id: str) -> Json:
    """DELETE /contracts/v1/signers/{signer} -> {signer_id, deleted_at?, scheduled_deletion_at?}. Refused with a balance."""
    return client.request(
        "DELETE",
        _signers(signer_id),
        context="deleting the signer",
        auth=client.service_key(project_id),
        headers={"X-Confirm-Delete": signer_id},
    )
