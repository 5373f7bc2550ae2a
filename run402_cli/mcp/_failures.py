"""Failures as text for an agent: what was being done, what is known, and one next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli import output, secrecy
from run402_cli.errors import ApiError, Run402Error
from run402_cli.mcp import _text
from run402_cli.mcp._tool import Tool
from run402_cli.mcp._wording import Phrases
from run402_cli.release.errors import ReleaseError

_FIELDS = (
    *("code", "category", "retryable", "safe_to_retry", "attempts", "max_retries", "last_retry_code"),
    *("mutation_state", "trace_id", "phase", "operation_id", "plan_id", "hint", "retry_after", "retry_after_seconds"),
    *("expires_at", "renew_url", "lifecycle_state", "entered_state_at", "next_transition_at", "scheduled_purge_at"),
)
_NO_WALLET = (
    "There is no wallet on this machine. Call {allowance_create}, then {request_faucet} for test funds.",
    "There is no wallet on this machine. Call {init}.",
)
_RENEW = ("Renew the tier with {set_tier}.", "Ask the owner of the organization to renew its tier.")
_LOOK_UP = ("Check the id; {list_projects} has the projects.", "Check the id.")

# By code: the first sentence whose tools this server has.
_BY_CODE: Mapping[str, tuple[str, ...]] = {
    "AUTHENTICATION_REQUIRED": ("The gateway wants a signed request. Look at the wallet with {allowance_status}.",),
    "UNAUTHORIZED": ("The gateway does not accept the credential. Look at the wallet with {allowance_status}.",),
    "FORBIDDEN": ("This wallet may not do that. Ask the owner of the project or organization.",),
    "ADMIN_REQUIRED": ("Only platform admins may do that.",),
    "LAST_OWNER": ("An organization keeps one owner. Make another member an owner first: {set_org_member_role}.",),
    "PAYMENT_REQUIRED": (
        "Pay what is asked, then repeat the call: {check_balance} shows the credit, {create_checkout} tops it up.",
        "Pay what is asked, then repeat the call: {check_balance} shows the credit.",
    ),
    "INSUFFICIENT_FUNDS": (
        "Get funds, then repeat the call: {request_faucet} gives test USDC, {create_checkout} tops up by card.",
        "Get funds, then repeat the call: {request_faucet} gives test USDC, {redeem_voucher} credits a code.",
    ),
    "PAYMENT_INTENT_PENDING": (
        "The payment is still settling. Repeat the same call with the same idempotency_key after Retry-After.",
    ),
    "PAYMENT_DESTINATION_DRAINING": ("The seller's address is being replaced. Repeat the same call in a few minutes.",),
    "PAYMENT_INTENT_DESTINATION_CHANGED": ("The offer has changed. Repeat the call with a new idempotency_key.",),
    "PAYMENT_INTENT_FENCE_EXPIRED": ("The offer has ended. Repeat the call with a new idempotency_key.",),
    "IDEMPOTENCY_KEY_REUSED": ("That key belongs to another request. Repeat the call with a new idempotency_key.",),
    "PAYMENT_AUTHORIZATION_LIFETIME_EXCEEDED": (
        "A payment authorization may live 300 seconds. Check this machine's clock, then repeat the call.",
    ),
    "PAYMENT_CALLER_IDENTITY_NOT_ACTIVE": ("The paying wallet is not active. Look at it with {allowance_status}.",),
    "PROJECT_FROZEN": _RENEW,
    "PROJECT_DORMANT": _RENEW,
    "PROJECT_PAST_DUE": _RENEW,
    "RATE_LIMITED": ("Wait as long as Retry-After says, then repeat the call.",),
    "MIGRATE_GATE_ACTIVE": ("A migration is running. Wait until it has ended, then repeat the call.",),
    "MIGRATION_FAILED": ("Correct the SQL of the migration and deploy again; nothing of it was kept.",),
    "MIGRATION_CHECKSUM_MISMATCH": (
        "An applied migration never changes. Restore its SQL, and put the change into a new migration.",
    ),
    "PLAN_NOT_FOUND": ("Plans end after a while. Deploy again with {deploy}.",),
    "OPERATION_NOT_FOUND": ("Check the id: {deploy_list} has the operations of a project.",),
    "CI_ROUTE_SCOPE_DENIED": ("The binding does not cover that route. Make one whose route_scopes do: {ci_create_binding}.",),
    "CANNOT_REBUILD_UNLOCKED_DEPS": ("Deploy the function again from its source: {deploy_function}.",),
    "PROJECT_CREDENTIAL_NOT_FOUND": (
        "This machine has no keys of that project. That is a miss of the local cache, not proof that the project does not "
        "exist: {project_get} asks the server. Import its key with run402 credentials project-keys import.",
    ),
    "PROJECT_REQUIRED": ("Pass project_id, or choose an active project with {project_use}.",),
    "NO_ALLOWANCE": _NO_WALLET,
}  # fmt: skip


def text_of(tool: Tool, error: Run402Error | ReleaseError, phrases: Phrases) -> str:
    """The error of a tool call, without secrets as the envelope of a command line has none."""
    if isinstance(error, ReleaseError):
        envelope: dict[str, Any] = {"code": error.code, "hint": error.hint, "details": error.details}
    else:
        envelope = error.envelope()
    first = f"{tool.name} failed: {error.message}"
    if isinstance(error, Run402Error) and isinstance(source := _answer(error), ApiError):
        first = f"{tool.name} failed while {source.context}: {error.message} (HTTP {source.http})"
    first, envelope = secrecy.without_shapes(first), secrecy.masked(envelope)
    step = next_step(envelope, phrases)
    if step and "http" not in envelope:
        envelope.pop("hint", None)  # it tells the same for a command line
    lines = [phrases.told(first), *_facts(envelope, phrases)]
    return "\n".join([*lines, *(["", f"Next: {step}"] if step else [])])


def _answer(error: BaseException | None) -> BaseException | None:
    """The gateway's refusal behind an error, through the errors that were made of it."""
    while error is not None and not isinstance(error, ApiError):
        cause = getattr(error, "cause", None) or error.__cause__
        error = None if cause is error else cause
    return error


