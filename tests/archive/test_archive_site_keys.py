"""Which files of an archived site name the project that was exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import archive_kit as kit

from run402_cli.archive import site_keys
from run402_cli.archive.verify import verify

KEY = "r402_anon_" + "0123456789abcdef" * 3


def site(tmp_path: Path, files: dict[str, tuple[str, bytes]]) -> list[str]:
    """What is found in an archive with these files: path -> (content type, bytes)."""
    content: dict[str, Any] = kit.documents()
    content["portable_release_state"]["site"]["paths"] += [
        {"path": path, "content_sha256": kit.sha(data), "size_bytes": len(data), "content_type": kind}
        for path, (kind, data) in files.items()
    ]
    blobs = {kit.PAGE, kit.CODE, kit.PICTURE, *(data for _, data in files.values())}
    found = verify(kit.write_tar(tmp_path / "a.r402ar", content, blobs=sorted(blobs)))
    assert found.ok, found.diagnostics
    return site_keys.files_with_keys(found)


def test_keys_and_ids_are_found_in_text_of_any_name(tmp_path: Path) -> None:
    found = site(
        tmp_path,
        {
            "js/app.js": ("text/javascript", f"const ANON_KEY='{KEY}'".encode()),
            "config.json": ("application/json", f'{{"key": "{KEY}"}}'.encode()),
            "about": ("text/html", b"<a href='/projects/v1/prj_0123456789abcdef/static/'>"),
            "plain.html": ("text/html", b"set your r402_anon_ key; xr402_anon_0123456789"),
            "a.png": ("image/png", KEY.encode()),
        },
    )
    assert found == ["about", "config.json", "js/app.js"]


def test_a_site_without_keys_names_no_file(tmp_path: Path) -> None:
    assert site(tmp_path, {}) == []


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    page = KEY.encode() + b" " * site_keys._FILE_BYTES
    assert site(tmp_path, {"big.js": ("text/javascript", page), "copy.js": ("text/javascript", KEY.encode())}) == [
        "copy.js"
    ]
