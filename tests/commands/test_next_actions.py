"""The first next action of an error, run as it is printed, gets further, on the same project: one case for each code.

A blank (`<file>`) is what only the reader knows; the case fills it. What is not provoked here stands below with the reason.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock

from commands.conftest import ADDRESS, PRIVATE_KEY, Run

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import test_error_codes

pytestmark = pytest.mark.httpx_mock(assert_all_responses_were_requested=False, can_send_already_matched_responses=True)
SQL = ("projects", "sql")
SITE = '{"site": {"replace": {"a.html": "x"}}}'
OF_ANOTHER = '{"project_id": "prj_2", "site": {"replace": {"a.html": "x"}}}'
LINK = json.dumps(
    {"schema_version": "run402.workspace-project.v1", "project_id": "prj_1", "created_at": "2026-01-01T00:00:00.000Z"}
)
WALLET = json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY})


@dataclass(frozen=True)
class Case:
    """Words that end in the error; `fill` are values for blanks, `files` lie in the directory or below the state's."""

    words: tuple[str, ...]
    fill: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    state: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False  # without the wallet, its project and its keys


def case(*words: str, **more: Any) -> Case:
    return Case(words, **more)


CASES: dict[str, Case] = {
    "UNKNOWN_COMMAND": case("projcts", "list"),
    "UNKNOWN_SUBCOMMAND": case("projects", "lst"),
    "UNKNOWN_FLAG": case("projects", "list", "--limt", "5"),
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
    "PROJECT_REQUIRED": case("secrets", "list", bare=True, fill={"project_id": "prj_1"}),
    "OPERATOR_LOGIN_REQUIRED": case("operator", "overview"),
    "RUN402_PROJECT_REQUIRED": case(
        "up",
        "--yes",
        bare=True,
        fill={"project_id": "prj_1"},
        files={"run402.deploy.json": SITE},
    ),
    "RUN402_PROJECT_KEYS_REQUIRED": case("up", "--yes", "--project", "prj_9", files={"run402.deploy.json": SITE}),
    "RUN402_APPROVAL_REQUIRED": case("up", files={"run402.deploy.json": SITE}),
    "CI_SUBJECT_REQUIRED": case("ci", "link", "github", "--project", "prj_1", "--repo", "a/b"),
    "GITHUB_REPO_REQUIRED": case("ci", "link", "github", "--project", "prj_1"),
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
        "up", "--yes", files={"run402.deploy.json": OF_ANOTHER, ".run402/project.json": LINK}
    ),
    "FILE_EXISTS": case("assets", "get", "k", "--project", "prj_1", "--output", "a.txt", files={"a.txt": ""}),
    "VERIFY_CHECKS_REQUIRED": case("up", "verify", "--project", "prj_1", files={"run402.deploy.json": SITE}),
    "MESSAGE_TOO_LONG": case("message", "send", "x" * 20000, fill={"text": "short"}),
    "IDENTITY_LINK_EVENT_SOURCE_REQUIRED": case(
        "identity", "link", "nostr", "complete", fill={"path": "e.json"}, files={"e.json": "{}"}
    ),
    "GITHUB_REPOSITORY_ID_REQUIRED": case(
        "ci", "link", "github", "--project", "prj_1", "--repo", "a/b", "--branch", "main"
    ),
    "NO_DEPLOYMENT": case("subdomains", "claim", "shop", "--project", "prj_1"),
    "JQ_FAILED": case("projects", "list", "--jq", "error"),
}