def _facts(envelope: Mapping[str, Any], phrases: Phrases) -> list[str]:
    lines = []
    for key in _FIELDS:
        value = envelope.get(key)
        if value is not None and value != "":
            shown = phrases.told(value) if isinstance(value, str) else output.dumps(value, compact=True)
            lines += [f"- {key}: {shown}"] if shown else []
    usage = envelope.get("usage")
    if isinstance(usage, dict):
        lines += [
            f"- usage: API calls {usage.get('api_calls')} of {usage.get('limit')}, "
            f"storage {usage.get('storage_bytes')} of {usage.get('storage_limit')} bytes"
        ]
    details = envelope.get("details")
    if details not in (None, {}, []):
        lines.append(f"- details: {phrases.told(output.dumps(details, compact=True))}")
    actions = envelope.get("next_actions")
    for action in actions if isinstance(actions, list) else []:
        if isinstance(action, dict):
            lines += _action(action, phrases)
    return lines


def _action(action: Mapping[str, Any], phrases: Phrases) -> list[str]:
    shown = phrases.action(action)
    texts = [shown.get(key) for key in ("label", "command", "why")]
    said = str(next(filter(None, texts), ""))
    if "tool" in shown:
        given = shown.get("arguments")
        said = f"{shown['tool']} {output.dumps(given, compact=True)}" if given else str(shown["tool"])
    kind = action.get("type")
    if said:
        return [f"- next action: {kind}: {said}"]
    return [f"- next action: {kind}"] if kind else []


def next_step(envelope: Mapping[str, Any], phrases: Phrases) -> str | None:
    """One sentence on how to go on: by code, else by HTTP status."""
    code, http = envelope.get("code"), envelope.get("http")
    if code == "NOT_AUTHORIZED":
        return _not_authorized(envelope.get("details"), phrases)
    if code == "PROJECT_HAS_PENDING_TRANSFER":
        return _pending_transfer(envelope.get("details"), phrases)
    if isinstance(code, str) and code in _BY_CODE and not (code == "UNAUTHORIZED" and http == 403):
        return phrases.first(_BY_CODE[code])
    return phrases.first(_by_status(http, envelope)) if isinstance(http, int) else None


def _by_status(http: int, envelope: Mapping[str, Any]) -> tuple[str, ...]:
    grace = bool(envelope.get("lifecycle_state"))
    if http == 401:
        return _BY_CODE["AUTHENTICATION_REQUIRED"]
    if http in (402, 403) and grace:
        return _RENEW
    if http == 403:
        return _BY_CODE["ADMIN_REQUIRED"] if envelope.get("admin_required") else _lease()
    if http == 404:
        return _LOOK_UP
    if http == 409:
        return ("Something like it exists or has changed meanwhile. Look at the present state, then decide.",)
    if http == 429:
        return _BY_CODE["RATE_LIMITED"]
    if http >= 500:
        return ("The gateway has a problem. Look at {service_status}, then repeat the call.", "Repeat the call later.")
    return ()


def _lease() -> tuple[str, ...]:
    return (
        "This wallet may not do that, or the lease has ended: {tier_status} shows it, {set_tier} renews it.",
        "This wallet may not do that.",
    )


def _not_authorized(details: Any, phrases: Phrases) -> str:
    found = details if isinstance(details, dict) else {}
    needed = {
        "role": found.get("required_role"),
        "capability": found.get("required_capability"),
        "reason": found.get("reason"),
    }
    said = ", ".join(f"{key} {value}" for key, value in needed.items() if value)
    wants = f"It needs {said}. " if said else ""
    who = phrases.first(("{whoami} shows who this wallet is.",)) or "Ask an owner."
    return f"{wants}The id may be wrong as well: what does not exist is answered in the same way. {who}"


def _pending_transfer(details: Any, phrases: Phrases) -> str:
    transfer_id = details.get("transfer_id") if isinstance(details, dict) else None
    which = f" {transfer_id}" if transfer_id else ""
    cancel = phrases.first((f"Cancel it with {{cancel_project_transfer}}{which}, or wait.",)) or "Wait."
    return f"A transfer{which} of this project is open, for up to 72 hours; changes are frozen meanwhile. {cancel}"


def payment_text(tool: Tool, error: BaseException) -> tuple[str, Any] | None:
    """(text, details) for a payment that was asked for, where the tool reports that as its result; else None."""
    answer = _answer(error)
    if not tool.reports_402 or not isinstance(answer, ApiError) or answer.http != 402:
        return None
    details = secrecy.public(answer.fields.get("x402") or answer.body)
    advice = f"Nothing was done yet. Pay, then repeat the same call of {tool.name}."
    parts = [_text.heading("payment required"), answer.message, _text.fence(details), advice]
    return "\n\n".join(parts), {"payment_required": True, "http_status": 402, "payment": details}


def no_wallet(tool: Tool, phrases: Phrases) -> str:
    """What a tool that signs says without a wallet, before it sends anything."""
    step = phrases.first(_NO_WALLET)
    return f"{tool.name} signs its request, and there is nothing to sign with.\n- code: NO_ALLOWANCE\n\nNext: {step}"
