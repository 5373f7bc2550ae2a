"""Project credentials on the gateway, and the local cache of project keys. See docs/credentials.md.

The functions on the cache take a KeyCache and send nothing; the HTTP client is not imported for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from run402_cli import advice
from run402_cli.errors import CommandError, UsageError
from run402_cli.state.files import now_iso
from run402_cli.state.keys import Entry, KeyCache

if TYPE_CHECKING:
    from run402_cli.client import Client

_KEPT = ("site_url", "deployed_at", "last_deployment_id", "org_id")

Json = Any


def _path(project_id: str, credential_id: str | None = None, tail: str = "") -> str:
    from run402_cli.client import segment

    base = f"/projects/v1/{segment(project_id)}/credentials"
    return base if credential_id is None else f"{base}/{segment(credential_id)}{tail}"


def issue(
    client: Client, project_id: str, *, kind: str, name: str, expires_at: str | None = None, save: bool = False
) -> Json:
    """POST /projects/v1/{id}/credentials {kind: anon|service, name, expires_at?} -> record and `secret`, shown once.

    With `save` the secret goes into the key cache of this machine instead, and `saved` is the redacted entry.
    Raises ApiError 409 CREDENTIAL_NAME_TAKEN, 403 NOT_AUTHORIZED or STEP_UP_REQUIRED.
    """
    name = name.strip()
    if not name:
        raise UsageError("--name is blank.", hint="Give the credential a name.", details={"project_id": project_id})
    body = {"kind": kind, "name": name}
    if expires_at is not None:
        body["expires_at"] = expires_at
    keys = client.profile.keys
    if save:
        _require_place(keys, project_id, kind)
    auth = client.principal()
    answer = client.request(
        "POST", _path(project_id), context="issuing the credential", auth=auth, body=body, reveals=True
    )
    return _saved(keys, project_id, kind, answer) if save else answer


def _require_place(keys: KeyCache, project_id: str, kind: str) -> None:
    """What would keep the secret from being saved is said before there is one."""
    keys.ensure_writable()
    if kind == "anon" and not (keys.get(project_id) or {}).get("service_key"):
        raise _no_service_key(project_id)


def _saved(keys: KeyCache, project_id: str, kind: str, answer: Json) -> Json:
    """The record without its secret, which the cache now has."""
    if not isinstance(answer, dict) or not isinstance(answer.get("secret"), str):
        return answer
    service, anon = (answer["secret"], None) if kind == "service" else (None, answer["secret"])
    entry = import_keys(keys, project_id, service_key=service, anon_key=anon)
    shown = {name: value for name, value in answer.items() if name not in ("secret", "next_actions")}
    return {**shown, "saved": {name: value for name, value in entry.items() if name != "imported"}}


def list_credentials(client: Client, project_id: str, *, include_revoked: bool = False) -> Json:
    """GET /projects/v1/{id}/credentials[?include_revoked=true] -> {credentials: [record]}; no secrets."""
    from run402_cli.client import with_query

    path = with_query(_path(project_id), include_revoked="true" if include_revoked else None)
    return client.request("GET", path, context="listing credentials", auth=client.principal())


def status(client: Client, project_id: str) -> Json:
    """GET /projects/v1/{id}/credential-status -> {state: legacy|rotatable, legacy_key, rotatable_credentials, ...}."""
    from run402_cli.client import segment

    path = f"/projects/v1/{segment(project_id)}/credential-status"
    return client.request("GET", path, context="reading the credential status", auth=client.principal())


def rotate(client: Client, project_id: str, credential_id: str) -> Json:
    """POST /projects/v1/{id}/credentials/{credential}/rotate -> the new record and `secret`, shown once."""
    path = _path(project_id, credential_id, "/rotate")
    return client.request("POST", path, context="rotating the credential", auth=client.principal(), reveals=True)


def revoke(client: Client, project_id: str, credential_id: str, *, reason: str | None = None) -> Json:
    """DELETE /projects/v1/{id}/credentials/{credential} {reason?} -> the record with revoked: true. Effective at once."""
    path = _path(project_id, credential_id)
    body = None if reason is None else {"reason": reason}
    return client.request("DELETE", path, context="revoking the credential", auth=client.principal(), body=body)


def token(client: Client, project_id: str, *, kind: str = "service") -> Json:
    """POST /projects/v1/{id}/tokens {kind} -> record, `secret` and expires_in (seconds). A delegate may do this."""
    from run402_cli.client import segment

    path = f"/projects/v1/{segment(project_id)}/tokens"
    return client.request(
        "POST", path, context="minting the token", auth=client.principal(), body={"kind": kind}, reveals=True
    )


# -- the local cache ----------------------------------------------------------------------------------------------------


def cached_list(keys: KeyCache) -> dict[str, Json]:
    """{projects: [redacted entry], source, cache_path, wallet, profile}, sorted by project id."""
    return {"projects": keys.all_redacted(), **keys.identity}


def project_keys_status(keys: KeyCache, project_id: str) -> dict[str, Json]:
    """{project_id, configured, ...}: prefixes and fingerprints of the cached entry, never a key. Sends nothing."""
    return keys.redacted(project_id)


def import_keys(
    keys: KeyCache, project_id: str, *, service_key: str | None = None, anon_key: str | None = None
) -> dict[str, Json]:
    """Write an entry: a key that is None keeps its cached value. Returns {imported, ...redacted entry}.

    Does not ask the gateway and does not make the project active. Raises UsageError when no service key would be left.
    """

    def change(old: Entry | None) -> Entry:
        before = old or {}
        service = before.get("service_key") if service_key is None else service_key
        if not service:
            raise _no_service_key(project_id)
        return {
            "anon_key": before.get("anon_key") or "" if anon_key is None else anon_key,
            "service_key": service,
            **{key: before[key] for key in _KEPT if key in before},
            "source": "manual_import",
            "cached_at": now_iso(),
        }

    keys.rewrite(project_id, change)
    return {"imported": True, **keys.redacted(project_id)}


def _no_service_key(project_id: str) -> UsageError:
    return UsageError(
        f"No service key is cached for {project_id} yet, so the anon key cannot be stored alone.",
        hint="Give the service key too: --service-key-stdin or --service-key-env <NAME>",
        details={"project_id": project_id},
    )


def export_keys(keys: KeyCache, project_id: str, *, reveal: bool) -> dict[str, Json]:
    """The stored entry with its keys in clear. Raises CommandError REVEAL_REQUIRED or PROJECT_CREDENTIAL_NOT_FOUND."""
    if not reveal:
        raise CommandError(
            "This prints the project's keys in clear.",
            code="REVEAL_REQUIRED",
            hint=advice.command("credentials", "project-keys", "export", "--project", project_id, "--reveal"),
            details={"project_id": project_id, **keys.identity},
        )
    entry = keys.get(project_id)
    if entry is None:
        missing = keys.not_found(project_id)
        missing.next_actions = [action for action in missing.next_actions if " import " in action["command"]]
        raise missing
    return {"project_id": project_id, **entry, **keys.identity, "revealed": True}


def remove_keys(keys: KeyCache, project_id: str) -> dict[str, Json]:
    """Forget a cached entry: {project_id, removed, source, cache_path, wallet, profile}. The active project stays."""
    return {"project_id": project_id, "removed": keys.remove(project_id), **keys.identity}
