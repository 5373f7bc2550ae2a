"""What a command line left that was run in this process; a gateway, an address and a key for tests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config_kit import PRIVATE_KEY

BASE = "http://gateway.test"


@dataclass
class Outcome:
    """What a command line left: exit status, stdout and stderr as text."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.exit == 0, self.err
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The envelope; a failing command prints nothing on stdout."""
        assert self.exit == 1
        assert self.out == ""
        value = json.loads(self.err.strip().splitlines()[-1])
        assert value["status"] == "error"
        assert isinstance(value, dict)
        return value


Run = Callable[..., Outcome]


def private_keys(config_dir: Path) -> set[str]:
    """The keys of all wallets, and the one of the tests, without 0x."""
    texts = [path.read_text(errors="replace") for path in config_dir.rglob("allowance.json") if path.is_file()]
    found = re.findall(r'"privateKey":\s*"0x([0-9a-fA-F]{64})"', "".join(texts))
    return {*found, PRIVATE_KEY[2:]}
