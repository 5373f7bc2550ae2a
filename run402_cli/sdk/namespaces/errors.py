"""Errors of functions by identity.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import errors as _errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Errors(Namespace[Id]):
    """Errors of functions by identity. `project.errors` fills in `project_id`."""

    @of_project
    def page(self, project_id: str, **filters: Any) -> Any:
        """Show the errors of a project's functions by identity, one of them in detail, or the verdict on a release.

        GET /projects/v1/{id}/errors[?since&until&function&kind&fingerprint&new_in&limit&cursor].

        Returns {verdict: {window, compared_release_id, baseline_release_id, new_fingerprints, recurring_fingerprints,
        invocations_in_window, coverage, row_cap}, errors: [fingerprint], has_more, next_cursor?}.
        """
        with self._scope():
            return _errors.page(self._client, project_id, **filters)

    @of_project
    def detail(self, project_id: str, fingerprint_id: str) -> Any:
        """Show one error in detail.

        GET /projects/v1/{id}/errors/{fingerprint_id} -> the fingerprint, with also_seen_in_functions.
        """
        return self._call(_errors.detail, project_id, fingerprint_id)

    @of_project
    def watch(
        self,
        project_id: str,
        new_in: str,
        *,
        window_s: int,
        interval_s: int = 15,
        stop_on_new: bool = False,
        report: Callable[[int, float, int | None], None] | None = None,
    ) -> tuple[Any, int]:
        """Read the page of `new_in` every `interval_s` seconds for `window_s` seconds; the last page and the number of
        reads.

        A read made after the window is the last one. `stop_on_new` ends at the first page with new identities. `report`
        is told (number of the read, seconds elapsed, new identities). Lost connections, 408, 429 and server errors are
        tolerated: three in a row end the watch with the last of them, as does a window without any answer.
        """
        return self._call(
            _errors.watch,
            project_id,
            new_in,
            window_s=window_s,
            interval_s=interval_s,
            stop_on_new=stop_on_new,
            report=report,
        )
