"""run402 config: the settings in force and where each comes from."""

from __future__ import annotations

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.services import config as service
from run402_cli.state.profile import current

app = CommandGroup()


@app.command(
    "list",
    summary="Every setting: value, source, and what changes it.",
    effect="read",
    auth=(),
    example=[
        "run402 config list --fields settings.name,settings.value,settings.source",
        "run402 config list --format text",
    ],
)
def list_() -> None:
    """List every setting in force: its value, where it comes from (flag, variable, binding, file or default), the file,
    and the variable, flag or command that changes it. Secrets show as "(set)". Sends nothing."""
    from run402_cli.local_gateway import default_data_dir

    output.emit(service.settings(current(), core_data_dir=default_data_dir()))
