"""The first next action of an error, run as it is printed, gets further, on the same project: one case for each code.

A blank (`<file>`) is what only the reader knows; the case fills it. What is not provoked here stands below with the reason.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import code_table_kit
import httpx
import pytest
from config_kit import ADDRESS, PRIVATE_KEY
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

from run402_cli.core.daemon import launcher
from run402_cli.secrecy import CommandLine

pytestmark = pytest.mark.httpx_mock(assert_all_responses_were_requested=False, can_send_already_matched_responses=True)
SQL = ("projects", "sql")
SITE = '{"site": {"replace": {"a.html": "x"}}}'
OF_ANOTHER = '{"project_id": "prj_2", "site": {"replace": {"a.html": "x"}}}'
LINK = json.dumps(
    {"schema_version": "run402.workspace-project.v1", "project_id": "prj_1", "created_at": "2026-01-01T00:00:00.000Z"}
)
WALLET = json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY})
JOB = '{"job_type": "x", "input": {"input_json": {}}, "max_cost_usd_micros": 1}'
CHECKED = SITE[:-1] + ', "verify": {"http": [{"id": "home", "path": "/", "expect": {"status": 200}}]}}'
TWO = {"profiles/office/allowance.json": WALLET, "profiles/a/allowance.json": WALLET}
RAIL = WALLET[:-1] + ', "rail": "x402"}'
MPP = WALLET[:-1] + ', "rail": "mpp"}'
P = ("--project", "prj_1")
APPLY = ("deploy", "apply", *P, "--manifest", "m.json")
SEND = ("email", "send", *P, "--to", "a@b.c", "--subject", "s", "--html", "h")
DOWNLOAD = ("cloud", "archives", "download", "arc_1", *P, "--output", "o.tar")
BOX = {"mailboxes": [{"mailbox_id": "mbx_1", "slug": "a"}]}
SESSION = json.dumps(
    {
        "operator_session_token": "o",
        "token_type": "Bearer",
        "email": "a@b.c",
        "wallets": [ADDRESS],
        "expires_at": 4102444800000,
        "absolute_expires_at": "",
    }
)
NO_CHANGE: dict[str, Any] = {"is_noop": False, "warnings": [], "missing_content": [], "diff": {}}
VERDICT: dict[str, Any] = {"errors": [], "verdict": {"new_fingerprints": 0, "regressed_fingerprints": 0}}
FIXED: dict[str, Any] = {
    "/oidc": {"value": "a.b.c"},
    "/ci/v1/token-exchange": {"access_token": "t", "expires_in": 900},
    "/agent/v1/operator/session/device": {
        "device_code": "dev_1",
        "user_code": "AB",
        "verification_uri": f"{BASE}/device",
        "interval": 1,
        "expires_in": 60,
    },
    "/agent/v1/operator/session/device/token": {
        "operator_session_token": "o",
        "token_type": "Bearer",
        "email": "a@b.c",
        "wallets": [ADDRESS],
        "expires_in": 3600,
        "absolute_expires_at": "",
    },
}
STARTED = {"url": "http://127.0.0.1:4020", "port": 4020, "running": True, "healthy": True, "already_running": False}
STARTED |= {"data_dir": "/data"}


@dataclass(frozen=True)
class Case:
    """Words that end in the error; `fill` are values for blanks, `files` lie in the directory or below the state's."""

    words: tuple[str, ...]
    fill: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)  # of the gateway until the action, by the end of the path
    cure: Mapping[str, str] = field(default_factory=dict)  # files as their writer corrects them before the action
    waits: bool = False  # the clock goes on with what is slept, which takes no time
    helps: bool = False  # which command was meant is the caller's to say: its help is the step
    then: str = ""  # the code at which the action stops: the next step of several
    bare: bool = False  # without the wallet, its project and its keys


def case(*words: str, **more: Any) -> Case:
    return Case(words, **more)


