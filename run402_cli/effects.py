"""What each command may do and whose credentials it sends: the static part of `run402 schema` and of MCP annotations.

effect   read: changes nothing, here or there; write: adds, changes or starts something; destructive: deletes something,
         ends it for good (a key that is in use, a running job), or gives it away.
auth     the credentials that requests of the command carry (docs/how-to/schema.md, "Auth classes"); empty: none.
spends   may pay from the wallet when the gateway or a seller asks for money.
needed   flags without which the command stops; help, llms-cli.txt and `schema` show them without brackets.

Tests compare the table with the registry and with the requests of recorded runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

READ, WRITE, DESTRUCTIVE = "read", "write", "destructive"
AUTH_CLASSES = {
    "principal": "delegate token (RUN402_DELEGATE_TOKEN), else the wallet's signature, else a control-plane session",
    "wallet": "the wallet's signature only",
    "service_key": "the project's service key from the local cache",
    "anon_key": "the project's anon key from the local cache",
    "user_token": "access token of a user of the project's application, given with --token",
    "operator_session": "session of a human operator: run402 operator login",
    "control_plane_session": "control-plane session of a human operator",
    "ci_session": "GitHub Actions identity, exchanged for a short session (instead of the principal)",
    "admin": "the principal together with X-Admin-Mode: 1; platform admins only",
}


class Surface(NamedTuple):
    effect: str
    auth: tuple[str, ...] = ()
    spends: bool = False


# Effect, credentials, and the commands that share them; in this form a wrong row stands out.
_ROWS: tuple[tuple[str, str, str], ...] = (
    # -- without credentials, or without any request
    (READ, "", "service {status health}; projects quote; apps {browse inspect}; contracts read; identity link show"),
    (READ, "", "wallets {list current}; allowance {status export ledger}; allowance limits get; archives {verify inspect}"),
    (READ, "", "credentials project-keys {list status export}; core {status logs}; auth scaffold-roles; operator whoami"),
    (READ, "", "completion; docs; schema; config list; skill path; operator status; email outbox; open"),
    (WRITE, "", "wallets {use bind unbind}; allowance {create fund}; allowance limits {set clear}; core {start stop}"),
    (WRITE, "", "credentials project-keys import; core projects import; billing create-email; skill {install update}"),
    (WRITE, "", "pay; dev; operator login"),
    (WRITE, "principal service_key anon_key", "mcp"),
    (DESTRUCTIVE, "", "wallets rm; credentials project-keys remove; core reset"),
    # -- the caller's own credential
    (READ, "principal", "status; projects {list get current tenant-payments}; tier status; events; cache inspect"),
    (READ, "principal", "allowance {balance history}; billing {balance history}; snapshots {list get}; branches list"),
    (READ, "principal", "credentials {list status}; delegates list; org {list get whoami audit}; org {member invite} list"),
    (READ, "principal", "transfer {preview list}; domains {list status dns}; rooms {list get}; claims list; ci list"),
    (READ, "principal", "escalations {list get}; escalations contacts list; identity link list; doctor"),
    (READ, "principal", "cloud archives status; agent status; notifications {list get preferences}"),
    (READ, "principal", "notifications {channels rules} list"),
    (WRITE, "principal", "init; wallets {new import rename}; projects {provision use rename export}; up verify"),
    (WRITE, "principal", "allowance checkout; billing {checkout link-wallet auto-recharge}; redeem; tier set"),
    (WRITE, "principal", "snapshots create; branches {create renew}; cache invalidate; cloud archives {create download}"),
    (WRITE, "principal", "credentials {issue token}; delegates create; org {create rename payout-wallet}"),
    (WRITE, "principal", "org member {add role}; org invite create; transfer cancel; grants create; apps fork"),
    (WRITE, "principal", "domains {connect check apply repair test-receive wait activate}; rooms {who send ack}"),
    (WRITE, "principal", "claims {create release}; escalations {raise ack resolve}; escalations contacts add"),
    (WRITE, "principal", "functions rebuild; image generate; ci {link set-asset-scopes}; message send"),
    (WRITE, "principal", "agent {contact verify-email}; agent passkey; notifications test"),
    (WRITE, "principal", "notifications preferences set; notifications rules add; notifications channels connect"),
    (DESTRUCTIVE, "principal", "snapshots {restore delete}; branches delete"),
    (DESTRUCTIVE, "principal", "credentials {rotate revoke}; delegates {rotate revoke}"),
    (DESTRUCTIVE, "principal", "org member rm; org invite rm; grants revoke; transfer {init accept claim}"),
    (DESTRUCTIVE, "principal", "domains disconnect; escalations contacts remove; ci revoke; webhook-secret rotate"),
    (DESTRUCTIVE, "principal", "notifications channels revoke; notifications rules rm"),
    (WRITE, "wallet", "identity link nostr {begin complete}"),
    (DESTRUCTIVE, "wallet", "identity link revoke"),
    (READ, "admin", "projects costs"),
    (WRITE, "admin", "admin {lease-perpetual reactivate}"),
    (DESTRUCTIVE, "admin", "admin archive"),
    (READ, "operator_session", "operator overview"),
    (WRITE, "operator_session", "operator logout"),
    (WRITE, "control_plane_session", "operator {approve claim-wallet-org}"),
    # -- deploying: the principal, and the anon key for reads of an operation
    (READ, "principal anon_key", "deploy {list events verify diagnose resolve}; deploy release {get active diff}"),
    (WRITE, "principal anon_key", "deploy {resume rehearse}; assets put; functions deploy; sites {deploy deploy-dir}; up"),
    (DESTRUCTIVE, "principal anon_key ci_session", "deploy apply; apply"),
    (DESTRUCTIVE, "principal", "deploy promote"),
    # -- the project's own keys
    (READ, "service_key", "projects {schema usage get-expose}; secrets list; jobs {get logs}; logs; errors"),
    (READ, "service_key", "ai {usage moderate}; functions {list logs}; functions runs {list get logs}"),
    (READ, "service_key", "subdomains list; apps versions"),
    (READ, "service_key", "assets {ls sign diagnose}; cdn wait-fresh; email {info list get mailboxes}"),
    (READ, "service_key", "email webhooks {list get deliveries}; contracts {get-signer list-signers status}"),
    (READ, "service_key principal", "projects validate-expose"),
    (WRITE, "service_key", "projects {apply-expose promote-user demote-user}; secrets set; jobs submit"),
    (WRITE, "service_key", "jobs artifacts get; functions update; functions runs {create cancel redrive}; ai translate"),
    (WRITE, "service_key principal", "functions invoke"),
    (WRITE, "service_key", "assets get; email {create defaults update send reply get-raw}; subdomains claim"),
    (WRITE, "service_key", "email webhooks {register update redrive}; apps {publish update}"),
    (WRITE, "service_key", "contracts {provision-signer set-recovery set-alert call deploy}"),
    (DESTRUCTIVE, "service_key", "projects {sql delete}; secrets delete; jobs {cancel purge}; functions delete; assets rm"),
    (DESTRUCTIVE, "service_key", "email delete; email webhooks delete; subdomains delete; apps delete"),
    (DESTRUCTIVE, "service_key", "contracts {drain delete}"),
    (DESTRUCTIVE, "anon_key service_key", "projects rest"),
    # -- the users of the project's own application
    (READ, "anon_key", "auth providers"),
    (WRITE, "anon_key", "auth {verify passkey-login-options passkey-login-verify}"),
    (WRITE, "anon_key service_key", "auth {magic-link create-user invite-user settings}"),
    (READ, "anon_key user_token", "auth passkeys"),
    (WRITE, "anon_key user_token", "auth {set-password passkey-register-options passkey-register-verify}"),
    (DESTRUCTIVE, "anon_key user_token", "auth delete-passkey"),
)  # fmt: skip
# The gateway may ask any call for money; these are the ones that cost something when all is well.
_SPENDS = {"pay", "tier set", "image generate", "apps fork"}

# Made to print a secret: a key or token once, or what this machine holds. Every other answer goes through secrecy.public.
_REVEALS = (
    "projects provision; branches create; apps fork; transfer {init accept claim}; credentials {issue rotate token}; "
    "credentials project-keys export; delegates {create rotate}; webhook-secret rotate; email webhooks register; "
    "auth {verify passkey-login-verify}"
)
# Print what the user's own data, functions or sellers answer, as it is.
_PASSES_ON = "projects {sql rest}; functions invoke; pay"
# Flags without which a command stops: no other word can stand in for them. A confirmation is not among them.
_NEEDED = (
    ("--project", "credentials project-keys {status import export remove}"),
    ("--name", "projects rename; agent contact"),
    ("--output", "cloud archives download; jobs artifacts get; assets get; email get-raw"),
    ("--to", "domains test-receive; ai translate; email send; contracts drain"),
    ("--email", "auth {magic-link create-user}"),
    ("--email --redirect", "auth invite-user"),
    ("--token", "auth passkeys"),
    ("--token --new", "auth set-password"),
    ("--token --app-origin", "auth passkey-register-options"),
    ("--token --challenge --response", "auth passkey-register-verify"),
    ("--app-origin", "auth passkey-login-options"),
    ("--challenge --response", "auth passkey-login-verify"),
    ("--token --id", "auth delete-passkey"),
    ("--kind --name", "credentials issue"),
    ("--amount", "allowance checkout"),
    ("--from --to", "deploy release diff"),
    ("--file", "functions deploy"),
    ("--event-type --idempotency-key", "functions runs create"),
    ("--grant", "delegates create"),
    ("--footer-policy", "email update"),
    ("--url --events", "email webhooks register"),
    ("--product", "billing checkout"),
    ("--chain", "contracts provision-signer"),
    ("--threshold-wei", "contracts set-alert"),
    ("--to --abi --fn --args", "contracts call"),
    ("--chain --to --abi --fn --args", "contracts read"),
    ("--bytecode", "contracts deploy"),
    ("--binding", "notifications rules add"),
    ("--request-id", "logs"),
    ("--sha", "cdn wait-fresh"),
    ("--key", "wallets import"),
    ("--pubkey --visibility", "identity link nostr begin"),
)


def _names(text: str) -> Iterator[str]:
    """`a {b c}; d` -> "a b", "a c", "d"."""
    for part in text.split("; "):
        before, brace, rest = part.partition("{")
        inner, _, after = rest.partition("}")
        yield from (f"{before}{word}{after}" for word in inner.split()) if brace else (part,)


SURFACE: dict[str, Surface] = {
    name: Surface(effect, tuple(auth.split()), name in _SPENDS) for effect, auth, text in _ROWS for name in _names(text)
}
REVEALS = frozenset(_names(_REVEALS))
PASSES_ON = frozenset(_names(_PASSES_ON))
NEEDED: dict[str, tuple[str, ...]] = {name: tuple(flags.split()) for flags, text in _NEEDED for name in _names(text)}
