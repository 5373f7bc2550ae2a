"""run402 docs, as typed, in a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_kit import Run

from run402_cli.services import docs

ROOT = Path(__file__).resolve().parents[2]


def test_pages_are_listed_with_their_titles(run: Run) -> None:
    pages = {entry["page"]: entry["title"] for entry in run("docs").json["pages"]}
    assert pages["deploy"] == "Deploying"
    assert next(iter(pages)) == "llms-cli"
    assert all(pages.values())


@pytest.mark.parametrize(
    ("page", "path"),
    [
        ("archives", "docs/archives.md"),
        ("how-to/archives", "docs/how-to/archives.md"),
        ("docs/protocol/errors.md", "docs/protocol/errors.md"),
        ("errors", "docs/protocol/errors.md"),
        ("llms-cli.txt", "llms-cli.txt"),
    ],
)
def test_a_page_is_printed_as_it_is(page: str, path: str) -> None:
    assert docs.read(page) == (ROOT / path).read_text(encoding="utf-8")


def test_help_agents_prints_the_page_for_agents(run: Run) -> None:
    outcome = run("help", "agents")
    assert (outcome.exit, outcome.out) == (0, (ROOT / "llms-cli.txt").read_text(encoding="utf-8").rstrip("\n") + "\n")


def test_an_unknown_page_names_the_closest(run: Run) -> None:
    error = run("docs", "first-ap").error
    assert error["code"] == "DOCS_PAGE_NOT_FOUND"
    assert error["details"]["closest"][0] in ("how-to/first-app", "first-app")


@pytest.mark.parametrize("page", ["../README", "/etc/passwd", "docs/../pyproject.toml", "reference/deploy", ""])
def test_nothing_but_a_page_is_read(run: Run, page: str) -> None:
    assert run("docs", page).error["code"] == "DOCS_PAGE_NOT_FOUND"
