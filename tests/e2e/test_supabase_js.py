"""The published supabase-js as an outside judge of REST and sign-in. `make test` installs it where npm can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e_kit import Cli

from run402_cli.release import node

HERE = Path(__file__).parent / "supabase"
MODULES = Path(sys.prefix) / "js"
OPEN = {"expose": True, "policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": True}
TABLES = ("authors", "books", "shelves", "book_shelf", "staff", "pairs")
RPCS = {
    "add": "(a int, b int)",
    "books_over": "(minimum numeric)",
    "squares": "(upto int)",
    "evens": "(upto int)",
    "nothing": "()",
    "joined": "(parts text[])",
    "keep": "(body json)",
    "fail": "()",
    "slow": "()",
    "shelf_list": "(books)",
    "label": "(books)",
}


@pytest.fixture
def library(cli: Cli, project: dict[str, Any]) -> None:
    cli.ok("projects", "sql", (HERE / "setup.sql").read_text())
    notes = {"name": "notes", "expose": True, "policy": "user_owns_rows", "owner_column": "user_id"}
    manifest = {
        "version": "1",
        "tables": [*({"name": name, **OPEN} for name in TABLES), {**notes, "force_owner_on_insert": True}],
        "rpcs": [
            {"name": name, "signature": signature, "grant_to": ["anon", "authenticated"]}
            for name, signature in RPCS.items()
        ],
    }
    cli.ok("projects", "apply-expose", json.dumps(manifest))


def test_the_calls_of_supabase_js_answer_as_they_should(
    library: None, project: dict[str, Any], gateway: dict[str, Any], tmp_path: Path
) -> None:
    if not (MODULES / "node_modules" / "@supabase" / "supabase-js").is_dir():
        pytest.skip("supabase-js is not installed: `make test` fetches it where npm and its registry can be reached")
    found = next(node.installed(), None)
    if found is None or found.version < (20, 0, 0):
        pytest.skip("needs Node.js 20 or newer")
    given = {
        "url": gateway["url"],
        "anon": project["anon_key"],
        "service": project["service_key"],
        "modules": str(MODULES),
    }
    ran = subprocess.run(
        [found.path, str(HERE / "calls.mjs")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    done = json.loads(ran.stdout.splitlines()[-1])
    wrong = {one["name"]: one["error"] for one in done if one["error"] is not None}
    assert len(done) >= 114
    assert wrong == {}
