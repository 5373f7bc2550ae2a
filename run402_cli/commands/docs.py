"""run402 docs: the pages that came with this program."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.services import docs as docs_service

app = CommandGroup()


@app.command("docs", effect="read", auth=(), example=["run402 docs", "run402 docs protocol/errors"])
def docs(
    page: Annotated[
        str | None, typer.Argument(metavar="[PAGE]", help="A page of the list.", show_default=False)
    ] = None,
) -> None:
    """List the pages of documentation that came with this program, or print one as text. No network."""
    if page is None:
        output.emit({"pages": docs_service.listing()})
    else:
        output.emit_text(docs_service.read(page))
