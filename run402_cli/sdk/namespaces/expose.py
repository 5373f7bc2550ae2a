"""What of the database the REST API shows, and to whom.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.services import expose as _expose

if TYPE_CHECKING:
    from typing import Any


class Expose(Namespace):
    """What of the database the REST API shows, and to whom."""

    def apply(self, project_id: str, manifest: Any) -> Any:
        """Apply an expose manifest: which tables, views and functions REST may reach, and for whom.

        POST /projects/v1/admin/{id}/expose with the manifest itself: {status, project_id, applied, dropped}.

        Convergent: items of the last applied manifest that are missing now are dropped. One transaction. An invalid
        manifest is an ApiError 400 with `errors: [{type, severity, detail, fix?}]` in its body.
        """
        return self._call(_expose.apply, project_id, manifest)

    def get(self, project_id: str) -> Any:
        """The expose manifest in force: the last one applied, or one rebuilt from the live database.

        GET /projects/v1/admin/{id}/expose -> {status, project_id, source: applied|introspected, manifest}.
        """
        return self._call(_expose.get, project_id)

    def validate(
        self, manifest_text: str, *, project_id: str | None = None, migration_sql: str | None = None
    ) -> dict[str, Any]:
        """Check an expose manifest without applying it: a word of JSON, --file, or stdin.

        Check a manifest, given as JSON text, without applying it.

        Returns {has_errors, errors, warnings}; an issue is {type, severity: error|warning, detail, fix?}. With a
        project: POST /projects/v1/admin/{id}/expose/validate with its service key, against its live schema. Without:
        POST /projects/v1/expose/validate as the caller, against `migration_sql` alone, which is parsed and never run.
        Findings are data, not an error; text that is not JSON is a finding of type schema-shape and sends nothing.
        """
        return self._call(_expose.validate, manifest_text, project_id=project_id, migration_sql=migration_sql)


class ProjectExpose(Namespace):
    """What of the database the REST API shows, and to whom, of one project."""

    def apply(self, manifest: Any) -> Any:
        """Apply an expose manifest: which tables, views and functions REST may reach, and for whom.

        POST /projects/v1/admin/{id}/expose with the manifest itself: {status, project_id, applied, dropped}.

        Convergent: items of the last applied manifest that are missing now are dropped. One transaction. An invalid
        manifest is an ApiError 400 with `errors: [{type, severity, detail, fix?}]` in its body.
        """
        return self._call(_expose.apply, self._project_id, manifest)

    def get(self) -> Any:
        """The expose manifest in force: the last one applied, or one rebuilt from the live database.

        GET /projects/v1/admin/{id}/expose -> {status, project_id, source: applied|introspected, manifest}.
        """
        return self._call(_expose.get, self._project_id)

    def validate(self, manifest_text: str, *, migration_sql: str | None = None) -> dict[str, Any]:
        """Check an expose manifest without applying it: a word of JSON, --file, or stdin.

        Check a manifest, given as JSON text, without applying it.

        Returns {has_errors, errors, warnings}; an issue is {type, severity: error|warning, detail, fix?}. With a
        project: POST /projects/v1/admin/{id}/expose/validate with its service key, against its live schema. Without:
        POST /projects/v1/expose/validate as the caller, against `migration_sql` alone, which is parsed and never run.
        Findings are data, not an error; text that is not JSON is a finding of type schema-shape and sends nothing.
        """
        return self._call(_expose.validate, manifest_text, project_id=self._project_id, migration_sql=migration_sql)
