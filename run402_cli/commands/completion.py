"""run402 completion: the script that a shell loads to complete commands, options and their values."""

from __future__ import annotations

from typing import Annotated

import typer

from run402_cli import output
from run402_cli.commands._command import CommandGroup
from run402_cli.commands._options import one_of

app = CommandGroup()

# Each asks `run402 __complete` (run402_cli/completion.py) and shows what it prints. zsh and fish quote what they insert; the
# other two do not.
_SCRIPTS = {
    "bash": """\
_run402() {
  local current="${COMP_WORDS[COMP_CWORD]}" line path
  [[ $current == "=" ]] && current=""
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :files|:dirs)
        while IFS= read -r path; do
          # bash 3 has no compopt, and quotes nothing by itself.
          compopt -o filenames 2>/dev/null || printf -v path %q "$path"
          COMPREPLY+=("$path")
        done < <(if [[ $line == :files ]]; then compgen -f -- "$current"; else compgen -d -- "$current"; fi) ;;
      *) printf -v line %q "${line%%$'\\t'*}"; COMPREPLY+=("$line") ;;
    esac
  done < <(run402 __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _run402 run402
""",
    "zsh": """\
#compdef run402
_run402() {
  local line paths
  local -a lines found
  lines=("${(@f)$(run402 __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "$lines[@]"; do
    case "$line" in
      :files|:dirs) paths="$line" ;;
      ?*) found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}") ;;
    esac
  done
  (( $#found )) && _describe -t values run402 found
  if [[ -n "$paths" ]]; then
    [[ "$PREFIX" == --*=* ]] && compset -P '*='
    if [[ "$paths" == :files ]]; then _files; else _files -/; fi
  fi
}
# Autoloaded from $fpath, the file itself is the function, and its first call has to answer.
if [ "$funcstack[1]" = _run402 ]; then _run402 "$@"; else compdef _run402 run402; fi
""",
    "fish": """\
function __run402_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l flag (string match -r '^--[^=]*=' -- "$current")
  set -l path (string replace -r '^--[^=]*=' '' -- "$current")
  for line in (run402 __complete $words[2..-1] "$current" 2>/dev/null)
    switch "$line"
      case ':files'
        printf "$flag%s\\n" (__fish_complete_path "$path")
      case ':dirs'
        printf "$flag%s\\n" (__fish_complete_directories "$path" '')
      case '*'
        printf '%s\\n' $line
    end
  end
end
complete -c run402 -f -a '(__run402_complete)'
""",
    "powershell": """\
Register-ArgumentCompleter -Native -CommandName run402 -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  # An empty word does not reach a native program: a blank stands for it.
  $current = if ($wordToComplete) { $wordToComplete } else { ' ' }
  run402 __complete @words $current 2>$null | Where-Object { $_ -and -not $_.StartsWith(':') } | ForEach-Object {
    $word, $about = $_ -split "`t", 2
    if (-not $about) { $about = $word }
    # What is inserted is code: a word that is more than text is quoted.
    $text = if ($word -match '^[\\w./=-]+$') { $word } else {
      "'" + [System.Management.Automation.Language.CodeGeneration]::EscapeSingleQuotedStringContent($word) + "'"
    }
    [System.Management.Automation.CompletionResult]::new($text, $word, 'ParameterValue', $about)
  }
}
""",
}


@app.command(
    "completion",
    effect="read",
    auth=(),
    example=[
        "run402 completion bash >> ~/.bashrc",
        "run402 completion zsh > ~/.zfunc/_run402",
        "run402 completion fish > ~/.config/fish/completions/run402.fish",
        "run402 completion powershell >> $PROFILE",
    ],
)
def completion(shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")]) -> None:
    """Print the completion script of a shell: it completes groups, commands, options and their values, files, project
    ids and wallets. For zsh, the folder of the file must be in fpath before compinit runs."""
    one_of("SHELL", shell, tuple(_SCRIPTS))
    output.emit_text(_SCRIPTS[shell])