CASES: dict[str, Case] = {
    "UNKNOWN_COMMAND": case("projcts", "list", helps=True),
    "UNKNOWN_SUBCOMMAND": case("projects", "lst", helps=True),
    "UNKNOWN_FLAG": case("projects", "list", "--limt", "5", helps=True),
    "BAD_USAGE": case("branches", "renew", "--project", "prj_1", fill={"branch_project_id": "prj_2"}),
    "BAD_FLAG": case("functions", "logs", "f", "--project", "prj_1", "--tail", "0"),
    "BAD_JSON_FLAG": case(*SQL, "select 1", "--project", "prj_1", "--params", "{", fill={"params": "[]"}),
    "FILE_NOT_FOUND": case(
        *SQL, "--project", "prj_1", "--file", "nosuch.sql", fill={"file": "a.sql"}, files={"a.sql": "select 1"}
    ),
    "NOT_A_FILE": case(*SQL, "--project", "prj_1", "--file", ".", fill={"file": "a.sql"}, files={"a.sql": "select 1"}),
    "CONFIRMATION_REQUIRED": case("projects", "delete", "--project", "prj_1"),
    "DOCS_PAGE_NOT_FOUND": case("docs", "nosuch"),
    "BAD_ENV": case("projects", "list", state={"target.json": "{"}),
    "BAD_ALLOWANCE_FILE": case("allowance", "status", state={"allowance.json": "{}"}),
    "NO_ALLOWANCE": case("allowance", "balance", bare=True),
    "ALLOWANCE_EXISTS": case("allowance", "create", fill={"name": "work"}),
    "WALLET_NOT_FOUND": case("wallets", "use", "nosuch", fill={"name": "default"}),
    "WALLET_EXISTS": case(
        "wallets", "new", "office", state={"profiles/office/allowance.json": WALLET}, fill={"name": "other"}
    ),
    "BAD_WALLET_NAME": case("wallets", "new", "A B", fill={"name": "ab", "wallet": "ab"}),
    "WALLET_PROTECTED": case("wallets", "rm", "default", "--yes", fill={"name": "other"}),
    "PROJECT_REQUIRED": case(
        "secrets", "list", bare=True, fill={"project_id": "prj_1"}, then="PROJECT_CREDENTIAL_NOT_FOUND"
    ),
    "OPERATOR_LOGIN_REQUIRED": case("operator", "overview"),
    "RUN402_PROJECT_REQUIRED": case(
        "up",
        "--yes",
        bare=True,
        fill={"project_id": "prj_1"},
        files={"run402.deploy.json": SITE},
        then="RUN402_PROJECT_KEYS_REQUIRED",
    ),
    "RUN402_PROJECT_KEYS_REQUIRED": case("up", "--yes", "--project", "prj_9", files={"run402.deploy.json": SITE}),
    "RUN402_APPROVAL_REQUIRED": case("up", files={"run402.deploy.json": SITE}, then="RUN402_CORE_PROJECT_REQUIRED"),
    "CI_SUBJECT_REQUIRED": case(
        "ci",
        "link",
        "github",
        "--project",
        "prj_1",
        "--repo",
        "a/b",
        fill={"name": "main"},
        then="GITHUB_REPOSITORY_ID_REQUIRED",
    ),
    "GITHUB_REPO_REQUIRED": case(
        "ci", "link", "github", "--project", "prj_1", fill={"owner/repo": "a/b"}, then="CI_SUBJECT_REQUIRED"
    ),
    "WORKFLOW_EXISTS": case(
        "ci",
        "link",
        "github",
        "--project",
        "prj_1",
        "--repo",
        "a/b",
        "--branch",
        "main",
        "--repository-id",
        "1",
        "--workflow",
        "w.yml",
        files={"w.yml": "x"},
    ),
    "FUNCTION_BODY_SOURCE_CONFLICT": case(
        "functions",
        "invoke",
        "f",
        "--project",
        "prj_1",
        "--body",
        "{}",
        "--body-file",
        "b.json",
        files={"b.json": "{}"},
    ),
    "RUN402_WORKSPACE_LINK_CONFLICT": case(
        "up", "--yes", "--name", "other", files={"run402.deploy.json": SITE, ".run402/project.json": LINK}
    ),
    "RUN402_PROJECT_CONFLICT": case(
        "up",
        "--yes",
        files={"run402.deploy.json": OF_ANOTHER, ".run402/project.json": LINK},
        then="RUN402_PROJECT_KEYS_REQUIRED",
    ),
    "FILE_EXISTS": case(
        "assets", "get", "k", "--project", "prj_1", "--output", "a.txt", files={"a.txt": ""}, fill={"path": "b.txt"}
    ),
    "VERIFY_CHECKS_REQUIRED": case(
        "up", "verify", "--project", "prj_1", files={"run402.deploy.json": SITE}, cure={"run402.deploy.json": CHECKED}
    ),
    "MESSAGE_TOO_LONG": case("message", "send", "x" * 20000, fill={"text": "short"}),
    "IDENTITY_LINK_EVENT_SOURCE_REQUIRED": case(
        "identity",
        "link",
        "nostr",
        "complete",
        fill={"path": "e.json"},
        files={"e.json": "{}"},
        then="IDENTITY_LINK_INVALID_EVENT",
    ),
    "GITHUB_REPOSITORY_ID_REQUIRED": case(
        "ci", "link", "github", "--project", "prj_1", "--repo", "a/b", "--branch", "main", fill={"id": "1"}
    ),
    "NO_DEPLOYMENT": case("subdomains", "claim", "shop", "--project", "prj_1"),
    "JQ_FAILED": case("projects", "list", "--jq", "error", fill={"filter": "."}),
    # A value or a text that its writer corrects: the command with the value left blank, or the one that reads the text again.
    "BAD_JSON": case("jobs", "submit", *P, "--file", "j.json", files={"j.json": "{"}, cure={"j.json": JOB}),
    "BAD_FILE": case(
        *("secrets", "set", "K", "--file", "b.txt", *P),
        files={"b.txt": "\udcff"},
        fill={"file": "a.txt"},
        cure={"a.txt": "v"},
    ),
    "NOT_A_DIRECTORY": case("skill", "install", "claude", "--dir", "nosuch", fill={"dir": "."}),
    "BAD_PRIVATE_KEY": case(
        *("wallets", "import", "office", "--key", "k.txt"),
        files={"k.txt": "zz"},
        fill={"secret": "office"},
        cure={"k.txt": "0x" + "22" * 32},
    ),
    "BAD_PROJECT_NAME": case("projects", "provision", "--name", "", fill={"name": "shop"}),
    "FUNCTION_BODY_INVALID_JSON": case(
        *("functions", "invoke", "f", *P, "--body", "{"), fill={"body.json": "b.json"}, cure={"b.json": "{}"}
    ),
    "BAD_WEBHOOK_URL": case(
        *("email", "webhooks", "register", *P, "--url", "http://x", "--events", "delivery"),
        fill={"url": "https://x.test/h"},
    ),
    "UNSUPPORTED_OPTION": case("doctor", "--buzz"),
    "BUZZ_MODE_REQUIRED": case("doctor", "--buzz-agent", "x"),
    "MANIFEST_EMPTY": case(*APPLY, files={"m.json": "{}"}, cure={"m.json": SITE}),
    "UNSAFE_SECRET_MANIFEST": case(*APPLY, files={"m.json": '{"secrets": {"set": {"A": "b"}}}'}, cure={"m.json": SITE}),
    "BINARY_CONTENT_REQUIRES_BYTES": case(
        *APPLY, files={"m.json": '{"site": {"replace": {"a.png": "x"}}}'}, cure={"m.json": SITE}
    ),
    "SUBDOMAIN_MULTI_NOT_SUPPORTED": case(
        *APPLY, files={"m.json": '{"subdomains": {"set": ["a", "b"]}}'}, cure={"m.json": SITE}
    ),
    "APP_SPEC_INVALID": case(
        *("up", "--yes", *P), files={"run402.json": '{"spec_version": 1, "x": 1}'}, cure={"run402.json": SITE}
    ),
    "INVALID_VERIFY_SPEC": case(
        *("up", "verify", *P),
        files={"run402.deploy.json": SITE[:-1] + ', "verify": {"http": 5}}'},
        cure={"run402.deploy.json": CHECKED},
    ),
    "UP_MANIFEST_REQUIRED": case("up", "--yes", *P, files={"site/index.html": "x"}),
    "LOCAL_ERROR": case(
        "up", "--yes", *P, files={"run402.deploy.json": '{"sit": 1}'}, cure={"run402.deploy.json": SITE}
    ),
    "EXECUTABLE_CONFIG_REQUIRES_EXPLICIT_MANIFEST": case(
        *("up", "--yes", *P), files={"run402.deploy.mjs": 'export default {site: {replace: {"a.html": "x"}}}'}
    ),
    "EXECUTABLE_CONFIG_LOAD_FAILED": case(
        *("up", "--yes", *P, "--manifest", "m.mjs"),
        files={"m.mjs": "throw new Error('x')"},
        cure={"m.mjs": 'export default {site: {replace: {"a.html": "x"}}}'},
    ),
    "UNSUPPORTED_DEPLOY_MANIFEST_EXTENSION": case(
        *("up", "--yes", *P, "--manifest", "m.yaml"), files={"m.yaml": "x", "m.json": SITE}, fill={"manifest": "m.json"}
    ),
    "PRUNE_CONFIRMATION_REQUIRED": case("sites", "deploy-dir", "s", *P, files={"s/a.html": "x"}),
    "CI_PROJECT_REQUIRED": case(
        *("deploy", "apply", "--manifest", "m.json"),
        files={"m.json": SITE},
        bare=True,
        env={
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{BASE}/oidc",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
        },
        fill={"project_id": "prj_1"},
    ),
    "DRY_RUN_PLAN_NOT_COMMITTABLE": case(*APPLY, files={"m.json": SITE}, answers={"/plans": (200, {})}),
    "RUN402_WORKSPACE_LINK_INVALID": case(
        "up", "--yes", files={"run402.deploy.json": SITE, ".run402/project.json": "{"}
    ),
    "RUN402_SOURCE_INVALID": case(
        "up", "--yes", "nosuch", *P, fill={"directory": "."}, files={"run402.deploy.json": SITE}
    ),
    "RUN402_SOURCE_RESOLVE_FAILED": case(
        *("up", "https://127.0.0.1:9/x.git", "--yes", *P), fill={"directory": "."}, files={"run402.deploy.json": SITE}
    ),
    "RUN402_CORE_PROJECT_REQUIRED": case("up", "--yes", "--name", "shop", files={"run402.deploy.json": SITE}),
    # Keys and wallets.
    "WALLET_SELECTION_CONFLICT": case(
        *("projects", "list"),
        state={"profiles/office/allowance.json": WALLET, "profiles/a/allowance.json": WALLET},
        env={"RUN402_PROFILE": "a"},
        files={".run402.json": '{"wallet": "office"}'},
    ),
    "WALLET_RENAME_FAILED": case("wallets", "rename", "office", "--to", "a", state=TWO, fill={"name": "default"}),
    "PROJECT_CREDENTIAL_NOT_FOUND": case("secrets", "list", "--project", "prj_9"),
    "REVEAL_REQUIRED": case("credentials", "project-keys", "export", *P),
    "BAD_PROJECT_ID": case("projects", "schema", "abc", fill={"project_id": "prj_1"}),
    "RAIL_SWITCH_REQUIRES_CONFIRM": case("init", "mpp", state={"allowance.json": RAIL}),
    # What a gateway answers: before the action so, after it as usual.
    "NETWORK_ERROR": case("projects", "list", answers={"/projects/v1": None}),
    "UNAUTHORIZED": case("secrets", "list", *P, answers={"/secrets": (401, {})}),
    "API_ERROR": case("secrets", "list", *P, answers={"/secrets": (400, {})}),
    "PROJECT_HAS_PENDING_TRANSFER": case(
        *("projects", "rename", *P, "--name", "x"), answers={"/prj_1": (409, {"code": "PROJECT_HAS_PENDING_TRANSFER"})}
    ),
    "PAYMENT_REQUIRED": case("tier", "set", "hobby", answers={"/hobby": (402, {})}),
    "OPERATION_NOT_FOUND": case(
        *("deploy", "resume", "op_1"), answers={"/op_1": (404, {"code": "OPERATION_NOT_FOUND", "message": "m"})}
    ),
    "DELEGATE_SCOPE_INSUFFICIENT": case(
        *("deploy", "list", *P), env={"RUN402_DELEGATE_TOKEN": "r402_delegate_x"}, fill={"operation_id": "op_1"}
    ),
    "VERDICT_UNAVAILABLE": case("errors", "--new-in", "active", "--fail-on-new", answers={"/errors": (500, {})}),
    "EMPTY_BODY": case("jobs", "artifacts", "get", "job_1", "a.txt", *P, "--output", "o.txt", answers={"/a.txt": b""}),
    "CHECKSUM_MISMATCH": case("assets", "get", "k", *P, "--output", "o.txt", answers={"/k": b"x"}),
    "DOMAIN_WAIT_TIMEOUT": case("domains", "wait", "e.com", *P, "--timeout-ms", "1", "--interval-ms", "1"),
    "CANNOT_REBUILD_UNLOCKED_DEPS": case(
        *("functions", "rebuild", "f", *P),
        answers={"/rebuild": (409, {"code": "CANNOT_REBUILD_UNLOCKED_DEPS", "message": "m"})},
        fill={"file": "f.js"},
        files={"f.js": "export default () => new Response('x')"},
    ),
    "DEFAULT_MAILBOX_REQUIRED": case(
        *SEND, answers={"/mailboxes/v1": (200, {**BOX, "mailbox_settings": {}})}, fill={"slug|mbx_id": "mbx_1"}
    ),
    "DEFAULT_MAILBOX_INVALID": case(
        *SEND,
        answers={"/mailboxes/v1": (200, {**BOX, "mailbox_settings": {"default_outbound_mailbox_id": "mbx_9"}})},
        fill={"slug|mbx_id": "mbx_1"},
    ),
    "MAILBOX_NOT_FOUND": case("email", "defaults", "--outbound", "nosuch", *P, answers={"/mailboxes/v1": (200, BOX)}),
    "WORKFLOW_NOT_WRITTEN": case(
        *(
            "ci",
            "link",
            "github",
            *P,
            "--repo",
            "a/b",
            "--branch",
            "main",
            "--repository-id",
            "1",
            "--workflow",
            "d/w.yml",
        ),
        files={"d": "x"},
    ),
    "LOCAL_GATEWAY_REQUIRED": case("email", "outbox", env={"RUN402_API_BASE": "https://api.run402.com"}),
    "OPERATOR_SESSION_INVALID": case(
        *("operator", "overview"), state={"operator-session.json": SESSION}, answers={"/overview": (401, {})}
    ),
    "FAUCET_FAILED": case(
        "allowance", "fund", state={"allowance.json": MPP}, answers={"": (200, {"error": {"message": "dry"}})}
    ),
    "ARCHIVE_NOT_READY": case(*DOWNLOAD, answers={"/arc_1": (200, {"archive_id": "arc_1", "status": "running"})}),
    "ARCHIVE_EXPIRED": case(*DOWNLOAD, answers={"/arc_1": (200, {"archive_id": "arc_1", "status": "expired"})}),
    "ARCHIVE_WAIT_TIMEOUT": case(
        *("projects", "export", *P, "--output", "o.tar", "--timeout", "1000", "--poll-interval", "500"),
        waits=True,
        answers={
            "/archives": (200, {"archive_id": "arc_1", "status": "running"}),
            "/arc_1": (200, {"archive_id": "arc_1", "status": "running"}),
        },
    ),
    "INTERNAL_ERROR": case("cloud", "archives", "status", "arc_1", *P, answers={"/arc_1": (200, {})}),
    "IDENTITY_LINK_PUBLIC_VISIBILITY_REQUIRED": case(
        *("identity", "link", "nostr", "begin", "--pubkey", "a" * 64, "--visibility", "private"),
        then="IDENTITY_LINK_INVALID_PAYLOAD",
    ),
    # The local gateway's own commands, without starting one.
    "CORE_NOT_FOUND": case("open", env={"RUN402_CORE_URL": "http://127.0.0.1:9"}),
    "CONSOLE_CLOSED": case(
        "open",
        env={"RUN402_CORE_URL": "http://127.0.0.1:4020"},
        answers={"/health": (200, {"mode": "core"}), "/tickets": (401, {})},
    ),
    "CORE_NOT_RUNNING": case("core", "logs"),
    "CORE_DATA_DIR_INVALID": case("core", "start", "--data-dir", "f", files={"f": "x"}, fill={"directory": "d"}),
}


