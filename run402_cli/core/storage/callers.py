"""Who calls a route of stored objects."""

from __future__ import annotations

from starlette.requests import Request

from run402_cli.core.callers.kinds import Kind
from run402_cli.core.storage import objects
from run402_cli.core.storage.signing import is_signed, requested_key
from run402_cli.core.web.routing import Policy


def _holder_of_the_url(request: Request) -> None:
    """404 storage_not_found, whatever is wrong with the signature."""
    project_id, key = request.path_params["project_id"], requested_key(request, b"/storage/signed/")
    if not is_signed(request, project_id, key, request.query_params.get("sha256")):
        raise objects.not_found(project_id, key)


SIGNED_URL = Policy(
    "signed URL",
    "has a URL that the gateway signed for this object.",
    frozenset({Kind.SIGNED_URL}),
    alone=_holder_of_the_url,
)
PUBLIC_OR_SIGNED = Policy(
    "public or signed",
    "needs no credential for what is public, and for what is private a URL that the gateway signed.",
    frozenset({Kind.NOTHING, Kind.SIGNED_URL}),
    within="is_signed",
)
