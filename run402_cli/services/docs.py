"""The pages of documentation that come with the program: llms-cli.txt and docs/.

One source: the checkout's own files, which the build copies into the wheel below run402_cli/pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from run402_cli import advice
from run402_cli.errors import CommandError
from run402_cli.suggest import closest, did_you_mean

_PACKAGE = Path(__file__).resolve().parent.parent
FOLDERS = ("", "how-to", "protocol")  # of docs/; docs/reference is what --help says


class Page(TypedDict):
    page: str
    title: str


def listing() -> list[Page]:
    """Each page with its title, in reading order."""
    return [{"page": name, "title": _title(path)} for name, path in _pages().items()]


def read(name: str) -> str:
    """The text of a page; also by its file name or by the last part of its name. DOCS_PAGE_NOT_FOUND."""
    pages = _pages()
    wanted = name.removeprefix("docs/").removesuffix(".md").removesuffix(".txt")
    by_last = {page.rpartition("/")[2]: page for page in reversed(pages)}
    path = pages.get(wanted) or pages.get(by_last.get(wanted, ""))
    if path is None:
        near = closest(wanted, [*pages, *by_last])
        raise CommandError(
            f"There is no page {name!r}.{did_you_mean(near)}",
            code="DOCS_PAGE_NOT_FOUND",
            hint=f"{advice.command('docs')} lists the pages.",
            details={"page": name, "closest": near},
            next_actions=[advice.run("docs", *near[:1])],
        )
    return path.read_text(encoding="utf-8")


def _pages() -> dict[str, Path]:
    shipped = _PACKAGE / "pages"
    root = shipped if shipped.is_dir() else _PACKAGE.parent
    pages = {"llms-cli": root / "llms-cli.txt"}
    for folder in FOLDERS:
        for path in sorted((root / "docs" / folder).glob("*.md")):
            pages[f"{folder}/{path.stem}".lstrip("/")] = path
    return {name: path for name, path in pages.items() if path.is_file()}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").strip()
