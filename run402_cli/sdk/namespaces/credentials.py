"""Project credentials on the gateway, and the project keys cached here.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import credentials as _credentials

if TYPE_CHECKING:
    from typing import Any


class Credentials(Namespace):
    """Project credentials on the gateway, and the project keys cached here."""

    def issue(self, project_id: str, *, kind: str, name: str, expires_at: str | None = None, save: bool = False) -> Any:
        """POST /projects/v1/{id}/credentials {kind: anon|service, name, expires_at?} -> record and `secret`, shown once.

        With `save` the secret goes into the key cache of this machine instead, and `saved` is the redacted entry.
        Raises ApiError 409 CREDENTIAL_NAME_TAKEN, 403 NOT_AUTHORIZED or STEP_UP_REQUIRED.
        """
        return self._call(_credentials.issue, project_id, kind=kind, name=name, expires_at=expires_at, save=save)

    def list(self, project_id: str, *, include_revoked: bool = False) -> Any:
        """GET /projects/v1/{id}/credentials[?include_revoked=true] -> {credentials: [record]}; no secrets."""
        return self._call(_credentials.list_credentials, project_id, include_revoked=include_revoked)

    def status(self, project_id: str) -> Any:
        """GET /projects/v1/{id}/credential-status -> {state: legacy|rotatable, legacy_key, rotatable_credentials,
        ...}.
        """
        return self._call(_credentials.status, project_id)

    def rotate(self, project_id: str, credential_id: str) -> Any:
        """POST /projects/v1/{id}/credentials/{credential}/rotate -> the new record and `secret`, shown once."""
        return self._call(_credentials.rotate, project_id, credential_id)

    def revoke(self, project_id: str, credential_id: str, *, reason: str | None = None) -> Any:
        """DELETE /projects/v1/{id}/credentials/{credential} {reason?} -> the record with revoked: true. Effective
        at once.
        """
        return self._call(_credentials.revoke, project_id, credential_id, reason=reason)

    def token(self, project_id: str, *, kind: str = "service") -> Any:
        """POST /projects/v1/{id}/tokens {kind} -> record, `secret` and expires_in (seconds). A delegate may do this."""
        return self._call(_credentials.token, project_id, kind=kind)

    def cached_list(self) -> dict[str, Any]:
        """{projects: [redacted entry], source, cache_path, wallet, profile}, sorted by project id."""
        return self._call_keys(_credentials.cached_list)

    def import_keys(self, project_id: str, *, service_key: str | None, anon_key: str | None) -> dict[str, Any]:
        """Write an entry: a key that is None keeps its cached value. Returns {imported, ...redacted entry}.

        Does not ask the gateway and does not make the project active. Raises UsageError when no service key would be
        left.
        """
        return self._call_keys(_credentials.import_keys, project_id, service_key=service_key, anon_key=anon_key)

    def export_keys(self, project_id: str, *, reveal: bool) -> dict[str, Any]:
        """The stored entry with its keys in clear. Raises CommandError REVEAL_REQUIRED or
        PROJECT_CREDENTIAL_NOT_FOUND.
        """
        return self._call_keys(_credentials.export_keys, project_id, reveal=reveal)

    def remove_keys(self, project_id: str) -> dict[str, Any]:
        """Forget a cached entry: {project_id, removed, source, cache_path, wallet, profile}. The active project
        stays.
        """
        return self._call_keys(_credentials.remove_keys, project_id)


class ProjectCredentials(Namespace):
    """Project credentials on the gateway, and the project keys cached here, of one project."""

    def issue(self, *, kind: str, name: str, expires_at: str | None = None, save: bool = False) -> Any:
        """POST /projects/v1/{id}/credentials {kind: anon|service, name, expires_at?} -> record and `secret`, shown once.

        With `save` the secret goes into the key cache of this machine instead, and `saved` is the redacted entry.
        Raises ApiError 409 CREDENTIAL_NAME_TAKEN, 403 NOT_AUTHORIZED or STEP_UP_REQUIRED.
        """
        return self._call(_credentials.issue, self._project_id, kind=kind, name=name, expires_at=expires_at, save=save)

    def list(self, *, include_revoked: bool = False) -> Any:
        """GET /projects/v1/{id}/credentials[?include_revoked=true] -> {credentials: [record]}; no secrets."""
        return self._call(_credentials.list_credentials, self._project_id, include_revoked=include_revoked)

    def status(self) -> Any:
        """GET /projects/v1/{id}/credential-status -> {state: legacy|rotatable, legacy_key, rotatable_credentials,
        ...}.
        """
        return self._call(_credentials.status, self._project_id)

    def rotate(self, credential_id: str) -> Any:
        """POST /projects/v1/{id}/credentials/{credential}/rotate -> the new record and `secret`, shown once."""
        return self._call(_credentials.rotate, self._project_id, credential_id)

    def revoke(self, credential_id: str, *, reason: str | None = None) -> Any:
        """DELETE /projects/v1/{id}/credentials/{credential} {reason?} -> the record with revoked: true. Effective
        at once.
        """
        return self._call(_credentials.revoke, self._project_id, credential_id, reason=reason)

    def token(self, *, kind: str = "service") -> Any:
        """POST /projects/v1/{id}/tokens {kind} -> record, `secret` and expires_in (seconds). A delegate may do this."""
        return self._call(_credentials.token, self._project_id, kind=kind)

    def import_keys(self, *, service_key: str | None, anon_key: str | None) -> dict[str, Any]:
        """Write an entry: a key that is None keeps its cached value. Returns {imported, ...redacted entry}.

        Does not ask the gateway and does not make the project active. Raises UsageError when no service key would be
        left.
        """
        return self._call_keys(_credentials.import_keys, self._project_id, service_key=service_key, anon_key=anon_key)

    def export_keys(self, *, reveal: bool) -> dict[str, Any]:
        """The stored entry with its keys in clear. Raises CommandError REVEAL_REQUIRED or
        PROJECT_CREDENTIAL_NOT_FOUND.
        """
        return self._call_keys(_credentials.export_keys, self._project_id, reveal=reveal)

    def remove_keys(self) -> dict[str, Any]:
        """Forget a cached entry: {project_id, removed, source, cache_path, wallet, profile}. The active project
        stays.
        """
        return self._call_keys(_credentials.remove_keys, self._project_id)
