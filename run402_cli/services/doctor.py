"""Health and configuration checks in one report. See docs/diagnostics.md, "doctor".

Nothing local is changed, except the record of the version check when it is renewed on request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.client import Client, own_gateway
from run402_cli.errors import ApiError, CommandError, NetworkError, Run402Error
from run402_cli.proxies import Proxies
from run402_cli.release import source_scan
from run402_cli.services import exposure, service, update_check
from run402_cli.services import tier as tiers
from run402_cli.services.installation import installation
from run402_cli.state import inspection
from run402_cli.state.files import DamagedState
from run402_cli.state.profile import Profile

Json = Any
Check = dict[str, Json]

HARMLESS = ("ok", "warning", "skipped", "unknown")
_CONTACT = "run402 agent contact --email <address>"


def report(
    client: Client, *, verbose: bool = False, refresh: bool = False, scan: bool = True, scan_dir: Path | None = None
) -> dict[str, Json]:
    """{ok, checks: [{name, status, value?, hint?, message?}], proxies?}; `ok` when no status is worse than a warning.

    GET /status, /tiers/v1/status and /agent/v1/operator/status, one after the other. `refresh` looks at the package index
    first (at most 1.5 s). A state file that cannot be read is a check of its own, `state_files`, and an error in every check
    that needs it. Raises EnvironmentFault for an unusable API address.
    """
    profile = client.profile
    exposed = exposure.checks(profile)  # before a file is read: reading takes the wallet file away from others
    client.checks_files = False  # this report names every damaged file, whoever needs it
    damaged = inspection.faults(profile)
    if not damaged:
        _ = client.api_base
    allowance = _guarded("allowance", lambda: _allowance(profile, verbose=verbose))
    operator = _Operator(client, verbose=verbose)
    steps: list[tuple[str, Callable[[], Check]]] = [
        ("config_dir", lambda: _config_dir(profile)),
        ("cli_update", lambda: _cli_update(profile, refresh=refresh)),
        ("allowance", lambda: allowance),
        ("projects", lambda: _projects(profile, ready=allowance["status"] in ("ok", "skipped"))),
        ("api_reachable", lambda: _reachable(client, verbose=verbose)),
        ("tier", lambda: _tier(client)),
        ("operator_health", operator.health),
        ("runtime_staleness", operator.staleness),
    ]
    if scan:
        steps.append(("source_scan", lambda: _source_scan(scan_dir)))
    checks = [_guarded(name, step) for name, step in steps]
    proxies = Proxies()
    checks[1:1] = [
        *([_state_files(damaged)] if damaged else []),
        *_unusable(proxies),
        *_open_gateway(profile),
        *exposed,
    ]
    said = {"proxies": _shown(proxies)} if proxies.found else {}
    return {"ok": all(check["status"] in HARMLESS for check in checks), "checks": checks, **said}


def _open_gateway(profile: Profile) -> list[Check]:
    if (url := own_gateway.open_one(profile)) is None:
        return []
    message = f"The local gateway on {url} is open: every user and program of this machine may do everything on it."
    hint = f"To close it: {advice.command('core', 'stop')}, then {advice.command('core', 'start')}"
    return [_check("local_gateway", "warning", message=message, hint=hint)]


def _check(name: str, status: str, **fields: Json) -> Check:
    return {"name": name, "status": status, **{key: value for key, value in fields.items() if value is not None}}


def _guarded(name: str, step: Callable[[], Check]) -> Check:
    """The check, or an error that names the file without which it cannot be made."""
    try:
        return step()
    except DamagedState as fault:
        return _check(name, "error", message=fault.message, hint=fault.hint)


def _state_files(damaged: list[DamagedState]) -> Check:
    rows = [
        {**(fault.details or {}), "message": fault.message, "hint": fault.hint, "next_actions": fault.next_actions}
        for fault in damaged
    ]
    named = ", ".join(str(fault.path) for fault in damaged)
    message = f"Commands that need these files stop, because they cannot be read: {named}"
    return _check("state_files", "error", value={"damaged": rows}, message=message, hint=damaged[0].hint)


# -- local --------------------------------------------------------------------------------------------------------------


def _config_dir(profile: Profile) -> Check:
    path = str(profile.dir)
    try:
        found = profile.dir.is_dir()
    except OSError as exc:
        return _check("config_dir", "error", message=f"Cannot look at {path}: {exc.strerror or exc}.")
    if found:
        return _check("config_dir", "ok", value=path)
    return _check("config_dir", "missing", value=path, hint="Create it with its first wallet: run402 init")


def _cli_update(profile: Profile, *, refresh: bool) -> Check:
    how = installation()
    command = how.pop("command")
    cache: dict[str, Json] = {"path": str(update_check.record_path(profile.dir)), "fresh": False}
    value: dict[str, Json] = {
        "current": update_check.FOLLOWED,
        "latest": None,
        "version": update_check.package_version(),
        **how,
        "cache": cache,
    }
    if update_check.disabled():
        cache["source"] = "disabled"
        return _check("cli_update", "skipped", value=value, hint="RUN402_NO_UPDATE_CHECK switches this check off.")
    try:
        record = update_check.refresh(profile.dir) if refresh else update_check.load(profile.dir)
    except DamagedState:
        raise
    except Run402Error as exc:
        return _check("cli_update", "unknown", message=exc.message)
    if record is None:
        cache["source"] = "none"
        return _check("cli_update", "unknown", value=value, hint="Look now: run402 doctor --refresh")
    cache |= {"fresh": update_check.is_fresh(record), "source": "registry" if refresh else "cache"}
    cache["error"] = record.get("error")
    value["checked_at"] = record["checked_at"]
    return _judged(value, record.get("latest"), command)


def _judged(value: dict[str, Json], latest: Json, command: str) -> Check:
    older = update_check.is_older(value["current"], latest) if isinstance(latest, str) else None
    if older is None:
        return _check("cli_update", "unknown", value=value, hint="Look again: run402 doctor --refresh")
    value["latest"] = latest
    if not older:
        return _check("cli_update", "ok", value=value)
    action = {
        "type": "upgrade_client",
        "package": update_check.PACKAGE,
        "target": "latest",
        **advice.shown(advice.parsed(command)),
        "cwd": None,
        **{key: value[key] for key in ("install_context", "package_manager", "confidence")},
        "mutates_project": False,
        "mutates_global_install": value["install_context"] != "virtualenv",
    }
    hint = f"Version {latest} is published; this program follows {value['current']}. Upgrade: {command}"
    return _check("cli_update", "warning", value={**value, "next_actions": [action]}, hint=hint)


def _allowance(profile: Profile, *, verbose: bool) -> Check:
    try:
        allowance = profile.allowance
    except OSError as exc:
        return _check("allowance", "error", message=f"The wallet file cannot be read: {exc.strerror or exc}.")
    if allowance is None and profile.target.is_saved_core:
        return _check("allowance", "skipped", hint="The local gateway needs no wallet.")
    if allowance is None:
        return _check("allowance", "missing", hint="Create a wallet: run402 init")
    value: dict[str, Json] = {}
    if isinstance(allowance.fields.get("rail"), str):
        value["rail"] = allowance.fields["rail"]
    if verbose:
        value["details"] = {key: item for key, item in allowance.fields.items() if key != "privateKey"}
    return _check("allowance", "ok", value=value)


def _projects(profile: Profile, *, ready: bool) -> Check:
    try:
        count = len(profile.keys.all())
    except OSError as exc:
        return _check("projects", "error", message=f"The key cache cannot be read: {exc}")
    hint = None
    if count == 0:
        create = "run402 projects provision --name my-app"
        hint = f"No project yet. Create one: {create}" if ready else f"No project yet. First run402 init, then {create}"
    return _check("projects", "ok", value={"project_count": count}, hint=hint)


def _source_scan(scan_dir: Path | None) -> Check:
    cwd = Path.cwd()
    root = scan_dir or (cwd / "src" if (cwd / "src").is_dir() else cwd)
    root = cwd / root
    try:
        findings = source_scan.scan_tree(root, cwd)
    except OSError as exc:
        return _check("source_scan", "skipped", message=f"The sources cannot be read: {exc.strerror or exc}.")
    if not findings:
        return _check("source_scan", "ok", value={"scan_root": str(root), "file_count_with_findings": 0})
    errors = sum(finding["severity"] == "error" for finding in findings)
    value = {
        "scan_root": str(root),
        "findings": len(findings),
        "errors": errors,
        "warnings": len(findings) - errors,
        "details": findings,
    }
    hint = (
        "Correct the errors before you deploy: `run402 deploy apply` refuses them."
        if errors
        else "These work, but look at them: each finding says why."
    )
    return _check("source_scan", "error" if errors else "warning", value=value, hint=hint)


def _shown(proxies: Proxies) -> dict[str, Json]:
    """What the environment says about proxies, without users and passwords."""
    rows = [{"variable": each.variable, "proxy": each.shown, "problem": each.problem} for each in proxies.found]
    never_for = ["127.0.0.0/8", "::1", "localhost", "*.localhost"]
    return {"in_use": rows, "no_proxy": proxies.exceptions, "never_for": never_for}


def _unusable(proxies: Proxies) -> list[Check]:
    """The first proxy that cannot be used; no check when all can, or there is none."""
    for each in proxies.found:
        if each.problem is not None:
            fault = each.unusable(each.problem)
            return [_check("proxies", "error", value=_shown(proxies), message=fault.message, hint=fault.hint)]
    return []


# -- remote -------------------------------------------------------------------------------------------------------------


def _reachable(client: Client, *, verbose: bool) -> Check:
    began = time.monotonic()
    try:
        service.status(client)
    except Run402Error as exc:
        return _check("api_reachable", "error", message=exc.message, hint=_unreachable_hint(exc))
    value = {"elapsed_ms": round((time.monotonic() - began) * 1000)} if verbose else None
    return _check("api_reachable", "ok", value=value)


def _unreachable_hint(exc: Run402Error) -> str | None:
    if isinstance(exc, NetworkError):
        return (
            f"Check the network, its proxy and the address. For the local gateway: {advice.command('core', 'status')}"
        )
    if isinstance(exc, ApiError) and (exc.http >= 500 or exc.http == 429):
        return "The gateway is there and cannot answer now. Try again in a moment."
    return exc.hint if isinstance(exc, CommandError) else None


def _tier(client: Client) -> Check:
    try:
        answer = tiers.status(client)
    except Run402Error as exc:
        return _check("tier", "error", message=f"tier status check failed: {exc.message}")
    answer = answer if isinstance(answer, dict) else {}
    tier, lifecycle = answer.get("tier") or None, answer.get("organization_lifecycle_state") or None
    active = answer.get("active") is True
    value = {"tier": tier, "active": active, "organization_lifecycle_state": lifecycle}
    if tier and active and lifecycle == "active":
        return _check("tier", "ok", value=value)
    if lifecycle and lifecycle != "active":
        status = str(lifecycle)
    elif not tier:
        status = "missing"
    else:
        status = "unknown" if active else "inactive"
    hint = "Subscribe, renew or reactivate: run402 tier set prototype"
    if tier and lifecycle is None:
        hint = "The state of the organization is not known. Look at it: run402 tier status"
    return _check("tier", status, value={**value, "lease_expires_at": answer.get("lease_expires_at")}, hint=hint)


class _Operator:
    """Both checks on one answer of GET /agent/v1/operator/status."""

    def __init__(self, client: Client, *, verbose: bool) -> None:
        self._client = client
        self._verbose = verbose
        self._answer: dict[str, Json] = {}
        self._failure: str | None = None

    def health(self) -> Check:
        name = "operator_health"
        try:
            answer = self._client.request(
                "GET",
                "/agent/v1/operator/status",
                context="reading the operator status",
                auth=self._client.principal(),
            )
        except Run402Error as exc:
            self._failure = f"operator status check failed: {exc.message}"
            return self._skipped(name, "The checks above say more about the connection and the credential.")
        self._answer = answer if isinstance(answer, dict) else {}
        if not _well_formed(self._answer):
            message = "operator status check failed: the gateway's answer has not the documented shape."
            hint = (
                "A gateway without operator accounts answers like this; nothing is wrong then."
                if self._verbose
                else None
            )
            return _check(name, "skipped", message=message, hint=hint)
        gaps = _gaps(self._answer)
        if not gaps:
            return _check(name, "ok")
        return _check(name, "warning", value={"gaps": gaps}, hint="Recovery and notices need these: " + gaps[0])

    def staleness(self) -> Check:
        name = "runtime_staleness"
        if self._failure is not None:
            return self._skipped(name, "It is read from the operator status.")
        runtime = self._answer.get("runtime")
        if not isinstance(runtime, dict):
            hint = "The gateway does not report the age of function runtimes." if self._verbose else None
            return _check(name, "skipped", hint=hint)
        count = runtime.get("stale_function_count")
        count = count if isinstance(count, int) else 0
        if count <= 0:
            return _check(name, "ok", value={"stale_function_count": 0})
        stale = runtime.get("stale_functions")
        value = {"stale_function_count": count, "stale_functions": stale if isinstance(stale, list) else []}
        hint = f"{count} function(s) run on an old runtime. Bring them up to date: run402 functions rebuild --all"
        return _check(name, "warning", value=value, hint=hint)

    def _skipped(self, name: str, hint: str) -> Check:
        return _check(name, "skipped", message=self._failure, hint=hint if self._verbose else None)


def _well_formed(answer: dict[str, Json]) -> bool:
    lists = (answer.get("skipped_notifications"), answer.get("critical_items"))
    return isinstance(answer.get("operator_contact"), dict) and all(isinstance(part, list) for part in lists)


def _gaps(answer: dict[str, Json]) -> list[str]:
    contact = answer["operator_contact"]
    gaps = []
    if contact.get("email_status") != "verified":
        gaps.append(_email_gap(contact.get("email_status"), answer.get("email_verification")))
    if contact.get("passkey_status") != "verified":
        enroll = "run402 agent passkey enroll"
        gaps.append(f"passkey {contact.get('passkey_status') or 'none'}: {enroll}, once the e-mail address is verified")
    reach = answer.get("operator_reachability")
    if isinstance(reach, dict) and reach.get("reachable") is False:
        skipped = reach.get("skipped_last_90d")
        missed = f" ({skipped} notices skipped in 90 days)" if isinstance(skipped, int) and skipped > 0 else ""
        gaps.append(f"no verified recipient for notices{missed}: {_CONTACT}")
    if answer["skipped_notifications"]:
        gaps.append(f"{len(answer['skipped_notifications'])} notification(s) were skipped")
    items = [item for item in answer["critical_items"] if isinstance(item, dict)]
    return gaps + [f"{item.get('kind')}: {item.get('detail')}" for item in items]


def _email_gap(status: Json, verification: Json) -> str:
    found = verification.get("last_challenge") if isinstance(verification, dict) else None
    challenge: dict[str, Json] = found if isinstance(found, dict) else {}
    hint = challenge.get("hint")
    if not hint:
        return f"e-mail {status or 'none'}: {_CONTACT}, then answer the challenge that arrives"
    tries, left = challenge.get("attempt_count"), challenge.get("remaining_attempts")
    if not isinstance(tries, int) or not isinstance(left, int) or tries == 0:
        return str(hint)
    return f"{hint} ({tries} of {tries + left} attempts used, {left} left)"