# Not run here, each with the reason and where the error is raised instead.
NOT_RUN: dict[str, str] = {
    "its value is the reader's: the action is the help of the command; tests/test_hostile_words.py": """
        BAD_JSON BAD_FIELD UNSUPPORTED_OPTION BUZZ_MODE_REQUIRED NOT_A_DIRECTORY ENOENT BAD_FILE
        WALLET_SELECTION_CONFLICT WALLET_RENAME_FAILED BAD_PRIVATE_KEY BAD_PROJECT_NAME BAD_PROJECT_ID
        PROJECT_CREDENTIAL_NOT_FOUND REVEAL_REQUIRED INTERRUPTED LOCAL_ERROR INTERNAL_ERROR
        FUNCTION_BODY_INVALID_JSON BAD_WEBHOOK_URL WORKFLOW_NOT_WRITTEN LOCAL_GATEWAY_REQUIRED
    """,
    "something is missing in the installation: tests/services/test_installation.py": """
        JQ_UNAVAILABLE MCP_DEPENDENCIES_MISSING NPX_NOT_FOUND
    """,
    "a gateway answers it, and its own actions are kept: tests/core/test_next_steps.py, tests/client/test_refusals.py": """
        NETWORK_ERROR UNAUTHORIZED API_ERROR PROJECT_HAS_PENDING_TRANSFER OPERATION_NOT_FOUND
        DELEGATE_SCOPE_INSUFFICIENT VERDICT_UNAVAILABLE EMPTY_BODY CHECKSUM_MISMATCH DOMAIN_WAIT_TIMEOUT
        CANNOT_REBUILD_UNLOCKED_DEPS DEFAULT_MAILBOX_REQUIRED DEFAULT_MAILBOX_INVALID MAILBOX_NOT_FOUND
    """,
    "it takes a browser and a person: tests/commands/test_operator.py": """
        OPERATOR_SESSION_INVALID OPERATOR_LOGIN_FAILED OPERATOR_LOOPBACK_FAILED OPERATOR_APPROVE_FAILED
        OPERATOR_APPROVE_BAD_CONFIRM_URL
    """,
    "it takes a payment and a seller: tests/client/test_payments.py": """
        FAUCET_FAILED PAYMENT_REQUIRED PAYMENT_LIMIT_EXCEEDED PAYMENT_EXCEEDS_MAX X402_INSUFFICIENT_FUNDS
        PAYMENT_WALLET_UNFUNDED PAYMENT_NETWORK_UNSUPPORTED PAYMENT_ALREADY_MADE
        X402_PAYMENT_OUTCOME_AMBIGUOUS PAYMENT_SETTLEMENT_FAILED PAYMENT_INTENT_PENDING
        X402_PAYMENT_SIGNING_FAILED X402_ATTEMPT_JOURNAL_FAILED X402_RPC_TIMEOUT X402_RPC_RATE_LIMITED
        X402_RPC_UNAVAILABLE MERCHANT_RECEIPT_REQUIRED RAIL_SWITCH_REQUIRES_CONFIRM SPEND_APPROVAL_REQUIRED
    """,
    "the file or source is the reader's to correct: no command does it; tests/release, tests/up": """
        UP_MANIFEST_REQUIRED MANIFEST_EMPTY INVALID_SPEC APP_SPEC_INVALID INVALID_VERIFY_SPEC
        UNSAFE_SECRET_MANIFEST INVALID_ASSET_METADATA INVALID_EXIF_POLICY ASSET_DUPLICATE_KEY_IN_PUT
        ASSET_KEY_IN_PUT_AND_DELETE BINARY_CONTENT_REQUIRES_BYTES SUBDOMAIN_MULTI_NOT_SUPPORTED
        ASTRO_ADAPTER_TREE_IN_SITE CONFIG_ENV_REQUIRED EXECUTABLE_CONFIG_LOAD_FAILED EXECUTABLE_CONFIG_TIMEOUT
        EXECUTABLE_CONFIG_TS_LOADER_UNAVAILABLE EXECUTABLE_CONFIG_REQUIRES_EXPLICIT_MANIFEST
        UNSUPPORTED_EXECUTABLE_CONFIG_EXTENSION UNSUPPORTED_DEPLOY_MANIFEST_EXTENSION
        TYPESCRIPT_FUNCTION_REQUIRES_BUNDLE R402_AUTH_PREFLIGHT_FAILED CONTENT_CHANGED CONTENT_UPLOAD_FAILED
        PLAN_REQUIRES_INLINE_SPEC DRY_RUN_REQUIRES_INLINE_SPEC DRY_RUN_PLAN_NOT_COMMITTABLE REMOVALS_UNKNOWN
        PRUNE_CONFIRMATION_REQUIRED CI_PROJECT_REQUIRED RUN402_CORE_PROJECT_REQUIRED
        RUN402_PROJECT_NAME_COLLISION RUN402_WORKSPACE_LINK_INVALID RUN402_WORKSPACE_LINK_SYMLINK
        RUN402_SOURCE_INVALID RUN402_SOURCE_RESOLVE_FAILED RUN402_ACTION_FAILED BUILD_APPROVAL_REQUIRED
        MISSING_SECRET REMOTE_BUILD_UNSUPPORTED UNSUPPORTED_RESOURCE_KIND
    """,
    "the cure is another signed event, which another program makes: tests/commands/test_identity.py": """
        IDENTITY_LINK_SECRET_INPUT_FORBIDDEN IDENTITY_LINK_PUBLIC_VISIBILITY_REQUIRED
        IDENTITY_LINK_DUPLICATE_FIELD IDENTITY_LINK_INVALID_EVENT IDENTITY_LINK_INVALID_JSON
        IDENTITY_LINK_INVALID_NIP_OA IDENTITY_LINK_INVALID_PAYLOAD IDENTITY_LINK_INVALID_UTF8
        IDENTITY_LINK_INVALID_WALLET_SIGNATURE IDENTITY_LINK_NONCANONICAL IDENTITY_LINK_UNKNOWN_FIELD
    """,
    "the archive is damaged or not ready, and another one is needed: tests/commands/test_archives.py": """
        ARCHIVE_NOT_READY ARCHIVE_WAIT_TIMEOUT ARCHIVE_EXPORT_FAILED ARCHIVE_EXPIRED ARCHIVE_BLOB_MISSING
        ARCHIVE_DESCRIPTOR_MISSING ARCHIVE_DIGEST_MISMATCH ARCHIVE_MALFORMED_JSON ARCHIVE_MALFORMED_TAR
        ARCHIVE_SIZE_MISMATCH ARCHIVE_DESCRIPTOR_TOO_DEEP ARCHIVE_DUPLICATE_JSON_KEY ARCHIVE_DUPLICATE_PATH
        ARCHIVE_PATH_UNSAFE ARCHIVE_ENTRY_TYPE_UNSUPPORTED ARCHIVE_FILE_COUNT_LIMIT_EXCEEDED
        ARCHIVE_SIZE_LIMIT_EXCEEDED INVALID_ENV_FILE IMPORT_VERIFY_FAILED IMPORT_CONFORMANCE_FAILED
    """,
    "it takes a process, a disk or a database of its own: tests/core/test_process.py": """
        CORE_NOT_RUNNING CORE_NOT_FOUND CORE_DEPENDENCIES_MISSING CORE_ALREADY_RUNNING CORE_BUSY CORE_PORT_INVALID
        CORE_PORT_IN_USE CORE_DATA_DIR_INVALID CORE_DATA_DIR_GONE CORE_FORMAT_NEWER CORE_DISK_FULL
        CORE_DATABASE_UNUSABLE CORE_START_FAILED CORE_STOP_FAILED CORE_STATE_UNKNOWN
    """,
}


