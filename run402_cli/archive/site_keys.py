"""Which pages of an archive still name the project that was exported: its keys do not come along. See docs/archives.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from run402_cli.archive.format import BLOB_FOLDER, DEFAULT_LIMITS
from run402_cli.archive.strict_json import parse
from run402_cli.archive.verify import Verification

_NAMED: Final = re.compile(rb"(?<![A-Za-z0-9])(?:r402_(?:anon|service)_[A-Za-z0-9_-]{8,}|prj_[0-9a-f]{8,})")
_TEXTS: Final = (
    ".html",
    ".htm",
    ".js",
    ".mjs",
    ".cjs",
    ".json",
    ".ts",
    ".jsx",
    ".map",
    ".txt",
    ".xml",
    ".svg",
    ".webmanifest",
)
_FILE_BYTES: Final = 2 * 1024 * 1024
_ALL_BYTES: Final = 64 * 1024 * 1024


def files_with_keys(found: Verification) -> list[str]:
    """Paths of the site's text files, of at most 2 MiB each and 64 MiB in all, with a project key or a project id in them.

    `found` is a verification that is ok. Raises ArchiveFault for a file that changed since.
    """
    archive, state = found.archive, found.entry("portable_release_state")
    if archive is None or state is None:
        return []
    left, named = _ALL_BYTES, []
    for path, digest in _texts(parse(archive.read(state), DEFAULT_LIMITS.json_depth)):
        entry = archive.entries.get(f"{BLOB_FOLDER}/{digest}")
        if entry is None or entry.size > min(_FILE_BYTES, left):
            continue
        left -= entry.size
        if _NAMED.search(archive.read(entry)):
            named.append(path)
    return sorted(named)


def _texts(state: Any) -> list[tuple[str, str]]:
    """(path, SHA-256) of the files of a release state whose name or type says that they are text."""
    site = state.get("site") if isinstance(state, dict) else None
    paths = site.get("paths") if isinstance(site, dict) else None
    files = [file for file in paths if isinstance(file, dict)] if isinstance(paths, list) else []
    return [(str(file.get("path")), str(file.get("content_sha256"))) for file in files if _is_text(file)]


def _is_text(file: Mapping[str, Any]) -> bool:
    kind = str(file.get("content_type"))
    return kind.startswith("text/") or str(file.get("path")).lower().endswith(_TEXTS)
