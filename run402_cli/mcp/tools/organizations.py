"""Organizations, grants, transfers, apps, domains, and what only platform admins do."""

from __future__ import annotations

from typing import Any

from run402_cli.errors import ValidationError
from run402_cli.mcp._tool import DESTRUCTIVE, PROJECT, READ, WRITE, Call, Tool, exclusive, may, need, tool
from run402_cli.services import admin, apps, domains, grants, org, transfer

_ORG = need("org_id")
_ROLES = "owner|admin|developer|billing|viewer"
_TRANSFER = need("transfer_id")
_VERSION = need("version_id", about="Version id, ver_...")
_DOMAIN = need("domain")
_FIELDS = (
    may("description"),
    may("tags", "[string]", "Replaces all tags."),
    may("visibility", "public|unlisted|private"),
)

_ORGS = (
    tool(
        "create_org",
        "Create an organization; the wallet becomes its owner.",
        WRITE,
        lambda c: org.create(c.client, name=c["display_name"]),
        may("display_name"),
        cli="org create",
    ),
    tool(
        "get_org",
        "Show an organization with the role of this wallet in it.",
        READ,
        lambda c: org.get(c.client, c["org_id"]),
        _ORG,
        cli="org get",
    ),
    tool(
        "rename_org",
        "Give an organization a label; null takes it away. For owners.",
        WRITE,
        lambda c: org.rename(c.client, c["org_id"], c["display_name"]),
        _ORG,
        need("display_name", "string|null"),
        cli="org rename",
    ),
    tool(
        "set_org_payout_wallet",
        "Say which wallet receives payments; null clears. For owners and admins.",
        WRITE,
        lambda c: org.set_payout_wallet(c.client, c["org_id"], c["wallet_address"]),
        _ORG,
        need("wallet_address", "string|null"),
        cli="org payout-wallet",
    ),
    tool(
        "whoami",
        "Who the gateway takes this wallet for, with memberships.",
        READ,
        lambda c: org.whoami(c.client),
        cli="org whoami",
    ),
    tool("list_orgs", "List the wallet's organizations.", READ, lambda c: org.list_orgs(c.client), cli="org list"),
    tool(
        "list_org_members",
        "List the members of an organization.",
        READ,
        lambda c: org.list_members(c.client, c["org_id"]),
        _ORG,
        cli="org member list",
    ),
    tool(
        "add_org_member",
        "Add a wallet to an organization.",
        WRITE,
        lambda c: org.add_member(c.client, c["org_id"], c["wallet"], role=c["role"]),
        _ORG,
        need("wallet"),
        may("role", _ROLES, "The server's default is developer."),
        cli="org member add",
    ),
    tool(
        "set_org_member_role",
        "Change the role of a member of an organization.",
        WRITE,
        lambda c: org.change_role(c.client, c["org_id"], c["principal_id"], c["role"]),
        _ORG,
        need("principal_id"),
        need("role", _ROLES),
        cli="org member role",
    ),
    tool(
        "remove_org_member",
        "Remove a member from an organization, at once.",
        DESTRUCTIVE,
        lambda c: org.remove_member(c.client, c["org_id"], c["principal_id"]),
        _ORG,
        need("principal_id"),
        cli="org member rm",
    ),
    tool(
        "create_project_grant",
        "Let a wallet do one thing on a project, such as deploy.",
        WRITE,
        lambda c: grants.create(
            c.client, c.project, c["wallet"], c["capability"], limits=c.given("policy", "expires_at")
        ),
        PROJECT,
        need("wallet"),
        need("capability"),
        may("policy", "{*: any}"),
        may("expires_at", about="ISO date-time."),
        cli="grants create",
    ),
    tool(
        "revoke_project_grant",
        "Take a grant on a project back, at once.",
        DESTRUCTIVE,
        lambda c: grants.revoke(c.client, c.project, c["grant_id"]),
        PROJECT,
        need("grant_id"),
        cli="grants revoke",
    ),
)

# -- transfers ----------------------------------------------------------------------------------------------------------


def _offer(call: Call) -> Any:
    exclusive(call, "to_wallet", "to_email", "to_org_id", exactly=True)
    for name, form in (
        ("retain_collaborator_role", "to_email"),
        ("billing_policy", "to_wallet"),
        ("kysigned_record_id", "to_wallet"),
    ):
        if call[name] is not None and call[form] is None:
            raise ValidationError(f"{name} goes with {form} only. Leave it out.", details={"field": name})
    offer = call.given("to_wallet", "to_email", "to_org_id", "billing_policy", "message", "kysigned_record_id")
    if call["retain_collaborator_role"] is not None:
        offer["retain_collaborator"] = {"role": call["retain_collaborator_role"]}
    return transfer.init(call.client, call.project, offer)


