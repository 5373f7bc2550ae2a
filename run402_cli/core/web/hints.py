"""The next step of every refusal (4xx): from the message where it names a command, else by what was refused, else by the
area of the address. One table, so that no raise can forget it. See docs/protocol/errors.md, "Hints of the gateway".
"""

from __future__ import annotations

import re
from typing import Any

from run402_cli import advice
from run402_cli.advice import Blank
from run402_cli.core.errors import GatewayError

# Words of a command by the word of the error; {project} becomes the project of the address, or is left out.
_BY_ERROR: dict[str, str] = {
    "project_not_found": "projects list",
    "invalid_project_id": "projects list",
    "admin_required": "credentials project-keys status --project {project}",
    "authentication_required": "credentials project-keys status --project {project}",
    "project_mismatch": "credentials project-keys status --project {project}",
    "project_token_mismatch": "credentials project-keys status --project {project}",
    "not_authorized": "projects list",
    "control_token_invalid": "core status",
    "control_token_required": "core start --open",
    "wallet_not_admitted": "status",
    "misdirected_request": "core status",
    "key_not_enough": "credentials project-keys status --project {project}",
    "role_forbidden": "projects get-expose --project {project}",
    "archive_not_found": "cloud archives create --project {project} --wait",
    "archive_expired": "cloud archives create --project {project} --wait",
    "archive_not_ready": "cloud archives status <archive_id> --project {project}",
    "binding_not_found": "ci list --project {project}",
    "credential_not_found": "credentials list --project {project}",
    "credential_name_taken": "credentials list --project {project}",
    "credential_not_live": "credentials list --project {project}",
    "function_not_found": "functions list --project {project}",
    "scheduled_function_not_found": "functions list --project {project}",
    "invalid_function_name": "functions list --project {project}",
    "function_in_use": "deploy release active --project {project}",
    "function_run_not_found": "functions runs list <function> --project {project}",
    "invalid_function_run_request": "functions runs create --help",
    "job_not_found": "events --project {project}",
    "artifact_not_found": "jobs get <job_id> --project {project}",
    "unknown_job_type": "jobs submit --help",
    "invalid_job_input": "jobs submit --help",
    "mailbox_not_found": "email mailboxes --project {project}",
    "mailbox_forbidden": "email mailboxes --project {project}",
    "mailbox_limit_reached": "email mailboxes --project {project}",
    "slug_already_in_use": "email mailboxes --project {project}",
    "message_not_found": "email list --project {project}",
    "raw_message_not_found": "email list --project {project}",
    "webhook_not_found": "email webhooks list --project {project}",
    "webhook_delivery_not_found": "email webhooks deliveries --project {project}",
    "webhook_delivery_not_failed": "email webhooks deliveries --project {project}",
    "operation_not_found": "deploy list --project {project}",
    "not_resumable": "deploy list --project {project}",
    "plan_not_found": "deploy apply --plan --project {project}",
    "content_plan_not_found": "deploy apply --plan --project {project}",
    "stale_plan": "deploy apply --plan --project {project}",
    "release_spec_digest_mismatch": "deploy apply --plan --project {project}",
    "release_not_found": "deploy list --project {project}",
    "resource_not_found": "errors --project {project}",
    "secret_not_found": "secrets list --project {project}",
    "invalid_secret_name": "secrets list --project {project}",
    "missing_required_secret": "secrets list --project {project}",
    "static_not_found": "deploy release active --project {project}",
    "host_not_found": "subdomains list --project {project}",
    "cache_invalidation_host_forbidden": "subdomains list --project {project}",
    "subdomain_not_found": "subdomains list --project {project}",
    "subdomain_taken": "subdomains list --project {project}",
    "invalid_subdomain": "subdomains list --project {project}",
    "storage_not_found": "assets ls --project {project}",
    "url_forbidden": "assets ls --project {project}",
    "tier_not_found": "tier status",
    "tier_downgrade": "tier status",
    "upload_not_found": "deploy apply --project {project}",
    "upload_url_expired": "deploy apply --project {project}",
    "upload_url_invalid": "deploy apply --project {project}",
    "user_exists": "auth magic-link --email <address> --project {project}",
    "invalid_token": "auth magic-link --email <address> --redirect <url>",
    "invalid_code": "auth magic-link --email <address> --delivery code",
    "signup_not_allowed": "auth settings --public-signup open --project {project}",
    "password_set_disabled": "auth settings --allow-password-set true --project {project}",
    "invalid_expose_manifest": "projects get-expose --project {project}",
    "migration_failed": "projects schema --project {project}",
    "payment_already_used": "allowance ledger",
    "content_too_large": "tier status",
    "request_body_too_large": "tier status",
    "request_too_large": "deploy apply --help",
    "not_found": "service status",
    "method_not_allowed": "service status",
}
_BY_PATH: tuple[tuple[str, str], ...] = (
    (r"/projects/v1/admin/[^/]+/sql", "projects sql --help"),
    (r"/projects/v1/admin/[^/]+/expose", "projects get-expose --project {project}"),
    (r"/projects/v1/admin/[^/]+/secrets", "secrets set --help"),
    (r"/projects/v1/admin/[^/]+/functions", "functions --help"),
    (r"/projects/v1/admin/[^/]+/(?:logs|requests)", "logs --help"),
    (r"/projects/v1/(?:[^/]+/)?errors", "errors --help"),
    (r"/projects/v1/[^/]+/snapshots", "snapshots --help"),
    (r"/projects/v1/[^/]+/branches", "branches --help"),
    (r"/archives/v1/import", "core projects import --help"),
    (r"/projects/v1/[^/]+/archives|/archives", "cloud archives create --help"),
    (r"/projects/v1/[^/]+/credentials", "credentials --help"),
    (r"/apply|/content", "deploy apply --help"),
    (r"/functions", "functions --help"),
    (r"/jobs", "jobs --help"),
    (r"/mailboxes", "email --help"),
    (r"/auth", "auth --help"),
    (r"/storage", "assets --help"),
    (r"/subdomains|/deployments", "subdomains --help"),
    (r"/ci", "ci --help"),
    (r"/tiers", "tier --help"),
    (r"/events", "events --help"),
    (r"/cache", "cache --help"),
    (r"/projects", "projects --help"),
)
# What to change in the manifest, by the word of the error; {resource} is the field that the refusal is about. Texts, not
# commands: the command is the deploy that was refused, and it repeats only when something was changed.
_IN_MANIFEST: dict[str, str] = {
    "invalid_release_spec": "Correct {resource} in the manifest",
    "unsupported_capability": "Leave {resource} out of the manifest for this gateway",
    "checks_failed": "Correct the page or function that the first failed check asks for, or what `checks` expects of it",
    "migration_checksum_mismatch": "Write the applied migration as it was, and put the change into one with a new id",
    "migration_interrupted": "Bring the schema to what the migration is to make, or give the rest of it an id of its own",
    "migration_not_zero_downtime": "Split the change over two manifests, or take database.zero_downtime out",
    "invalid_function_bundle": "Correct the source of {resource}, or what it imports",
    "dependency_install_failed": "Correct the name or the version in the deps of the function",
    "invalid_function_schedule": "Correct the cron expression or the timezone of the function's schedule",
    "schedule_limit_exceeded": "Take schedules out of the functions of the manifest",
    "deploy_invalid_role_gate": "Correct require_role of the function",
    "role_gate_invalid_identifier": "Correct require_role of the function",
    "prune_confirmation_required": "Put the values of the message into assets.sync.confirm, or take assets.sync out",
    "locale_not_canonical": "Write the locale in i18n as the message shows it",
    "content_digest_missing": "Deploy the same manifest again: what is missing is uploaded.",
    "content_missing": "Deploy the same manifest again: what is missing is uploaded.",
    "content_digest_mismatch": "Deploy again, and leave the files alone while they are sent.",
    "content_size_mismatch": "Deploy again, and leave the files alone while they are sent.",
    "checksum_mismatch": "Deploy again, and leave the files alone while they are sent.",
    "idempotency_key_mismatch": "Give the idempotency key of the plan, or make a new plan",
}
# Codes of REST by which a table, column or function is not there for the caller: unknown, or not exposed.
_DARK = ("PGRST205", "PGRST202", "PGRST200", "42501", "42P01")
# A column that the table does not have. Which it has says the schema.
_COLUMN = ("PGRST204", "42703")
_SCHEMA_STATES = ("42P01", "42703", "42883", "42704", "3F000")


