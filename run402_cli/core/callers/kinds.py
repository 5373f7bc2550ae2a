"""The kinds of credentials that a policy can declare (web/routing.py)."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    NOTHING = "nothing"
    CONTROL_TOKEN = "control token"
    ADMITTED_WALLET = "admitted wallet"
    SERVICE_KEY = "service key"
    ANON_KEY = "anon key"
    USER_TOKEN = "user token"
    CI_SESSION = "CI session"
    WORKFLOW_TOKEN = "workflow token"
    SIGNED_URL = "signed URL"
    TICKET = "ticket"
    PERSON = "person"
