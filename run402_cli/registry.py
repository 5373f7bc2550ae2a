"""The static command table: what exists, in one line each, without importing any command module.

Help, suggestions and dispatch work from here. The order of GROUPS is the order in which suggestions are tried. A test
checks that this table and the command modules say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NONE: Mapping[str, str] = MappingProxyType({})


class Group(NamedTuple):
    """A top-level word. `commands` maps subcommand paths to summaries; empty for a command without subcommands."""

    module: str
    summary: str
    commands: Mapping[str, str] = _NONE
    needs_wallet: bool = True  # a selected, named wallet must exist before the command runs
    aliases: Mapping[str, str] = _NONE  # accepted, not listed: old or second spellings
    words: Mapping[str, str] = (
        _NONE  # subcommands of a command that also runs without one, and takes any other first word
    )


GROUPS: dict[str, Group] = {
    "up": Group(
        "up",
        "Make the project ready, deploy the directory, check it: one command.",
        words={"verify": "Run the manifest's HTTP checks again without deploying."},
    ),
    "init": Group("init", "Set up this wallet, or point it at a gateway: init --api-base URL.", needs_wallet=False),
    "status": Group("status", "Wallet, tier, projects, active project and API target in one document."),
    "wallets": Group(
        "wallets",
        "Named local wallets, each with its own key, key cache and active project.",
        {
            "list": "List all local wallets.",
            "current": "Show the resolved wallet and why it was chosen.",
            "new": "Create a wallet with a fresh key.",
            "use": "Set the default wallet.",
            "rename": "Rename a wallet.",
            "bind": "Bind the current directory to a wallet.",
            "unbind": "Remove ./.run402.json.",
            "import": "Adopt an existing private key from a file or stdin.",
            "rm": "Delete a wallet with its key and caches.",
        },
        needs_wallet=False,
    ),
    "credentials": Group(
        "credentials",
        "Project credentials on the gateway, and the local cache of project keys.",
        {
            "issue": "Mint a named credential; its secret is shown once.",
            "list": "List credentials, metadata only.",
            "status": "Whether the project still depends on its derived keys.",
            "rotate": "Replace a credential, keeping its name.",
            "revoke": "Revoke a credential now.",
            "token": "Mint a short-lived project token.",
            "project-keys list": "List cached keys, redacted.",
            "project-keys status": "One cached entry, redacted.",
            "project-keys import": "Write a key into the cache from stdin or an environment variable.",
            "project-keys export": "Print cached keys in clear.",
            "project-keys remove": "Delete a cached entry.",
        },
    ),
    "projects": Group(
        "projects",
        "Provision, select, query, expose, rename and delete projects.",
        {
            "quote": "Tier prices and limits.",
            "provision": "Create a project, cache its keys, make it active.",
            "use": "Make a project the active one.",
            "list": "List projects on the server.",
            "get": "Read one project.",
            "current": "The active project, checked on the server.",
            "rename": "Change a project's display name.",
            "tenant-payments": "Payments received on priced routes.",
            "sql": "Run SQL with the service key.",
            "rest": "Read or write a table through REST.",
            "usage": "API calls and storage against the limits.",
            "costs": "Revenue and cost of a project (platform admins).",
            "schema": "Tables, columns, constraints and policies.",
            "apply-expose": "Apply an expose manifest.",
            "validate-expose": "Check an expose manifest without applying it.",
            "get-expose": "The expose manifest in force.",
            "promote-user": "Give a user the project_admin role.",
            "demote-user": "Take the project_admin role away.",
            "delete": "Delete a project and everything in it.",
            "export": "Export a project as a portable archive.",
        },
        aliases={"info": "info", "keys": "keys", "pin": "pin"},
    ),
    "core": Group(
        "core",
        "The embedded local gateway: start, stop, status, logs, reset.",
        {
            "start": "Start the local gateway and wait until it is healthy.",
            "stop": "Stop the local gateway.",
            "status": "Whether the local gateway runs, and where.",
            "logs": "The last lines of the gateway log.",
            "reset": "Stop the gateway and delete all of its data.",
        },
        needs_wallet=False,
    ),
    "deploy": Group(
        "deploy",
        "Plan, upload and commit a release from a manifest; follow and resume it.",
        {
            "apply": "Deploy a manifest.",
            "resume": "Continue a deploy operation that stopped.",
            "rehearse": "Try a stored plan on a contained branch.",
            "list": "List deploy operations.",
            "events": "Recorded events of an operation.",
            "verify": "Whether gateway and edge agree on a release.",
            "promote": "Make an earlier release live again.",
            "release get": "What a release holds.",
            "release active": "What the live release holds.",
            "release diff": "What changed between two releases.",
            "diagnose": "How the live release answers a URL.",
            "resolve": "The same, by URL or by host and path.",
        },
    ),
    "sites": Group(
        "sites",
        "Deploy a static site only.",
        {
            "deploy": "Deploy files listed in a JSON manifest.",
            "deploy-dir": "Deploy a directory as the whole site.",
        },
    ),
    "service": Group(
        "service",
        "Public health of the gateway.",
        {"status": "Availability report.", "health": "Liveness with per-dependency checks."},
    ),
    "apply": Group("deploy", "The same as deploy apply."),
}
