"""Expose manifests: which tables, views and functions of a project REST may reach. See docs/expose.md."""

from __future__ import annotations

from typing import Any

from run402_cli import exact_json
from run402_cli.client import Client, segment

Json = Any


def _path(project_id: str, tail: str = "") -> str:
    return f"/projects/v1/admin/{segment(project_id)}/expose{tail}"


def parse_manifest(text: str) -> Json:
    """The JSON value of a manifest; ValueError or RecursionError when the text is not JSON, or has a key twice."""
    return exact_json.loads_once(text)


def apply(client: Client, project_id: str, manifest: Json) -> Json:
    """POST /projects/v1/admin/{id}/expose with the manifest itself: {status, project_id, applied, dropped}.

    Convergent: items of the last applied manifest that are missing now are dropped. One transaction. An invalid manifest is
    an ApiError 400 with `errors: [{type, severity, detail, fix?}]` in its body.
    """
    auth = client.service_key(project_id)
    content = exact_json.dumps(manifest, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    headers = {"Content-Type": "application/json"}
    context = "applying the expose manifest"
    return client.request("POST", _path(project_id), context=context, auth=auth, content=content, headers=headers)


def get(client: Client, project_id: str) -> Json:
    """GET /projects/v1/admin/{id}/expose -> {status, project_id, source: applied|introspected, manifest}."""
    auth = client.service_key(project_id)
    return client.request("GET", _path(project_id), context="reading the expose manifest", auth=auth)


def validate(
    client: Client, manifest_text: str, *, project_id: str | None = None, migration_sql: str | None = None
) -> dict[str, Json]:
    """Check a manifest, given as JSON text, without applying it.

    Returns {has_errors, errors, warnings}; an issue is {type, severity: error|warning, detail, fix?}. With a project:
    POST /projects/v1/admin/{id}/expose/validate with its service key, against its live schema. Without: POST
    /projects/v1/expose/validate as the caller, against `migration_sql` alone, which is parsed and never run. Findings
    are data, not an error; text that is not JSON is a finding of type schema-shape and sends nothing.
    """
    try:
        manifest = parse_manifest(manifest_text)
    except (ValueError, RecursionError) as exc:
        return _result([_not_json(str(exc))], [])
    body = {"manifest": manifest}
    if migration_sql is not None:
        body["migration_sql"] = migration_sql
    if project_id is None:
        path, auth = "/projects/v1/expose/validate", client.principal()
    else:
        path, auth = _path(project_id, "/validate"), client.service_key(project_id)
    answer = client.request("POST", path, context="validating the expose manifest", auth=auth, body=body)
    return _normalized(answer if isinstance(answer, dict) else {})


def _not_json(reason: str) -> dict[str, str]:
    return {
        "type": "schema-shape",
        "severity": "error",
        "detail": f"The manifest is not JSON: {reason}.",
        "fix": 'Start from {"version":"1","tables":[]}.',
    }


def _normalized(answer: dict[str, Json]) -> dict[str, Json]:
    errors, warnings = (
        [*value] if isinstance(value := answer.get(key), list) else [] for key in ("errors", "warnings")
    )
    for key in ("has_errors", "hasErrors"):
        if isinstance(answer.get(key), bool):
            return {"has_errors": answer[key], "errors": errors, "warnings": warnings}
    return _result(errors, warnings)


def _result(errors: list[Json], warnings: list[Json]) -> dict[str, Json]:
    return {"has_errors": bool(errors), "errors": errors, "warnings": warnings}
