"""Docs are tested against the code: generated pages are fresh, every page that the code names exists."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.routing import Route

from run402_cli import __version__, global_options
from run402_cli.command_schemas import detailed, names
from run402_cli.commands import secrets, up
from run402_cli.core.app import ROUTES
from run402_cli.main import _guarded
from run402_cli.registry import GROUPS, Group
from run402_cli.services import docs

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
# What people read; the reference shows single commands.
PAGES = [
    README,
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in page.parts),
]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_fresh() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, content in generator().pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    assert not stale, f"run `make docs`: {stale}"


def test_the_schema_files_are_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = generator().schema_files(tmp_path)
    assert {path.stem for path in files} == {"index", *GROUPS}
    documents = {path.stem: json.loads(content) for path, content in files.items()}
    assert sum(len(document["commands"]) for name, document in documents.items() if name != "index") == len(
        documents["index"]["commands"]
    )
    assert _guarded(["schema", "secrets"]) == 0
    assert json.loads(capsys.readouterr().out) == documents["secrets"]


SECRETS, UP = secrets.app.declared, up.app.declared


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda patch: patch.setitem(SECRETS, "ping", SECRETS["list"]),
            "run402_cli/schemas/secrets.json: no entry 'secrets ping' in `commands`",
        ),
        (
            lambda patch: patch.setitem(UP, "ping", UP["verify"]),
            "run402_cli/schemas/up.json: no entry 'up ping' in `commands`",
        ),
        (
            lambda patch: patch.delitem(SECRETS, "list"),
            "run402_cli/commands/secrets.py: no command 'secrets list', which run402_cli/schemas/secrets.json has",
        ),
        (
            lambda patch: patch.setattr(GROUPS["secrets"], "module", "up"),
            "run402_cli/registry.py: no group in GROUPS for run402_cli/commands/secrets.py",
        ),
        (
            lambda patch: patch.setitem(GROUPS, "ping", Group("ping", "Ping.")),
            "run402_cli/registry.py: 'ping' is the group of run402_cli/commands/ping.py, which is not there",
        ),
        (
            lambda patch: patch.setitem(SECRETS, "list", SECRETS["list"]._replace(effect="write")),
            "run402_cli/command_table.py is not what the commands declare: run `make docs`",
        ),
    ],
)
def test_make_docs_ends_with_the_file_and_the_row_that_is_missing(
    change: Callable[[pytest.MonkeyPatch], None], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs_ = generator()
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    change(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        docs_.main()
    assert ended.value.code == line


def test_make_docs_names_the_function_that_says_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    docs_ = generator()
    namespaces = docs_.generate_sdk.NAMESPACES
    title, (source,) = namespaces["secrets"]
    renamed = replace(source, rename={**source.rename, "list_secrets": "all"})
    monkeypatch.setitem(namespaces, "secrets", (title, (renamed,)))
    with pytest.raises(SystemExit, match=r"^run402_cli/services/secrets\.py: list_secrets is behind no command: "):
        docs_.pages()
    monkeypatch.setitem(namespaces, "secrets", (title, ()))
    with pytest.raises(SystemExit, match=r"^docs/sdk_namespaces\.py: neither NAMESPACES nor INTERNAL .* secrets$"):
        docs_.pages()


def test_every_docs_page_named_in_the_code_exists() -> None:
    named = {
        (path, page)
        for folder in ("run402_cli", "tests", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".txt")
        for page in re.findall(r"docs/[a-z0-9_/-]+\.md", path.read_text(encoding="utf-8"))
    }
    missing = sorted(
        {f"{page} (named in {path.relative_to(ROOT)})" for path, page in named if not (ROOT / page).exists()}
    )
    assert not missing


def test_links_in_the_docs_resolve() -> None:
    broken = []
    for path in [README, ROOT / "AGENTS.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert not broken


def test_the_readme_names_pages_by_the_command_that_prints_them() -> None:
    """A package index shows it without the files beside it: a relative link would be dead there."""
    text = README.read_text(encoding="utf-8")
    targets = [*re.findall(r"\]\(([^)]+)\)", text), *re.findall(r"^\[[^\]]+\]: *(\S+)", text, re.MULTILINE)]
    assert [each for each in targets if not each.startswith(("https://", "#"))] == []
    assert re.findall(r"<(?:a|img)\b", text) == []
    pages = set(re.findall(r"`run402 docs ([^` ]+)`", text)) - {"PAGE"}
    assert {"index", "how-to/first-app", "differences"} <= pages
    assert pages <= {page["page"] for page in docs.listing()}


@pytest.mark.parametrize("page", ["AGENTS.md", "docs/CONTRIBUTING.md"])
def test_the_files_that_contributors_are_sent_to_exist(page: str) -> None:
    named = set(re.findall(r"`((?:run402_cli|tests|docs)/[\w./-]+)`", (ROOT / page).read_text(encoding="utf-8")))
    assert len(named) > 5
    assert {each for each in named if not (ROOT / each).exists()} == set()


def test_each_attack_of_the_security_page_has_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = text.partition("## Attacks and outcomes")[2].partition("\n## ")[0].splitlines()
    rows = [row for row in rows if row.startswith("| ") and not row.startswith("| attack ")]
    assert len(rows) > 30
    for row in rows:
        tests = re.findall(r"`([\w/]+\.py)`", row.rpartition(" | ")[2])
        assert tests, row
        assert [name for name in tests if not (ROOT / "tests" / name).is_file()] == []


def test_the_changelog_begins_with_what_is_not_released() -> None:
    text = (ROOT / "docs" / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert any(each.startswith(__version__) for each in sections)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds


def test_the_manual_page_has_every_command_option_and_variable_and_no_stray_request() -> None:
    lines = (ROOT / "docs" / "run402.1").read_text(encoding="utf-8").splitlines()
    requests = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert requests == {'.\\"', ".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi"}
    shown = [line.replace("\\fB", "").replace("\\fR", "").replace("\\-", "-") for line in lines]
    for name in (*names(), *global_options.OPTIONS, "RUN402_API_BASE", "RUN402_DEBUG", "130", "143"):
        assert any(line == name or line.startswith(f"{name} ") for line in shown), name


def test_the_front_page_links_every_page() -> None:
    front = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", front)}
    assert {page for page in PAGES if page not in linked} <= {README, ROOT / "docs" / "index.md"}


def shell_blocks(page: Path) -> list[str]:
    """The `sh` blocks of a page that a reader would paste; what is marked as not run here is shown, not run."""
    pattern = r"(<!-- not run: [^>]+ -->\n)?```sh\n(.*?)```"
    return [text for mark, text in re.findall(pattern, page.read_text(encoding="utf-8"), re.DOTALL) if not mark]


@cache
def changes_the_machine() -> dict[str, str]:
    """Commands that change what a person has on the machine, and the variable that moves them elsewhere."""
    local = {name for name, each in entries().items() if each["effect"] != "read" and not each.get("calls_gateway")}
    stored = local | {"init", "projects provision", "projects use", "wallets new", "wallets rename", "wallets import"}
    stored |= {"allowance fund", "operator login", "operator logout", "core start"}
    elsewhere = {"core stop": "RUN402_CORE_DATA_DIR", "core reset": "RUN402_CORE_DATA_DIR"}
    # These write into the working directory, or serve until they are stopped.
    beside = {"wallets bind", "wallets unbind", "skill install", "skill update", "dev", "mcp"}
    return {name: elsewhere.get(name, "RUN402_CONFIG_DIR") for name in stored - beside}


def entries() -> dict[str, dict[str, Any]]:
    return dict(detailed(names())["commands"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_moves_away_before_it_changes_what_the_reader_has(page: Path) -> None:
    moved: set[str] = set()
    at_risk = []
    for line in "\n".join(shell_blocks(page)).splitlines():
        moved |= set(re.findall(r"export (RUN402_[A-Z_]+)=\$\(mktemp -d\)", line))
        for words in re.findall(r"(?<![\w./-])run402 ([a-z-]+(?: [a-z-]+){0,2})", line.split(" #")[0]):
            needed = {kind for name, kind in changes_the_machine().items() if f"{words} ".startswith(f"{name} ")}
            at_risk += [line] if needed - moved else []
    assert not at_risk


def test_the_repository_names_nothing_outside_itself() -> None:
    forbidden = re.compile(r"/work/|\.\./shared|pypi-more|/tmp/brief")
    here = Path(__file__).resolve()
    files = [p for d in ("run402_cli", "docs", "tests", ".ci") for p in (ROOT / d).rglob("*") if p.is_file()]
    files += [ROOT / name for name in ("README.md", "AGENTS.md", "Makefile", "pyproject.toml", "llms-cli.txt")]
    texts = {
        p: p.read_text(encoding="utf-8", errors="replace") for p in files if "__pycache__" not in p.parts and p != here
    }
    assert [str(p) for p, text in texts.items() if forbidden.search(text) and p.name != "test_conformance.py"] == []


# An agent's context has to have room for it. Measured with two tokenizers (o200k, cl100k): 3.8 to 4.0 characters a token.
TOKENS, CHARACTERS_PER_TOKEN = 14_000, 3.5


def test_the_page_that_agents_read_first_is_short() -> None:
    text = (ROOT / "llms-cli.txt").read_text(encoding="utf-8")
    assert len(text) / CHARACTERS_PER_TOKEN < TOKENS, "shorten docs/llms-head.txt"


def test_more_commands_make_its_summaries_shorter_and_not_the_page_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    docs_ = generator()
    whole = docs_.llms()
    monkeypatch.setattr(docs_, "PAGE_LENGTH", len(whole) - 200)
    page = docs_.llms()
    assert len(whole) - 400 < len(page) <= len(whole) - 200
    assert [line.split("  # ")[0] for line in page.splitlines()] == [
        line.split("  # ")[0] for line in whole.splitlines()
    ]


def read_first() -> str:
    return (ROOT / "docs" / "llms-head.txt").read_text(encoding="utf-8")


def test_every_route_that_agents_read_first_is_one_of_the_gateway() -> None:
    patterns = [route.path_regex for route in ROUTES if isinstance(route, Route)]
    told = set(re.findall(r"(?<![\w.])(/(?:[a-z]+/v1|_run402)[^\s?`\",;)]*)", read_first()))
    assert len(told) >= 8
    unknown = {path for path in told if not any(pattern.match(path.rstrip(".")) for pattern in patterns)}
    assert not unknown


def test_the_variables_that_agents_read_first_are_those_of_a_function() -> None:
    text = read_first()
    told = set(re.findall(r"RUN402_[A-Z_]+", text[text.index("process.env holds") : text.index("A route is public")]))
    source = (ROOT / "run402_cli" / "core" / "functions" / "runtime.py").read_text(encoding="utf-8")
    given = set(re.findall(r'"(RUN402_[A-Z_]+)":', source)) | {"RUN402_REQUEST_ID"}
    assert told == given
    assert "RUN402_REQUEST_ID" in (ROOT / "run402_cli" / "core" / "functions" / "runner.mjs").read_text(
        encoding="utf-8"
    )
