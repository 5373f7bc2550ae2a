"""The process edge: version and help without imports, wallet selection, dispatch, error boundary, exit codes.

The only place that exits. Everything third-party is imported by the command that needs it.
"""

from __future__ import annotations

import gc
import os
import sys

from run402_cli import interpreter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from run402_cli.errors import OutputLost

_WALLET_FLAGS = ("--wallet", "--profile")
_HELP = ("--help", "-h")
_VERSION = ("--version", "-v", "-V", "version")
_DEEPEST = 4  # words of the longest command path


# More digits than any number of PostgreSQL has; the interpreter's own limit (and PYTHONINTMAXSTRDIGITS) is far lower.
_DIGITS = 200_000
# New objects before the garbage collector looks: imports make many and leave none behind.
_OBJECTS = 50_000
_own_process = False


def main(argv: list[str] | None = None) -> None:
    """Console script. Exits 0 on success, 1 on an error envelope, 2 on a negative verdict, 130/143 on a signal."""
    global _own_process
    _own_process = argv is None
    interpreter.settle(may_restart=_own_process)
    if _own_process:
        gc.set_threshold(_OBJECTS)
    sys.set_int_max_str_digits(_DIGITS)
    args = sys.argv[1:] if argv is None else argv
    text = _short_answer(args)
    code = _guarded(args) if text is None else _plain(text)
    if _own_process:
        _leave(code)
    if text is None or code:
        sys.exit(code)


def _short_answer(args: list[str]) -> str | None:
    """What needs neither a wallet nor the command kernel: the version, and completion's words."""
    if args[:1] and (args[0] in _VERSION[:2] or (len(args) == 1 and args[0] in _VERSION)):
        from run402_cli._version import __version__

        return __version__ + "\n"
    if args and args[0] == "__complete":
        from run402_cli.completion import candidates

        return "".join(f"{word}\n" for word in candidates(args[1:]))
    return None


def _leave(code: int) -> None:
    """Exit without taking the interpreter apart, a sixth of a short command; what runs at exit has run.

    Returns, for the usual way out, when a thread still works or something printed cannot be written.
    """
    threading = sys.modules.get("threading")
    if threading is not None and any(
        not each.daemon and each is not threading.main_thread() for each in threading.enumerate()
    ):
        return
    import atexit

    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


def _plain(text: str) -> int:
    """Print without the module for it, which the shortest answers have no time to import."""
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    except OSError as exc:
        from run402_cli.errors import OutputLost

        return _unwritten(OutputLost(exc))
    return 0


def _guarded(args: list[str]) -> int:
    try:
        return _attempted(args)
    except Exception as exc:  # of what shows errors: nothing fails without an envelope
        if os.environ.get("RUN402_DEBUG"):
            raise
        from run402_cli import failures

        return failures.last_resort(exc)


def _attempted(args: list[str]) -> int:
    from run402_cli.errors import ChildEnded, DryRun, Interrupted, OutputLost, Run402Error, Verdict

    try:
        try:
            _dispatch(args)
        except DryRun as exc:
            _show_dry_run(exc.document())
        return 0
    except OutputLost as exc:
        return _unwritten(exc)
    except Run402Error as exc:
        return _report(_placed(exc.envelope()), exc.exit_code)
    except (Interrupted, KeyboardInterrupt) as exc:
        from run402_cli import failures

        stop = exc if isinstance(exc, Interrupted) else Interrupted("SIGINT", 130)
        return _report(failures.interrupted(stop), stop.exit_code)
    except Verdict as exc:
        from run402_cli import output

        output.verdict(exc.why, exc.next_command)
        return exc.exit_code
    except ChildEnded as exc:
        return exc.exit_code
    except SystemExit as exc:  # of a library
        return exc.code if isinstance(exc.code, int) else 1 if exc.code else 0
    except Exception as exc:
        if os.environ.get("RUN402_DEBUG"):
            raise
        from run402_cli import failures

        return _report(failures.unexpected(exc), 1)


def _show_dry_run(document: dict[str, object]) -> None:
    from run402_cli import output

    output.emit(document)


def _report(envelope: dict[str, object], exit_code: int) -> int:
    from run402_cli import output

    output.error(envelope)
    return exit_code