def body(error: GatewayError, path: str) -> dict[str, Any]:
    """The answer's JSON; a refusal has `hint`, and `next_actions` for the commands in it."""
    made = error.body()
    if not 400 <= error.status < 500:
        return made
    words = _words(error, path)
    if not made.get("hint") and made.get("next_actions"):
        first = next((each["command"] for each in made["next_actions"] if each.get("command")), None)
        made |= {"hint": f"Next: {first}"} if first else {}
    if not made.get("hint"):
        made["hint"] = _edit(error, path) or f"Next: {advice.command(*words)}"
    if not made.get("next_actions"):
        found = [each for text in (made["hint"], error.message) for each in advice.commands_in(text)] or [words]
        made["next_actions"] = [advice.run(*each) for each in _once(found) if each[-1:] != ["--help"]]
    return made


def _edit(error: GatewayError, path: str) -> str | None:
    """What to change before the deploy is repeated; None for a refusal that is not about a manifest."""
    resource = error.fields.get("resource")
    if not re.match(r"/apply|/content", path) or error.error in _BY_ERROR or advice.commands_in(error.message):
        return None
    text = _IN_MANIFEST.get(error.error) or ("Correct {resource} in the manifest" if resource else None)
    if text is None or text.endswith("."):
        return text
    return f"{text.replace('{resource}', str(resource or 'it'))}, then deploy again."


