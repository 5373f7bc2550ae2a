"""What the surroundings may have done to this process before it began: closed streams, an interpreter that was changed.

On the path of every run: it imports nothing.
See docs/protocol/conventions.md, "Odd surroundings".
"""

from __future__ import annotations

import os
import sys

# Which standard streams were closed when the process began.
closed: list[str] = []
# Whether the process is the program's own: no caller's, who may import what this program does without.
own = False


def settle(*, may_restart: bool) -> None:
    """Give every missing stream something to stand on, and go on without what was changed: in a fresh interpreter when
    `may_restart` (this is the program itself, not a caller's process) and it is needed.
    """
    global own
    own = may_restart
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_missing()
    flags = sys.flags
    changed = flags.optimize or flags.inspect or flags.dev_mode or flags.verbose or flags.debug or sys.warnoptions
    if not changed and sys.getfilesystemencoding() == "utf-8":
        return
    if may_restart and os.name == "posix" and sys.executable and not sys.flags.ignore_environment:
        # The variables stay for the programs that we start; only this interpreter ignores them. Its path is kept.
        code = f"import sys; sys.path[:] = {sys.path!r}; from run402_cli.main import main; main()"
        words = [sys.executable, "-E", "-X", "utf8", "-c", code, *sys.argv[1:]]
        os.execv(sys.executable, [os.fsencode(word) for word in words])
    import warnings

    warnings.simplefilter("ignore")


def _open_missing() -> None:
    """A closed stdin reads as empty, stderr is dropped, and writing to stdout fails: the result must not vanish.

    The numbers have to be taken, or the next file that is opened gets them and is written to by accident.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        closed.append(name)
        fd = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
        if fd != number:
            os.dup2(fd, number)
            os.close(fd)
        os.set_inheritable(number, True)
        setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
