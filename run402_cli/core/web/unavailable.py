"""What the Run402 API has and a machine of one's own has no use for: each area with its reason and the next step.

Paths below that no route answers get 422 unsupported_capability instead of 404. See docs/local-gateway-users.md, "Not here".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from run402_cli import advice
from run402_cli.core.errors import GatewayError

CLOUD = "run402 init --api-base https://api.run402.com"


@dataclass(frozen=True, slots=True)
class Area:
    """An area of the API: its capability, why it is not here, and what to do instead (None: use the cloud)."""

    capability: str
    why: str
    command: str | None = None


_BILLING = Area("cloud.billing", "nothing costs money on this machine, so there is nothing to buy, pay or account for")
_OAUTH = Area("auth.hosted-oauth", "sign-in through other companies needs an address that they can reach")
_PASSKEYS = Area(
    "auth.passkeys",
    "passkeys belong to the domain that a site has on the internet; sign users in with a mailed link or a password here",
    "run402 auth magic-link --email ada@example.com --delivery code",
)
_LIBRARY_AUTH = Area(
    "auth.cookie-sessions",
    "sessions in cookies are made by the cloud's edge; send the access token of POST /auth/v1/token as bearer here",
)
_AI = Area("ai.helpers", "models run in the cloud only; call a model service of your own from a function")
_CONTRACTS = Area("contracts", "wallets that sign for a project are kept by the cloud only")
_OPERATOR = Area("cloud.operator-account", "its only operator is whoever uses this machine, so there is no account")
_ORGS = Area("cloud.organizations", "it has one organization, without members", "run402 projects list")
_APPS = Area("apps.marketplace", "published apps are kept and installed by the cloud")
_ROOMS = Area("rooms", "rooms bring the agents of several parties together, which are not on one machine")
_SUPPORT = Area("cloud.support", "nobody else reads messages to this machine")

# The longest prefix that fits counts.
AREAS = {
    "/ssr": Area("astro.ssr", "server-side rendering of Astro runs in the cloud; deploy a static build here"),
    "/export": Area("export.project-archive", "archives have routes of their own", "run402 cloud archives create"),
    "/auth/oauth": _OAUTH,
    "/auth/v1/oauth": _OAUTH,
    "/auth/v1/passkeys": _PASSKEYS,
    "/auth/v1/sessions": _LIBRARY_AUTH,
    "/auth/v1/account": _LIBRARY_AUTH,
    "/internal/v1": _LIBRARY_AUTH,
    "/mailboxes/v1/inbound": Area(
        "email.inbound-provider",
        "mail from outside does not reach it; a message to an address of one of its mailboxes is received",
        "run402 email send --to <address> --subject Hi --html '<p>Hi</p>'",
    ),
    "/mailboxes/v1/events": Area("email.inbound-provider", "no mail provider reports to it; the outbox is its own"),
    "/ai/v1": _AI,
    "/generate-image/v1": _AI,
    "/billing": _BILLING,
    "/faucet/v1": Area("payments.faucet", "test money comes from the cloud's faucet, and nothing costs money here"),
    "/vouchers/v1": _BILLING,
    "/payments/v1": _BILLING,
    "/orgs/v1": _ORGS,
    "/contracts/v1": _CONTRACTS,
    "/agent/v1": _OPERATOR,
    "/agent/v1/transfers": Area("cloud.transfers", "a project has nobody else to go to; take it along as an archive"),
    "/agent/v1/notifications": Area("cloud.notifications", "nobody is to be notified", "run402 events"),
    "/apps/v1": _APPS,
    "/fork/v1": _APPS,
    "/apply/v1/app-installs": _APPS,
    "/rooms/v1": _ROOMS,
    "/escalations/v1": _SUPPORT,
    "/message/v1": _SUPPORT,
    "/claims/v1": _OPERATOR,
    "/identity-links/v1": _OPERATOR,
    "/identity-link-proofs/v1": _OPERATOR,
    "/domains/v1": Area("domains.custom", "domains lead to the cloud only", "run402 subdomains claim <name>"),
}


def unavailable(path: str) -> GatewayError | None:
    """The answer to a path of an area that is not here, or None."""
    fitting = [prefix for prefix in AREAS if path == prefix or path.startswith(prefix + "/")]
    return refusal(AREAS[max(fitting, key=len)]) if fitting else None


def refusal(area: Area) -> GatewayError:
    """422 unsupported_capability, with the reason and the next command."""
    command = area.command or CLOUD
    action: dict[str, Any] = advice.entry("run_command", advice.parsed(command))
    then = f"Try: {command}" if area.command else f"Use a cloud project for it: {command}"
    return GatewayError(
        422,
        "unsupported_capability",
        f"A local gateway does not have this: {area.why}. {then}",
        capability=area.capability,
        retryable=False,
        next_actions=[action],
    )
