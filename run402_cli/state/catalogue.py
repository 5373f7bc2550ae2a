"""Every state file, in one table: where it lies, what it holds, how it must look. docs/protocol/local-state.md tells the same.

`read_state` judges a file by its row; only an absent file means the default. `doctor` walks the table, and so does a test
with every kind of damage. A new state file is a new row.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from run402_cli.advice import Blank, command
from run402_cli.state.files import StateFile

_TEXT = (str,)
_NUMBER = (int, float)
_OBJECT = (dict,)
_ADDRESS = re.compile(r"0x[a-fA-F0-9]{40}")
_KEY = re.compile(r"0x[a-fA-F0-9]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LOGIN = f"Then sign in again: {command('operator', 'login')}"
_WALLET = f"For one command --wallet {Blank('name')} decides alone."
WORKSPACE_SCHEMA = "run402.workspace-project.v1"


def _objects(value: Any, where: str) -> str | None:
    """What is wrong with an object of objects."""
    for key, entry in (value or {}).items():
        if not isinstance(entry, dict):
            return f"`{where}.{key}` is not an object"
    return None


def _config(value: dict[str, Any]) -> str | None:
    name = value.get("active_wallet")
    return None if name is None or _NAME.fullmatch(name) else "`active_wallet` is not the name of a wallet"


def _target(value: dict[str, Any]) -> str | None:
    kind = value.get("target_kind")
    return None if kind in (None, "cloud", "core", "unknown") else "`target_kind` is none of cloud, core, unknown"


def _allowance(value: dict[str, Any]) -> str | None:
    if not _ADDRESS.fullmatch(value["address"]):
        return "`address` is not 0x and 40 hex digits"
    return None if _KEY.fullmatch(value["privateKey"]) else "`privateKey` is not 0x and 64 hex digits"


def _keys(value: dict[str, Any]) -> str | None:
    projects = value.get("projects") or {}
    wrong = _objects(projects, "projects")
    if wrong is not None:
        return wrong
    for project_id, entry in projects.items():
        for key in ("anon_key", "service_key"):
            if not isinstance(entry.get(key), str | None):
                return f"`projects.{project_id}.{key}` is not text"
    return None


def _active(value: dict[str, Any]) -> str | None:
    scopes = value.get("active_projects") or {}
    wrong = _objects(scopes, "active_projects")
    if wrong is not None:
        return wrong
    texts = all(isinstance(entry.get("project_id"), str | None) for entry in scopes.values())
    return None if texts else "a `project_id` of `active_projects` is not text"


def _limits(value: dict[str, Any]) -> str | None:
    amounts = [value.get(key) for key in ("per_payment_usd_micros", "per_day_usd_micros")]
    return "a limit is below 0" if any(amount is not None and amount < 0 for amount in amounts) else None


def _token(key: str) -> Any:
    return lambda value: None if value[key] else f"`{key}` is empty"


def _operator(value: dict[str, Any]) -> str | None:
    if not value["operator_session_token"] or not value["email"]:
        return "the token or the e-mail address is empty"
    return None if all(isinstance(wallet, str) for wallet in value["wallets"]) else "`wallets` is not a list of texts"


def _attempt(value: dict[str, Any]) -> str | None:
    amount = value.get("amount_usd_micros", 0)  # the Node CLI keeps none
    if not isinstance(amount, int) or isinstance(amount, bool) or amount < 0:
        return "`amount_usd_micros` is no amount"
    return None if value["payment_attempt_id"] else "`payment_attempt_id` is empty"


def _binding(value: dict[str, Any]) -> str | None:
    return None if value["wallet"].strip() else "`wallet` is empty"


def _link(value: dict[str, Any]) -> str | None:
    if value["schema_version"] != WORKSPACE_SCHEMA:
        return f"schema_version is not {WORKSPACE_SCHEMA}"
    return None if value["project_id"] else "project_id is missing"


CONFIG = StateFile(
    "config.json",
    "the wallet that is used",
    place="base",
    types={"active_wallet": _TEXT},
    check=_config,
    cure=f"Then choose the wallet again: {command('wallets', 'use', Blank('name'))}. {_WALLET}",
)
ALLOWANCE = StateFile(
    "allowance.json",
    "the wallet's key",
    variable="RUN402_ALLOWANCE_PATH",
    types={"address": _TEXT, "privateKey": _TEXT},
    required=("address", "privateKey"),
    check=_allowance,
    secret=True,
    shape_code="BAD_ALLOWANCE_FILE",
    cure="It may hold a key with money behind it: keep the copy.",
)
META = StateFile(
    "meta.json",
    "the wallet's names",
    types={"name": _TEXT, "address": _TEXT, "label": _TEXT, "rail": _TEXT, "created": _TEXT},
)
TARGET = StateFile(
    "target.json",
    "the gateway that requests go to",
    types=dict.fromkeys(("api_base", "target_kind", "updated_at", "health_status", "health_error", "data_dir"), _TEXT),
    check=_target,
    cure=f"Then choose the gateway again: {command('core', 'start', '--use')}, "
    f"or {command('init', '--api-base', Blank('url'))}. "
    "For one command RUN402_API_BASE decides alone.",
)
ACTIVE = StateFile(
    "state.json",
    "the active projects",
    types={
        "version": (int,),
        "active_project_id": _TEXT,
        "previous_active_project_id": _TEXT,
        "active_projects": _OBJECT,
        "migrations": _OBJECT,
    },
    check=_active,
    cure=f"Then choose the project again: {command('projects', 'use', Blank('project_id'))}. "
    f"For one command --project {Blank('project_id')} decides alone.",
)
KEYS = StateFile(
    "credentials/project-keys.v1.json",
    "the keys of projects",
    types={"version": (int,), "source": _TEXT, "migrated_from": _TEXT, "migrated_at": _TEXT, "projects": _OBJECT},
    check=_keys,
    cure="Keys that are in no other place are lost with it: keep the copy.",
)
LEGACY_KEYS = StateFile(
    "projects.json",
    "the keys of projects, as older versions kept them",
    types={"active_project_id": _TEXT, "projects": _OBJECT},
    check=_keys,
    array=True,
    cure="Keys that are in no other place are lost with it: keep the copy.",
)
LIMITS = StateFile(
    "payments/0x*/payment-limits.json",
    "what a key may spend",
    place="base",
    types={
        "version": (int,),
        "per_payment_usd_micros": (int,),
        "per_day_usd_micros": (int,),
        "updated_at": _TEXT,
    },
    check=_limits,
    cure=f"Then set them again: {command('allowance', 'limits', 'set', '--per-payment-usd', Blank('usd'))}",
)
NAMED_LIMITS = replace(
    LIMITS,
    name="payment-limits.json",
    place="wallet",
    holds="the same of older versions, and of a wallet without a key",
)
ATTEMPT = StateFile(
    "payment-attempts/pat_*.json",
    "one attempt to pay",
    types=dict.fromkeys(("payment_attempt_id", "state", "mutation_state", "created_at"), _TEXT),
    required=("payment_attempt_id", "state", "mutation_state", "created_at"),
    check=_attempt,
    cure="It may be the record of money that moved: keep the copy.",
)
UPDATE_CHECK = StateFile(
    "cli-update-check.json",
    "the last look for a newer version",
    types={
        **dict.fromkeys(("package", "current", "latest", "checked_at", "source", "registry"), _TEXT),
        "schema_version": (int,),
        "error": _OBJECT,
    },
)
OPERATOR_SESSION = StateFile(
    "operator-session.json",
    "the operator's session for reading",
    place="base",
    variable="RUN402_OPERATOR_SESSION_PATH",
    types={
        **dict.fromkeys(("operator_session_token", "token_type", "email"), _TEXT),
        "wallets": (list,),
        "expires_at": _NUMBER,
        "absolute_expires_at": (str, int, float),
    },
    required=("operator_session_token", "email", "wallets", "expires_at"),
    check=_operator,
    secret=True,
    cure=_LOGIN,
)
CONTROL_PLANE_SESSION = StateFile(
    "control-plane-session.json",
    "the operator's session for writing",
    place="base",
    variable="RUN402_CONTROL_PLANE_SESSION_PATH",
    types={
        **dict.fromkeys(("control_plane_session_token", "token_type", "provenance", "principal_id"), _TEXT),
        "amr": (list,),
        "expires_at": _NUMBER,
    },
    required=("control_plane_session_token", "expires_at"),
    check=_token("control_plane_session_token"),
    secret=True,
    cure=_LOGIN,
)
APPROVALS = StateFile(
    "write-auth-session.json",
    "the operator's approvals",
    place="base",
    variable="RUN402_WRITE_AUTH_SESSION_PATH",
    types={"approvals": (list,)},
    required=("approvals",),
    secret=True,
    cure=f"Then approve again: {command('operator', 'approve')}",
)
LOCAL_BINDING = StateFile(
    ".run402.local.json",
    "the wallet of a directory, personal",
    place="directory",
    types={"wallet": _TEXT},
    required=("wallet",),
    check=_binding,
    cure=_WALLET,
)
BINDING = StateFile(
    ".run402.json",
    "the wallet of a directory",
    place="directory",
    types={"wallet": _TEXT},
    required=("wallet",),
    check=_binding,
    cure=_WALLET,
)
LINK = StateFile(
    ".run402/project.json",
    "the project that `up` deploys to",
    place="workspace",
    types={
        **dict.fromkeys(("schema_version", "project_id", "name", "created_at", "updated_at"), _TEXT),
        "target": _OBJECT,
    },
    required=("schema_version", "project_id"),
    check=_link,
    code="RUN402_WORKSPACE_LINK_INVALID",
    cure=f"Then link again: {command('up', '--project', Blank('project_id'), '--yes')}",
)
MESSAGING = StateFile(
    ".run402/messaging.json",
    "who this session is in each room",
    place="workspace",
    types={"rooms": _OBJECT},
    check=lambda value: _objects(value.get("rooms"), "rooms"),
    cure=f"Then enter the room again: {command('rooms', 'who')}",
)
GATEWAY = StateFile(
    "gateway.json",
    "the local gateway that runs; in its data directory",
    place="gateway",
    types={"pid": (int,), "port": (int,), "url": _TEXT, "control_token": _TEXT},
    required=("pid", "url"),
    cure=f"What runs says {command('core', 'status')}",
)
SKILL_RECORD = StateFile(
    ".run402-skill.json",
    "what `run402 skill install` wrote beside it",
    place="skill",
    types={"version": _TEXT, "sha256": _TEXT},
    cure=f"Then install the skill again: {command('skill', 'install')}",
)

FILES: tuple[StateFile, ...] = (
    *(CONFIG, ALLOWANCE, META, TARGET, ACTIVE, KEYS, LEGACY_KEYS, LIMITS, NAMED_LIMITS, ATTEMPT, UPDATE_CHECK),
    *(OPERATOR_SESSION, CONTROL_PLANE_SESSION, APPROVALS, LOCAL_BINDING, BINDING, LINK, MESSAGING),
    *(GATEWAY, SKILL_RECORD),
)
