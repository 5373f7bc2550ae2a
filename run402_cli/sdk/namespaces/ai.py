"""Translation and moderation for a project.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import ai as _ai

if TYPE_CHECKING:
    from typing import Any


class Ai(Namespace[Id]):
    """Translation and moderation for a project. `project.ai` fills in `project_id`."""

    @of_project
    def translate(
        self, project_id: str, text: str, *, to: str, source: str | None = None, context: str | None = None
    ) -> dict[str, Any]:
        """Translate a text.

        POST /ai/v1/translate {text, to, from?, context?} -> {text, from, to}. Signed by the project's service key.
        """
        return self._call(_ai.translate, project_id, text, to=to, source=source, context=context)

    @of_project
    def moderate(self, project_id: str, text: str) -> dict[str, Any]:
        """Check a text against the moderation categories.

        POST /ai/v1/moderate {text} -> {flagged, categories, category_scores}. Signed by the project's service key.
        """
        return self._call(_ai.moderate, project_id, text)

    @of_project
    def usage(self, project_id: str) -> Any:
        """Translation quota of the billing cycle.

        GET /ai/v1/usage -> {translation: {active, used_words, included_words, remaining_words, billing_cycle_start}}.
        """
        return self._call(_ai.usage, project_id)
