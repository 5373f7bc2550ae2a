"""What a file may be called that a tool writes: pure data anywhere, text below `downloads`, nothing that a program obeys.

See docs/how-to/mcp.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from run402_cli.errors import CommandError

FOLDER = "downloads"
# Formats that hold data only, whatever the file is called and wherever it is.
_DATA = frozenset(
    [
        *("png", "jpg", "jpeg", "gif", "webp", "avif", "bmp", "ico", "tif", "tiff", "heic", "heif", "jxl", "psd"),
        *("mp3", "m4a", "aac", "wav", "flac", "ogg", "oga", "opus", "aif", "aiff", "mid", "midi"),
        *("mp4", "m4v", "mov", "webm", "mkv", "avi", "mpg", "mpeg", "ogv"),
        *("ttf", "otf", "woff", "woff2", "pdf", "docx", "xlsx", "pptx", "odt", "ods", "odp", "epub"),
        *("zip", "tar", "gz", "tgz", "bz2", "tbz2", "xz", "txz", "zst", "7z", "rar", "r402ar"),
        *("csv", "tsv", "parquet", "arrow", "feather", "avro", "orc", "sqlite", "sqlite3", "db"),
        *("bin", "dat", "raw", "glb", "safetensors", "gguf"),
    ]
)
# Formats that are data in one place and settings, or words that an agent follows, in another.
_TEXT = frozenset(
    [
        *("txt", "text", "log", "md", "markdown", "rst", "html", "htm", "css", "xml", "svg", "rss", "atom"),
        *("json", "jsonl", "ndjson", "geojson", "yaml", "yml", "sql", "eml", "mbox", "ics", "vcf", "srt", "vtt"),
    ]
)
# Files of the text formats that programs look for in the directory that they run in, and agents in any.
_OBEYED = re.compile(
    r"(?:run402|app|angular|appsettings|azure-pipelines|babel|biome|bitbucket-pipelines|bower|buildspec|bun|cdk"
    r"|claude|cloudbuild|cmake|cmakelists|cmakepresets|codecov|codemagic|components|compose|composer|conf|config|constraints"
    r"|deno|devcontainer|docker|dub|expo|firebase|flake|gemini|global|jest|jsconfig|jsr|kustomization|launch|lerna|lock"
    r"|manifest|mcp|meson|mkdocs|mocharc|mod|nest|netlify|nixpacks|nodemon|now|npm|nx|opencode|openapitools|package"
    r"|playbook|pnpm|pnpm-workspace|pom|pre-commit|project|pubspec|pyrightconfig|railway|render|renovate|requirements"
    r"|robot|rush|sample|serverless|settings|skaffold|skill|stack|swa|tasks|taskfile|template|tsconfig|tslint|turbo"
    r"|typedoc|vcpkg|vercel|workspace|wrangler|yarn|agents?|build|python|copilot|cursor|instructions|memory|prompt|rules|system)"
    r"(?:[^a-z].*)?",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[^\W_][^.:]*")
# Where installed programs are, and the archive that Python takes modules from.
_INSTALLED = frozenset({"node_modules", "site-packages", "dist-packages"})
_MODULES = re.compile(r"python[\d.]*\.zip", re.IGNORECASE)


def check(name: str, parts: Sequence[str], root: Path | None) -> None:
    """CommandError BAD_FILE for a file that a program may obey. `parts`: its real path below `root`; `name`: as given."""
    # Windows reads a name without the dots and spaces at its end, and what stands behind a colon as a stream of the file.
    *folders, last = (part.rstrip(". ") for part in parts or (name,))
    if (why := _reason(folders, last)) is None:
        return
    use = _other(Path(name).name)
    if root is not None and root != Path(os.path.realpath(Path.cwd())):
        use = str(root / use)
    raise CommandError(
        f"{name}: {why}. Nothing was written.",
        code="BAD_FILE",
        hint=f"Use output_path: {use}. Code and settings are written by `run402 mcp --allow-programs` only.",
        details={"path": name, "use": use},
    )


def _reason(folders: Sequence[str], last: str) -> str | None:
    for part in (*folders, last):
        if part.startswith(".") or ":" in part or part.lower() in _INSTALLED or _MODULES.fullmatch(part):
            return f"{part} is a name of settings or code that programs obey"
    stem, _, suffix = last.rpartition(".")
    kind = suffix.lower()
    if stem and kind in _DATA:
        return None
    if not stem or kind not in _TEXT:
        return "it is no data file, and programs may obey it as code or settings"
    if FOLDER not in (folder.lower() for folder in folders):
        return f"text may be settings that programs obey, and is written only below a directory named {FOLDER}"
    return None if _is_free(stem) else f"{last} may be a name of settings that programs obey"


def _is_free(stem: str) -> bool:
    """Whether no program looks for a text of that name: no dots, not in capitals, none of the words above."""
    return _PLAIN.fullmatch(stem) is not None and not stem.isupper() and _OBEYED.fullmatch(stem) is None


def _other(given: str) -> str:
    """A path below the root to use in place of a name; what is no data and no text gets the suffix of a text."""
    stem, _, suffix = given.rpartition(".")
    kind = suffix.lower()
    if not stem or kind not in _DATA | _TEXT:
        stem, kind = given, "txt"
    plain = re.sub(r"[^\w-]+", "-", stem).strip("-_") or "file"
    return f"{FOLDER}/{plain if _is_free(plain) else f'saved-{plain.lower()}'}.{kind}"
