"""The static table: what exists, in one line each, without importing any command module.

Help, suggestions and dispatch work from here. The groups are written here; their commands are what the command modules
declare, which `make docs` writes into command_table.py. The order of GROUPS is the order in which suggestions are tried.
"""

from __future__ import annotations

from types import MappingProxyType

from run402_cli.command_table import COMMANDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NONE: Mapping[str, str] = MappingProxyType({})


class Group:
    """A top-level word. `commands` maps subcommand paths to summaries; empty for a command without subcommands.

    Neither dataclass nor NamedTuple: root help must not pay for those imports.
    """

    def __init__(
        self,
        module: str,
        summary: str,
        *,
        needs_wallet: bool = True,  # a selected, named wallet must exist before the command runs
        bare_help: bool = True,  # without a subcommand the group's help is shown; else that is an error
        aliases: Mapping[str, str] = _NONE,  # accepted, not listed: old or second spellings
    ) -> None:
        self.module = module
        self.summary = summary
        self.needs_wallet = needs_wallet
        self.bare_help = bare_help
        self.aliases = aliases
        self.commands: dict[str, str] = {}
        # subcommands of a command that also runs without one, and takes any other first word
        self.words: dict[str, str] = {}


GROUPS: dict[str, Group] = {
    "identity": Group("identity", "Public links between this wallet and a Nostr key.", bare_help=False),
    "up": Group("up", "Make the project ready, deploy the directory, check it."),
    "init": Group("init", "Set up this wallet, or point it at a gateway.", needs_wallet=False),
    "pay": Group("pay", "Call any URL and pay what it asks, within a ceiling."),
    "status": Group("status", "Wallet, tier, projects, active project and target."),
    "redeem": Group("redeem", "Credit the organization with a promo code."),
    "wallets": Group("wallets", "Named local wallets, each with a key and an active project.", needs_wallet=False),
    "config": Group("config", "The settings in force and where each comes from.", needs_wallet=False),
    "credentials": Group("credentials", "Project credentials, and the local cache of keys."),
    "allowance": Group("allowance", "The wallet's key, funds, spending limits and payments."),
    "tier": Group("tier", "The organization's tier subscription."),
    "projects": Group(
        "projects",
        "Provision, select, query, expose, rename and delete projects.",
        aliases={"info": "info", "keys": "keys", "pin": "pin"},
    ),
    "snapshots": Group("snapshots", "Restore points of a project's database."),
    "branches": Group("branches", "Contained copies of a project with their own data."),
    "admin": Group("admin", "Operations of platform admins."),
    "core": Group(
        "core",
        "The embedded local gateway: start, stop, status, logs, reset.",
        needs_wallet=False,
        bare_help=False,
        aliases={"projects apply": "projects import"},
    ),
    "cloud": Group("cloud", "Take a project along: portable archives of it.", bare_help=False),
    "archives": Group(
        "archives", "Verify and look into portable archives, offline.", needs_wallet=False, bare_help=False
    ),
    "deploy": Group("deploy", "Plan, upload and commit a release; follow and resume it."),
    "events": Group("events", "What happened, as a feed with a cursor."),
    "rooms": Group("rooms", "Who works on the same project, and messages between them."),
    "escalations": Group("escalations", "Page the humans of the organization and wait for one."),
    "claims": Group("claims", "Advisory claims on what a session is working on."),
    "errors": Group("errors", "Errors of functions by identity, and a gate for releases."),
    "jobs": Group("jobs", "Platform-managed jobs and the files that they make."),
    "functions": Group("functions", "Deploy, call, inspect and run serverless functions.", aliases={"runs": "runs"}),
    "secrets": Group("secrets", "Write-only environment variables of the project's functions."),
    "ci": Group("ci", "GitHub Actions workflows that deploy without a secret."),
    "transfer": Group("transfer", "Hand a project over."),
    "org": Group(
        "org",
        "Organizations, members, invites, audit.",
        aliases={
            **{word: word for word in ("member", "members", "invite", "invites")},
            **{f"members {action}": f"member {action}" for action in ("list", "add", "role", "rm")},
            **{f"invites {action}": f"invite {action}" for action in ("list", "create", "rm")},
        },
    ),
    "grants": Group("grants", "Single capabilities for wallets that are no members."),
    "delegates": Group("delegates", "Scoped, revocable tokens for agents."),
    "cdn": Group("cdn", "Freshness of public asset URLs."),
    "assets": Group("assets", "Files in content-addressed storage, public or private."),
    "sites": Group("sites", "Deploy a static site only."),
    "subdomains": Group("subdomains", "Claim, list and release NAME.run402.com."),
    "domains": Group("domains", "Own domains for the web and e-mail of a project."),
    "apps": Group("apps", "Browse, fork and publish apps."),
    "ai": Group("ai", "Translation and moderation for a project."),
    "image": Group("image", "AI image generation, paid per call."),
    "email": Group("email", "Mailboxes, messages and e-mail webhooks of a project.", aliases={"status": "info"}),
    "message": Group("message", "Write to the developers of Run402."),
    "agent": Group("agent", "The contact record of this wallet."),
    "operator": Group(
        "operator", "The human behind the wallets: sign-in, overview, approvals.", aliases={"write-auth": "approve"}
    ),
    "auth": Group("auth", "Users of the app: sign-in, passwords, passkeys, settings."),
    "billing": Group("billing", "Balance, ledger and card checkouts of an organization."),
    "contracts": Group("contracts", "Ethereum signers in a KMS, and contract calls."),
    "service": Group("service", "Public health of the gateway."),
    "cache": Group("cache", "The origin cache of server-rendered pages."),
    "doctor": Group("doctor", "Health and configuration checks in one report.", needs_wallet=False),
    "notifications": Group(
        "notifications",
        "What operators are told: preferences, channels, rules.",
        aliases={word: word for word in ("channels", "rules")},
    ),
    "webhook-secret": Group("webhook_secret", "The secret that signs the operator webhook."),
    "logs": Group("logs", "Log entries of one request, across functions."),
    "apply": Group("deploy", "The same as deploy apply."),
    "open": Group("open", "The console of the local gateway, in a browser.", needs_wallet=False),
    "dev": Group("dev", "The Astro development server with the project's credentials."),
    "skill": Group("skill", "Teach coding agents to use run402.", needs_wallet=False),
    "mcp": Group("mcp", "Serve tools to agents over stdin and stdout (MCP).", needs_wallet=False),
    "docs": Group("docs", "Print the documentation that came with this program.", needs_wallet=False),
    "completion": Group("completion", "Print the completion script of bash, zsh or fish.", needs_wallet=False),
    "schema": Group("schema", "Commands, options, codes and output schemas as data.", needs_wallet=False),
}

for _name, _group in GROUPS.items():
    _rows = COMMANDS.get(_name, {})
    _known = _group.words if "" in _rows else _group.commands
    _known.update({path: row[-1] for path, row in _rows.items() if path})
