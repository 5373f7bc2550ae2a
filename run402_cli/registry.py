"""The static command table: what exists, in one line each, without importing any command module.

Help, suggestions and dispatch work from here. The order of GROUPS is the order in which suggestions are tried. A test
checks that this table and the command modules say the same.
"""

from __future__ import annotations

from types import MappingProxyType

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
        commands: Mapping[str, str] = _NONE,
        *,
        needs_wallet: bool = True,  # a selected, named wallet must exist before the command runs
        bare_help: bool = True,  # without a subcommand the group's help is shown; else that is an error
        aliases: Mapping[str, str] = _NONE,  # accepted, not listed: old or second spellings
        # subcommands of a command that also runs without one, and takes any other first word
        words: Mapping[str, str] = _NONE,
    ) -> None:
        self.module = module
        self.summary = summary
        self.commands = commands
        self.needs_wallet = needs_wallet
        self.bare_help = bare_help
        self.aliases = aliases
        self.words = words


GROUPS: dict[str, Group] = {
    "identity": Group(
        "identity",
        "Public links between this wallet and a Nostr key.",
        {
            "link nostr begin": "Sign a challenge and print the text to publish.",
            "link nostr complete": "Send the signed public event.",
            "link list": "List your links.",
            "link show": "The public proof of a link.",
            "link revoke": "Revoke a link.",
        },
        bare_help=False,
    ),
    "up": Group(
        "up",
        "Make the project ready, deploy the directory, check it.",
        words={"verify": "Run the manifest's HTTP checks again without deploying."},
    ),
    "init": Group("init", "Set up this wallet, or point it at a gateway.", needs_wallet=False),
    "pay": Group("pay", "Call any URL and pay what it asks, within a ceiling."),
    "status": Group("status", "Wallet, tier, projects, active project and target."),
    "redeem": Group("redeem", "Credit the organization with a promo code."),
    "wallets": Group(
        "wallets",
        "Named local wallets, each with a key and an active project.",
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
    "config": Group(
        "config",
        "The settings in force and where each comes from.",
        {"list": "Every setting: value, source, and what changes it."},
        needs_wallet=False,
    ),
    "credentials": Group(
        "credentials",
        "Project credentials, and the local cache of keys.",
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
    "allowance": Group(
        "allowance",
        "The wallet's key, funds, spending limits and payments.",
        {
            "status": "Show the local wallet.",
            "create": "Generate a key pair.",
            "fund": "Ask the faucet for test funds.",
            "balance": "Balances on the chains, and prepaid credit.",
            "export": "Print the address.",
            "checkout": "Top up the prepaid balance by card.",
            "history": "Ledger entries of the wallet's organization.",
            "limits set": "Limit what the wallet pays per payment and per day.",
            "limits get": "The limits in force.",
            "limits clear": "Remove the limits.",
            "ledger": "Every attempt of this wallet to pay.",
        },
    ),
    "tier": Group(
        "tier",
        "The organization's tier subscription.",
        {"status": "Tier, lease, limits and pooled usage.", "set": "Subscribe, renew or upgrade; the wallet pays."},
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
    "snapshots": Group(
        "snapshots",
        "Restore points of a project's database.",
        {
            "create": "Create a snapshot.",
            "list": "List snapshots.",
            "get": "Show one snapshot.",
            "restore": "Plan a restore, then carry it out with the plan's token.",
            "delete": "Delete a snapshot.",
        },
    ),
    "branches": Group(
        "branches",
        "Contained copies of a project with their own data.",
        {
            "create": "Create a branch and cache its keys.",
            "list": "List the branches of a project.",
            "renew": "Keep a branch longer.",
            "delete": "Delete a branch with its data.",
        },
    ),
    "admin": Group(
        "admin",
        "Operations of platform admins.",
        {
            "lease-perpetual": "Pin or unpin the lease of an organization.",
            "archive": "Archive a project.",
            "reactivate": "Bring an archived project back.",
        },
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
            "projects import": "Import a portable archive as a new project.",
        },
        needs_wallet=False,
        bare_help=False,
        aliases={"projects apply": "projects import"},
    ),
    "cloud": Group(
        "cloud",
        "Take a project along: portable archives of it.",
        {
            "archives create": "Export a project.",
            "archives status": "Show one archive.",
            "archives download": "Save a ready archive.",
        },
        bare_help=False,
    ),
    "archives": Group(
        "archives",
        "Verify and look into portable archives, offline.",
        {"verify": "Whether an archive is whole and safe.", "inspect": "What an archive holds."},
        needs_wallet=False,
        bare_help=False,
    ),
    "deploy": Group(
        "deploy",
        "Plan, upload and commit a release; follow and resume it.",
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
    "events": Group("events", "What happened, as a feed with a cursor."),
    "rooms": Group(
        "rooms",
        "Who works on the same project, and messages between them.",
        {
            "who": "Enter the room and list who is there.",
            "send": "Post a message to the room.",
            "list": "Read messages from where this directory stopped.",
            "get": "Show one message with its whole body.",
            "ack": "Acknowledge a message.",
        },
    ),
    "escalations": Group(
        "escalations",
        "Page the humans of the organization and wait for one.",
        {
            "raise": "Page a human.",
            "list": "List escalations.",
            "get": "Show one escalation.",
            "ack": "Take an escalation over.",
            "resolve": "Close an escalation.",
            "contacts list": "Who is paged.",
            "contacts add": "Add somebody to page.",
            "contacts remove": "Remove somebody.",
        },
    ),
    "claims": Group(
        "claims",
        "Advisory claims on what a session is working on.",
        {"create": "Declare a claim.", "list": "List the claims in the room.", "release": "Release a claim."},
    ),
    "errors": Group("errors", "Errors of functions by identity, and a gate for releases."),
    "jobs": Group(
        "jobs",
        "Platform-managed jobs and the files that they make.",
        {
            "submit": "Submit a job.",
            "get": "Show one job.",
            "logs": "What the job's runner wrote.",
            "cancel": "Cancel a queued or running job.",
            "purge": "Delete every job record of the project.",
            "artifacts get": "Save one output file of a completed job.",
        },
    ),
    "functions": Group(
        "functions",
        "Deploy, call, inspect and run serverless functions.",
        {
            "deploy": "Add or replace one function.",
            "invoke": "Call a function.",
            "logs": "Recent log entries, or follow them.",
            "runs create": "Create a durable run.",
            "runs list": "List the runs of a function.",
            "runs get": "Show one run.",
            "runs logs": "Log entries of one run.",
            "runs cancel": "Cancel a scheduled or queued run.",
            "runs redrive": "Start a failed, cancelled or expired run again.",
            "update": "Change schedule, timeout or memory.",
            "rebuild": "Bundle stored source on the current runtime.",
            "list": "List deployed functions.",
            "delete": "Remove a function.",
        },
        aliases={"runs": "runs"},
    ),
    "secrets": Group(
        "secrets",
        "Write-only environment variables of the project's functions.",
        {
            "set": "Create or replace one secret.",
            "list": "Names and times of the secrets.",
            "delete": "Remove one secret.",
        },
    ),
    "ci": Group(
        "ci",
        "GitHub Actions workflows that deploy without a secret.",
        {
            "link": "Let a repository's workflow deploy the project.",
            "list": "List the CI bindings of a project.",
            "revoke": "Revoke a binding.",
            "set-asset-scopes": "Say which asset keys a binding may deploy.",
        },
    ),
    "transfer": Group(
        "transfer",
        "Hand a project over.",
        {
            "init": "Offer a project, or move it to an own organization.",
            "preview": "What changes hands.",
            "list": "Open transfers.",
            "accept": "Accept a project offered to this wallet.",
            "claim": "Claim a project offered to your e-mail address.",
            "cancel": "Cancel an open transfer.",
        },
    ),
    "org": Group(
        "org",
        "Organizations, members, invites, audit.",
        {
            "create": "Create an organization.",
            "list": "List your organizations.",
            "get": "Show one organization.",
            "rename": "Set or clear the display name.",
            "payout-wallet": "Set or clear the wallet that priced routes pay to.",
            "whoami": "Who the gateway takes you for.",
            "audit": "Who changed what.",
            "member list": "List members.",
            "member add": "Add a member by wallet address.",
            "member role": "Change a member's role.",
            "member rm": "Remove a member.",
            "invite list": "List open invites.",
            "invite create": "Invite a person by e-mail.",
            "invite rm": "Take an invite back.",
        },
        aliases={
            **{word: word for word in ("member", "members", "invite", "invites")},
            **{f"members {action}": f"member {action}" for action in ("list", "add", "role", "rm")},
            **{f"invites {action}": f"invite {action}" for action in ("list", "create", "rm")},
        },
    ),
    "grants": Group(
        "grants",
        "Single capabilities for wallets that are no members.",
        {"create": "Grant one capability to a wallet.", "revoke": "Take a grant back."},
    ),
    "delegates": Group(
        "delegates",
        "Scoped, revocable tokens for agents.",
        {
            "create": "Make a delegate; its token is shown once.",
            "list": "List delegates, never tokens.",
            "revoke": "Revoke a delegate.",
            "rotate": "Give a delegate a new token.",
        },
    ),
    "cdn": Group(
        "cdn",
        "Freshness of public asset URLs.",
        {"wait-fresh": "Wait until a URL serves the content with a SHA-256."},
    ),
    "assets": Group(
        "assets",
        "Files in content-addressed storage, public or private.",
        {
            "put": "Upload files.",
            "get": "Download one asset.",
            "ls": "List assets.",
            "rm": "Delete one asset.",
            "sign": "A time-limited URL for one asset.",
            "diagnose": "What a public asset URL serves, and what it should.",
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
    "subdomains": Group(
        "subdomains",
        "Claim, list and release NAME.run402.com.",
        {
            "claim": "Claim a name and point it at a deployment.",
            "list": "List the subdomains of a project.",
            "delete": "Release a name.",
        },
    ),
    "domains": Group(
        "domains",
        "Own domains for the web and e-mail of a project.",
        {
            "connect": "Say what a domain is for.",
            "list": "List the domains of a project.",
            "status": "Show one domain.",
            "dns": "DNS records to set.",
            "check": "Look at DNS and providers again.",
            "apply": "Make the changes that are safe.",
            "repair": "Restore the gateway's side of a domain.",
            "test-receive": "Test whether mail arrives.",
            "wait": "Wait until a domain is ready.",
            "activate": "Switch mailboxes to the domain.",
            "disconnect": "Take a domain off the project.",
        },
    ),
    "apps": Group(
        "apps",
        "Browse, fork and publish apps.",
        {
            "browse": "List public apps.",
            "inspect": "Show one published version.",
            "fork": "Copy a version into a new project.",
            "publish": "Publish the project as a version.",
            "versions": "List the published versions of a project.",
            "update": "Change a version's description and visibility.",
            "delete": "Delete a published version.",
        },
    ),
    "ai": Group(
        "ai",
        "Translation and moderation for a project.",
        {"translate": "Translate a text.", "moderate": "Moderate a text.", "usage": "Translation quota."},
    ),
    "image": Group("image", "AI image generation, paid per call.", {"generate": "Generate an image from a prompt."}),
    "email": Group(
        "email",
        "Mailboxes, messages and e-mail webhooks of a project.",
        {
            "create": "Create a mailbox.",
            "mailboxes": "List mailboxes with roles and readiness.",
            "defaults": "Show or set which mailboxes send by default.",
            "update": "Set the footer of outgoing mail.",
            "info": "Show one mailbox.",
            "send": "Send one message.",
            "list": "List messages, sent and received.",
            "get": "Show one message with its replies.",
            "get-raw": "Save a received message byte for byte.",
            "outbox": "List what the local gateway would have sent.",
            "reply": "Answer a received message in its thread.",
            "delete": "Delete a mailbox with its messages.",
            "webhooks list": "List webhooks.",
            "webhooks get": "Show one webhook.",
            "webhooks register": "Register a webhook.",
            "webhooks update": "Change a webhook.",
            "webhooks delete": "Delete a webhook.",
            "webhooks deliveries": "List deliveries to webhooks.",
            "webhooks redrive": "Queue a failed delivery again.",
        },
        aliases={"status": "info"},
    ),
    "message": Group("message", "Write to the developers of Run402.", {"send": "Send one text message."}),
    "agent": Group(
        "agent",
        "The contact record of this wallet.",
        {
            "contact": "Register or change name, e-mail address and webhook.",
            "status": "The record and its assurance level.",
            "verify-email": "Send the e-mail challenge, again if need be.",
            "passkey": "Mail the link that enrolls the operator's passkey.",
        },
    ),
    "operator": Group(
        "operator",
        "The human behind the wallets: sign-in, overview, approvals.",
        {
            "login": "Sign a human in, read-only or with --loopback to write.",
            "overview": "Everything that the signed-in address owns.",
            "whoami": "The sessions cached here.",
            "logout": "Revoke and forget the sessions.",
            "claim-wallet-org": "Take over the organization of the active wallet.",
            "approve": "Approve one kind of write with a passkey.",
            "status": "The browser login and the approvals cached here.",
        },
        aliases={"write-auth": "approve"},
    ),
    "auth": Group(
        "auth",
        "Users of the app: sign-in, passwords, passkeys, settings.",
        {
            "magic-link": "Mail a sign-in link or code.",
            "verify": "Exchange a link's token or a code for a session.",
            "create-user": "Create or update a user.",
            "invite-user": "Create or update a user and mail an invite.",
            "set-password": "Set, reset or change a user's password.",
            "settings": "Change how users sign up and sign in.",
            "passkey-register-options": "Begin to register a passkey.",
            "passkey-register-verify": "Finish registering a passkey.",
            "passkey-login-options": "Begin to sign in with a passkey.",
            "passkey-login-verify": "Finish signing in with a passkey.",
            "passkeys": "List the user's passkeys.",
            "delete-passkey": "Delete a passkey.",
            "providers": "List the project's sign-in methods.",
            "scaffold-roles": "Print a role table and the gate for functions.",
        },
    ),
    "billing": Group(
        "billing",
        "Balance, ledger and card checkouts of an organization.",
        {
            "create-email": "Create an organization for an e-mail address.",
            "link-wallet": "Link a wallet to an organization.",
            "checkout": "Create a card checkout.",
            "auto-recharge": "Buy e-mail packs automatically.",
            "balance": "Balance of an organization.",
            "history": "Ledger entries of an organization.",
        },
    ),
    "contracts": Group(
        "contracts",
        "Ethereum signers in a KMS, and contract calls.",
        {
            "provision-signer": "Create a signer.",
            "get-signer": "Show one signer with its balance.",
            "list-signers": "List signers.",
            "set-recovery": "Set or clear the recovery address.",
            "set-alert": "Warn below a balance.",
            "call": "Submit a call that changes the chain.",
            "deploy": "Deploy a contract.",
            "read": "Call a function that only reads.",
            "status": "Show the state of a call.",
            "drain": "Send a signer's whole balance away.",
            "delete": "Schedule a signer's key for deletion.",
        },
    ),
    "service": Group(
        "service",
        "Public health of the gateway.",
        {"status": "Availability report.", "health": "Liveness with per-dependency checks."},
    ),
    "cache": Group(
        "cache",
        "The origin cache of server-rendered pages.",
        {
            "inspect": "Whether a page is cached.",
            "invalidate": "Drop a page, a prefix or a whole host.",
        },
    ),
    "doctor": Group("doctor", "Health and configuration checks in one report.", needs_wallet=False),
    "notifications": Group(
        "notifications",
        "What operators are told: preferences, channels, rules.",
        {
            "list": "List notifications.",
            "get": "Show one notification.",
            "preferences": "Show the preferences.",
            "preferences set": "Change preferences.",
            "test": "Send a test notification.",
            "channels connect": "Bind a Telegram chat and wait for the tap.",
            "channels list": "List channels.",
            "channels revoke": "Revoke a Telegram binding.",
            "rules add": "Route events to a Telegram binding.",
            "rules list": "List rules.",
            "rules rm": "Delete a rule.",
        },
        aliases={word: word for word in ("channels", "rules")},
    ),
    "webhook-secret": Group(
        "webhook_secret",
        "The secret that signs the operator webhook.",
        {"rotate": "Create a new secret, shown once."},
    ),
    "logs": Group("logs", "Log entries of one request, across functions."),
    "apply": Group("deploy", "The same as deploy apply."),
    "open": Group("open", "The console of the local gateway, in a browser.", needs_wallet=False),
    "dev": Group("dev", "The Astro development server with the project's credentials."),
    "skill": Group(
        "skill",
        "Teach coding agents to use run402.",
        {
            "install": "Put the skill where an agent looks for skills.",
            "update": "Bring installed skills to this version.",
            "path": "Where the skill is, and which agents have it.",
        },
        needs_wallet=False,
    ),
    "mcp": Group("mcp", "Serve tools to agents over stdin and stdout (MCP).", needs_wallet=False),
    "docs": Group("docs", "Print the documentation that came with this program.", needs_wallet=False),
    "completion": Group("completion", "Print the completion script of bash, zsh or fish.", needs_wallet=False),
    "schema": Group("schema", "Commands, options, codes and output schemas as data.", needs_wallet=False),
}
