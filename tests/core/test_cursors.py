"""A cursor that names nothing is refused: an empty page would look like the end of the list."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("/projects/v1/{project}/snapshots", "after"),
        ("/mailboxes/v1/{mailbox}/messages", "after"),
        ("/mailboxes/v1/{mailbox}/webhooks/deliveries", "after"),
        ("/apply/v1/operations", "cursor"),
    ],
)
def test_an_unknown_cursor_is_refused_and_says_how_to_go_on(
    client: httpx.Client, project: dict[str, Any], service: dict[str, str], path: str, cursor: str
) -> None:
    made = client.post("/mailboxes/v1", json={"slug": "box"}, headers=service)
    assert made.status_code == 201, made.text
    path = path.format(project=project["project_id"], mailbox=made.json()["mailbox_id"])
    key = {**service, "apikey": project["anon_key"]}
    first = client.get(path, headers=key)
    assert first.status_code == 200, first.text
    refused = client.get(path, params={cursor: "nope_1"}, headers=key)
    body = refused.json()
    assert (refused.status_code, body["field"]) == (400, cursor)
    assert "without it" in body["message"]
    assert body["hint"]
