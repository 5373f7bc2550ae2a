"""Account routes. A local gateway has no billing, no lease and one owner, and these answers say so.

See docs/local-gateway.md.
"""

from __future__ import annotations

import re
import shutil

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from run402_cli.core.callers import payment_rows, payments, reach, siwx, tiers, wallet_rows
from run402_cli.core.callers.kinds import Kind
from run402_cli.core.callers.policies import OWNER
from run402_cli.core.errors import GatewayError
from run402_cli.core.gateway import gateway_of
from run402_cli.core.projects import rows as project_rows
from run402_cli.core.projects.rows import Project
from run402_cli.core.settings import LOCAL_ORG_ID, LOCAL_TIER
from run402_cli.core.web.http import query_limit, read_object, reply
from run402_cli.core.web.instants import iso
from run402_cli.core.web.routing import HOLDER_OR_WALLET, Policy, Route, admitted

UNLIMITED = 2**53 - 1
PAYMENT_STATUSES = ("settling", "settled", "settle_failed", "ambiguous")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_MAX_LABEL = 128


async def list_tiers(request: Request) -> Response:
    """GET /tiers/v1: `{tiers: {name: {price, lease_days, storage_mb, api_calls, max_functions, description}}}`."""
    disk = await anyio.to_thread.run_sync(shutil.disk_usage, gateway_of(request).settings.data_dir)
    local = {
        "price": "$0.00",
        "lease_days": 0,
        "storage_mb": disk.free // 1024**2,
        "api_calls": UNLIMITED,
        "max_functions": UNLIMITED,
        "description": "This machine: nothing is billed, leased or metered; storage is the free space of its disk.",
    }
    if not payments.required(request):
        return reply({"tiers": {LOCAL_TIER: local}})
    sold = {
        name: {**local, "price": f"${price / 1_000_000:.2f}", "lease_days": lease.days, "description": payments.NOTE}
        for name, (price, lease) in tiers.TIERS.items()
    }
    return reply({"tiers": sold})


async def tier_status(request: Request) -> Response:
    """GET /tiers/v1/status: the local tier, always active, with every project that the caller sees. Sizes in bytes."""
    wallet = siwx.caller.get()
    async with gateway_of(request).connection() as conn:
        seen = await reach.visible(conn)
        stored = await project_rows.table_bytes(conn)
        lease = await payment_rows.lease(conn, wallet) if wallet else None
    disk = await anyio.to_thread.run_sync(shutil.disk_usage, gateway_of(request).settings.data_dir)
    usage = {
        "projects": len(seen),
        "total_api_calls": 0,
        "total_storage_bytes": stored,
        "api_calls_limit": UNLIMITED,
        "storage_bytes_limit": stored + disk.free,
    }
    projects = [
        {
            "id": project.project_id,
            "name": project.name,
            "tier": LOCAL_TIER,
            "status": "active",
            "effective_status": "active",
            "pinned": False,
            "org_id": LOCAL_ORG_ID,
            "created_at": iso(project.created_at),
        }
        for project in seen
    ]
    return reply(
        {
            "wallet": wallet or "",
            "tier": lease[0] if lease else LOCAL_TIER,
            "lease_started_at": iso(lease[1]) if lease else None,
            "lease_expires_at": iso(lease[2]) if lease else None,
            "lease_perpetual": lease is None,
            "active": True,
            "organization_lifecycle_state": "active",
            "pool_usage": usage,
            "projects": projects,
        }
    )


async def org_lookup(request: Request) -> Response:
    """GET /orgs/v1/lookup?wallet=: no prepaid account exists on a local gateway, so `exists` is false and amounts are 0."""
    return reply({"org_id": LOCAL_ORG_ID, "exists": False, "available_usd_micros": 0, "held_usd_micros": 0})


async def tenant_payments(request: Request) -> Response:
    """GET /projects/v1/{project_id}/tenant-payments[?limit&after&status]: none can be received here, so always empty."""
    query_limit(request, "limit", 50, 200, capped=False, code=None, field="limit")
    status = request.query_params.get("status")
    if status is not None and status not in PAYMENT_STATUSES:
        message = f"status must be one of {', '.join(PAYMENT_STATUSES)}."
        raise GatewayError(400, "invalid_request", message, code=None, field="status")
    project = admitted(request, Project)
    return reply({"project_id": project.project_id, "payments": [], "has_more": False, "next_cursor": None})


async def set_wallet_label(request: Request) -> Response:
    """POST /wallets/v1/{address}/label `{label}`: remember the display name of a wallet."""
    address = admitted(request, str)
    label = (await read_object(request)).get("label")
    clean = label.strip() if isinstance(label, str) else ""
    if not clean or len(clean) > _MAX_LABEL or not clean.isprintable():
        message = f"label must be 1 to {_MAX_LABEL} printable characters."
        raise GatewayError(400, "invalid_request", message, code=None, field="label")
    async with gateway_of(request).connection() as conn:
        await wallet_rows.set_label(conn, address, clean)
    return reply({"address": address, "label": clean})


async def wallet_label(request: Request) -> Response:
    """GET /wallets/v1/{address}/label: `{address, label}`, label null when none was stored."""
    address = admitted(request, str)
    async with gateway_of(request).connection() as conn:
        label = await wallet_rows.label_of(conn, address)
    return reply({"address": address, "label": label})


async def project_finance(request: Request) -> Response:
    """GET /admin/api/finance/project/{project_id}: there is no revenue or cost here, 422 unsupported_capability."""
    raise _unsupported(
        "billing.finance",
        "A local gateway has no billing, so there are no costs to report. `run402 projects usage` shows what is stored.",
    )


def _own_address(request: Request) -> str:
    """The address of the path. 403 not_authorized when another wallet signed the request."""
    address, wallet = _address(request), siwx.caller.get()
    if wallet not in (None, address):
        message = (
            f"{address} is another wallet than {wallet}, which signed this. `run402 --wallet <name> ...` uses another."
        )
        raise GatewayError(403, "not_authorized", message)
    return address


def _address(request: Request) -> str:
    address: str = request.path_params["address"]
    if not _ADDRESS.fullmatch(address):
        raise GatewayError(
            400, "invalid_request", "A wallet address is 0x and 40 hex digits.", code=None, field="address"
        )
    return address.lower()


def _unsupported(capability: str, message: str) -> GatewayError:
    return GatewayError(422, "unsupported_capability", message, capability=capability)


SAME_WALLET = Policy(
    "holder of the token or that wallet",
    "sends the control token, or is the admitted wallet of the path; no other wallet.",
    frozenset({Kind.CONTROL_TOKEN, Kind.ADMITTED_WALLET}),
    alone=_own_address,
)
ROUTES = [
    Route("/tiers/v1", list_tiers, methods=["GET"], who=HOLDER_OR_WALLET),
    Route("/tiers/v1/status", tier_status, methods=["GET"], who=HOLDER_OR_WALLET),
    Route("/tiers/v1/{tier}", tiers.set_tier, methods=["POST"], who=HOLDER_OR_WALLET),
    Route("/orgs/v1/lookup", org_lookup, methods=["GET"], who=HOLDER_OR_WALLET),
    Route("/projects/v1/{project_id}/tenant-payments", tenant_payments, methods=["GET"], who=OWNER),
    Route("/wallets/v1/{address}/label", set_wallet_label, methods=["POST"], who=SAME_WALLET),
    Route("/wallets/v1/{address}/label", wallet_label, methods=["GET"], who=SAME_WALLET),
    Route("/admin/api/finance/project/{project_id}", project_finance, methods=["GET"], who=OWNER),
]
