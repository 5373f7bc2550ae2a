"""The guestbook example, deployed with the real command line, and its users."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from e2e_kit import Cli

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "guestbook"
PASSWORD = "correct horse battery"


def _quickstart() -> ModuleType:
    """The example's own script: it knows how a working copy is made."""
    spec = importlib.util.spec_from_file_location("guestbook_quickstart", EXAMPLE / "quickstart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def working_copy(cli: Cli) -> Path:
    """The example below the user's directory, as it is."""
    copied: Path = _quickstart().copy_app(cli.cwd)
    return copied


@dataclass
class User:
    """A signed-in user; `headers` are what their requests carry."""

    id: str
    headers: dict[str, str]


@dataclass
class Guestbook:
    """A deployed guestbook: `site` is its address, with a slash at the end."""

    http: httpx.Client
    base: str
    anon: dict[str, str]
    site: str

    def sign_up(self, name: str) -> User:
        """A new user with this name, signed in."""
        known = {"email": f"{name.lower()}@example.com", "password": PASSWORD}
        made = self.http.post(f"{self.base}/auth/v1/signup", headers=self.anon, json={**known, "data": {"name": name}})
        assert made.status_code == 201, made.text
        session = self.http.post(f"{self.base}/auth/v1/token", headers=self.anon, json=known).json()
        return User(session["user"]["id"], {**self.anon, "authorization": f"Bearer {session['access_token']}"})

    def sign(self, user: User | None, message: Any) -> httpx.Response:
        """Ask the function to add an entry."""
        headers = user.headers if user else self.anon
        return self.http.post(f"{self.site}api/entries", headers=headers, json={"message": message})

    def rest(self, method: str, user: User | None = None, query: str = "", **body: Any) -> httpx.Response:
        headers = {**(user.headers if user else self.anon), "prefer": "return=representation"}
        return self.http.request(
            method, f"{self.base}/rest/v1/entries?{query}", headers=headers, json=body if body else None
        )

    def messages(self) -> list[str]:
        """Every message, oldest first, as a visitor reads them."""
        return [row["message"] for row in self.rest("GET", query="order=id").json()]


def deploy(cli: Cli, http: httpx.Client, base: str, project: dict[str, Any]) -> Guestbook:
    """The example as it is, in this project."""
    app = working_copy(cli)
    done = cli.ok("up", "--yes", "--project", project["project_id"], cwd=app)["result"]["deploy"]
    return Guestbook(http, base, {"apikey": project["anon_key"]}, done["urls"]["site"].rstrip("/") + "/")
