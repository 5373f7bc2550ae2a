"""Secrets of a project: write-only environment variables of its functions. See docs/secrets.md."""

from __future__ import annotations

import re
from typing import Any

from run402_cli.client import Client, segment
from run402_cli.errors import ValidationError

MAX_VALUE_BYTES = 4096
_KEY = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")


def _path(project_id: str, key: str | None = None) -> str:
    path = f"/projects/v1/admin/{segment(project_id)}/secrets"
    return path if key is None else f"{path}/{segment(key)}"


def set_secret(client: Client, project_id: str, key: str, value: str) -> dict[str, Any]:
    """POST /projects/v1/admin/{id}/secrets {key, value} with the service key: {key, project_id, set}.

    Creates or replaces. Raises ValidationError LOCAL_ERROR for a key that is no upper-case variable name or a value of more
    than 4096 bytes of UTF-8; ApiError 403 when the tier allows no further secret. No error repeats the value.
    """
    if not _KEY.fullmatch(key):
        # Not repeated: name and value may have changed places.
        raise ValidationError(
            "That cannot be the name of a secret: use upper-case letters, digits and _, not starting with a digit, "
            "at most 128 characters. Example: API_TOKEN",
            details={"field": "key"},
            reason="BAD_SECRET_NAME",
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValidationError(
            f"The value of {key} is not UTF-8 text. Encode binary material first, for example with base64.",
            details={"field": "value"},
        ) from None
    if size > MAX_VALUE_BYTES:
        raise ValidationError(
            f"The value of {key} has {size} bytes; a secret holds at most {MAX_VALUE_BYTES}. "
            "Store large material as a private asset and keep only its key here.",
            details={"field": "value", "size_bytes": size, "max_bytes": MAX_VALUE_BYTES},
        )
    auth = client.service_key(project_id)
    body = {"key": key, "value": value}
    client.request("POST", _path(project_id), context="setting the secret", auth=auth, body=body)
    return {"key": key, "project_id": project_id, "set": True}


def list_secrets(client: Client, project_id: str) -> dict[str, Any]:
    """GET /projects/v1/admin/{id}/secrets -> {secrets: [{key, created_at?, updated_at?}]}: names and times, nothing else."""
    auth = client.service_key(project_id)
    answer = client.request("GET", _path(project_id), context="listing secrets", auth=auth)
    rows = answer.get("secrets") if isinstance(answer, dict) else answer
    shown = ("key", "created_at", "updated_at")
    return {
        "secrets": [
            {field: row[field] for field in shown if row.get(field) is not None}
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict) and isinstance(row.get("key"), str)
        ]
    }


def delete(client: Client, project_id: str, key: str) -> dict[str, Any]:
    """DELETE /projects/v1/admin/{id}/secrets/{key} with the service key: {key, project_id, deleted}."""
    auth = client.service_key(project_id)
    client.request("DELETE", _path(project_id, key), context="deleting the secret", auth=auth)
    return {"key": key, "project_id": project_id, "deleted": True}
