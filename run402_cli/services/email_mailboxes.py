"""Mailboxes of a project: find, create, set up, delete. All with the service key. See docs/email.md.

A mailbox: {mailbox_id (mbx_...), address, managed_address?, slug, project_id, status: active|suspended|deleted, sends_today,
unique_recipients, created_at, updated_at, is_default_outbound?, is_auth_sender?, can_send?, can_receive?,
send_blocked_reason?, domain_kind?, address_domain?, managed_domain?, custom_domain_ready?, footer_policy?,
effective_footer_policy?, footer_policy_locked_reason?}.

A selector names a mailbox by slug or id. An id is used as it is; a slug, or no selector, costs one look at the list.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

from run402_cli import advice, global_options
from run402_cli.client import Client, segment
from run402_cli.errors import ApiError, CommandError
from run402_cli.services._checks import refused

Json = Any
Mailbox = dict[str, Json]

FOOTER_POLICIES = ("run402_transparency", "none")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LISTED = ("mailboxes", "mailbox_settings", "provider_readiness", "next_actions")
_ADDRESS = ("mailbox_id", "address", "managed_address", "slug", "status")
_DOMAIN = ("domain_kind", "address_domain", "managed_domain", "custom_domain_ready")
_FOOTER = ("footer_policy", "effective_footer_policy", "footer_policy_locked_reason")
_ROLES = ("is_default_outbound", "is_auth_sender", "can_send", "can_receive", "send_blocked_reason")
_CREATED = (*_ADDRESS, *_DOMAIN, "can_receive", *_FOOTER, "mailbox_settings", "next_actions")
_INFO = (*_ADDRESS, *_ROLES, *_DOMAIN, *_FOOTER)
_CANDIDATE = (
    *("mailbox_id", "slug", "address", "status", "is_default_outbound", "is_auth_sender", "can_send"),
    *("send_blocked_reason", "domain_kind", "managed_address", "address_domain", "custom_domain_ready", "can_receive"),
)


def mailbox_path(mailbox_id: str, *tail: str) -> str:
    """/mailboxes/v1/{mailbox}/..., each part percent-encoded."""
    return "/".join(["/mailboxes/v1", segment(mailbox_id), *map(segment, tail)])


def _pick(value: Json, keys: Sequence[str]) -> dict[str, Json]:
    return {key: value[key] for key in keys if key in value} if isinstance(value, dict) else {}


# -- the list -----------------------------------------------------------------------------------------------------------


def list_mailboxes(client: Client, project_id: str) -> dict[str, Json]:
    """GET /mailboxes/v1 -> {mailboxes, mailbox_settings?, provider_readiness?, next_actions?}."""
    answer = client.request("GET", "/mailboxes/v1", context="listing mailboxes", auth=client.service_key(project_id))
    return {**_pick(answer, _LISTED), "mailboxes": rows(answer)}


def rows(answer: Json) -> list[Mailbox]:
    """The mailboxes in an answer of the list, or none."""
    found = answer.get("mailboxes") if isinstance(answer, dict) else None
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def find(client: Client, project_id: str, selector: str | None) -> str:
    """The id of the mailbox that a selector names; without one the project's only mailbox.

    Raises ApiError 404 when there is none, 409 when there are several to choose from.
    """
    if selector and selector.startswith("mbx_"):
        return selector
    found = rows(list_mailboxes(client, project_id))
    row = _choose(project_id, found, selector)
    if not selector:
        _remember(client, project_id, found)
    return str(row.get("mailbox_id"))


def _choose(project_id: str, found: list[Mailbox], selector: str | None) -> Mailbox:
    if selector:
        for row in found:
            if selector in (row.get("mailbox_id"), row.get("slug")):
                return row
        raise _unknown(f"There is no mailbox {selector!r} in {project_id}.", found, project_id)
    if not found:
        raise _unknown(f"{project_id} has no mailbox.", found, project_id)
    if len(found) > 1:
        slugs = _slugs(found)
        message = f"{project_id} has several mailboxes: {slugs}. Say which one with --mailbox <slug|mbx_id>."
        actions = [advice.action("list_mailboxes", "email", "mailboxes", "--project", project_id)]
        raise ApiError(409, {"message": message, "next_actions": actions}, context="choosing the mailbox")
    return found[0]


def _slugs(found: list[Mailbox]) -> str:
    return ", ".join(str(row.get("slug") or row.get("mailbox_id")) for row in found)


def _unknown(message: str, found: list[Mailbox], project_id: str) -> ApiError:
    create = advice.command("email", "create", advice.Blank("slug"), "--project", project_id)
    next_step = f"It has: {_slugs(found)}." if found else f"Create one: {create}"
    seen = advice.command("email", "mailboxes", "--project", project_id)
    actions = [advice.entry("list_mailboxes", seen) if found else advice.entry("edit_request", create)]
    return ApiError(404, {"message": f"{message} {next_step}", "next_actions": actions}, context="choosing the mailbox")


def _remember(client: Client, project_id: str, found: list[Mailbox]) -> None:
    """Note the only mailbox in the project's cached entry. A convenience: failures, and --dry-run, leave it as it was."""
    if len(found) != 1 or global_options.current.dry_run:
        return
    _note(client, project_id, found[0].get("mailbox_id"), found[0].get("address"))


