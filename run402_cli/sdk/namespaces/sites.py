"""Static sites.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk import _releases
from run402_cli.sdk._namespace import Id, Namespace, of_project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike
    from typing import Any


class Sites(Namespace[Id]):
    """Static sites. `project.sites` fills in `project_id`."""

    @of_project
    def deploy_dir(
        self,
        project_id: str,
        path: str | PathLike[str],
        *,
        confirm_prune: bool = False,
        allow_warnings: bool = False,
        allow_warning_codes: Sequence[str] = (),
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Replace the site by the files of a directory.

        Content that the gateway has already is not sent again. A directory of fewer than 5 files needs `confirm_prune`:
        every other file of the site goes. So does one without many of the site's files (or `allow_warning_codes` with
        the warning's code). Returns {deployment_id, url, bytes_uploaded?, bytes_total?}. Raises CommandError
        PRUNE_CONFIRMATION_REQUIRED, and what `deploy.apply` raises. docs/deploy.md
        """
        return self._call(
            _releases.deploy_dir,
            project_id,
            path,
            confirm_prune=confirm_prune,
            allow_warnings=allow_warnings,
            allow_warning_codes=allow_warning_codes,
            on_event=on_event,
        )
