"""Gateways in processes that are forked from one that has imported everything, for tests that start many of them.

`python -m run402_cli.core.serve` spends most of its start with imports. module() stands in for `subprocess` in the
launcher; what a start has to do by itself is tested where it is not in its place.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

SERVE = ("-P", "-m", "run402_cli.core.serve")


class Daemon:
    """What subprocess.Popen gives the launcher, of a process that another one has forked."""

    def __init__(
        self, place: str, words: list[str], *, stderr: IO[bytes], cwd: Path, env: Mapping[str, str], **more: Any
    ) -> None:
        # The launcher runs this one program, and as it says here.
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "start_new_session": True}
        assert (tuple(words[1:4]), more) == (SERVE, pipes)
        umask = os.umask(0)
        os.umask(umask)
        request = marshal.dumps((words[4:], dict(env), str(cwd), umask))
        ours, theirs = os.pipe()
        self.stdout = os.fdopen(ours, "rb")
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(place)
        socket.send_fds(self.connection, [len(request).to_bytes(4, "big")], [theirs, stderr.fileno()])
        os.close(theirs)
        self.connection.sendall(request)
        self.pid = int.from_bytes(_exactly(self.connection, 4), "big")
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        self.connection.settimeout(timeout)
        try:
            said = self.connection.recv(1)
        except TimeoutError as exc:
            raise subprocess.TimeoutExpired("run402_cli.core.serve", timeout or 0) from exc
        self.returncode = said[0] if said else self.returncode if self.returncode is not None else -signal.SIGKILL
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.001)
        return None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def module(place: str) -> Any:
    """`subprocess` for the launcher, with the gateway forked from the process that listens at `place`."""

    def start(words: list[str], **options: Any) -> Daemon:
        return Daemon(place, words, **options)

    return SimpleNamespace(**{**vars(subprocess), "Popen": start})


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        assert part, "the process that forks has ended"
        found += part
    return found


def _serve(place: str) -> None:
    sys.path.remove(str(Path(__file__).parent))  # -P
    from run402_cli.core import serve
    from run402_cli.core.daemon import pg_install, postgres

    pg_install.binaries()  # tries them once for all
    _copy_clusters(postgres.EmbeddedPostgres, Path(place).with_name("cluster"))
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a dead gateway is gone at once, whoever started it
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        os.write(1, b".")
        while 0 not in (ready := select.select([listener, 0], [], [])[0]):
            if ready:
                connection = listener.accept()[0]
                head, streams, _, _ = socket.recv_fds(connection, 4, 2)
                request = marshal.loads(_exactly(connection, int.from_bytes(head, "big")))
                if os.fork() == 0:
                    listener.close()
                    _become(serve, connection, request, streams)
                connection.close()
                for fd in streams:
                    os.close(fd)


def _copy_clusters(kind: Any, made: Path) -> None:
    """initdb takes most of a first start, and makes the same each time: only its first run is real.

    The superuser's password is then that of the first, and unused: where processes fork, PostgreSQL listens on a socket
    that only its own user can open.
    """
    run = kind._run

    def run_or_copy(self: Any, program: str, *arguments: str) -> None:
        if program != "initdb":
            run(self, program, *arguments)
            return
        fresh = arguments[arguments.index("-D") + 1]
        if made.exists():
            subprocess.run(["cp", "-a", f"{made}/.", fresh], check=True)
            return
        run(self, program, *arguments)
        copy = made.with_name(f"{made.name}-{os.getpid()}")
        subprocess.run(["cp", "-a", fresh, copy], check=True)
        with contextlib.suppress(OSError):  # another was first
            copy.rename(made)

    kind._run = run_or_copy


def _become(serve: Any, connection: socket.socket, request: tuple[Any, ...], streams: list[int]) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, fd in enumerate([os.open(os.devnull, os.O_RDONLY), *streams]):
            os.dup2(fd, number)
            os.close(fd)
        args, variables, folder, umask = request
        os.chdir(folder)
        os.umask(umask)
        os.environ.clear()
        os.environ.update(variables)
        sys.argv = ["serve.py", *args]
        connection.sendall(os.getpid().to_bytes(4, "big"))
        code = serve.main()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
            connection.sendall(bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1])
