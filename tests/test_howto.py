"""Every example of docs/how-to and README.md runs against a real local gateway, in a home that holds somebody's keys.

Each page runs in a shell that still holds the variables of all other pages, as a reader may have pasted them before. After
it every file that was in the home before is still there, byte for byte. In a block, `# prints: TEXT` after a command says what
the last line of its output is. A block that cannot run here is preceded by `<!-- not run: REASON -->`,
and the page says the same to its readers.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import forked_kit
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
HOW_TO = ROOT / "docs" / "how-to"
MARK = "\x1eprints"
PAGE = "\x1epage"
HOME = "\x1ehome"
# Below the home: what the gateway keeps, and what is downloaded again when it is gone.
NOT_THE_READERS = (".local/share", ".cache", ".npm", "Library/Caches", "Library/Application Support")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are written for a POSIX shell"),
]


@dataclass(frozen=True)
class Block:
    """An example: its text as shell, and why it does not run here (None: it does)."""

    text: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """The `sh` and `python` blocks of a page in order."""
    pattern = re.compile(r"(?:<!-- not run: ([^>]+) -->\n)?```(sh|python)\n(.*?)```", re.DOTALL)
    found = pattern.finditer(page.read_text(encoding="utf-8"))
    return [Block(each[3] if each[2] == "sh" else as_shell(each[3]), each[1]) for each in found]


def as_shell(program: str) -> str:
    return f"{shlex.quote(sys.executable)} - <<'END_OF_PROGRAM'\n{program}END_OF_PROGRAM\n"


PAGES = [page for page in (README, *sorted(HOW_TO.glob("*.md"))) if blocks(page)]


@dataclass(frozen=True)
class Machine:
    """A home with somebody's files, `run402` on the PATH, and the gateway of that home."""

    home: Path
    environment: dict[str, str]

    def bash(self, program: str, *, timeout_s: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", program],
            stdin=subprocess.DEVNULL,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


# A wallet, a second one that is the chosen one, its limits, the keys of two projects, and a gateway that does not answer.
THE_READERS_HOME = """
run402 allowance create
run402 wallets new work
run402 wallets use work
run402 allowance limits set --per-payment-usd 0.02 --per-day-usd 0.50
SERVICE=service-of-mine run402 credentials project-keys import --project prj_00000000000000aa --service-key-env SERVICE
SERVICE=another-of-mine run402 credentials project-keys import --project prj_00000000000000bb --service-key-env SERVICE
run402 init --api-base http://127.0.0.1:9
mkdir -p site app .claude/skills/run402
echo 'my own page' | tee site/index.html app/run402.deploy.json run402.deploy.json hello.mjs > .claude/skills/run402/SKILL.md
"""


def machine(root: Path) -> Iterator[Machine]:
    """A machine below `root`; whatever the pages started on it is stopped and removed afterwards."""
    home = root / "home"
    home.mkdir()
    shim = root / "bin" / "run402"
    shim.parent.mkdir()
    # The examples use the default port, which something else may have on the machine that runs the tests.
    port = 'case "$*" in *--port*) ;; "core start"*) set -- "$@" --port 0;; esac'
    shim.write_text(f'#!/bin/sh\n{port}\nexec {shlex.join(forked_kit.words())} "$@"\n')
    shim.chmod(0o755)
    strangers = ("RUN402_", "GITHUB_", "XDG_", "CLAUDE_", "CODEX_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(strangers)}
    (root / "tmp").mkdir()
    environment = {
        **kept,
        "TMPDIR": str(root / "tmp"),
        "PATH": f"{shim.parent}{os.pathsep}{kept['PATH']}",
        "HOME": str(home),
        "USERPROFILE": str(home),
        "RUN402_WALLET_LABEL_SYNC": "0",
    }
    made = Machine(home, environment)
    try:
        yield made
    finally:
        started = [path.parent for path in (root / "tmp").glob("*/gateway.json")]
        for folder in (None, *started):
            made.bash(
                f"run402 core reset --yes {f'--data-dir {folder}' if folder else ''}", timeout_s=60
            ).check_returncode()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Somebody who has used run402 before."""
    for made in machine(tmp_path_factory.mktemp("reader")):
        made.bash(THE_READERS_HOME, timeout_s=60).check_returncode()
        yield made


def program(page: Path) -> str:
    """The runnable blocks of a page; each promise about the output becomes a mark in it."""
    lines = [line for block in blocks(page) if block.reason is None for line in block.text.splitlines()]
    return "\n".join(f"printf '{MARK}\\n'" if line.startswith("# prints: ") else line for line in lines) + "\n"


def promises(page: Path) -> list[str]:
    lines = [line for block in blocks(page) if block.reason is None for line in block.text.splitlines()]
    return [line.removeprefix("# prints: ") for line in lines if line.startswith("# prints: ")]


# Prints the digest of every file of the home that is its owner's.
LOOK = f"""
import hashlib, json, pathlib
home = pathlib.Path.home()
found = {{path.relative_to(home).as_posix(): path for path in home.rglob("*") if path.is_file()}}
mine = {{name: path for name, path in found.items() if not name.startswith({NOT_THE_READERS!r})}}
print(json.dumps({{name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in mine.items()}}, sort_keys=True))
"""


def left_over() -> str:
    """What the shell holds of the pages before: words of theirs, and the directory of a gateway that they started."""
    words = {name for page in PAGES for name in re.findall(r"^([A-Z][A-Z0-9_]*)=\S*\$\(", program(page), re.M)}
    assert {"PROJECT", "URL"} <= words
    texts = (f"{name}=of-another-page\n" for name in sorted(words))
    return f'{"".join(texts)}export RUN402_CORE_DATA_DIR="$TMPDIR/of-another-page"\n'


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_whatever_was_before_it_and_leaves_the_home_as_it_was(page: Path, reader: Machine) -> None:
    look = f"{shlex.quote(sys.executable)} -c {shlex.quote(LOOK)}\n"
    session = f"{look}{left_over()}printf '{PAGE}\n'\n{program(page)}printf '{HOME}\n'\n{look}"
    done = reader.bash(session, timeout_s=300)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    before, _, told = done.stdout.partition(f"{PAGE}\n")
    said, _, after = told.partition(f"{HOME}\n")
    parts = said.split(f"{MARK}\n")[:-1]
    assert [(each.strip().splitlines() or [""])[-1].strip() for each in parts] == promises(page)
    assert json.loads(after) == json.loads(before), "it changes files that the reader had"


def test_most_examples_run_and_the_others_say_why_not() -> None:
    reasons = [block.reason for page in PAGES for block in blocks(page)]
    assert reasons.count(None) > 20
    assert reasons.count(None) > 2 * len([reason for reason in reasons if reason])
    assert all(reason is None or len(reason) > 10 for reason in reasons)


def read_first() -> str:
    return (ROOT / "docs" / "llms-head.txt").read_text(encoding="utf-8")


def code(begin: str, end: str) -> str:
    """The indented lines of the page that agents read first, from one that holds `begin` to one that begins with `end`."""
    lines = read_first().splitlines()
    first = next(number for number, line in enumerate(lines) if begin in line)
    last = next(number for number, line in enumerate(lines) if number >= first and line.startswith(f"  {end}"))
    return "\n".join(line.removeprefix("  ") for line in lines[first : last + 1])


# Both programs of the page run as functions, because the gateway brings a Node for them.
PAGE_IN_A_FUNCTION = """
export default async () => {{
  const location = {{ origin: process.env.RUN402_API_BASE }}, ANON_KEY = process.env.RUN402_ANON_KEY;
  const email = "ada@example.com", password = "correct horse", redirect_url = "http://localhost:3000/";
{code}
  const rows = await call("/rest/v1/items?select=title,id&order=id.desc&limit=20", null, access_token);
  return Response.json({{ email: user.email, refresh: typeof refresh_token, rows }});
}};
"""
SIGNED = """
import { createHmac } from "node:crypto";
const body = JSON.stringify({ title: "signed" });
const { RUN402_API_BASE: api, RUN402_PROJECT_ID: project } = process.env;
const send = (signature) =>
  fetch(`${api}/projects/v1/${project}/static/api/hook`, { method: "POST", headers: { "x-signature": signature }, body });
export default async () => {
  const right = await send(createHmac("sha256", process.env.HOOK_SECRET).update(body).digest("hex"));
  return Response.json({ right: [right.status, await right.json()], wrong: (await send("00")).status });
};
"""
STEPS = """
run402 core start --use
run402 projects provision --name "read-first-$(date +%s)"
printf one | run402 secrets set KEY --stdin
run402 up --yes --quiet > deployed.json
run402 functions invoke hello --body '{}' --jq .body.ok
printf three | run402 secrets set HOOK_SECRET --stdin
run402 email create contact | jq -j .mailbox_id | run402 secrets set MAILBOX --stdin
run402 deploy apply --manifest more.json --quiet
run402 functions invoke page --body '{}' > page.json
run402 functions invoke signed --body '{}' > signed.json
run402 projects sql 'select title from items order by id' > rows.json
"""


def test_what_agents_read_first_runs_as_it_stands(reader: Machine, tmp_path: Path) -> None:
    head = read_first()
    text = head[head.index("{", head.index("A manifest (run402.deploy.json)")) :]
    manifest = json.JSONDecoder().raw_decode(text)[0]
    function = re.search(r"^A function is one file: (export default .*?\));?\. ", head, re.MULTILINE)
    assert function
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<h1>my app</h1>")
    (tmp_path / "001.sql").write_text("create table items (id int generated always as identity, title text)")
    (tmp_path / "hello.mjs").write_text(function[1])
    (tmp_path / "run402.deploy.json").write_text(json.dumps(manifest))
    programs = {
        "page": PAGE_IN_A_FUNCTION.format(code=code("const api =", 'await call("/auth/v1/magic-link"')),
        "hook": code("import { createHmac", "};"),
        "signed": SIGNED,
    }
    more = {
        "functions": {"patch": {"set": {name: {"source": {"data": text}} for name, text in programs.items()}}},
        "routes": {"replace": [{"pattern": "/api/*", "target": {"type": "function", "name": "hook"}}]},
    }
    (tmp_path / "more.json").write_text(json.dumps(more))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", STEPS],
        stdin=subprocess.DEVNULL,
        env={**reader.environment, "RUN402_CONFIG_DIR": str(tmp_path / "config")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert json.loads((tmp_path / "deployed.json").read_text())["result"]["verify"]["status"] == "verified"
    page = json.loads((tmp_path / "page.json").read_text())["body"]
    assert page == {"email": "ada@example.com", "refresh": "string", "rows": [{"title": "mine", "id": 1}]}
    assert json.loads((tmp_path / "signed.json").read_text())["body"] == {"right": [200, {"ok": True}], "wrong": 401}
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert [row["title"] for row in rows] == ["mine", "signed"]
