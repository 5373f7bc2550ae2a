"""Write what is made from the command tree: docs/reference, llms-cli.txt, data files of the package and the manual page;
and from the services: the namespaces of the Python API.

`make docs`; a test checks that they are fresh. `make schema` builds the manifest of the command tree, which is not committed.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from run402_cli import command_schemas, environment, exits
from run402_cli.command_schemas import names
from run402_cli.commands._command import Command
from run402_cli.registry import GROUPS

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SCHEMAS = ROOT / "run402_cli" / "schemas"
sys.path.insert(0, str(DOCS))

import command_tree  # noqa: E402
import generate_man  # noqa: E402
import generate_routes  # noqa: E402
import generate_sdk  # noqa: E402
import generate_table  # noqa: E402
from command_tree import examples, find, text, usage  # noqa: E402
from missing import Missing  # noqa: E402


def commands(name: str) -> dict[str, Command]:
    """The commands of one group by full name, e.g. "projects sql"."""
    return {full: find(full) for full in names() if full.split()[0] == name}


def options(command: click.Command) -> list[tuple[str, str]]:
    """(spelling, help) of each option but --help."""
    context = click.Context(command, info_name="x")
    rows = []
    for param in command.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None and "--help" not in record[0]:
            rows.append((" ".join(record[0].split()), " ".join(record[1].split())))
    return rows


def reference(name: str) -> str:
    """One Markdown page per group."""
    lines = [f"# run402 {name}", "", GROUPS[name].summary, ""]
    for full, command in commands(name).items():
        lines += [f"## {full}", "", text(command), "", "```", usage(full, command), "```", ""]
        rows = options(command)
        if rows:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| `{spelling}` | {meaning.replace('|', chr(92) + '|')} |" for spelling, meaning in rows] + [""]
        lines += [*_answer(full), "Example:", "", "```sh", *examples(command), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _answer(full: str) -> list[str]:
    """How a command ends, what it prints and how it may fail, as `run402 schema` has it."""
    entry = command_schemas.detailed([full])["commands"][full]
    keys = entry["output"].get("schema", {}).get("properties", {})
    outcomes = exits.sentence(full)
    lines = [outcomes, ""] if outcomes else []
    lines += [f"Result ({entry['output']['kind']}): {', '.join(f'`{key}`' for key in keys)}.", ""] if keys else []
    codes = entry["error_codes"]
    return lines + ([f"Error codes of its own: {', '.join(f'`{code}`' for code in codes)}.", ""] if codes else [])


def index_for_agents() -> str:
    """docs/llms.txt: the same links as docs/index.md, in the form of that convention."""
    _, _, rest = (DOCS / "index.md").read_text(encoding="utf-8").partition("\n")
    return f"# run402\n{rest}"


# Told once in the head of the page instead of on a hundred lines.
EVERYWHERE = ("--project ID", "--json", "--json-stream", "--dry-run", "--quiet, --final-only")
# An agent reads the page before it does anything, so it stays short: `--help` and `run402 schema` have the rest. Characters
# of the page, and of a line's summary beyond its first sentence; where the page would be longer, summaries are shorter.
PAGE_LENGTH, SUMMARY_LENGTH = 48_999, 110


def llms() -> str:
    """The page that an agent reads first: a hand-written head, then one line per command."""
    head = (DOCS / "llms-head.txt").read_text(encoding="utf-8").rstrip().replace("{exit_codes}", exits.summary())
    lines = []
    for name in GROUPS:
        for full, command in commands(name).items():
            others = (each for each, _ in options(command) if each not in EVERYWHERE and not _is_needed(command, each))
            flags = " ".join(f"[{spelling}]" for spelling in others)
            shown = f"{usage(full, command)} {flags}".removeprefix("run402 ").rstrip()
            no = "; ".join(f"{code}: {exits.OUTCOMES[full][code]}" for code in exits.verdicts(full))
            lines.append((shown, command, f". Exit {no}" if no else ""))
    for length in range(SUMMARY_LENGTH, -1, -1):
        page = "\n".join((head, *(f"{shown}  # {summary(command, length)}{no}" for shown, command, no in lines), ""))
        if len(page) <= PAGE_LENGTH:
            break
    return page


def _is_needed(command: Command, spelling: str) -> bool:
    """The usage line has it already."""
    return not set(command.needed).isdisjoint(re.split(r"[ ,]+", spelling))


def summary(command: click.Command, length: int) -> str:
    """As many sentences of the description as there is room for, the first one in any case."""
    first, *more = re.split(r"(?<=[a-z0-9)`])\. (?=[A-Z`-])", text(command))
    for sentence in more:
        if len(first) + len(sentence) > length:
            break
        first = f"{first}. {sentence}"
    return first.removesuffix(".")


# Placeholders whose values the shell or the local files know.
_KINDS = {
    **dict.fromkeys(("PROJECT", "BRANCH_PROJECT_ID"), "@project"),
    **dict.fromkeys(("FILE", "FILES", "ARCHIVE_PATH", "PATH", "PATH[:TYPE]"), "@file"),
    **dict.fromkeys(("DIR", "SOURCE"), "@dir"),
}
_OF_WALLETS = ("wallets use", "wallets rename", "wallets bind", "wallets rm")


def _kind(full: str, name: str | None, entry: dict[str, Any]) -> Any:
    """What shell completion offers for a value: a list, or a kind that run402_cli/completion.py knows."""
    if entry.get("values"):
        return entry["values"]
    if name == "ID" and "--project" in entry.get("flags", ()):
        return "@project"
    if full in _OF_WALLETS and name == "NAME":
        return "@wallet"
    if full == "schema" and name == "COMMAND":
        return "@group"
    if full == "sites deploy-dir" and name == "PATH":
        return "@dir"
    return _KINDS.get(name or "", "@text")


def completion() -> str:
    """Options and arguments of each command, for shell completion: one line per command."""
    lines = []
    for full, entry in command_tree.everything()["commands"].items():
        flags = {}
        for option in entry["options"]:
            kind = None if option["type"] == "boolean" else _kind(full, option.get("value"), option)
            flags |= {flag: [kind, _first_sentence(option["help"])] for flag in option["flags"]}
        args = [[_kind(full, arg["name"], arg), arg.get("repeatable", False)] for arg in entry["arguments"]]
        value = {**({"args": args} if args else {}), "flags": flags}
        lines.append(f"  {json.dumps(full)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def unlisted_flags() -> str:
    """Flags that a command understands and completion does not offer: {command: {flag: whether it takes a value}}."""
    listed = json.loads(completion())
    lines = []
    for name, group in GROUPS.items():
        paths = [f"{name} {path}" for path in (*group.commands, *group.words, *group.aliases)]
        for full in paths if group.commands else [name, *paths]:
            known = listed.get(full, {"flags": {}})["flags"]
            rest = {flag: not option.is_flag for flag, option in command_tree.every_flag(full) if flag not in known}
            lines += [f"  {json.dumps(full)}: {json.dumps(rest)}"] if rest else []
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _first_sentence(text_: str) -> str:
    return text_.split(". ")[0].rstrip(".")


def tree() -> str:
    """What `run402 schema` knows of each command: one line per command."""
    *shared, (_, entries) = command_tree.everything().items()
    lines = [f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in shared]
    rows = [f"    {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in entries.items()]
    return "{\n" + ",\n".join(lines) + ',\n  "commands": {\n' + ",\n".join(rows) + "\n  }\n}\n"


def schema(name: str | None) -> str:
    """The index, or one group, as `run402 schema [GROUP]` prints it."""
    document = command_schemas.index() if name is None else command_schemas.detailed(command_schemas.chosen([name]))
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def pages() -> dict[Path, str]:
    """Every generated file and its content."""
    out = {DOCS / "reference" / f"{name}.md": reference(name) for name in GROUPS}
    out[ROOT / "llms-cli.txt"] = llms()
    out[DOCS / "llms.txt"] = index_for_agents()
    out[DOCS / "environment.md"] = environment.page()
    out[ROOT / "run402_cli" / "completion.json"] = completion()
    out[ROOT / "run402_cli" / "unlisted_flags.json"] = unlisted_flags()
    out[SCHEMAS / "_commands.json"] = tree()
    out[generate_table.PATH] = generate_table.page()
    return out | generate_man.pages() | generate_routes.pages() | generate_sdk.pages()


def schema_files(folder: Path) -> dict[Path, str]:
    """The manifest of the command tree as files: the index and one file per group. Built, never committed."""
    return {folder / f"{name or 'index'}.json": schema(name) for name in (None, *GROUPS)}


def main() -> None:
    """`generate.py` writes what is committed; `generate.py --schema FOLDER` the manifest of the command tree."""
    if generate_table.PATH.read_text(encoding="utf-8") != generate_table.page():
        raise Missing("run402_cli/command_table.py is not what the commands declare: run `make docs`")
    # The reference reads this file.
    (SCHEMAS / "_commands.json").write_text(tree(), encoding="utf-8")
    made = schema_files(Path(sys.argv[2])) if sys.argv[1:2] == ["--schema"] else pages()
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    sys.stdout.write(f"{len(made)} files written\n")


if __name__ == "__main__":
    main()
