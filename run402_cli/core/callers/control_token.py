"""The control token of the data directory: whoever can read the file that holds it is the gateway's user."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.local_gateway import CONTROL_HEADER

# In the scope of a request: a page sent it, which a key let pass (guard.py).
FROM_PAGE = "run402.page"


def holds_token(request: Request) -> bool:
    """Whether the request carries the control token. 401 control_token_invalid for another one."""
    given = request.headers.get(CONTROL_HEADER)
    if given is None:
        return False
    expected = gateway_of(request).settings.control_token
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise GatewayError(
            401,
            "control_token_invalid",
            f"The {CONTROL_HEADER} header is not the control token of this gateway. Each data directory has its own: "
            "`control_token` in its gateway.json.",
        )
    return True


def opens_everything(request: Request) -> bool:
    """The token, or a gateway that was started with --open; neither is meant for a page."""
    if request.scope.get(FROM_PAGE):
        return False
    return holds_token(request) or gateway_of(request).settings.open
