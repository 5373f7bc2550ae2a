"""Which paths a file of a release may have. The client asks before it hashes, a gateway when it reads a spec.

See docs/protocol/releases.md, "Sections".
"""

from __future__ import annotations

import re
from typing import Final

from run402_cli.release.fields import Fields
from run402_cli.release.sources import is_unicode

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DOTS: Final = frozenset({".", ".."})
_ADAPTER_FILE: Final = "run402/adapter.json"
_ADAPTER_TREE: Final = "run402/server/"


def path_problem(path: str) -> str | None:
    """Why `path` cannot be the place of a file in a release, or None."""
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "starts with /; paths in a release are relative"
    if "\\" in path or _CONTROL.search(path):
        return "has a backslash or control character in it"
    if not is_unicode(path):
        return "has half of a surrogate pair in it"
    if path.endswith("/") or "//" in path or not _DOTS.isdisjoint(path.split("/")):
        return "has an empty, . or .. segment"
    return None


def check_path(path: str, where: str, fields: Fields) -> None:
    """Refuse a path of `site` or of a function's `files` that is no place in a release, and an Astro server tree in a site.

    Raises `fields`' ReleaseError (resource `<where>.<path>`) or ASTRO_ADAPTER_TREE_IN_SITE (resource `where`).
    """
    problem = path_problem(path)
    if problem:
        raise fields.error(
            f"The path {path!r} in {where} {problem}. Use a relative path such as docs/index.html.", f"{where}.{path}"
        )
    if where.startswith("site") and (path == _ADAPTER_FILE or path.startswith(_ADAPTER_TREE)):
        raise fields.error(
            f"{path!r} belongs to the server side of an Astro build and must not be public. "
            "Deploy its client directory, dist/run402/client, as the site.",
            where,
            code="ASTRO_ADAPTER_TREE_IN_SITE",
            fix={"action": "reroot_site_to_astro_client_dir", "path": path, "expected_dir": "dist/run402/client"},
        )