# Not run here, each with the reason and where the error is raised instead.
NOT_RUN: dict[str, str] = {
    "the action is the same command with one flag more: tests/commands/test_files_walls.py": "PATH_OUTSIDE_WORKSPACE",
    "nothing but another file helps: tests/commands/test_files_walls.py": "SECRET_FILE_REFUSED",
    "it takes rows of which one has a column more: tests/commands/test_csv_format.py": "ROWS_DIFFER",
    "it takes a repository with a binding in it: tests/state/test_bindings.py": "BINDING_NOT_CONFIRMED",
    "it takes an answer of megabytes, or a packed one: tests/client/test_bounds.py": "ANSWER_TOO_LARGE ANSWER_UNREADABLE",
    "it takes an answer that redirects elsewhere: tests/client/test_redirect_credentials.py": "REDIRECT_REFUSED",
    "it takes a 402 from another machine over plain http: tests/client/test_plain_http.py": "PAYMENT_OVER_PLAIN_HTTP",
    "no error of its own but a finding in the result, whose notice names the command: tests/commands/test_archives.py": """
        ENOENT ARCHIVE_BLOB_MISSING ARCHIVE_DESCRIPTOR_MISSING ARCHIVE_DIGEST_MISMATCH ARCHIVE_MALFORMED_JSON
        ARCHIVE_MALFORMED_TAR ARCHIVE_SIZE_MISMATCH ARCHIVE_DESCRIPTOR_TOO_DEEP ARCHIVE_DUPLICATE_JSON_KEY
        ARCHIVE_DUPLICATE_PATH ARCHIVE_PATH_UNSAFE ARCHIVE_ENTRY_TYPE_UNSUPPORTED ARCHIVE_FILE_COUNT_LIMIT_EXCEEDED
        ARCHIVE_SIZE_LIMIT_EXCEEDED IMPORT_VERIFY_FAILED IMPORT_CONFORMANCE_FAILED ARCHIVE_EXPORT_FAILED
    """,
    "no error of its own but a reason why an app is blocked: tests/up/test_up_app.py": """
        SECRET_SOURCE_APPROVAL_REQUIRED
        BUILD_APPROVAL_REQUIRED SPEND_APPROVAL_REQUIRED MISSING_SECRET REMOTE_BUILD_UNSUPPORTED UNSUPPORTED_RESOURCE_KIND
    """,
    "it takes an archive that can be read beside it: tests/commands/test_archives.py": "INVALID_ENV_FILE",
    "it takes an app whose build fails: tests/up/test_up_app.py": "RUN402_ACTION_FAILED",
    "only the Cloud creates a project by its name: tests/up/test_up_cloud.py": "RUN402_PROJECT_NAME_COLLISION",
    "only the Cloud has tiers with limits: tests/release/test_tier.py, tests/deploy/test_engine.py": "BAD_FIELD",
    "a manifest of the command line answers LOCAL_ERROR first: tests/release/test_spec.py": "INVALID_SPEC",
    "the command line answers BAD_FLAG first: tests/core/test_process.py": "CORE_PORT_INVALID",
    "it takes a manifest of megabytes: tests/deploy/test_engine.py": """
        PLAN_REQUIRES_INLINE_SPEC DRY_RUN_REQUIRES_INLINE_SPEC
    """,
    "the file changes, or an upload fails, while the command runs: tests/deploy/test_upload.py": """
        CONTENT_CHANGED CONTENT_UPLOAD_FAILED
    """,
    "it takes a live release whose diff the gateway does not tell: tests/deploy/test_engine.py": "REMOVALS_UNKNOWN",
    "it takes assets, as INVALID_VERIFY_SPEC a text to correct: tests/release/test_wire.py": """
        INVALID_ASSET_METADATA INVALID_EXIF_POLICY ASSET_DUPLICATE_KEY_IN_PUT ASSET_KEY_IN_PUT_AND_DELETE
    """,
    "it takes a built site or a function's source to correct: tests/release, tests/commands/test_deploy.py": """
        ASTRO_ADAPTER_TREE_IN_SITE TYPESCRIPT_FUNCTION_REQUIRES_BUNDLE R402_AUTH_PREFLIGHT_FAILED
    """,
    "it takes a config that waits, or wants a variable or a loader: tests/release/test_programs.py": """
        CONFIG_ENV_REQUIRED EXECUTABLE_CONFIG_TIMEOUT EXECUTABLE_CONFIG_TS_LOADER_UNAVAILABLE
        UNSUPPORTED_EXECUTABLE_CONFIG_EXTENSION
    """,
    "it takes a symbolic link, and its action is rm: tests/state/test_workspace.py": "RUN402_WORKSPACE_LINK_SYMLINK",
    "it takes a signal: tests/test_main.py": "INTERRUPTED",
    "something is missing in the installation: tests/services/test_installation.py, tests/commands/test_dev.py": """
        JQ_UNAVAILABLE MCP_DEPENDENCIES_MISSING NPX_NOT_FOUND CORE_DEPENDENCIES_MISSING
    """,
    "it takes a browser and a person: tests/commands/test_operator.py": """
        OPERATOR_LOGIN_FAILED OPERATOR_LOOPBACK_FAILED OPERATOR_APPROVE_FAILED OPERATOR_APPROVE_BAD_CONFIRM_URL
    """,
    "it takes a seller that asks for money: tests/client/test_payments.py, tests/client/test_payments_buyer.py": """
        PAYMENT_LIMIT_EXCEEDED PAYMENT_EXCEEDS_MAX X402_INSUFFICIENT_FUNDS PAYMENT_WALLET_UNFUNDED
        PAYMENT_NETWORK_UNSUPPORTED PAYMENT_ALREADY_MADE X402_PAYMENT_OUTCOME_AMBIGUOUS PAYMENT_SETTLEMENT_FAILED
        PAYMENT_INTENT_PENDING X402_PAYMENT_SIGNING_FAILED X402_ATTEMPT_JOURNAL_FAILED MERCHANT_RECEIPT_REQUIRED
        X402_RPC_TIMEOUT X402_RPC_RATE_LIMITED X402_RPC_UNAVAILABLE
    """,
    "the cure is another challenge or signed event, which another program makes: tests/commands/test_identity.py": """
        IDENTITY_LINK_SECRET_INPUT_FORBIDDEN IDENTITY_LINK_DUPLICATE_FIELD IDENTITY_LINK_INVALID_EVENT
        IDENTITY_LINK_INVALID_JSON IDENTITY_LINK_INVALID_NIP_OA IDENTITY_LINK_INVALID_PAYLOAD
        IDENTITY_LINK_INVALID_UTF8 IDENTITY_LINK_INVALID_WALLET_SIGNATURE IDENTITY_LINK_NONCANONICAL
        IDENTITY_LINK_UNKNOWN_FIELD
    """,
    "only a tool of the MCP server raises it: tests/mcp/test_mcp_files.py": """
        CORE_NOT_YOURS PROGRAM_NOT_ALLOWED
    """,
    "it takes a process, a disk or a database of its own: tests/core/test_process.py, tests/core/test_recovery.py": """
        CORE_ALREADY_RUNNING CORE_BUSY CORE_PORT_IN_USE CORE_DATA_DIR_GONE CORE_FORMAT_NEWER CORE_DISK_FULL
        CORE_DATABASE_UNUSABLE CORE_START_FAILED CORE_STOP_FAILED CORE_STATE_UNKNOWN
    """,
}


