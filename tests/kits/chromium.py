"""A headless Chromium, driven over its own remote-debugging protocol with real key and mouse input."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT_S = 30
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing but this machine: what the browser itself would fetch stays unresolved.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE *.localhost",
)


def find() -> str | None:
    """The program, when this machine has one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class PageLeft(AssertionError):
    """The page went away while it was asked."""


class Page:
    """One tab. `problems` collects uncaught errors and failed loads that its console reported."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._last = 0
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call one method of the protocol; its result."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT_S))
            if message.get("id") == self._last:
                if message.get("error", {}).get("message") == "Inspected target navigated or closed":
                    raise PageLeft(method)
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(event["params"]["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            entry = event["params"]["entry"]
            self.problems.append(f"{entry['text']} {entry.get('url', '')}")

    def open(self, url: str) -> None:
        result = self.send("Page.navigate", url=url)
        assert "errorText" not in result, result

    def value(self, script: str) -> Any:
        """The JSON value of an expression in the page."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def _seen(self, script: str) -> Any:
        """The same for who looks again and again: None while the next page takes the place of this one."""
        with suppress(PageLeft):
            return self.value(script)
        return None

    def until(self, script: str) -> Any:
        """The first true value of the expression; the page's text when there is none in time."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            if found := self._seen(script):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}\n{self.value('document.body.innerText')}\n{self.problems}")

    def text(self, selector: str) -> str:
        """What a person reads there."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def shown(self, selector: str) -> None:
        """Wait until there is such an element, and it can be seen."""
        self.until(f"document.querySelector({json.dumps(selector)})?.checkVisibility()")

    def click(self, selector: str) -> None:
        """Press and release the left button in the middle of the element (of its first line), once a person could."""
        self.shown(selector)
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _middle(self, selector: str) -> list[float]:
        """Where the element is when it may be used, and stays: a page takes no input before its first paint, and a list
        that arrives moves what is below it."""
        place = (
            f"(() => {{ const it = document.querySelector({json.dumps(selector)});"
            " if (!it || it.matches(':disabled') || !performance.getEntriesByType('paint').length) return null;"
            " it.scrollIntoView({ block: 'center' });"
            " const { x, y, width, height } = it.getClientRects()[0]; return [x + width / 2, y + height / 2] })()"
        )
        end, before = time.monotonic() + WAIT_S, None
        while time.monotonic() < end:
            found = self._seen(place)
            if found and found == before:
                return list(found)
            before = found
            time.sleep(0.05)
        raise AssertionError(f"{selector} was never ready for a click\n{self.value('document.body.innerText')}")

    def type(self, selector: str, text: str) -> None:
        """Click into the field and type."""
        self.click(selector)
        self.send("Input.insertText", text=text)


@contextmanager
def browser(program: str, profile: Path) -> Iterator[Page]:
    """A browser with a fresh profile and one empty tab; ended, with its children, when the block is left."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    command = [program, *FLAGS, *(["--no-sandbox"] if root else []), f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_tab(process, profile), max_size=None, proxy=None) as socket:
            page = Page(socket)
            yield page
            with suppress(ConnectionClosed):
                page.send("Browser.close")
            process.wait(WAIT_S)
    finally:
        process.kill()
        process.wait()


def _tab(process: subprocess.Popen[bytes], profile: Path) -> str:
    """The debugging address of the empty tab; the browser writes its port into the profile when it listens."""
    file, end = profile / "DevToolsActivePort", time.monotonic() + WAIT_S
    while time.monotonic() < end:
        assert process.poll() is None, f"the browser ended with status {process.returncode}"
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            tabs = httpx.get(f"http://127.0.0.1:{lines[0]}/json/list", timeout=WAIT_S, trust_env=False).json()
            for tab in tabs:
                if tab["type"] == "page":
                    return str(tab["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise AssertionError("the browser did not start")
