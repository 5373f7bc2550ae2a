"""What a person at a terminal sees of a deploy: phases, files, bytes, rate and remaining time, on stderr.

Loaded only when stderr is a terminal: rich costs 50 ms. See docs/deploy.md, "Progress".
"""

from __future__ import annotations

import atexit
import re
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from run402_cli import control_characters

_TITLES = {
    "plan": "Plan",
    "upload": "Upload",
    "validate": "Commit",
    "stage": "Stage",
    "migrate-gate": "Check migrations",
    "migrate": "Migrate",
    "schema-settle": "Wait for the schema",
    "activate": "Activate",
    "ready": "Ready",
}
# Texts of a gateway must not move the cursor or change the terminal.
_CONTROL = re.compile(rf"(?:[\t\n]|{control_characters.IN_TEXT})+")


class Display:
    """Draws deploy events. `show` returns False for an event that it does not know."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream)
        self._phases = Progress(
            SpinnerColumn(finished_text="-"),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._uploads = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._live = Live(
            Group(self._phases, self._uploads),
            console=self._console,
            refresh_per_second=8,
            # run402_cli.output writes to both streams itself, after `close`.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._phase: tuple[str, TaskID] | None = None
        self._upload: TaskID | None = None
        self._skipped = 0
        self._live.start()
        # A traceback must not leave the cursor hidden.
        atexit.register(self.close)

    def close(self) -> None:
        """Leave the last picture on the screen and give the terminal back."""
        atexit.unregister(self.close)
        self._live.stop()

    def show(self, event: dict[str, Any]) -> bool:
        """Draw one event."""
        draw = getattr(self, "_on_" + str(event.get("type")).replace(".", "_"), None)
        if draw is None:
            return False
        draw(event)
        return True

    def line(self, text: str) -> None:
        """One line above the moving part."""
        self._live.console.print(Text(clean(text)), soft_wrap=True)

    def bytes_sent(self, sent: int, total: int, files_done: int, files_total: int) -> None:
        """The upload so far, in bytes and files."""
        label = f"{files_done} of {files_total} files"
        if self._upload is None:
            self._begin("upload")
            self._upload = self._uploads.add_task(label, total=total)
        self._uploads.update(self._upload, completed=min(sent, total), total=total, description=label)

    def _begin(self, phase: str) -> None:
        if self._phase is not None and self._phase[0] == phase:
            return
        self._end()
        self._phase = phase, self._phases.add_task(_TITLES.get(phase, clean(phase)), total=1)

    def _end(self, note: str = "") -> None:
        if self._phase is None:
            return
        phase, task = self._phase
        title = _TITLES.get(phase, clean(phase))
        self._phases.update(task, completed=1, description=f"{title}: {clean(note)}" if note else title)
        self._phase = None

    def _on_plan_started(self, _event: dict[str, Any]) -> None:
        self._begin("plan")

    def _on_plan_diff(self, event: dict[str, Any]) -> None:
        diff = event.get("diff")
        summary = diff.get("summary") if isinstance(diff, dict) else None
        self._end(summary if isinstance(summary, str) else "")

    def _on_plan_warnings(self, event: dict[str, Any]) -> None:
        for warning in event.get("warnings") or []:
            if isinstance(warning, dict):
                self.line(f"warning {warning.get('code')}: {warning.get('message')}")

    def _on_payment_required(self, event: dict[str, Any]) -> None:
        self.line(f"payment required: {event.get('amount')} {event.get('asset')} ({event.get('reason')})")

    def _on_deploy_retry(self, event: dict[str, Any]) -> None:
        seconds = float(event.get("delayMs") or 0) / 1000
        attempt = f"{event.get('nextAttempt')} of {event.get('maxAttempts')}"
        self.line(f"{event.get('code')}: {event.get('message')} Attempt {attempt} in {seconds:.1f} s.")

    def _on_content_upload_skipped(self, event: dict[str, Any]) -> None:
        self._skipped += int(event.get("count") or 1)

    def _on_content_upload_progress(self, event: dict[str, Any]) -> None:
        self._begin("upload")
        if event.get("done") == event.get("total"):
            there = f", {self._skipped} already there" if self._skipped else ""
            self._end(f"{event.get('total')} files{there}")

    def _on_commit_phase(self, event: dict[str, Any]) -> None:
        phase, status = str(event.get("phase")), event.get("status")
        if status == "started":
            self._begin(phase)
        else:
            self._begin(phase)
            self._end("failed" if status == "failed" else "")

    def _on_commit_phase_detail(self, event: dict[str, Any]) -> None:
        if event.get("status") != "skipped":
            self.line(f"  {event.get('phase')}: {event.get('message')}")

    def _on_log(self, event: dict[str, Any]) -> None:
        self.line(f"  {event.get('resource')}: {event.get('line')}")

    def _on_ready(self, event: dict[str, Any]) -> None:
        self._end()
        urls = event.get("urls")
        shown = next((str(url) for url in urls.values()), "") if isinstance(urls, dict) else ""
        self.line(f"Live: {event.get('releaseId')} {shown}")

    def _on_action_step(self, event: dict[str, Any]) -> None:
        step = event.get("step")
        if not isinstance(step, dict):
            return
        name, state = str(step.get("description")), str(step.get("state"))
        if state == "running" and step.get("action") != "deploy.apply":
            self._begin(name)
        elif self._phase is not None and self._phase[0] == name:
            self._end(state)


def clean(text: object) -> str:
    """Text on one line, without control characters."""
    return _CONTROL.sub(" ", str(text))
