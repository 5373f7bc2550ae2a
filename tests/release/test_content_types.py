from __future__ import annotations

import pytest

from run402_cli.release.content_types import content_type_for, core_content_type_for, is_binary


@pytest.mark.parametrize(
    ("path", "client", "core"),
    [
        ("index.html", "text/html; charset=utf-8", "text/html"),
        ("A.HTM", "text/html; charset=utf-8", "text/html"),
        ("a/b.mjs", "text/javascript; charset=utf-8", "application/javascript"),
        ("a.cjs", "text/javascript; charset=utf-8", "application/octet-stream"),
        ("a.min.css", "text/css; charset=utf-8", "text/css"),
        ("x.woff2", "font/woff2", "font/woff2"),
        ("x.wasm", "application/wasm", "application/octet-stream"),
        ("x.sql", "application/sql", "application/octet-stream"),
        ("html", "application/octet-stream", "application/octet-stream"),
        ("a.b/html", "application/octet-stream", "application/octet-stream"),
        (".html", "text/html; charset=utf-8", "text/html"),
        ("x.", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_types_by_extension(path: str, client: str, core: str) -> None:
    assert content_type_for(path) == client
    assert core_content_type_for(path) == core


@pytest.mark.parametrize(
    ("path", "content_type", "binary"),
    [
        ("a.png", "image/png", True),
        ("a.svg", "image/svg+xml", False),
        ("a", "IMAGE/PNG; q=1", True),
        ("a", "application/pdf", True),
        ("a.txt", "text/plain", False),
        ("a.bin", "application/octet-stream", True),
        ("a.unknown", "application/octet-stream", False),
        ("a.PNG", "text/plain", True),
        ("a", "audio/ogg", True),
    ],
)
def test_binary_by_type_or_extension(path: str, content_type: str, binary: bool) -> None:
    assert is_binary(path, content_type) is binary
