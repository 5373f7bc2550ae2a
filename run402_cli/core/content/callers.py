"""Who sends the bytes of an upload."""

from __future__ import annotations

import hmac
import time

from starlette.requests import Request

from run402_cli.core.callers.kinds import Kind
from run402_cli.core.content.signing import signature
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.web.instants import epoch
from run402_cli.core.web.routing import Policy


def _check_signature(request: Request) -> None:
    gateway, upload_id, part = gateway_of(request), request.path_params["upload_id"], request.path_params["part"]
    expires = epoch(request.query_params.getlist("expires"))
    given = request.query_params.get("signature", "")
    if expires is None or not hmac.compare_digest(
        given.encode(), signature(gateway.settings.signed_read_secret, upload_id, part, expires).encode()
    ):
        raise GatewayError(
            403,
            "upload_url_invalid",
            "This upload URL was not made by this gateway. Use the URLs of a new content plan unchanged.",
        )
    if expires < time.time():
        raise GatewayError(403, "upload_url_expired", "This upload URL has expired. Make a new content plan.")


SIGNED_URL = Policy(
    "signed upload URL",
    "has a URL that this gateway signed for one upload, for six hours.",
    frozenset({Kind.SIGNED_URL}),
    alone=_check_signature,
)
