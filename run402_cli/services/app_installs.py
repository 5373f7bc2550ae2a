"""What `up` needs of the gateway for an app manifest only: the record of the installation, mailboxes with their roles.

See docs/up.md, "App manifests".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli.client import Client


def record(client: Client, project_id: str, body: Mapping[str, Any]) -> Any:
    """POST /apply/v1/app-installs {project_id, app_key, status, ...} as the principal -> {id, ...}. Raises ApiError."""
    return client.request(
        "POST",
        "/apply/v1/app-installs",
        context="recording the app's installation",
        auth=client.principal(capability="project.deploy", target={"project_id": project_id}),
        body={"project_id": project_id, **body},
    )


def create_mailbox(client: Client, project_id: str, slug: str) -> None:
    """POST /mailboxes/v1 {slug, project_id} with the service key. Raises ApiError, 409 for an address that is taken.

    Unlike `mailboxes.create` this leaves the key cache alone: an app's mailbox is not the one that a person works with.
    """
    client.request(
        "POST",
        "/mailboxes/v1",
        context=f"creating the mailbox {slug}",
        auth=client.service_key(project_id),
        body={"slug": slug, "project_id": project_id},
    )


def set_mailbox_roles(client: Client, project_id: str, roles: Mapping[str, str]) -> None:
    """PATCH /mailboxes/v1/settings {default_outbound_mailbox_id?, auth_sender_mailbox_id?} with the service key."""
    client.request(
        "PATCH",
        "/mailboxes/v1/settings",
        context="setting the mailbox roles",
        auth=client.service_key(project_id),
        body=dict(roles),
    )
