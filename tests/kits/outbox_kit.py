"""The mails that a local gateway has kept for a project, and the link in the last one."""

from __future__ import annotations

import re
from typing import Any

import httpx


class Outbox:
    """Of the project that a test calls with `client`."""

    client: httpx.Client
    project: dict[str, Any]

    def mails(self) -> list[dict[str, Any]]:
        answer = self.client.get("/mailboxes/v1/outbox", headers={"apikey": self.project["service_key"]})
        return list(answer.json()["messages"])

    def link(self) -> str:
        found = re.search(r"https?://\S+", self.mails()[0]["body_text"])
        assert found is not None
        return found[0]
