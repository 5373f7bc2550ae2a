"""Every environment variable that the program reads, once: for `run402 help environment`, `run402 config list` and
docs/environment.md. A test compares the table with the source.
"""

from __future__ import annotations

from typing import NamedTuple


class Variable(NamedTuple):
    """One variable. `secret`: its value is never shown."""

    name: str
    about: str
    secret: bool = False


SECTIONS: dict[str, tuple[Variable, ...]] = {
    "Where things are": (
        Variable("RUN402_CONFIG_DIR", "Directory of wallets, keys and settings. Default: ~/.config/run402."),
        Variable("RUN402_API_BASE", "Gateway address for this run, whatever target.json says."),
        Variable("RUN402_ALLOWANCE_PATH", "Key file of the default wallet."),
        Variable("RUN402_OPERATOR_SESSION_PATH", "File of the operator session."),
        Variable("RUN402_CONTROL_PLANE_SESSION_PATH", "File of the control-plane session."),
        Variable("RUN402_WRITE_AUTH_SESSION_PATH", "File of an approval's write session."),
    ),
    "Who and what": (
        Variable("RUN402_WALLET", "Wallet of this run; --wallet comes first."),
        Variable("RUN402_PROFILE", "Older name of RUN402_WALLET."),
        Variable("RUN402_PROJECT_ID", "Project of this run; --project comes first."),
        Variable("RUN402_ORG", "Organization of rooms, claims and escalations; --org comes first."),
        Variable("RUN402_ROOM", "Room of this run, <org_id>/<room_key>; --room comes first."),
        Variable("RUN402_PRESENCE_ID", "Presence to speak as in rooms."),
        Variable("RUN402_DELEGATE_TOKEN", "Delegate token: sent instead of the wallet's signature.", secret=True),
        Variable("RUN402_ADMIN_COOKIE", "Cookie of a platform admin, for projects costs.", secret=True),
        Variable("RUN402_SERVICE_KEY", "Service key of the project, for `run402 dev` only.", secret=True),
    ),
    "Output and checks": (
        Variable("RUN402_FORMAT", "Default of --format: json, jsonl, text or csv."),
        Variable("RUN402_WALLET_PROVENANCE", "1: say on stderr which wallet was chosen, and why."),
        Variable("RUN402_WALLET_LABEL_SYNC", "0: do not tell the server the wallet's name."),
        Variable("RUN402_NO_UPDATE_CHECK", "1: doctor asks no package index for a newer version."),
        Variable("RUN402_NPM_REGISTRY", "Registry that doctor asks for the release it follows."),
        Variable("RUN402_DEPLOY_SKIP_SCAN", "1: deploy without the check for secrets in site files."),
        Variable("RUN402_MCP_PROFILE", "Set of tools that `run402 mcp` offers."),
        Variable("RUN402_DEBUG", "1: show the traceback of an unexpected failure."),
        Variable("NO_COLOR", "Any value: no colours, on a terminal too."),
    ),
    "Local gateway": (
        Variable("RUN402_CORE_DATA_DIR", "Data directory of the local gateway; --data-dir comes first."),
        Variable("RUN402_CORE_URL", "Gateway that core projects import goes to; --core-url comes first."),
        Variable("CORE_GATEWAY_URL", "Older name of RUN402_CORE_URL."),
        Variable("RUN402_CORE_CI_JWKS", "Address or file of the keys that CI identities are checked with."),
    ),
    "Network": (
        Variable("HTTP_PROXY", "Proxy for http addresses. No proxy is used for this machine itself."),
        Variable("HTTPS_PROXY", "Proxy for https addresses."),
        Variable("ALL_PROXY", "Proxy for what the two above do not name."),
        Variable("NO_PROXY", "Hosts without a proxy: *, host, .suffix, host:port, network/bits; commas between."),
        Variable("SSL_CERT_FILE", "Certificates to trust instead of the built-in ones."),
        Variable("SSL_CERT_DIR", "The same, as a directory."),
    ),
    "Set by CI": (
        Variable("CI", "true: what is checked out is the repository's own; up asks for no confirmation of its files."),
        Variable("GITHUB_ACTIONS", "true: deploys sign in with the workflow's identity when the project is linked."),
        Variable("ACTIONS_ID_TOKEN_REQUEST_URL", "Where the workflow's identity is asked for."),
        Variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "The key for that.", secret=True),
        Variable("GITHUB_TOKEN", "For reading a repository's number in ci link.", secret=True),
        Variable("GH_TOKEN", "The same, where GITHUB_TOKEN is not set.", secret=True),
    ),
}
VARIABLES = {variable.name: variable for rows in SECTIONS.values() for variable in rows}
# Names that our own processes hand to each other; nobody sets them by hand.
INTERNAL = frozenset({"RUN402_ACTIVE_WALLET_JSON", "RUN402_CORE_DATABASE_URL", "RUN402_WORKER_TOKEN"})
_INTRODUCTION = (
    "A flag comes first, then the variable, then the files, then the default.",
    "`run402 config list` shows what is in force and where it comes from.",
    "There is no telemetry.",
)


def text() -> str:
    """What `run402 help environment` prints, at most 80 columns wide."""
    lines = ["Environment variables", "", *_INTRODUCTION]
    for title, variables in SECTIONS.items():
        lines += ["", f"{title}:"]
        for variable in variables:
            lines += [f"  {variable.name}", *_wrapped(variable.about, 76)]
    return "\n".join(lines)


def _wrapped(about: str, width: int) -> list[str]:
    import textwrap

    return [f"    {line}" for line in textwrap.wrap(about, width - 4)]


def page() -> str:
    """docs/environment.md."""
    lines = ["# Environment variables", "", *_INTRODUCTION, ""]
    for title, variables in SECTIONS.items():
        lines += [f"## {title}", "", "| variable | meaning |", "|---|---|"]
        lines += [f"| `{variable.name}` | {variable.about} |" for variable in variables] + [""]
    return "\n".join(lines).rstrip() + "\n"
