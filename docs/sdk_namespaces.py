"""The namespaces of the Python API and the functions that are their methods: a table for docs/generate_sdk.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Source:
    """Functions of one module. `only` or `omit` choose; `plain` adds functions that take no client; `rename` renames."""

    module: str
    only: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)


def _service(name: str, *, lister: str | None = None, **choice: object) -> Source:
    """A service module; `lister` becomes `list`, the word that the command has."""
    rename = {**({lister: "list"} if lister else {}), **dict(choice.pop("rename", {}))}  # type: ignore[call-overload]
    return Source(f"services.{name}", rename=rename, **choice)  # type: ignore[arg-type]


# Namespace: what it is for, and where its methods come from.
NAMESPACES: dict[str, tuple[str, tuple[Source, ...]]] = {
    # Calls of `r` itself: `r.up()`, `r.pay(url)`.
    "": (
        "Calls that belong to no group.",
        (
            Source("sdk._releases", only=("up",)),
            _service("status", only=("status",)),
            _service("doctor", rename={"report": "doctor"}),
            _service("pay"),
        ),
    ),
    "admin": ("What platform administrators may do to projects and organizations.", (_service("admin"),)),
    "agent": ("The contact record of the wallet, and messages to the developers of Run402.", (_service("agent"),)),
    "ai": ("Translation and moderation for a project.", (_service("ai"),)),
    "allowance": (
        "The wallet's money: balance, limits, ledger, promo codes.",
        (
            _service(
                "allowance",
                omit=("require", "create", "update", "mark_funded", "credit"),
                rename={"create_bare": "create"},
            ),
        ),
    ),
    "apps": ("Published apps: browse, fork, publish.", (_service("apps"),)),
    "archives": (
        "Portable archives of a project.",
        (
            _service("archives", omit=("download",)),
            _service("archive_import", only=("import_archive",)),
            Source(
                "sdk._files",
                only=("verify_archive", "inspect_archive"),
                plain=("verify_archive", "inspect_archive"),
                rename={"verify_archive": "verify", "inspect_archive": "inspect"},
            ),
        ),
    ),
    "assets": ("Files in content-addressed storage.", (_service("assets"), Source("sdk._files", only=("put", "get")))),
    "auth": (
        "Users of the project's own application.",
        (_service("auth", plain=("scaffold_roles",), rename={"list_passkeys": "passkeys"}),),
    ),
    "billing": ("Balance, ledger and card checkouts of an organization.", (_service("billing"),)),
    "branches": ("Copies of a project to try things on.", (_service("branches", lister="list_branches"),)),
    "cache": ("The origin cache of server-rendered pages.", (_service("cache"),)),
    "cdn": ("Freshness of public asset URLs.", (_service("cdn"),)),
    "ci": (
        "GitHub Actions workflows that deploy without a secret.",
        (_service("ci", lister="list_bindings", omit=("signed", "create_binding")),),
    ),
    "claims": ("Advisory claims on what a session is working on.", (_service("claims", lister="list_claims"),)),
    "contracts": ("Ethereum signers in a KMS, and calls through them.", (_service("contracts"),)),
    "credentials": (
        "Project credentials on the gateway, and the project keys cached here.",
        (_service("credentials", lister="list_credentials"),),
    ),
    "delegates": (
        "Scoped, revocable tokens for agents.",
        (_service("delegates", lister="list_delegates", plain=("default_scope",)),),
    ),
    "deploy": (
        "Releases: apply, plan, rehearse, promote, and what happened.",
        (
            Source("sdk._releases", only=("apply", "plan", "rehearse", "resume", "diagnose")),
            _service(
                "apply",
                only=(
                    *("operation", "operation_events", "operations", "edge_coherence", "promote", "release"),
                    *("release_active", "release_diff", "resolve"),
                ),
                rename={"operation_events": "events", "operations": "list"},
            ),
        ),
    ),
    "domains": ("Own domains for the web and e-mail of a project.", (_service("domains", lister="list_domains"),)),
    "email": (
        "A project's mailboxes and their messages.",
        (
            _service("email", lister="list_messages", plain=("message", "attachment")),
            _service(
                "email_mailboxes",
                omit=("find", "outbound"),
                rename={"list_mailboxes": "mailboxes", "set_footer_policy": "update", "set_defaults": "defaults"},
            ),
        ),
    ),
    "email_webhooks": ("Webhooks of a mailbox.", (_service("email_webhooks", lister="list_webhooks"),)),
    "errors": ("Errors of functions by identity.", (_service("errors"),)),
    "escalations": ("Page the humans of an organization.", (_service("escalations", lister="list_escalations"),)),
    "events": ("What happened to a project or an organization.", (_service("events"),)),
    "function_runs": ("Durable runs of functions.", (_service("function_runs", lister="list_runs"),)),
    "functions": (
        "Deploy, call and inspect serverless functions.",
        (
            Source("sdk._releases", only=("deploy_function",), rename={"deploy_function": "deploy"}),
            _service("functions", lister="list_functions", omit=("deployed",)),
        ),
    ),
    "grants": ("Single capabilities on a project for wallets that are no members.", (_service("grants"),)),
    "identity": ("Public links between the wallet and a Nostr key.", (_service("identity", lister="list_links"),)),
    "image": ("AI image generation, paid per call.", (_service("image", plain=("save",)),)),
    "jobs": ("Platform-managed jobs.", (_service("jobs"),)),
    "logs": ("Log entries of one request, across functions.", (_service("logs"),)),
    "notifications": ("What operators are told.", (_service("notifications", lister="list_notifications"),)),
    "operator": (
        "The human behind the wallets.",
        (_service("operator", plain=("whoami", "status")),),
    ),
    "org": ("Organizations, members, invites, audit.", (_service("org", lister="list_orgs"),)),
    "projects": (
        "Projects: provision, SQL, REST, usage, members' roles.",
        (
            _service("projects", lister="list_projects", omit=("sql_rows", "rest_rows")),
            _service("expose", rename={"apply": "apply_expose", "get": "get_expose", "validate": "validate_expose"}),
        ),
    ),
    "rooms": (
        "Who works on the same project, and messages between them.",
        (_service("rooms", lister="list_messages", omit=("register", "with_presence")),),
    ),
    "secrets": (
        "Write-only environment variables of functions.",
        (_service("secrets", lister="list_secrets", rename={"set_secret": "set"}),),
    ),
    "service": ("Public health of the gateway.", (_service("service"),)),
    "sites": ("Static sites.", (Source("sdk._releases", only=("deploy_dir",)),)),
    "snapshots": ("Snapshots of a project's data.", (_service("snapshots", lister="list_snapshots"),)),
    "subdomains": ("Names below run402.com.", (_service("subdomains", lister="list_subdomains"),)),
    "tier": (
        "The plan that the wallet's organization pays for.",
        (_service("tier", omit=("subscribe",), rename={"set_tier": "set"}),),
    ),
    "transfer": ("Hand a project over.", (_service("transfer", lister="list_transfers"),)),
    "wallets": (
        "Named local wallets.",
        (
            _service(
                "wallets",
                lister="list_wallets",
                omit=("set_label",),
                plain=("list_wallets", "new", "adopt", "use", "rename", "remove", "unbind"),
                rename={"current_wallet": "current"},
            ),
        ),
    ),
}
# Modules that serve other modules or one command alone.
INTERNAL = {
    *("app_installs", "approvals", "ci_session", "ci_workflow", "config", "console", "content", "deploy_errors", "dev"),
    *(
        "docs",
        "download",
        "exposure",
        "github",
        "installation",
        "instants",
        "output_file",
        "prices",
        "setup",
        "sites",
        "skill",
        "target",
        "terminal",
    ),
    "update_check",
}
# Functions whose project_id means something else than the project that the call is about.
FILTERS = {("services.notifications", "add_rule")}
