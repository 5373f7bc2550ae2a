"""What Run402 Cloud wants before a project: a wallet, test funds, a tier. A Core gateway wants none of it."""

from __future__ import annotations

import hashlib
import json

from run402_cli.errors import Run402Error
from run402_cli.services import allowance as allowances
from run402_cli.services import tier as tiers
from run402_cli.state.allowance import Allowance
from run402_cli.up._options import Run, UpOptions

DEFAULT_TIER = "prototype"


def ensure(run: Run) -> None:
    """Steps allowance.create, allowance.faucet and tier.set, each skipped when it is not needed."""
    if run.options.mode == "plan":
        run.log.skip("tier.set", target=run.target, mode="plan")
    elif run.target == "core":
        run.log.skip("tier.set", target=run.target)
    else:
        _ensure_cloud(run)


def _ensure_cloud(run: Run) -> None:
    tier = run.options.tier or DEFAULT_TIER
    allowance = _wallet(run)
    if run.options.dry_run:
        run.log.plan("allowance.faucet", mutation=True)
        run.log.plan("tier.set", mutation=True, tier=tier)
        return
    current = _tier_status(run)
    if tiers.covers(current, tier):
        run.log.skip("tier.set", tier=tier, current_tier=current["tier"])
        return
    allowance = _wallet(run) or allowance
    assert allowance is not None
    root = idempotency_root(run.options)
    _fund(run, allowance, f"action:{root}:allowance.faucet")
    step = run.log.plan("tier.set", mutation=True, tier=tier)
    run.approve(step, f"Subscribe to the tier {tier}, paid by the wallet.")
    step.to("running")
    tiers.set_tier(run.client, tier, idempotency_key=f"action:{root}:tier.set")
    step.to("succeeded")


def _wallet(run: Run) -> Allowance | None:
    profile = run.client.profile
    if profile.allowance is not None:
        run.log.skip("allowance.create", address=profile.allowance.address, path=str(profile.allowance.path))
        return profile.allowance
    step = run.log.plan("allowance.create", mutation=True)
    if run.options.dry_run:
        return None
    run.approve(step, f"Create a key for the wallet {profile.name!r}.")
    step.to("running")
    allowance = allowances.create(profile)
    step.to("succeeded", address=allowance.address, path=str(allowance.path))
    return allowance


def _tier_status(run: Run) -> dict[str, object]:
    try:
        answer = tiers.status(run.client)
    except Run402Error:
        return {}
    return answer if isinstance(answer, dict) else {}


def _fund(run: Run, allowance: Allowance, key: str) -> None:
    if allowance.fields.get("funded") is True:
        run.log.skip("allowance.faucet", address=allowance.address)
        return
    step = run.log.plan("allowance.faucet", mutation=True, address=allowance.address)
    run.approve(step, f"Ask the faucet for test funds for {allowance.address}.")
    step.to("running")
    allowances.faucet(run.client, allowance.address, idempotency_key=key)
    allowances.mark_funded(run.client.profile)
    step.to("succeeded")


def idempotency_root(options: UpOptions) -> str:
    """The root of the idempotency keys of this run's requests: the given key, else a digest of what was asked for."""
    if options.idempotency_key:
        return options.idempotency_key
    asked = {
        "type": "up",
        "dir": options.directory if options.directory is not None else ".",
        "manifest": options.manifest,
        "projectId": options.project,
        "name": options.name,
        "tier": options.tier or DEFAULT_TIER,
        "orgId": None,
    }
    text = json.dumps(asked, separators=(",", ":"), ensure_ascii=False)
    return "up:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
