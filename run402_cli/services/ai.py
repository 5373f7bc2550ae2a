"""Translation and moderation for a project. See docs/ai.md."""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client
from run402_cli.services import prices


def translate(
    client: Client, project_id: str, text: str, *, to: str, source: str | None = None, context: str | None = None
) -> dict[str, Any]:
    """POST /ai/v1/translate {text, to, from?, context?} -> {text, from, to}. Signed by the project's service key."""
    body = {"text": text, "to": to, "from": source, "context": context}
    answer = client.request(
        "POST",
        "/ai/v1/translate",
        context="translating",
        auth=client.service_key(project_id),
        body={key: value for key, value in body.items() if value is not None},
        priced=prices.UNPUBLISHED,
    )
    return _only(answer, "text", "from", "to")


def moderate(client: Client, project_id: str, text: str) -> dict[str, Any]:
    """POST /ai/v1/moderate {text} -> {flagged, categories, category_scores}. Signed by the project's service key."""
    auth = client.service_key(project_id)
    answer = client.request("POST", "/ai/v1/moderate", context="moderating", auth=auth, body={"text": text})
    return _only(answer, "flagged", "categories", "category_scores")


def usage(client: Client, project_id: str) -> Any:
    """GET /ai/v1/usage -> {translation: {active, used_words, included_words, remaining_words, billing_cycle_start}}."""
    auth = client.service_key(project_id)
    return client.request("GET", "/ai/v1/usage", context="reading the AI usage", auth=auth)


def _only(answer: Any, *keys: str) -> dict[str, Any]:
    fields = answer if isinstance(answer, dict) else {}
    return {key: fields[key] for key in keys if key in fields}