def _note(client: Client, project_id: str, mailbox_id: Json, address: Json) -> None:
    fields = {"mailbox_id": mailbox_id, "mailbox_address": address}
    entry = client.profile.keys.get(project_id) or {}
    if any(entry.get(key) != value for key, value in fields.items()):
        with contextlib.suppress(CommandError, OSError):
            client.profile.keys.update(project_id, fields)


# -- the mailbox that sends ---------------------------------------------------------------------------------------------


def outbound(client: Client, project_id: str, selector: str | None) -> str:
    """The id of the mailbox that sends: the selected one, else the project's default outbound mailbox.

    Raises ApiError DEFAULT_MAILBOX_INVALID (409) or DEFAULT_MAILBOX_REQUIRED (409, 400 without a choice), and those of `find`.
    """
    if selector:
        return find(client, project_id, selector)
    listing = list_mailboxes(client, project_id)
    found = rows(listing)
    settings = listing.get("mailbox_settings")
    default = settings.get("default_outbound_mailbox_id") if isinstance(settings, dict) else None
    default = default or next((row.get("mailbox_id") for row in found if row.get("is_default_outbound") is True), None)
    if not default and settings is None:
        only = _choose(project_id, found, None)
        _remember(client, project_id, found)
        return str(only.get("mailbox_id"))
    if not default:
        message = f"{project_id} has no default outbound mailbox, so nothing says which mailbox sends."
        raise _default_fault(project_id, listing, "DEFAULT_MAILBOX_REQUIRED", message, 409 if len(found) > 1 else 400)
    row = next((row for row in found if row.get("mailbox_id") == default), None)
    if row is None:
        reason = "missing_from_mailbox_list"
    elif row.get("can_send") is False:
        reason = str(row.get("send_blocked_reason") or "send_blocked")
    else:
        _remember(client, project_id, found)
        return str(default)
    message = f"The default outbound mailbox {default} of {project_id} cannot send: {reason}."
    extra = {"default_outbound_mailbox_id": default, "reason": reason}
    raise _default_fault(project_id, listing, "DEFAULT_MAILBOX_INVALID", message, 409, **extra)


def _default_fault(
    project_id: str, listing: dict[str, Json], code: str, message: str, http: int, **extra: Json
) -> ApiError:
    command = advice.command("email", "defaults", "--outbound", advice.Blank("slug|mbx_id"), "--project", project_id)
    actions = listing.get("next_actions") or [
        {
            "type": "set_mailbox_defaults",
            "method": "PATCH",
            "path": "/mailboxes/v1/settings",
            "auth": "service_key",
            "why": "Choose the mailbox that sends when a command names none.",
            "command": command,
            "argv": command.argv,
        }
    ]
    body = {
        "error": message,
        "message": f"{message} Choose one: {command}, or pass --mailbox.",
        "code": code,
        "category": "email",
        "retryable": False,
        "safe_to_retry": True,
        "mutation_state": "none",
        "details": {
            "project_id": project_id,
            "mailbox_settings": listing.get("mailbox_settings"),
            "candidates": [_pick(row, _CANDIDATE) for row in rows(listing)],
            **extra,
        },
        "next_actions": actions,
    }
    return ApiError(http, body, context="choosing the mailbox that sends")


# -- one mailbox --------------------------------------------------------------------------------------------------------


