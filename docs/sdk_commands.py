"""Which method of the Python API is which command: one rule, and what does not follow it.

The rule: the first word of a command is the group, the other fixed words of its usage line make the method, and a command of
one word is a method of `r`. `run402 auth create-user` is `r.auth.create_user`.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

_DATA = Path(__file__).resolve().parent.parent / "run402_cli" / "schemas" / "_commands.json"

# Commands whose group in Python has another name.
GROUPS = {
    "cloud archives": "archives",  # the only kind of thing in `cloud`
    "email webhooks": "email_webhooks",
    "functions runs": "function_runs",
}
# Commands whose method has another name.
ELSEWHERE = {
    "apply": "deploy.apply",  # the short form of `deploy apply`
    "core projects import": "archives.import_archive",  # `core` runs the local gateway; this call needs none of that
    "errors": "errors.page",  # the group is the command: a list, one entry of it, or a verdict
    "escalations raise": "escalations.raise_escalation",  # `raise` is a word of the language
    "events": "events.page",
    "logs": "logs.of_request",
    "message send": "agent.send_message",  # groups of one command
    "redeem": "allowance.redeem",
    "webhook-secret rotate": "notifications.rotate_webhook_secret",
    "projects export": "archives.export",
    "wallets import": "wallets.adopt",  # `import` is a word of the language
}
# Commands without a method, and why.
NO_METHOD = {
    "allowance checkout": "billing.checkout, for the wallet's own address",
    "allowance export": "the address that allowance.status returns",
    "allowance history": "billing.history, for the wallet's own address",
    "completion": "for shells",
    "config list": "the settings of this machine's command line",
    "core logs": "the gateway on this machine is run from a shell",
    "core reset": "as core logs",
    "core start": "as core logs",
    "core status": "as core logs",
    "core stop": "as core logs",
    "dev": "runs a shell command",
    "docs": "pages for reading",
    "init": "sets up the command line",
    "mcp": "a server on stdin and stdout",
    "open": "opens a browser",
    "schema": "what commands there are",
    "sites deploy": "deploy.apply with {site: {replace: ...}}",
    "skill install": "files for agents that use the command line",
    "skill path": "as skill install",
    "skill update": "as skill install",
    "up verify": 'up with mode="verify" is not offered: the checks run at the end of up',
}
# Methods without a command, and why.
NO_COMMAND = {
    "agent.operator_status": "a part of what agent status prints",
    "allowance.faucet": "the request behind allowance fund",
    "allowance.lookup": "the request behind billing balance",
    "ci.get_binding": "one row of ci list",
    "billing.org_id_of": "the look-up behind every billing command",
    "delegates.default_scope": "what delegates create takes without --scope",
    "deploy.plan": "deploy apply --plan",
    "deploy.operation": "the request that deploy resume repeats",
    "email.attachment": "email send --attach",
    "email.message": "makes the body of email.send",
    "wallets.confirm_binding": "wallets bind --confirm",
    "email.save_raw": "email get-raw --output",
    "errors.detail": "errors FINGERPRINT_ID",
    "errors.watch": "errors --new-in ID --watch",
    "escalations.find_org": "which organization --org and the project mean",
    "escalations.wait": "escalations raise --wait",
    "function_runs.wait_for": "functions runs create --wait",
    "functions.follow": "functions logs --follow",
    "functions.rebuild_all": "functions rebuild --all",
    "image.save": "image generate --output",
    "notifications.await_tap": "what notifications channels connect telegram waits for",
    "operator.start_device_login": "operator login --device, first half",
    "operator.finish_device_login": "operator login --device, second half",
    "projects.rest_call": "rest without the checks of a table name",
    "rooms.find_room": "which room --org, --room and the project mean",
    "rooms.owning_org": "the look-up behind rooms.find_room",
    "rooms.list_presences": "rooms who without entering",
    "auth.verify_link": "auth verify --token",
    "auth.verify_code": "auth verify --challenge-id --code",
}
# Older groups, which stay: the group that has their calls now, and what each call is there.
OLDER_GROUPS = {
    "expose": ("projects", {"apply": "apply_expose", "get": "get_expose", "validate": "validate_expose"}),
    "mailboxes": (
        "email",
        {
            "list": "mailboxes",
            "create": "create",
            "info": "info",
            "set_footer_policy": "update",
            "set_defaults": "defaults",
            "delete": "delete",
        },
    ),
}
# Older names of methods; they stay.
OLDER_NAMES = {
    "admin.lease_perpetual": "set_lease_perpetual",
    "agent.contact": "set_contact",
    "agent.passkey_enroll": "enroll_passkey",
    "allowance.limits_clear": "drop_limits",
    "allowance.limits_get": "limits",
    "allowance.limits_set": "set_limits",
    "allowance.status": "show",
    "archives.download": "fetch",
    "auth.create_user": "put_user",
    "auth.settings": "change_settings",
    "ci.link_github": "link",
    "credentials.project_keys_export": "export_keys",
    "credentials.project_keys_import": "import_keys",
    "credentials.project_keys_list": "cached_list",
    "credentials.project_keys_remove": "remove_keys",
    "deploy.release_get": "release",
    "deploy.verify": "edge_coherence",
    "domains.status": "get",
    "domains.test_receive": "check_receiving",
    "email.get_raw": "raw",
    "escalations.contacts_add": "add_contact",
    "escalations.contacts_list": "list_contacts",
    "escalations.contacts_remove": "remove_contact",
    "identity.link_list": "list",
    "identity.link_nostr_begin": "begin",
    "identity.link_nostr_complete": "complete",
    "identity.link_revoke": "revoke",
    "identity.link_show": "show",
    "jobs.artifacts_get": "fetch_artifact",
    "notifications.channels_connect_telegram": "connect_telegram",
    "notifications.channels_list": "channels",
    "notifications.channels_revoke": "revoke_channel",
    "notifications.preferences_set": "set_preferences",
    "notifications.rules_add": "add_rule",
    "notifications.rules_list": "rules",
    "notifications.rules_rm": "remove_rule",
    "notifications.test": "send_test",
    "operator.login": "browser_login",
    "org.invite_create": "invite",
    "org.invite_list": "list_invites",
    "org.invite_rm": "revoke_invite",
    "org.member_add": "add_member",
    "org.member_list": "list_members",
    "org.member_rm": "remove_member",
    "org.member_role": "change_role",
    "org.payout_wallet": "set_payout_wallet",
    "projects.quote": "quote_tiers",
    "projects.rest": "rest_query",
    "wallets.rm": "remove",
}


@functools.cache
def commands() -> dict[str, dict[str, Any]]:
    """Every command with what `run402 schema` says of it."""
    found: dict[str, dict[str, Any]] = json.loads(_DATA.read_text(encoding="utf-8"))["commands"]
    return found


def method(command: str) -> str | None:
    """The method of a command, `group.name` or `name`; None for a command that has none."""
    if command in NO_METHOD:
        return None
    if command in ELSEWHERE:
        return ELSEWHERE[command]
    usage = re.split(r" (?=[A-Z\[<-])", commands()[command]["usage"])[0]
    words = usage.removeprefix("run402 ").replace("-", "_").split()
    head = " ".join(command.split()[:2])
    group = GROUPS.get(head)
    if group is not None:
        return f"{group}.{'_'.join(words[2:])}"
    return words[0] if len(words) == 1 else f"{words[0]}.{'_'.join(words[1:])}"


@functools.cache
def by_method() -> dict[str, str]:
    """Method -> command."""
    return {name: command for command in commands() if (name := method(command)) and command != "apply"}


def summary(name: str) -> str | None:
    """What the command of a method says that it does: its first sentence."""
    command = by_method().get(name)
    if command is None:
        return None
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", commands()[command]["description"])[0]
