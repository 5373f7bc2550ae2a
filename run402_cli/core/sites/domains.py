"""Custom domains: none on this machine, said so with what works instead. See docs/local-gateway.md."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from run402_cli import advice
from run402_cli.core.callers.policies import OWNER
from run402_cli.core.errors import GatewayError, run_command
from run402_cli.core.projects.rows import Project
from run402_cli.core.web.http import reply
from run402_cli.core.web.routing import Route, admitted


async def list_domains(request: Request) -> Response:
    """GET /projects/v1/{project_id}/domains: {domains: []}."""
    return reply({"domains": []})


async def get_domain(request: Request) -> Response:
    """GET or DELETE /projects/v1/{project_id}/domains/{domain}: 404 domain_not_found."""
    project = admitted(request, Project)
    raise GatewayError(
        404,
        "domain_not_found",
        f"Project {project.project_id} has no domain {request.path_params['domain']}: a local gateway has none. "
        "`run402 subdomains list` prints the names that it serves.",
        next_actions=[run_command("subdomains", "list", "--project", project.project_id)],
    )


async def refuse_domain(request: Request) -> Response:
    """POST /projects/v1/{project_id}/domains/{domain}[/actions/{action}]: 422 unsupported_capability."""
    project = admitted(request, Project)
    domain: str = request.path_params["domain"]
    name = domain.partition(".")[0].lower()
    command = advice.command("subdomains", "claim", name, "--project", project.project_id)
    raise GatewayError(
        422,
        "unsupported_capability",
        f"{domain} cannot be connected: a local gateway answers only on this machine. `{command}` serves the site at "
        f"http://{name}.localhost; connect the domain to a cloud project.",
        capability="domains.custom",
        code="UNSUPPORTED_CAPABILITY",
        resource="domain",
        retryable=False,
        next_actions=[advice.entry("run_command", command)],
    )


_PATH = "/projects/v1/{project_id}/domains"
ROUTES = [
    Route(_PATH, list_domains, methods=["GET"], who=OWNER),
    Route(_PATH + "/{domain}", get_domain, methods=["GET", "DELETE"], who=OWNER),
    Route(_PATH + "/{domain}", refuse_domain, methods=["POST"], who=OWNER),
    Route(_PATH + "/{domain}/actions/{action}", refuse_domain, methods=["POST"], who=OWNER),
]
