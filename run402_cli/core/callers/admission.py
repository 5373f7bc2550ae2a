"""What opens a route of the control plane: the one check of what a policy declares in `opened_by`. See reach.py."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from run402_cli import advice
from run402_cli.core.callers import siwx
from run402_cli.core.callers.auth import holders_of, sent_keys
from run402_cli.core.callers.control_token import opens_everything
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.callers.person import has_pass
from run402_cli.core.callers.reach import Reach
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.local_gateway import CONTROL_HEADER

# In the scope of a request: the binding of a CI session (ci/sessions.py).
CI_SESSION = "run402_ci_binding"


async def reach_of(request: Request, opened_by: frozenset[Kind]) -> Reach:
    """How far the request reaches with what it carries. 401 or 403 when nothing of it opens the route.

    A key counts against its sender too: one that is not alive is refused, and one of a project reaches that project only.
    """
    everything = opens_everything(request) or (Kind.PERSON in opened_by and has_pass(request))
    project_id, service = await _project_of_keys(request)
    wallet = siwx.caller.get()
    binding: Any = request.scope.get(CI_SESSION)
    if binding is not None and Kind.CI_SESSION in opened_by:
        return Reach(project_id=binding.project_id, keyed=True, wallet=wallet)
    if everything or (service and Kind.SERVICE_KEY in opened_by):
        return Reach(everything, project_id, service, wallet)
    if wallet is not None and request.scope.get(siwx.ADMITTED) and Kind.ADMITTED_WALLET in opened_by:
        return Reach(project_id=project_id, wallet=wallet)
    raise _unopened(wallet, project_id, opened_by)


async def _project_of_keys(request: Request) -> tuple[str | None, bool]:
    """(project, whether one of them is the service key) of the keys that were sent. 401 and 403 as holders_of."""
    keys = sent_keys(request)
    if not keys:
        return None, False
    async with gateway_of(request).connection() as conn:
        found = await holders_of(conn, keys)
    return found[0][0].project_id, any(kind == "service" for _, kind in found)


def _unopened(wallet: str | None, project_id: str | None, opened_by: frozenset[Kind]) -> GatewayError:
    if Kind.PERSON in opened_by:
        return GatewayError(
            401,
            "ticket_required",
            "This page is for the user whose gateway this is: `run402 open` prints an address that opens it. For a program: "
            f"the control token in the {CONTROL_HEADER} header.",
            next_actions=[advice.action("run_command", "open")],
        )
    key = ", or with the service key of the project" if Kind.SERVICE_KEY in opened_by else ""
    ways = (
        f"It opens with the control token in the {CONTROL_HEADER} header, which `run402` sends by itself{key}. "
        f"For programs that know neither: `{advice.command('core', 'start', '--open')}`"
    )
    more = {"next_actions": [advice.action("run_command", "core", "start", "--open")]}
    if wallet is not None:
        why = f"The wallet {wallet} is not admitted: one is that signs a request with the control token. "
        return GatewayError(403, "wallet_not_admitted", f"{why}{ways}", **more)
    if project_id is not None:
        return GatewayError(403, "key_not_enough", f"The key of {project_id} does not open this route. {ways}", **more)
    return GatewayError(
        401, "control_token_required", f"This route asks who calls, and nothing was sent. {ways}", **more
    )
