"""Tool profiles: servers that offer some of the tools only. Chosen with RUN402_MCP_PROFILE; see docs/how-to/mcp.md."""

from __future__ import annotations

from collections.abc import Mapping

from run402_cli.errors import EnvironmentFault
from run402_cli.mcp._tool import Tool

VARIABLE = "RUN402_MCP_PROFILE"
PROFILES: Mapping[str, tuple[str, ...]] = {
    "buyer": (
        *("generate_image", "init", "allowance_status", "allowance_export", "check_balance", "request_faucet"),
        "redeem_voucher",
    ),
}


def chosen(tools: Mapping[str, Tool], name: str | None) -> dict[str, Tool]:
    """The tools of a profile, or all of them without one. EnvironmentFault for a name or a tool that does not exist."""
    if not name:
        return dict(tools)
    if name not in PROFILES:
        raise EnvironmentFault(
            f"{VARIABLE}: there is no tool profile {name!r}.",
            hint=f"Known profiles: {', '.join(PROFILES)}. Unset it to offer every tool.",
            details={"profile": name, "known_profiles": list(PROFILES)},
        )
    missing = [tool for tool in PROFILES[name] if tool not in tools]
    if missing:
        raise EnvironmentFault(
            f"The tool profile {name!r} names tools that do not exist: {', '.join(missing)}.",
            hint="This is a defect of run402; unset the profile to go on.",
            details={"profile": name, "missing": missing},
        )
    return {tool: tools[tool] for tool in PROFILES[name]}
