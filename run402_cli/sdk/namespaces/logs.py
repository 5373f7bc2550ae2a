"""Log entries of one request, across functions.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import logs as _logs

if TYPE_CHECKING:
    from typing import Any


class Logs(Namespace[Id]):
    """Log entries of one request, across functions. `project.logs` fills in `project_id`."""

    @of_project
    def of_request(
        self, project_id: str, request_id: str, *, function: str | None = None, tail: int = 100
    ) -> dict[str, Any]:
        """Collect what the functions of a project logged for one request, in order of time.

        GET .../functions (unless `function` is given), then GET .../functions/{name}/logs of each, in parallel.

        Returns {ok, request_id, project_id, scanned: [names that answered], entries: [{function, ...entry}], errors?};
        entries by time. A function whose logs cannot be read is in `errors` and makes `ok` false. Raises when the list
        of functions fails.
        """
        return self._call(_logs.of_request, project_id, request_id, function=function, tail=tail)
