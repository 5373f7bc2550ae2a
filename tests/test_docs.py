"""Docs are tested against the code: generated pages are fresh, every page that the code names exists."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent


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
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert not broken


def test_the_repository_names_nothing_outside_itself() -> None:
    forbidden = re.compile(r"/work/|\.\./shared|pypi-more|/tmp/brief")
    here = Path(__file__).resolve()
    files = [p for d in ("run402_cli", "docs", "tests", ".ci") for p in (ROOT / d).rglob("*") if p.is_file()]
    files += [ROOT / name for name in ("README.md", "Makefile", "pyproject.toml", "llms-cli.txt")]
    texts = {
        p: p.read_text(encoding="utf-8", errors="replace") for p in files if "__pycache__" not in p.parts and p != here
    }
    assert [str(p) for p, text in texts.items() if forbidden.search(text) and p.name != "test_conformance.py"] == []
