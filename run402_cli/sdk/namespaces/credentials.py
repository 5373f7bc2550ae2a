"""Project credentials on the gateway, and the project keys cached here.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import credentials as _credentials

if TYPE_CHECKING:
    from typing import Any


class ProjectCredentials(Namespace[Id]):
    """Project credentials on the gateway, and the project keys cached here. `project.credentials` fills in `project_id`."""

    @of_project
    def issue(self, project_id: str, *, kind: str, name: str, expires_at: str | None = None, save: bool = False) -> Any:
        """Mint a named, revocable credential.

        POST /projects/v1/{id}/credentials {kind: anon|service, name, expires_at?} -> record and `secret`, shown once.

        With `save` the secret goes into the key cache of this machine instead, and `saved` is the redacted entry.
        Raises ApiError 409 CREDENTIAL_NAME_TAKEN, 403 NOT_AUTHORIZED or STEP_UP_REQUIRED.
        """
        return self._call(_credentials.issue, project_id, kind=kind, name=name, expires_at=expires_at, save=save)

    @of_project
    def list(self, project_id: str, *, include_revoked: bool = False) -> Any:
        """List the credentials of a project: metadata only, never a secret.

        GET /projects/v1/{id}/credentials[?include_revoked=true] -> {credentials: [record]}; no secrets.
        """
        return self._call(_credentials.list_credentials, project_id, include_revoked=include_revoked)

    @of_project
    def status(self, project_id: str) -> Any:
        """Whether the project still depends on the keys derived when it was made (`legacy`), or on rotatable credentials.

        GET /projects/v1/{id}/credential-status -> {state: legacy|rotatable, legacy_key, rotatable_credentials, ...}.
        """
        return self._call(_credentials.status, project_id)

    @of_project
    def rotate(self, project_id: str, credential_id: str) -> Any:
        """Replace a credential, given its id, keeping its name.

        POST /projects/v1/{id}/credentials/{credential}/rotate -> the new record and `secret`, shown once.
        """
        return self._call(_credentials.rotate, project_id, credential_id)

    @of_project
    def revoke(self, project_id: str, credential_id: str, *, reason: str | None = None) -> Any:
        """Revoke a credential, given its id, at once.

        DELETE /projects/v1/{id}/credentials/{credential} {reason?} -> the record with revoked: true. Effective at once.
        """
        return self._call(_credentials.revoke, project_id, credential_id, reason=reason)

    @of_project
    def token(self, project_id: str, *, kind: str = "service") -> Any:
        """Mint a short-lived project token (default kind: service).

        POST /projects/v1/{id}/tokens {kind} -> record, `secret` and expires_in (seconds). A delegate may do this.
        """
        return self._call(_credentials.token, project_id, kind=kind)

    @of_project
    def project_keys_status(self, project_id: str) -> dict[str, Any]:
        """Show one cached entry, redacted.

        {project_id, configured, ...}: prefixes and fingerprints of the cached entry, never a key. Sends nothing.
        """
        return self._call_keys(_credentials.project_keys_status, project_id)

    @of_project
    def project_keys_import(
        self, project_id: str, *, service_key: str | None = None, anon_key: str | None = None
    ) -> dict[str, Any]:
        """Write keys into the local cache.

        Write an entry: a key that is None keeps its cached value. Returns {imported, ...redacted entry}.

        Does not ask the gateway and does not make the project active. Raises UsageError when no service key would be
        left.
        """
        return self._call_keys(_credentials.import_keys, project_id, service_key=service_key, anon_key=anon_key)

    import_keys = project_keys_import  # the older name

    @of_project
    def project_keys_export(self, project_id: str, *, reveal: bool) -> dict[str, Any]:
        """Print the cached keys of one project in clear.

        The stored entry with its keys in clear. Raises CommandError REVEAL_REQUIRED or PROJECT_CREDENTIAL_NOT_FOUND.
        """
        return self._call_keys(_credentials.export_keys, project_id, reveal=reveal)

    export_keys = project_keys_export  # the older name

    @of_project
    def project_keys_remove(self, project_id: str) -> dict[str, Any]:
        """Delete a cached entry.

        Forget a cached entry: {project_id, removed, source, cache_path, wallet, profile}. The active project stays.
        """
        return self._call_keys(_credentials.remove_keys, project_id)

    remove_keys = project_keys_remove  # the older name


class Credentials(ProjectCredentials[None]):
    """Project credentials on the gateway, and the project keys cached here."""

    def project_keys_list(self) -> dict[str, Any]:
        """List the cached keys of this wallet, redacted: prefixes and fingerprints only.

        {projects: [redacted entry], source, cache_path, wallet, profile}, sorted by project id.
        """
        return self._call_keys(_credentials.cached_list)

    cached_list = project_keys_list  # the older name