def answer(request: httpx.Request) -> httpx.Response:
    """Enough of a gateway: what makes a key answers one, everything else an empty document."""
    if str(request.url).startswith("http://127.0.0.1:9"):
        raise httpx.ConnectError("refused", request=request)
    if request.url.path.endswith("/credentials"):
        return httpx.Response(201, json={"credential_id": "pcr_1", "secret": "service_made"})
    return httpx.Response(200, json={"projects": [], "project_id": "prj_1", "status": "ok"})


def prepared(wanted: Case, folder: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in wanted.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    for name, text in wanted.state.items():
        (config / name).parent.mkdir(parents=True, exist_ok=True)
        (config / name).write_text(text)
    for name, value in wanted.env.items():
        monkeypatch.setenv(name, value)
    if "target.json" in wanted.state:
        monkeypatch.delenv("RUN402_API_BASE")


def filled(argv: list[str], fill: Mapping[str, str]) -> list[str]:
    return [fill.get(word[1:-1], word) if word.startswith("<") else word for word in argv]


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
    httpx_mock.add_callback(answer, is_reusable=True, is_optional=True)
    prepared(wanted, Path.cwd(), config_dir, monkeypatch)
    failed = run(*wanted.words)
    envelope = json.loads(failed.err.strip().splitlines()[-1])
    assert envelope["code"] == code, envelope
    action, *others = envelope["next_actions"]
    if action["type"] == "create_manifest":
        Path(action["path"]).write_text(action["content"])
        action = others[0]
    argv = filled(action["argv"], wanted.fill)
    assert not [word for word in argv if word.startswith("<")], argv
    if "--project" in wanted.words and argv[-1] != "--help":
        assert wanted.words[wanted.words.index("--project") + 1] in argv, argv
    if argv[0] == "mv":
        shutil.move(argv[1], argv[2])
        argv = ["run402", *wanted.words]
    assert argv[0] == "run402"
    done = run(*argv[1:])
    if done.exit:
        assert json.loads(done.err.strip().splitlines()[-1])["code"] != code, (argv, done.err)


def test_every_code_has_its_case_or_its_reason() -> None:
    listed = {*test_error_codes.listed(test_error_codes.COMMAND_LINE), *test_error_codes.command_line_codes()}
    from_gateway = {*test_error_codes.listed(test_error_codes.GATEWAY)}
    reasons = [code for codes in NOT_RUN.values() for code in codes.split()]
    assert sorted(reasons) == sorted({*reasons})
    assert {*CASES} & {*reasons} == set()
    assert (listed - {*CASES} - {*reasons}) - from_gateway == set()
    assert {*CASES, *reasons} - listed == set()
