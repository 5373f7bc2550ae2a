"""The log entries of one request, across the functions of a project. See docs/diagnostics.md, "One request"."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from run402_cli.client import Client
from run402_cli.errors import Run402Error
from run402_cli.services import functions

_PARALLEL = 8


def of_request(
    client: Client, project_id: str, request_id: str, *, function: str | None = None, tail: int = 100
) -> dict[str, Any]:
    """GET .../functions (unless `function` is given), then GET .../functions/{name}/logs of each, in parallel.

    Returns {ok, request_id, project_id, scanned: [names that answered], entries: [{function, ...entry}], errors?}; entries by
    time. A function whose logs cannot be read is in `errors` and makes `ok` false. Raises when the list of functions fails.
    """
    names = [function] if function is not None else _names(client, project_id)

    def read(name: str) -> list[dict[str, Any]] | Run402Error:
        try:
            found = functions.logs(client, project_id, name, tail=tail, request_id=request_id)["logs"]
        except Run402Error as exc:
            return exc
        return [{"function": name, **entry} for entry in found if isinstance(entry, Mapping)]

    _ = client.http  # made once, before the threads share it
    with ThreadPoolExecutor(_PARALLEL) as pool:
        answers = list(zip(names, pool.map(read, names), strict=True))
    errors = [
        {"name": "?", "error": f"{name}: {answer.message}"}
        for name, answer in answers
        if isinstance(answer, Run402Error)
    ]
    entries = [entry for _, answer in answers if isinstance(answer, list) for entry in answer]
    return {
        "ok": not errors,
        "request_id": request_id,
        "project_id": project_id,
        "scanned": [name for name, answer in answers if isinstance(answer, list)],
        "entries": sorted(entries, key=functions.log_time),
        **({"errors": errors} if errors else {}),
    }


def _names(client: Client, project_id: str) -> list[str]:
    answer = functions.list_functions(client, project_id)
    rows = answer.get("functions") if isinstance(answer, dict) else None
    return [
        row["name"]
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, Mapping) and isinstance(row.get("name"), str)
    ]
