"""Content types by file extension, and which files are binary. See docs/protocol/releases.md, "Content types"."""

from __future__ import annotations

from typing import Final

OCTET_STREAM: Final = "application/octet-stream"
SQL: Final = "application/sql"
PLAN_MANIFEST: Final = "application/vnd.run402.deploy-manifest+json"

_CLIENT_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "htm": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "cjs": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "wasm": "application/wasm",
    "ico": "image/x-icon",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "xml": "application/xml",
    "pdf": "application/pdf",
    "sql": SQL,
}

# What a Core gateway falls back to when a content ref carries no type: part of a release's digest, so not ours to mend.
_CORE_TYPES: Final = {
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "js": "application/javascript",
    "mjs": "application/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "txt": "text/plain",
    "xml": "application/xml",
    "pdf": "application/pdf",
    "woff": "font/woff",
    "woff2": "font/woff2",
}

_BINARY_TYPES: Final = frozenset(
    {
        "application/gzip",
        "application/pdf",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-7z-compressed",
        "application/x-rar-compressed",
        "application/zip",
        "model/gltf-binary",
    }
)
_BINARY_FAMILIES: Final = ("audio/", "video/", "font/", "image/")
_BINARY_EXTENSIONS: Final = frozenset(
    [
        *("7z", "avif", "bin", "bmp", "br", "dds", "eot", "flac", "gif", "gz", "heic", "heif", "ico", "jpeg", "jpg"),
        *("ktx", "ktx2", "m4a", "m4v", "mov", "mp3", "mp4", "ogg", "ogv", "opus", "otf", "pak", "pdf", "png", "rar"),
        *("tar", "tif", "tiff", "ttf", "wasm", "wav", "webm", "webp", "woff", "woff2", "zip"),
    ]
)


def content_type_for(path: str) -> str:
    """Content type that the client sends for `path`, by its lower-cased extension."""
    return _CLIENT_TYPES.get(_extension(path), OCTET_STREAM)


def core_content_type_for(path: str) -> str:
    """Content type that a Core gateway records for `path` when its content ref names none."""
    return _CORE_TYPES.get(_extension(path), OCTET_STREAM)


def is_binary(path: str, content_type: str) -> bool:
    """Whether `path` of type `content_type` must be given as bytes rather than as inline text."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith(_BINARY_FAMILIES) and media_type != "image/svg+xml":
        return True
    return media_type in _BINARY_TYPES or _extension(path) in _BINARY_EXTENSIONS


def _extension(path: str) -> str:
    _, dot, extension = path.rpartition(".")
    return extension.lower() if dot else ""
