"""What the commands that run all the time must not import: start-up is a bar (docs/architecture.md, "Speed").

No time is measured here: `make bench` does that. Each module has its reason beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

# Runs the program as its console script does, and writes down what is imported at the end. A None is what is hidden.
PROGRAM = """
import atexit, sys
def note(path=sys.argv.pop(1)):
    found = "\\n".join(sorted(name for name, module in list(sys.modules.items()) if module is not None))
    open(path, "w", encoding="utf-8").write(found)
atexit.register(note)
from run402_cli.main import main
main()
"""

NEVER = {
    "Crypto": "pycryptodome: its keccak comes with cffi",
    "cffi": "its parser is a third of a signed command",
    "pycparser": "the parser of cffi",
    "coincurve": "cffi again; curve.py signs with wallycore",
    "eth_account": "550 ms; only tests use it",
    "pydantic": "80 ms; comes with the MCP server",
    "rich": "progress.py alone draws with it, on a terminal",
    "pygments": "comes with rich",
    "jq": "only --jq needs it",
    "jsonschema": "only the MCP server needs it",
    "mcp": "the MCP server",
    "starlette": "the local gateway",
    "uvicorn": "the local gateway",
    "psycopg": "the local gateway",
    "cryptography": "the local gateway seals secrets with it",
    "psutil": "the local gateway",
    "anyio": "httpcore's async half, which has no user here: client/http.py",
    "trio": "httpcore's async half",
    "asyncio": "nothing on the way is async",
    "socksio": "only a SOCKS proxy needs it: client/http.py",
    "httpx._main": "httpx's own command line: client/http.py",
    "importlib.metadata": "reads the files of every installed package",
    "multiprocessing": "only a pool of processes needs it",
    "concurrent.futures": "only uploads run in threads",
    "subprocess": "typer opens pages with it: commands/_command.py",
    "shellingham": "typer installs completion with it",
    "http.cookiejar": "no command keeps cookies: client/http.py",
    "urllib.request": "httpx's cookies again",
    "email.message": "httpx's cookies again",
    "certifi": "roots of TLS, for a plain request",
}
# The shortest answers come from the static tables.
STATIC = {
    "typer": "60 ms",
    "click": "comes with typer",
    "httpx": "65 ms",
    "typing": "with re and enum more than all of root help",
    "re": "compiles what nothing here matches",
    "json": "imports re",
    "dataclasses": "imports inspect",
    "pathlib": "imports urllib.parse and ipaddress",
}
LOCAL = {
    "httpx": "no request is sent",
    "httpcore": "no request is sent",
    "ssl": "no request is sent",
    "hashlib": "loads OpenSSL",
    "secrets": "imports hashlib, hmac and random",
    "wallycore": "nothing is signed",
}
PLAIN_REQUEST = {"wallycore": "nothing is signed", "secrets": "nothing is signed"}

HOT: dict[str, dict[str, str]] = {
    "--version": STATIC | LOCAL,
    "--help": STATIC | LOCAL,
    "wallets current": LOCAL,
    "service health": PLAIN_REQUEST,
    "projects list": {"run402_cli.services.archives": "only projects export needs it"},
}


class Stub(BaseHTTPRequestHandler):
    """A gateway that answers everything at once, and keeps whether a request was signed."""

    signed: list[bool]

    def do_GET(self) -> None:
        self.signed.append("SIGN-IN-WITH-X" in self.headers)
        body = b'{"status":"healthy","projects":[]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[bool]]]:
    """Environment of a command that has a wallet and talks to the stub; and for each request whether it was signed."""
    signed: list[bool] = []
    handler = type("Kept", (Stub,), {"signed": signed})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        kept = {key: value for key, value in os.environ.items() if not key.upper().startswith("RUN402_")}
        kept = {key: value for key, value in kept.items() if not key.lower().endswith("_proxy")}
        base = f"http://127.0.0.1:{server.server_address[1]}"
        more = {"RUN402_CONFIG_DIR": str(tmp_path / "config"), "RUN402_WALLET_LABEL_SYNC": "0", "RUN402_API_BASE": base}
        yield kept | more, signed
        server.shutdown()
        thread.join()


def imported(words: list[str], env: dict[str, str], tmp_path: Path, program: str = PROGRAM) -> set[str]:
    """What a command has imported when it ends well, without what the interpreter imports for itself."""
    listed = tmp_path / "modules"
    command = [sys.executable, "-c", program, str(listed), *words]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(listed.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("command", HOT)
def test_a_hot_command_imports_nothing_heavy(
    command: str, gateway: tuple[dict[str, str], list[bool]], tmp_path: Path
) -> None:
    env, signed = gateway
    if command == "projects list":
        imported(["wallets", "new", "main"], env, tmp_path)
        imported(["wallets", "use", "main"], env, tmp_path)
        signed.clear()
    bare = imported([], env, tmp_path, PROGRAM.partition("from run402_cli")[0])
    found = imported(command.split(), env, tmp_path) - bare
    heavy = {name: why for name, why in (NEVER | HOT[command]).items() if name in found}
    assert not heavy, f"run402 {command} imports what it does without: {heavy}"
    assert signed == {"service health": [False], "projects list": [True]}.get(command, [])


def test_the_list_tells_what_a_command_imports(gateway: tuple[dict[str, str], list[bool]], tmp_path: Path) -> None:
    """The check itself: a command that needs one of them shows it."""
    assert "jq" in imported(["service", "health", "--jq", ".status"], gateway[0], tmp_path)


def test_a_socks_proxy_has_what_it_needs(gateway: tuple[dict[str, str], list[bool]], tmp_path: Path) -> None:
    env = gateway[0] | {"ALL_PROXY": "socks5://127.0.0.1:9"}
    assert "socksio" in imported(["service", "health"], env, tmp_path)


def test_a_caller_with_async_clients_of_its_own_keeps_them(
    gateway: tuple[dict[str, str], list[bool]], tmp_path: Path
) -> None:
    program = """
import asyncio, sys
from run402_cli.main import main
try:
    main(["service", "health"])
except SystemExit as exc:
    assert not exc.code
import httpx, os
async def ask():
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(os.environ["RUN402_API_BASE"])).status_code
open(sys.argv[1], "w").write(str(asyncio.run(ask())))
"""
    assert imported([], gateway[0], tmp_path, program) == {"200"}