def create(client: Client, project_id: str, slug: str) -> dict[str, Json]:
    """POST /mailboxes/v1 {slug, project_id} -> {mailbox_id, address, ..., created: true}; noted in the key cache.

    Raises ValidationError LOCAL_ERROR for an impossible slug (3 to 63 of a-z, 0-9 and single inner hyphens) and ApiError 409
    when the slug is taken, the address is cooling down, or the project has five mailboxes.
    """
    _check_slug(slug)
    answer = client.request(
        "POST",
        "/mailboxes/v1",
        context="creating the mailbox",
        auth=client.service_key(project_id),
        body={"slug": slug, "project_id": project_id},
    )
    flat: dict[str, Json] = answer if isinstance(answer, dict) else {}
    nested = flat.get("mailbox")
    if isinstance(nested, dict):
        flat = {**nested, **_pick(flat, ("mailbox_settings", "next_actions"))}
    if "mailbox_id" not in flat and "id" in flat:
        flat = {**flat, "mailbox_id": flat["id"]}
    if flat.get("mailbox_id"):
        _note(client, project_id, flat["mailbox_id"], flat.get("address"))
    return {**_pick(flat, _CREATED), "created": True}


def _check_slug(slug: str) -> None:
    if not 3 <= len(slug) <= 63:
        raise refused("slug", f"A mailbox slug has 3 to 63 characters; {slug[:80]!r} has {len(slug)}.")
    if not _SLUG.fullmatch(slug) or "--" in slug:
        rule = "lower-case letters, digits and single hyphens, not at either end"
        raise refused("slug", f"{slug!r} cannot be a mailbox slug: use {rule}. Example: contact")


def info(client: Client, project_id: str, selector: str | None = None) -> dict[str, Json]:
    """GET /mailboxes/v1, reduced to one mailbox: addresses, roles, readiness and footer policy. Errors as in `find`."""
    found = rows(list_mailboxes(client, project_id))
    row = _choose(project_id, found, selector)
    if not selector:
        _remember(client, project_id, found)
    return _pick(row, _INFO)


def set_footer_policy(client: Client, project_id: str, selector: str | None = None, *, policy: str) -> dict[str, Json]:
    """PATCH /mailboxes/v1/{mailbox} {footer_policy} -> as `info`. ApiError 403 FOOTER_POLICY_TIER_REQUIRED on prototype."""
    path = mailbox_path(find(client, project_id, selector))
    auth = client.service_key(project_id)
    body = {"footer_policy": policy}
    return _pick(client.request("PATCH", path, context="changing the mailbox", auth=auth, body=body), _INFO)


def set_defaults(client: Client, project_id: str, roles: dict[str, tuple[str, str | None]] | None = None) -> Json:
    """GET /mailboxes/v1, then PATCH /mailboxes/v1/settings with the mailboxes that are to have a role.

    `roles`: body key (default_outbound_mailbox_id, auth_sender_mailbox_id) -> (flag, selector or None to clear). Without any
    the list is returned. Raises CommandError MAILBOX_NOT_FOUND for a slug that is not in the list; an id is sent as it is.
    """
    listing = list_mailboxes(client, project_id)
    if not roles:
        return listing
    found = rows(listing)
    body = {
        key: None if selector is None else _role_id(found, flag, selector) for key, (flag, selector) in roles.items()
    }
    auth = client.service_key(project_id)
    return client.request(
        "PATCH", "/mailboxes/v1/settings", context="setting the default mailboxes", auth=auth, body=body
    )


def _role_id(found: list[Mailbox], flag: str, selector: str) -> Json:
    if selector.startswith("mbx_"):
        return selector
    for row in found:
        if row.get("slug") == selector:
            return row.get("mailbox_id")
    raise CommandError(
        f"{flag}: there is no mailbox {selector!r}.",
        code="MAILBOX_NOT_FOUND",
        hint=f"The project has: {_slugs(found) or 'none yet; create one with run402 email create <slug>'}",
        details={"selector": selector, "flag": flag, "candidates": [_pick(row, _CANDIDATE) for row in found]},
        next_actions=[advice.action("list_mailboxes", "email", "mailboxes")],
    )


def delete(client: Client, project_id: str, selector: str | None = None) -> dict[str, Json]:
    """DELETE /mailboxes/v1/{mailbox} with its messages and webhooks -> {mailbox_id, address, deleted}. Errors as in `find`."""
    if selector and selector.startswith("mbx_"):
        mailbox_id = selector
    else:
        found = rows(list_mailboxes(client, project_id))
        mailbox_id = str(_choose(project_id, found, selector).get("mailbox_id"))
    auth = client.service_key(project_id)
    answer = client.request("DELETE", mailbox_path(mailbox_id), context="deleting the mailbox", auth=auth)
    _note(client, project_id, None, None)
    return {"mailbox_id": mailbox_id, **_pick(answer, ("mailbox_id", "address")), "deleted": True}