def _placed(envelope: dict[str, Any]) -> dict[str, Any]:
    """An error about the active project, which the command did not name, says so; one about a name repeats it with the id."""
    from run402_cli import global_options

    active, named = global_options.current.active_project, envelope.get("code") == "INVALID_PROJECT_ID"
    if active is None and not named:
        return envelope
    from run402_cli.commands import _active_project

    return _active_project.told(envelope, active) if active else _active_project.by_id(envelope)


def _unwritten(lost: OutputLost) -> int:
    """stdout takes nothing: 141 when its reader has gone, which a command that only looked need not mention; else 1."""
    from run402_cli import failures, output

    output.abandon(sys.stdout)
    gone = isinstance(lost.cause, BrokenPipeError)
    envelope = failures.unwritten(lost)
    if gone and envelope["safe_to_retry"]:
        return 141
    return _report(envelope, 141 if gone else 1)


def _dispatch(args: list[str]) -> None:
    from run402_cli import global_options, output
    from run402_cli.registry import GROUPS

    global_options.reset()
    global_options.remember(args)
    _check_text(args)
    args, wallet_flag, wallet_error = _take_wallet_flag(args)
    args = _command_first(args)
    if args and args[0] == "help":
        if args[1:] == ["environment"]:
            from run402_cli import environment

            output.emit_text(environment.text())
            return
        args = ["docs", "llms-cli"] if args[1:] == ["agents"] else [*args[1:], "--help"]
    name = args[0] if args else "--help"
    if name in _HELP:
        from run402_cli.helptext import root_help

        output.emit_text(root_help())
        return
    group = GROUPS.get(name)
    if group is None:
        raise _unknown_command(name)
    rest = args[1:]
    if group.commands:
        path, rest = _take_subcommand(name, rest)
        if path is None:
            from run402_cli.helptext import group_help

            output.emit_text(group_help(name))
            return
    elif rest and rest[0] in group.words:
        path, rest = rest[0], rest[1:]
    else:
        path = name
    if not any(token in _HELP for token in rest):
        if wallet_error is not None:
            raise wallet_error
        _select_wallet(name, wallet_flag, rest)
    _run(group.module, name, path, rest)


def _run(module: str, name: str, path: str, rest: list[str]) -> None:
    import importlib

    from run402_cli import global_options, signals
    from run402_cli.commands import _command

    signals.install(watch=_own_process)
    global_options.current.command = name if path == name else f"{name} {path}"
    app = importlib.import_module(f"run402_cli.commands.{module}").app
    prog = f"run402 {name}" if path == name else f"run402 {name} {path}"
    _command.run(app.find(path), rest, prog=prog)


def _check_text(args: list[str]) -> None:
    """BAD_USAGE for a word that is not UTF-8: it could be sent in no request. The word itself is not repeated."""
    from run402_cli.errors import UsageError

    for place, word in enumerate(args, 1):
        try:
            word.encode()
        except UnicodeEncodeError as exc:
            raise UsageError(
                f"Word {place} after run402 is not UTF-8 text (at character {exc.start + 1}).",
                hint="Write it as UTF-8. Other bytes go through a file or standard input where the command reads one.",
                details={"word": place, "character": exc.start + 1},
            ) from None


def _command_first(args: list[str]) -> list[str]:
    """The words with the global options that stand before or inside the command path moved behind it."""
    from run402_cli import global_options

    words: list[str] = []
    moved: list[str] = []
    rest = list(args)
    while rest and len(words) < _DEEPEST:
        name, equals, _ = rest[0].partition("=")
        flag = global_options.option(name)
        if flag is None and name != "--json":
            if global_options.looks_like_flag(rest[0]):
                break
            words.append(rest.pop(0))
            continue
        length = 2 if flag is not None and global_options.OPTIONS[flag][0] and not equals else 1
        moved += rest[:length]
        del rest[:length]
    if not words and moved and not rest:
        return []
    return [*words, *moved, *rest] if words else rest


def _take_wallet_flag(
    args: list[str],
) -> tuple[list[str], tuple[str, str] | None, Exception | None]:
    """Remove every `--wallet`/`--profile` wherever it stands; the last one wins. A missing value is reported later."""
    from run402_cli import global_options
    from run402_cli.errors import FlagError

    kept: list[str] = []
    chosen: tuple[str, str] | None = None
    problem: Exception | None = None
    i = 0
    while i < len(args):
        flag, equals, value = args[i].partition("=")
        i += 1
        if flag not in _WALLET_FLAGS:
            kept.append(args[i - 1])
            continue
        if not equals:
            value = args[i] if i < len(args) and not global_options.looks_like_flag(args[i]) else ""
            i += 1 if value else 0
        if value:
            chosen = (flag, value)
        else:
            problem = FlagError(f"{flag} needs a wallet name.", hint="run402 wallets list", details={"flag": flag})
    return kept, chosen, problem


