"""Refuse sources that a manifest names when their auth calls would fail at run time. See docs/deploy.md, "Source scan".

RUN402_DEPLOY_SKIP_SCAN=1 skips the check.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from run402_cli import uploads
from run402_cli.errors import CommandError
from run402_cli.release.source_scan import EXTENSIONS, Finding, scan_text, scan_tree
from run402_cli.uploads import Bounds, workspace

_SHOWN = 10


def require_clean(manifest: Any, base_dir: Path, *, tree: str | None = None, bounds: Bounds | None = None) -> None:
    """CommandError R402_AUTH_PREFLIGHT_FAILED when a source named by the manifest has an error-severity finding.

    With `tree` (the build directory of --dir) every source below it is looked at instead. `bounds` are the files that the
    manifest may name.
    """
    if os.environ.get("RUN402_DEPLOY_SKIP_SCAN") == "1":
        return
    if tree is not None:
        findings = [finding for finding in scan_tree(Path(tree), Path.cwd()) if finding["severity"] == "error"]
    else:
        findings = [
            finding
            for path in _named_sources(manifest, base_dir)
            for finding in _scan(path, bounds or workspace(base_dir))
        ]
    if not findings:
        return
    lines = [f"{each['file']}:{each['line']} {each['code']}: {each['message']}" for each in findings[:_SHOWN]]
    more = f" and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    raise CommandError(
        f"The source has {len(findings)} auth problem(s) that would fail when it runs: {lines[0]}",
        code="R402_AUTH_PREFLIGHT_FAILED",
        hint="Correct the findings, or set RUN402_DEPLOY_SKIP_SCAN=1 to deploy without this check.",
        details={"findings": findings, "summary": "; ".join(lines) + more},
    )


def _named_sources(manifest: Any, base_dir: Path) -> list[Path]:
    """Existing source files that the manifest names by path, once each, in name order."""
    site, functions = _section(manifest, "site"), _section(manifest, "functions")
    entries = [
        *_section(site, "replace").values(),
        *_section(_section(site, "patch"), "put").values(),
        *_function_entries(_section(functions, "replace")),
        *_function_entries(_section(_section(functions, "patch"), "put")),
        *_function_entries(_section(_section(functions, "patch"), "set")),
    ]
    paths = {
        base_dir / entry["path"]
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("path"), str) and "data" not in entry
    }
    return sorted(path for path in paths if path.suffix in EXTENSIONS and _is_file(path))


def _function_entries(functions: Mapping[str, Any]) -> Iterator[Any]:
    for function in functions.values():
        if isinstance(function, Mapping):
            capabilities = function.get("capabilities")
            if not (isinstance(capabilities, list) and "astro.ssr.v1" in capabilities):
                yield function.get("source", function)


def _section(value: Any, key: str) -> Mapping[str, Any]:
    section = value.get(key) if isinstance(value, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _scan(path: Path, bounds: Bounds) -> list[Finding]:
    """Error-severity findings of one file, by line. An unreadable file has none: the deploy itself reports it."""
    try:
        text = uploads.read(path, bounds).decode("utf-8", "replace")
    except OSError:
        return []
    return scan_text(text, shown=os.path.relpath(path), suffix=path.suffix, severities=("error",))
