"""Own domains of a project, for web and e-mail. All with the caller's own credential. See docs/domains.md.

A ProjectDomain: {project_id, domain, status: action_required|waiting|active|needs_repair|failed, desired, observed,
effective, authority, dns_records: [{type, name, value, status, bind?, ...}], checks: [{id, status, blocking, ...}],
next_actions, hosted_zone?, provenance, created_at?, updated_at?}.
"""

from __future__ import annotations

import time
from typing import Any

from run402_cli import advice
from run402_cli.client import Client, segment
from run402_cli.errors import ValidationError

AUTHORITIES = {"manual-dns": "manual_dns", "hosted-zone": "hosted_dns_zone"}
MAILBOX_MODES = ("primary", "alias", "managed", "none")
ACTIVATIONS = ("automatic_when_ready", "manual")
UNTIL = ("active", "safe", "receive-active")
RECEIVE_STRATEGIES = {
    "auto": "auto",
    "outbound-only": "outbound_only",
    "forwarding": "forwarding_mode",
    "forwarding-mode": "forwarding_mode",
    "subdomain": "subdomain_mode",
    "subdomain-mode": "subdomain_mode",
    "full-mx": "full_receive_takeover",
    "full-receive-takeover": "full_receive_takeover",
}

Json = Any


def _path(project_id: str, domain: str, action: str | None = None) -> str:
    path = f"/projects/v1/{segment(project_id)}/domains/{segment(domain)}"
    return path if action is None else f"{path}/actions/{action}"


def connect(client: Client, project_id: str, domain: str, desired: dict[str, Json]) -> Json:
    """POST /projects/v1/{id}/domains/{domain} {desired} -> ProjectDomain. States what is wanted as a whole.

    `desired`: {authority?, web?: {enabled, target, role}, email?: {send?, receive?, mailbox_addresses?, activation?}}.
    """
    path = _path(project_id, domain)
    return client.request(
        "POST", path, context="connecting the domain", auth=client.principal(), body={"desired": desired}
    )


def list_domains(client: Client, project_id: str) -> Json:
    """GET /projects/v1/{id}/domains -> {domains: [ProjectDomain]}."""
    path = f"/projects/v1/{segment(project_id)}/domains"
    return client.request("GET", path, context="listing domains", auth=client.principal())


def get(client: Client, project_id: str, domain: str) -> Json:
    """GET /projects/v1/{id}/domains/{domain} -> ProjectDomain."""
    return client.request("GET", _path(project_id, domain), context="reading the domain", auth=client.principal())


def dns(client: Client, project_id: str, domain: str) -> dict[str, Json]:
    """The DNS side of a domain: {domain, dns_records, checks, next_actions}, from the same route as `get`."""
    answer = get(client, project_id, domain)
    found: dict[str, Json] = answer if isinstance(answer, dict) else {}
    actions = found.get("next_actions")
    if actions is None:
        actions = [found["next_action"]] if "next_action" in found else []
    return {
        "domain": found.get("domain") or domain,
        "dns_records": found.get("dns_records") or [],
        "checks": found.get("checks") or [],
        "next_actions": actions,
    }


def bind_lines(records: list[Json]) -> list[str]:
    """The zone-file lines of the records that have one."""
    lines = [record.get("bind") for record in records if isinstance(record, dict)]
    return [line for line in lines if isinstance(line, str) and line]


def check(client: Client, project_id: str, domain: str) -> Json:
    """POST .../actions/check: look at DNS and providers again -> ProjectDomain."""
    return _act(client, project_id, domain, "check", "checking the domain")


def apply(client: Client, project_id: str, domain: str) -> Json:
    """POST .../actions/apply: make the changes that the gateway may safely make itself -> ProjectDomain."""
    return _act(client, project_id, domain, "apply", "applying domain changes")


def repair(client: Client, project_id: str, domain: str) -> Json:
    """POST .../actions/repair: restore the gateway's own side of the domain -> ProjectDomain."""
    return _act(client, project_id, domain, "repair", "repairing the domain")


def activate(client: Client, project_id: str, domain: str) -> Json:
    """POST .../actions/activate_mailbox_addresses: mailboxes switch to this domain -> ProjectDomain."""
    return _act(client, project_id, domain, "activate_mailbox_addresses", "activating mailbox addresses")


def check_receiving(client: Client, project_id: str, domain: str, *, to: str) -> Json:
    """POST .../actions/test_receive {to}: ProjectDomain with receive_test {id, address, token, status, created_at, ...}."""
    return _act(client, project_id, domain, "test_receive", "creating the receive test", {"to": to})


def disconnect(client: Client, project_id: str, domain: str) -> Json:
    """DELETE /projects/v1/{id}/domains/{domain} -> {status, domain}. Records at the registrar stay as they are."""
    path = _path(project_id, domain)
    return client.request("DELETE", path, context="disconnecting the domain", auth=client.principal())


def _act(client: Client, project_id: str, domain: str, action: str, context: str, body: Json = None) -> Json:
    path = _path(project_id, domain, action)
    return client.request("POST", path, context=context, auth=client.principal(), body=body)


def wait(
    client: Client,
    project_id: str,
    domain: str,
    *,
    until: str = "active",
    timeout_ms: int = 120_000,
    interval_ms: int = 5000,
) -> Json:
    """Repeat `check` until the domain is as wanted, and return that ProjectDomain.

    `until`: active (status), receive-active (mail arrives), safe (no blocking check fails). Times are milliseconds. Raises
    ValidationError DOMAIN_WAIT_TIMEOUT with what is still open, and ApiError at the first refusal.
    """
    deadline = time.monotonic() + timeout_ms / 1000
    while True:
        answer = check(client, project_id, domain)
        if _reached(answer, until):
            return answer
        left = deadline - time.monotonic()
        if left <= 0:
            raise _timeout(project_id, domain, until, timeout_ms, answer)
        time.sleep(min(interval_ms / 1000, left))


def _reached(answer: Json, until: str) -> bool:
    found: dict[str, Json] = answer if isinstance(answer, dict) else {}
    if until == "active":
        return found.get("status") == "active"
    if until == "receive-active":
        return _at(found, "effective", "email", "receive", "active") is True
    checks = found.get("checks")
    return isinstance(checks, list) and all(
        isinstance(item, dict) and (not item.get("blocking") or item.get("status") == "passed") for item in checks
    )


def _at(value: Json, *keys: str) -> Json:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _timeout(project_id: str, domain: str, until: str, timeout_ms: int, answer: Json) -> ValidationError:
    found: dict[str, Json] = answer if isinstance(answer, dict) else {}
    last = found.get("status")
    command = advice.command("domains", "check", domain, "--project", project_id)
    return ValidationError(
        f"{domain} was not {until} after {timeout_ms} ms; its last status is {last}. `checks` in details names what is "
        f"open. Look again with: {command}",
        code="DOMAIN_WAIT_TIMEOUT",
        details={
            "project_id": project_id,
            "domain": domain,
            "until": until,
            "last_status": last,
            "checks": found.get("checks") or [],
        },
        next_actions=[advice.entry("check", command)],
    )
