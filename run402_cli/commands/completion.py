"""run402 completion: the script that a shell loads to complete commands, options and project ids."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import one_of

app = CommandGroup()

_SCRIPTS = {
    "bash": """\
_run402() {
  local IFS=$'\\n'
  COMPREPLY=($(run402 __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _run402 run402
""",
    "zsh": """\
#compdef run402
_run402() {
  local -a found
  found=("${(@f)$(run402 __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _run402 run402
""",
    "fish": """\
function __run402_complete
  set -l words (commandline -opc) (commandline -ct)
  run402 __complete $words[2..-1] 2>/dev/null
end
complete -c run402 -a '(__run402_complete)'
""",
}


@app.command(
    "completion",
    example=[
        "run402 completion bash >> ~/.bashrc",
        "run402 completion zsh > ~/.zfunc/_run402",
        "run402 completion fish > ~/.config/fish/completions/run402.fish",
    ],
)
def completion(shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]) -> None:
    """Print the completion script of a shell: groups, commands, options, project ids and wallets."""
    one_of("SHELL", shell, tuple(_SCRIPTS))
    output.emit_text(_SCRIPTS[shell])
