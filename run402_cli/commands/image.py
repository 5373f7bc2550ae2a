"""run402 image: AI image generation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import OverwriteOpt, one_of
from run402_cli.errors import UsageError
from run402_cli.services import image
from run402_cli.services.terminal import TerminalClient

app = CommandGroup()


@app.command(
    "generate",
    summary="Generate an image from a prompt.",
    effect="write",
    auth="principal",
    spends=True,
    example='run402 image generate "a cat reading a newspaper" --aspect landscape --output cat.png',
)
def generate(
    words: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", show_default=False)] = None,
    aspect: Annotated[
        str, typer.Option("--aspect", metavar="ASPECT", help="square, landscape or portrait.")
    ] = "square",
    file: Annotated[
        str | None, typer.Option("--output", metavar="FILE", help="Write the image there instead of printing base64.")
    ] = None,
    overwrite: OverwriteOpt = False,
) -> None:
    """Generate one PNG from a prompt. Costs 0.03 USD, paid by the wallet."""
    given = words or []
    usage = 'Quote the prompt: run402 image generate "a red bicycle"'
    if len(given) > 1:
        raise UsageError(f"Unexpected argument {given[1]!r}.", hint=usage)
    if not given or not given[0]:
        raise UsageError("The prompt is missing.", hint=usage)
    one_of("--aspect", aspect, image.ASPECTS)
    if file is not None:
        image.check_output(Path(file), overwrite=overwrite)
    with TerminalClient() as client:
        answer = image.generate(client, given[0], aspect=aspect)
    if file is not None:
        answer = {**image.save(answer, Path(file), overwrite=overwrite), "file": file}
    output.emit(answer, compact=True)