def _take_subcommand(name: str, rest: list[str]) -> tuple[str | None, list[str]]:
    """The subcommand path and the arguments after it; None means: show the group's help."""
    from run402_cli.registry import GROUPS

    group = GROUPS[name]
    if not rest and not group.bare_help:
        raise _unknown_subcommand(name, None, sorted({path.split()[0] for path in group.commands}))
    if not rest or rest[0] in _HELP:
        return None, []
    if rest[0] == "help":
        return _take_subcommand(name, [*rest[1:], "--help"])
    for length in (3, 2, 1):
        path = " ".join(rest[:length])
        if len(rest) >= length and (path in group.commands or path in group.aliases):
            return path, rest[length:]
    if any(token in _HELP for token in rest):
        return None, []
    paths = [path.split() for path in group.commands]
    for depth, word in enumerate(rest):
        known = sorted({path[depth] for path in paths if path[:depth] == rest[:depth] and len(path) > depth})
        if word not in known:
            raise _unknown_subcommand(" ".join([name, *rest[:depth]]), word, known)
    return None, []


def _select_wallet(name: str, flag: tuple[str, str] | None, rest: list[str]) -> None:
    from run402_cli.registry import GROUPS
    from run402_cli.state import profile

    selection = profile.select(flag)
    profile.check(selection, needs_wallet=GROUPS[name].needs_wallet, allow_conflict=name == "wallets")
    active = profile.activate(selection)
    if (
        os.environ.get("RUN402_WALLET_PROVENANCE") == "1"
        and selection.fault is None
        and active.name != profile.DEFAULT
        and name != "wallets"
        and "--quiet" not in rest
    ):
        _print_provenance(active)


def _print_provenance(active: object) -> None:
    from run402_cli import output
    from run402_cli.state.profile import Profile

    assert isinstance(active, Profile)
    address = str(active.meta.get("address") or (active.allowance.address if active.allowance else ""))
    short = f" ({address[:6]}...{address[-4:]})" if address else ""
    output.notice(f"wallet {active.name}{short}, from {active.selection.detail or active.selection.source}")


def _unknown_command(word: str) -> Exception:
    from run402_cli import global_options, suggest
    from run402_cli.errors import CommandError
    from run402_cli.registry import GROUPS

    if global_options.looks_like_flag(word):
        from run402_cli.commands._command import unknown_flag

        return unknown_flag(word.partition("=")[0], ("--version",))
    near = suggest.command(word, (), GROUPS)
    return CommandError(
        f"Unknown command {word!r}.{suggest.did_you_mean(near)}",
        code="UNKNOWN_COMMAND",
        hint=_look_up(near) or "run402 --help lists the commands.",
        details={"command": word, "closest": near},
        next_actions=_help_of(near),
    )


def _unknown_subcommand(label: str, word: str | None, known: list[str]) -> Exception:
    from run402_cli import suggest
    from run402_cli.errors import CommandError

    near = [] if word is None else suggest.command(word, label.split(), known)
    wrong = {} if word is None else {"subcommand": word}
    meant = [f"{label} {name}" for name in near]
    return CommandError(
        f"{label} needs a subcommand."
        if word is None
        else f"Unknown subcommand {word!r} of {label}.{suggest.did_you_mean(near)}",
        code="UNKNOWN_SUBCOMMAND",
        hint=_look_up(meant) or f"run402 {label.split()[0]} --help lists the subcommands.",
        details={"command": label, **wrong, "closest": near, "known_subcommands": known},
        next_actions=_help_of(meant),
    )


def _look_up(meant: list[str]) -> str | None:
    return f"run402 {meant[0]} --help shows its arguments and an example." if meant else None


def _help_of(meant: list[str]) -> list[dict[str, object]]:
    """The way on from a wrong word: what the command that was probably meant takes. The other words may be secret."""
    from run402_cli import advice

    return [advice.action("edit_request", *meant[0].split(), "--help")] if meant else []
