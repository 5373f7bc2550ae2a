"""Freshness of public asset URLs.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import cdn as _cdn

if TYPE_CHECKING:
    from typing import Any


class Cdn(Namespace[Id]):
    """Freshness of public asset URLs. `project.cdn` fills in `project_id`."""

    @of_project
    def wait_fresh(self, project_id: str, url: str, *, sha256: str, timeout_s: int = 60) -> dict[str, Any]:
        """Wait until a mutable asset URL serves the content with this SHA-256.

        Repeat GET /storage/v1/blobs/diagnose?url= until the URL serves the content, or the time is over.

        `sha256` is 64 lowercase hex digits, `timeout_s` seconds. Returns {fresh, observedSha256, attempts, elapsedMs,
        vantage} and, when the last look failed, lastError {code, message}. One place looks; other edges may lag. A
        failed look is repeated. Raises CommandError PROJECT_CREDENTIAL_NOT_FOUND without cached keys. See
        docs/domains.md.
        """
        return self._call(_cdn.wait_fresh, project_id, url, sha256=sha256, timeout_s=timeout_s)
