"""What this gateway can do, in the shape of the capability document. See docs/local-gateway.md."""

from __future__ import annotations

from typing import Any

from run402_cli._version import __version__

RUNTIME_CONTRACT = "run402-runtime-kernel-v1"

SUPPORTED = (
    "projects.create.local",
    "projects.inspect.local",
    "projects.list.local",
    "projects.rename.local",
    "projects.delete.local",
    "apply.plan.supported-static-rest-slice",
    "apply.commit.supported-static-rest-slice",
    "database.migrations.inline-sql",
    "database.migrations.sql_ref",
    "database.expose",
    "database.rest.postgrest",
    "auth.jwt.local-test-tokens",
    "auth.users.local",
    "auth.magic-link.local",
    "email.mailboxes.outbox",
    "email.webhooks",
    "jobs.demonstration",
    "events.project-feed",
    "errors.fingerprints",
    "rls.claim-mapping",
    "site.patch",
    "site.static.explicit-public-paths",
    "site.static.implicit-public-paths",
    "site.static.exact-alias-routes",
    "site.static.route-manifest",
    "database.zero-downtime",
    "apply.checks",
    "apply.rehearse",
    "i18n.routing",
    "subdomains.local",
    "projects.snapshots",
    "projects.branches",
    "auth.siwx.local",
    "payments.x402.local",
    "storage.objects.local",
    "functions.node",
    "functions.patch",
    "functions.routed-http.local",
    "functions.direct-invoke.local",
    "functions.auth-gates.local",
    "functions.role-gates.local",
    "functions.secrets.local",
    "functions.logs.local",
    "functions.scheduled.local",
    "functions.durable-runs.local",
    "functions.trusted-local-code",
    "functions.external-npm-dependencies",
    "ci.github-actions.local",
    "archives.import.local-new-project",
    "export.project-archive",
)
UNSUPPORTED = (
    "functions.streaming",
    "functions.websockets",
    "functions.hostile-code-isolation",
    "storage.s3-compatible",
    "assets.images",
    "astro.ssr",
    "domains.custom",
    "cloud-import.project-archive",
    "archives.import.existing-project-merge",
    "auth.hosted-oauth",
    "auth.passkeys",
    "email.external-delivery",
    "cloud.billing",
    "cloud.fleet-scheduling",
    "cloud.managed-backups",
    "cloud.monitoring",
    "cloud.abuse-controls",
)


def capability_document() -> dict[str, Any]:
    """The document of GET /capabilities/v1, also part of every project object."""
    return {
        "runtime_contract_version": RUNTIME_CONTRACT,
        "release_spec_version": "run402.release_spec.v1",
        "planner_semantics_version": "run402.release_planner.v1",
        "supported_features": list(SUPPORTED),
        "unsupported_features": [{"feature": name, "error": "unsupported_capability"} for name in UNSUPPORTED],
        "components": {"gateway": {"name": "run402", "version": __version__}},
        "functions_runtime": {"capability": "core-functions", "status": "supported", "runtime": "node22"},
        "astro_ssr_runtime": {"capability": "core-astro-ssr", "status": "unsupported"},
        "portable_archives": {"format_versions": ["run402-project-archive.v1"], "local_import": True},
    }
