"""Looks for secrets in everything that the commands of a test printed and in everything that they and the gateway logged.

A private key has no business anywhere outside its wallet file. A project's keys may be printed by the commands that exist
to show them, on stdout; never on stderr, in a log or in a payment record. The gateway's own secrets stay in their file.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli.effects import REVEALS

# Keys short enough to stand in a text by chance are no secrets worth looking for.
SHORTEST = 12


@dataclass
class Watch:
    """What was seen since the last `clear`."""

    commands: list[tuple[tuple[str, ...], str, str]] = field(default_factory=list)
    configs: set[Path] = field(default_factory=set)
    data_dirs: set[Path] = field(default_factory=set)
    private: set[tuple[str, str]] = field(default_factory=set)
    project: set[tuple[str, str]] = field(default_factory=set)
    files: dict[Path, str] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything."""
        for seen in (self.commands, self.configs, self.data_dirs, self.private, self.project, self.files):
            seen.clear()

    def saw(self, words: tuple[str, ...], out: bytes, err: bytes) -> None:
        """Both streams of a command that has ended."""
        self.commands.append((words, out.decode(errors="replace"), err.decode(errors="replace")))
        self.learn()

    def learn(self) -> None:
        """Note the secrets that there are now: a later command may remove the files that hold them."""
        self.private |= {*_values(self.configs, "allowance.json", "privateKey"), *_gateway_secrets(self.data_dirs)}
        self.project |= set(_values(self.configs, "project-keys*.json", "service_key"))

    def read_files(self) -> None:
        """Keep the logs and payment records as they are now; call it before the gateway's directory is removed."""
        self.learn()
        self.files |= {path: _told(path) for path in self._paths()}

    def leaks(self) -> list[str]:
        """One line per secret in a place where it must not be; never the secret itself."""
        self.read_files()
        everything = self.private | self.project
        found = []
        for words, out, err in self.commands:
            name = " ".join(words[:3])
            hidden = self.private if any(" ".join(words).startswith(shown) for shown in REVEALS) else everything
            found += [f"{what} on stdout of `{name}`" for what in _in(out, hidden)]
            found += [f"{what} on stderr of `{name}`" for what in _in(err, everything)]
        for path, text in self.files.items():
            found += [f"{what} in {path.name}" for what in _in(text, everything)]
        return found

    def _paths(self) -> Iterator[Path]:
        for folder in self.data_dirs:
            yield from folder.glob("*.log*")
            yield from folder.glob("postgres/**/*.log")
            yield from folder.glob("gateway.json")
        for folder in self.configs:
            yield from folder.rglob("payment-attempts/*.json")
            yield from folder.rglob("payment-limits.json")


class Watched(subprocess.Popen[bytes]):
    """A command in the background; what `communicate` returns is watched too."""

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        out, err = super().communicate(input, timeout)
        words = [word for word in self.args if isinstance(word, str)] if isinstance(self.args, list) else []
        WATCH.saw(tuple(words[3:]), out or b"", err or b"")
        return out, err


WATCH = Watch()


def _told(path: Path) -> str:
    """What is in a file; of gateway.json without the control token, which is kept there."""
    text = path.read_text(errors="replace")
    return re.sub(r'"control_token": "[0-9a-f]+"', "", text) if path.name == "gateway.json" else text


def _in(text: str, secrets: set[tuple[str, str]]) -> list[str]:
    return sorted({what for what, secret in secrets if secret in text})


def _values(folders: set[Path], pattern: str, key: str) -> Iterator[tuple[str, str]]:
    """Every value of `key` in the JSON files of these directories; a private key counts without its 0x as well."""
    for path in (path for folder in folders for path in folder.rglob(pattern)):
        try:
            document = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        for value in _find(document, key):
            yield key, value.removeprefix("0x")


def _find(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key and isinstance(item, str) and len(item) >= SHORTEST:
                yield item
            yield from _find(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _find(item, key)


def _gateway_secrets(data_dirs: set[Path]) -> Iterator[tuple[str, str]]:
    for path in (folder / "private" / "secrets.json" for folder in data_dirs):
        if path.exists():
            for name, value in json.loads(path.read_text()).items():
                if isinstance(value, str) and len(value) >= SHORTEST:
                    yield f"the gateway's {name}", value