_TRANSFERS = (
    tool(
        "initiate_project_transfer",
        "Offer a project to a wallet or an e-mail address, for 72 hours, or move it to another organization of yours at once.",
        DESTRUCTIVE,
        _offer,
        PROJECT,
        may("to_wallet"),
        may("to_email"),
        may("to_org_id", about="An own organization; moves at once."),
        may("billing_policy", '"migrate"', "With to_wallet."),
        may("message", about="Shown to the new owner."),
        may("kysigned_record_id", about="With to_wallet."),
        may("retain_collaborator_role", '"developer"', "With to_email: stay on the project."),
        cli="transfer init",
        hides_keys=True,
    ),
    tool(
        "preview_project_transfer",
        "What changes hands: domains, functions, names of secrets, billing.",
        READ,
        lambda c: transfer.preview(c.client, c["transfer_id"]),
        _TRANSFER,
        cli="transfer preview",
    ),
    tool(
        "accept_project_transfer",
        "Accept a project offered to this wallet. Its keys are saved here and it becomes active; rotate its secrets next.",
        DESTRUCTIVE,
        lambda c: transfer.accept(c.client, c["transfer_id"]),
        _TRANSFER,
        cli="transfer accept",
        hides_keys=True,
    ),
    tool(
        "claim_project_transfer",
        "Claim a project offered to this wallet's verified e-mail address. Its keys are saved here.",
        DESTRUCTIVE,
        lambda c: transfer.claim(
            c.client,
            c["transfer_id"],
            into_org=c["org_id"],
            accept_retained_collaborator=bool(c["accept_retained_collaborator"]),
        ),
        _TRANSFER,
        may("org_id", about="Take it into this organization. Default: a new one."),
        may("accept_retained_collaborator", "bool", "Let the sender stay as a developer."),
        cli="transfer claim",
        hides_keys=True,
    ),
    tool(
        "cancel_project_transfer",
        "Cancel an open transfer, as either party.",
        WRITE,
        lambda c: transfer.cancel(c.client, c["transfer_id"], reason=c["reason"]),
        _TRANSFER,
        may("reason"),
        cli="transfer cancel",
    ),
    tool(
        "list_incoming_transfers",
        "List open transfers to this wallet.",
        READ,
        lambda c: transfer.list_transfers(c.client, **c.given("limit", "after")),
        may("limit", "int", above=0),
        may("after"),
        cli=("transfer list", "transfer list --incoming"),
    ),
    tool(
        "list_outgoing_transfers",
        "List open transfers by this wallet.",
        READ,
        lambda c: transfer.list_transfers(c.client, outgoing=True, **c.given("limit", "after")),
        may("limit", "int", above=0),
        may("after"),
        cli="transfer list --outgoing",
    ),
)

# -- apps and admins ----------------------------------------------------------------------------------------------------


def _publish(call: Call) -> Any:
    return apps.publish(call.client, call.project, call.given("description", "tags", "visibility", "fork_allowed"))


def _update(call: Call) -> Any:
    fields = call.given("description", "tags", "visibility", "fork_allowed")
    if not fields:
        raise ValidationError(
            "Nothing is to be changed. Give description, tags, visibility or fork_allowed.", reason="NOTHING_TO_CHANGE"
        )
    return apps.update(call.client, call.project, call["version_id"], fields)


