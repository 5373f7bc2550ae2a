"""What a function sees of a signed-in user, and what it does with mail and events."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import httpx
import pytest
from functions_kit import Functions

from run402_cli.core.functions import node
from run402_cli.core.functions.build import LIBRARY, LIBRARY_VERSION

SOURCE = """
import { auth, email, events } from "@run402/functions";
export default async (req) => {
  const user = await auth.user();
  if (req.method === "GET") return Response.json(user);
  const mail = await email.send({ to: user.email, subject: "Booked", html: "<p>Done</p>" });
  const first = await events.emit("booking_created", { user: user.id }, { idempotencyKey: "b-1" });
  const again = await events.emit("booking_created", { user: user.id }, { idempotencyKey: "b-1" });
  const refused = await events.emit("deploy_activated").catch((error) => error.code);
  return Response.json({ mail: mail.status, same: first.id === again.id, again: again.deduplicated, refused });
};
"""


@pytest.fixture
def library() -> None:
    """Skip where npm has neither network nor a copy of the helper library."""
    found = node.find_node().npm
    if found is None:
        pytest.skip("this Node has no npm")
    command = [*found, "view", f"{LIBRARY}@{LIBRARY_VERSION}", "version", "--prefer-offline", "--fetch-retries=0"]
    path = os.pathsep.join((str(node.find_node().path.parent), os.environ.get("PATH", "")))
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        pytest.skip("npm has no network and no copy of the library")


def signed_in(client: httpx.Client, project: dict[str, Any]) -> dict[str, Any]:
    anon = {"apikey": project["anon_key"]}
    body = {"email": "ada@example.com", "password": "correct horse battery"}
    assert client.post("/auth/v1/signup", headers=anon, json=body).status_code == 201
    return dict(client.post("/auth/v1/token", headers=anon, json=body).json())


def test_a_gate_lets_signed_in_users_pass(client: httpx.Client, project: dict[str, Any]) -> None:
    functions = Functions(client, project)
    source = "export default (req) => Response.json(req.headers.get('x-run402-user-id'))"
    routes = {"replace": [{"pattern": "/api", "target": {"type": "function", "name": "api"}}]}
    functions.deploy({"api": source}, settings={"api": {"require_auth": True}}, routes=routes)
    assert functions.get("/api").status_code == 401
    session = signed_in(client, project)
    seen = functions.get("/api", headers={"Authorization": f"Bearer {session['access_token']}"})
    assert seen.json() == session["user"]["id"]


def test_the_library_knows_the_user_sends_mail_and_emits_events(
    library: None, client: httpx.Client, project: dict[str, Any]
) -> None:
    functions = Functions(client, project)
    functions.deploy_routed(SOURCE)
    session = signed_in(client, project)
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    user = functions.get("/api/me", headers=headers).json()
    assert (user["id"], user["email"]) == (session["user"]["id"], "ada@example.com")
    assert (user["emailVerified"], user["amr"]) == (False, ["password"])
    assert functions.get("/api/me").json() is None
    client.post("/mailboxes/v1", headers=functions.service, json={"slug": "news"})
    done = functions.route("POST", "/api/book", headers=headers)
    assert done.json() == {"mail": "sent", "same": True, "again": True, "refused": "RESERVED_EVENT_TYPE"}
    outbox = client.get("/mailboxes/v1/outbox", headers=functions.service).json()["messages"]
    assert [row["subject"] for row in outbox] == ["Booked"]


def test_a_token_whose_session_has_ended_is_nobody(client: httpx.Client, project: dict[str, Any]) -> None:
    functions = Functions(client, project)
    source = "export default (req) => Response.json(req.headers.get('x-run402-user-id'))"
    functions.deploy({"api": source, "open": source}, settings={"api": {"require_auth": True}})
    session = signed_in(client, project)
    headers = {"apikey": project["anon_key"], "Authorization": f"Bearer {session['access_token']}"}
    paths = ("/functions/v1/api", "/functions/v1/open")
    assert [client.post(path, headers=headers).json() for path in paths] == [session["user"]["id"]] * 2
    assert client.post("/auth/v1/logout", headers=headers, json={}).status_code == 200
    refused, unknown = (client.post(path, headers=headers) for path in paths)
    assert (refused.status_code, unknown.json()) == (401, None)