def _once(commands: list[list[str]]) -> list[list[str]]:
    return [each for place, each in enumerate(commands) if each not in commands[:place]]


def _words(error: GatewayError, path: str) -> list[str]:
    named = advice.commands_in(error.message)
    if named:
        return named[0]
    text = _BY_ERROR.get(error.error)
    if text is None:
        text = next((words for pattern, words in _BY_PATH if re.match(pattern, path)), "service status")
    return filled(text, _project(error, path))


def filled(text: str, project_id: str | None) -> list[str]:
    """The words of a row of the table, with the project where it is known."""
    if project_id is None:
        text = text.replace(" --project {project}", "")
    words = (Blank(word[1:-1]) if word.startswith("<") else word for word in text.split())
    return [word if word != "{project}" else str(project_id) for word in words]


def _project(error: GatewayError, path: str) -> str | None:
    named = error.fields.get("project_id")
    found = re.search(r"/(prj_\w+)", path)
    return named if isinstance(named, str) else found.group(1) if found else None


def rest(body: dict[str, Any], project_id: str | None) -> dict[str, Any]:
    """A refusal of the REST dialect with its next step; what a function raised with a hint of its own stays as it is."""
    hint, code = body.get("hint"), str(body["code"])
    if hint and (code not in (*_DARK, *_COLUMN) or advice.commands_in(hint)):
        return body
    project = ("--project", project_id) if project_id else ()
    see = advice.command("projects", "get-expose", *project)
    change = advice.command("projects", "apply-expose", "--help")
    schema = advice.command("projects", "schema", *project)
    if code in _DARK:
        text, first = f"What is open to whom: `{see}`. What an expose manifest says: `{change}`", see
    else:
        text, first = f"The tables and columns: `{schema}`", schema
    action = advice.entry("run_command", first)
    return {**body, "hint": f"{hint.rstrip('.')}. {text}" if hint else text, "next_actions": [action]}


def sql(text: str, position: int | None, state: str | None, said: str | None, project_id: str) -> dict[str, str]:
    """For a statement that PostgreSQL refused: the line with a caret under the place, and where the names are listed."""
    excerpt = _caret(text, position) if position else None
    schema = advice.command("projects", "schema", "--project", project_id)
    place = f"At the caret:\n{excerpt}" if excerpt else "Correct the statement, then repeat it."
    named = f"The tables and columns that are there: `{schema}`" if state in _SCHEMA_STATES else place
    return {"hint": f"{said}. {named}" if said else named, **({"excerpt": excerpt} if excerpt else {})}


def _caret(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position - 1) + 1
    line = text[start:].split("\n", 1)[0]
    column = position - 1 - start
    left = max(0, column - 60)
    shown = line[left : left + 120].replace("\t", " ")
    return f"{shown}\n{' ' * (column - left)}^"