_APPS = (
    tool(
        "browse_apps",
        "Browse the public apps that can be forked.",
        READ,
        lambda c: apps.browse(c.client, tags=c["tags"] or []),
        may("tags", "[string]", "Only those with any of these."),
        cli="apps browse",
    ),
    tool(
        "get_app",
        "Show one published app: what it holds, the secrets that it needs.",
        READ,
        lambda c: apps.inspect(c.client, c["version_id"]),
        _VERSION,
        cli="apps inspect",
    ),
    tool(
        "fork_app",
        "Copy a published app into a new project, which becomes active. It may cost money; calling it twice makes two.",
        WRITE,
        lambda c: apps.fork(c.client, c["version_id"], name=c["name"], subdomain=c["subdomain"]),
        _VERSION,
        need("name", about="Name of the new project."),
        may("subdomain"),
        cli="apps fork",
        allowance=True,
        hides_keys=True,
    ),
    tool(
        "publish_app",
        "Publish a project as an app; private unless visibility says otherwise.",
        WRITE,
        _publish,
        PROJECT,
        *_FIELDS,
        may("fork_allowed", "bool", default=False),
        cli="apps publish",
    ),
    tool(
        "list_versions",
        "List the published versions of a project.",
        READ,
        lambda c: apps.versions(c.client, c.project),
        PROJECT,
        cli="apps versions",
    ),
    tool(
        "update_version",
        "Change how a published version is described, and who may see and fork it.",
        WRITE,
        _update,
        PROJECT,
        _VERSION,
        *_FIELDS,
        may("fork_allowed", "bool"),
        cli="apps update",
    ),
    tool(
        "delete_version",
        "Delete a published version of an app; forks of it stay.",
        DESTRUCTIVE,
        lambda c: apps.delete(c.client, c.project, c["version_id"]),
        PROJECT,
        _VERSION,
        cli="apps delete",
    ),
    tool(
        "admin_set_lease_perpetual",
        "Pin or unpin an organization's lease. For platform admins.",
        WRITE,
        lambda c: admin.set_lease_perpetual(c.client, c["org_id"], enabled=c["lease_perpetual"]),
        _ORG,
        need("lease_perpetual", "bool"),
        cli="admin lease-perpetual",
    ),
    tool(
        "admin_archive_project",
        "Archive a project. For platform admins.",
        DESTRUCTIVE,
        lambda c: admin.archive(c.client, c.project, reason=c["reason"]),
        PROJECT,
        may("reason"),
        cli="admin archive",
    ),
    tool(
        "admin_reactivate_project",
        "Bring an archived project back. For platform admins.",
        WRITE,
        lambda c: admin.reactivate(c.client, c.project),
        PROJECT,
        cli="admin reactivate",
    ),
)

_DOMAINS = (
    tool(
        "domains_ensure",
        "Say what a domain is for, as a whole: web, e-mail. The answer lists the DNS records to set.",
        WRITE,
        lambda c: domains.connect(c.client, c.project, c["domain"], c["desired"]),
        PROJECT,
        _DOMAIN,
        need("desired", "{*: any}", "Such as {web: {enabled: true, target: 'production', role: 'primary'}}."),
        cli="domains connect",
    ),
    tool(
        "domains_get",
        "Show a domain as last observed, with its DNS records.",
        READ,
        lambda c: domains.get(c.client, c.project, c["domain"]),
        PROJECT,
        _DOMAIN,
        cli=("domains status", "domains dns"),
    ),
    tool(
        "domains_list",
        "List the domains of a project.",
        READ,
        lambda c: domains.list_domains(c.client, c.project),
        PROJECT,
        cli="domains list",
    ),
    tool(
        "domains_check",
        "Look at DNS and providers of a domain again.",
        WRITE,
        lambda c: domains.check(c.client, c.project, c["domain"]),
        PROJECT,
        _DOMAIN,
        cli=("domains check", "domains wait"),
    ),
    tool(
        "domains_apply",
        "Make the changes for a domain that the gateway may safely make itself.",
        WRITE,
        lambda c: domains.apply(c.client, c.project, c["domain"]),
        PROJECT,
        _DOMAIN,
        cli="domains apply",
    ),
    tool(
        "domains_repair",
        "Restore the gateway's own side of a domain.",
        WRITE,
        lambda c: domains.repair(c.client, c.project, c["domain"]),
        PROJECT,
        _DOMAIN,
        cli="domains repair",
    ),
    tool(
        "domains_test_receive",
        "Start a test of receiving mail; send a message to the address in the answer.",
        WRITE,
        lambda c: domains.check_receiving(c.client, c.project, c["domain"], to=c["to"]),
        PROJECT,
        _DOMAIN,
        need("to", about="The address, or its part before the @."),
        cli="domains test-receive",
    ),
    tool(
        "domains_activate",
        "Switch the mailboxes to their addresses on this domain.",
        WRITE,
        lambda c: domains.activate(c.client, c.project, c["domain"]),
        PROJECT,
        _DOMAIN,
        cli="domains activate",
    ),
    tool(
        "domains_disconnect",
        "Take a domain off the project; its web and e-mail stop.",
        DESTRUCTIVE,
        lambda c: domains.disconnect(c.client, c.project, c["domain"]),
        PROJECT,
        _DOMAIN,
        cli="domains disconnect",
    ),
)

TOOLS: tuple[Tool, ...] = (*_ORGS, *_TRANSFERS, *_APPS, *_DOMAINS)
