"""Portable archives of a project.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk import _files
from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import archive_import as _archive_import
from run402_cli.services import archives as _archives

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from pathlib import Path
    from typing import Any

    from run402_cli.services.archive_import import Import
    from run402_cli.services.archives import Export


class ProjectArchives(Namespace[Id]):
    """Portable archives of a project. `project.archives` fills in `project_id`."""

    @of_project
    def status(self, project_id: str, archive_id: str) -> dict[str, Any]:
        """Show one archive of a project: running, ready, failed or expired.

        GET /projects/v1/{id}/archives/{archive} -> archive; byte_count in bytes, sha256 of the file when known.
        """
        return self._call(_archives.status, project_id, archive_id)

    @of_project
    def download(self, project_id: str, archive_id: str, output: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """Save a ready archive.

        Save one ready archive: {ok, project_id, archive_id, output_path, bytes_written, sha256, ..., archive}.

        CommandError FILE_EXISTS (unless `overwrite`), ARCHIVE_EXPIRED or ARCHIVE_NOT_READY before anything is
        downloaded; else as `download`.
        """
        return self._call(_archives.fetch, project_id, archive_id, output, overwrite=overwrite)

    fetch = download  # the older name


class Archives(ProjectArchives[None]):
    """Portable archives of a project."""

    def create(self, spec: Export) -> dict[str, Any]:
        """Export a project as a portable archive.

        POST /projects/v1/{id}/archives {scope, auth, consistency} -> archive {archive_id, status: running|ready|...,
        ...}.
        """
        return self._call(_archives.create, spec)

    def export(self, spec: Export, emit: Callable[[dict[str, Any]], None] | None = None) -> tuple[dict[str, Any], bool]:
        """Export a project as a portable archive.

        Start an export, wait for it and save it as `spec` says. Returns (result document, whether it came to an end).

        `emit` receives progress events; the last one, archive_export_complete, holds the document, except when waiting
        ended in failed or expired: then the second value is False and no such event is sent. Raises CommandError
        ARCHIVE_WAIT_TIMEOUT.
        """
        return self._call(_archives.export, spec, emit)

    def import_archive(
        self, wish: Import, emit: Callable[[dict[str, Any]], None] | None = None
    ) -> tuple[dict[str, Any], bool]:
        """Import a portable archive into a self-hosted gateway as a new project.

        Verify an archive, then POST {core}/archives/v1/import {archive_path, name, dry_run, require_runnable,
        secret_values}.

        Returns (import result, whether it was imported or would be). `emit` receives two progress events. A tar is
        unpacked to a temporary directory, which is always removed. CommandError INVALID_ENV_FILE or the system's error
        name for the env file, CORE_NOT_YOURS; NetworkError when the gateway does not answer. docs/archives.md
        """
        return self._call(_archive_import.import_archive, wish, emit)

    def verify(self, path: str | PathLike[str]) -> dict[str, Any]:
        """Whether an archive, directory or tar is whole and safe.

        Check a portable archive, directory or tar, without a request: the report, whose `ok` is the verdict.

        The command prints {ok, verified, archive: the report}. Never raises for what an archive contains.
        docs/archives.md
        """
        return self._call_plain(_files.verify_archive, path)

    def inspect(self, path: str | PathLike[str]) -> dict[str, Any]:
        """The report of verify without its verdict.

        The same report as `verify`. The command prints {archive: the report}, and exits 0 whatever it says.
        """
        return self._call_plain(_files.inspect_archive, path)