def answer(request: httpx.Request) -> httpx.Response:
    """Enough of a gateway: what makes a key answers one, an archive is ready, everything else an empty document."""
    if str(request.url).startswith("http://127.0.0.1:9"):
        raise httpx.ConnectError("refused", request=request)
    path = request.url.path
    if path.endswith("/credentials"):
        return httpx.Response(201, json={"credential_id": "pcr_1", "secret": "service_made"})
    if "/archives" in path:
        done = {"archive_id": "arc_1", "status": "ready"}
        return httpx.Response(200, content=b"x") if path.endswith("/download") else httpx.Response(200, json=done)
    if path in FIXED:
        return httpx.Response(200, json=FIXED[path])
    if path == "/apply/v1/plans":
        return httpx.Response(
            200, json={"kind": "plan_response", "plan_id": "plan_1", "operation_id": "op_1", **NO_CHANGE}
        )
    if path.endswith(("/commit", "/op_1")):
        return httpx.Response(200, json={"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": {}})
    if "tempo" in request.url.host:
        return httpx.Response(200, json={"result": "0x01"})
    return httpx.Response(200, json={"projects": [], "project_id": "prj_1", "status": "ok", **BOX, **VERDICT})


def until_the_action(wanted: Case) -> Callable[[httpx.Request], httpx.Response]:
    """What the gateway answers while the command fails."""

    def said(request: httpx.Request) -> httpx.Response:
        for end, given in wanted.answers.items():
            if request.url.path.endswith(end):
                if given is None:
                    raise httpx.ConnectError("refused", request=request)
                if isinstance(given, bytes):
                    digest = {"content-digest": f"sha-256=:{'A' * 43}=:"} if given else {}
                    return httpx.Response(200, content=given, headers=digest)
                return httpx.Response(given[0], json=given[1])
        return answer(request)

    return said


