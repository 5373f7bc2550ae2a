"""docs/reference/gateway-routes.md: every route of the local gateway, from the values that the application is made of."""

from __future__ import annotations

from pathlib import Path

from run402_cli.core.app import ROUTES
from run402_cli.core.web.routing import Policy, Route

PAGE = Path(__file__).resolve().parent / "reference" / "gateway-routes.md"
HEAD = """# Routes of the local gateway

What a program can call at the gateway's address, in the order in which addresses are compared; the first that fits answers.
"Who" is the policy of the route (below); `callers/guard.py` turns pages of the web away from all but public ones before that.
The routes themselves are explained in [Local gateway](../local-gateway.md).

"""


def pages() -> dict[Path, str]:
    """The page and its content."""
    routes = [route for route in ROUTES if isinstance(route, Route)]
    policies: dict[str, Policy] = {}
    for route in routes:
        policies.setdefault(f"{route.who.name}: {route.who.says}", route.who)
    lines = ["| who | whoever calls it ... |", "|---|---|"]
    lines += [f"| {who.name} | {who.says} |" for _, who in sorted(policies.items())]
    lines += ["", "| method | path | who |", "|---|---|---|"]
    lines += [f"| {_methods(route)} | `{route.path}` | {route.who.name} |" for route in routes]
    return {PAGE: HEAD + "\n".join(lines) + "\n"}


def _methods(route: Route) -> str:
    methods = sorted((route.methods or set()) - {"HEAD"})
    return "any" if len(methods) > 4 else ", ".join(methods)