def written(files: Mapping[str, str], folder: Path) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode(errors="surrogateescape"))


def prepared(wanted: Case, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(wanted.files, Path.cwd())
    written(wanted.state, config)
    for path in config.rglob("*.json"):
        path.chmod(0o600)
    for name, value in wanted.env.items():
        monkeypatch.setenv(name, value)
    if "target.json" in wanted.state:
        monkeypatch.delenv("RUN402_API_BASE")
    monkeypatch.setenv("RUN402_CORE_DATA_DIR", str(config / "core"))
    slept, clock = [0.0], time.monotonic
    monkeypatch.setattr(time, "sleep", slept.append)
    if wanted.waits:
        monkeypatch.setattr(time, "monotonic", lambda: clock() + sum(slept))


def filled(argv: list[str], fill: Mapping[str, str]) -> list[str]:
    return [fill.get(word[1:-1], word) if word.startswith("<") else word for word in argv]


def first(envelope: dict[str, Any]) -> dict[str, Any]:
    """The first action that is a command; what a file should hold is written before it."""
    for action in envelope["next_actions"]:
        if action["type"] == "create_manifest":
            written({action["path"]: action["content"]}, Path.cwd())
        if "argv" in action:
            return dict(action)
    raise AssertionError(f"no command: {envelope}")


@pytest.mark.parametrize("code", sorted(CASES))
def test_the_first_action_gets_further(
    code: str,
    run: Run,
    request: pytest.FixtureRequest,
    config_dir: Path,
    httpx_mock: HTTPXMock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = CASES[code]
    if not wanted.bare:
        request.getfixturevalue("wallet")
    replies = [until_the_action(wanted)]
    httpx_mock.add_callback(lambda asked: replies[-1](asked), is_reusable=True, is_optional=True)
    prepared(wanted, config_dir, monkeypatch)
    failed = run(*wanted.words)
    envelope = json.loads(failed.err.strip().splitlines()[-1])
    assert envelope["code"] == code, envelope
    action = first(envelope)
    argv = filled(action["argv"], wanted.fill)
    assert not [word for word in argv if word.startswith("<")], argv
    assert (argv[-1] == "--help") == wanted.helps, envelope
    acts_on_it = argv[:1] == ["run402"] and CommandLine(argv[1:]).flags.get("--project")
    if "--project" in wanted.words and acts_on_it and "--check" not in argv:
        assert wanted.words[wanted.words.index("--project") + 1] in argv, argv
    replies.append(answer)
    monkeypatch.setattr(launcher, "start", lambda _options: dict(STARTED))  # what starts is tested in tests/core
    written(wanted.cure, Path.cwd())
    if argv[0] == "mv":
        shutil.move(argv[1], argv[2])
        argv = ["run402", *wanted.words]
    assert argv[0] == "run402"
    done = run(*argv[1:])
    if done.exit and done.out and not wanted.then:  # a report, as of doctor
        assert json.loads(done.out)
    elif done.exit:
        stopped = json.loads(done.err.strip().splitlines()[-1])
        assert stopped["code"] == wanted.then, (argv, done.err)
    else:
        assert not wanted.then, argv


def test_every_code_has_its_case_or_its_reason() -> None:
    listed = {*code_table_kit.listed(code_table_kit.COMMAND_LINE), *code_table_kit.command_line_codes()}
    from_gateway = {*code_table_kit.listed(code_table_kit.GATEWAY)}
    reasons = [code for codes in NOT_RUN.values() for code in codes.split()]
    assert sorted(reasons) == sorted({*reasons})
    assert {*CASES} & {*reasons} == set()
    assert (listed - {*CASES} - {*reasons}) - from_gateway == set()
    assert {*CASES, *reasons} - listed == set()
    places = [place for reason in NOT_RUN for place in re.findall(r"tests/[\w/.]+", reason)]
    assert [place for place in places if not (Path(__file__).parents[2] / place).exists()] == []
