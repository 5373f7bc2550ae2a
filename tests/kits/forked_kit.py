"""Commands in processes that are forked from one that has imported everything, for tests that run thousands of them.

A command spends most of its time with imports. What a start has to do by itself is tested elsewhere, in processes that
start for real (test_start_up, test_main, test_signals, test_streams, test_quickstart); test_forked compares both kinds.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import marshal
import os
import pkgutil
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import forked_daemon

CLIENT = Path(__file__).with_name("forked_client.py")
# Variables that the interpreter reads when it starts.
INTERPRETER = ("PYTHON", "LC_", "LANG")
# Modules that commands load when they need them.
LATER = ("httpcore", "jwt", "psutil", "platformdirs", "click._textwrap", "encodings.idna", "ssl", "tarfile")


def words(variables: Mapping[str, str] = os.environ) -> list[str]:
    """What stands for `python -m run402_cli` with these variables."""
    if hasattr(os, "fork") and hasattr(socket, "recv_fds"):
        return [sys.executable, "-IS", str(CLIENT), _server(__file__, _settings(variables))]
    return [sys.executable, "-m", "run402_cli"]


def daemons(variables: Mapping[str, str] = os.environ) -> Any:
    """`subprocess` for the launcher of the gateway: it forks the gateway too."""
    return forked_daemon.module(_server(forked_daemon.__file__, _settings(variables)))


def run(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    data: bytes | None = b"",
    timeout: float,
    umask: int | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """`run402 ARGS` as subprocess.run does it, without a process for the client. Without data it reads /dev/null."""
    if not hasattr(os, "fork"):
        stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        return subprocess.run([*words(env), *args], env=env, cwd=cwd, **stdin, capture_output=True, timeout=timeout)
    if umask is None:
        umask = os.umask(0)
        os.umask(umask)
    settings = _settings(env)
    daemons = _server(forked_daemon.__file__, settings) if tuple(args[:2]) == ("core", "start") else ""
    request = marshal.dumps((list(args), dict(env), str(cwd), umask, daemons))
    theirs_in, ours_in = (os.open(os.devnull, os.O_RDONLY), None) if data is None else os.pipe()
    (ours_out, theirs_out), (ours_err, theirs_err) = os.pipe(), os.pipe()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(_server(__file__, settings))
        socket.send_fds(server, [len(request).to_bytes(4, "big")], [theirs_in, theirs_out, theirs_err])
        for fd in (theirs_in, theirs_out, theirs_err):
            os.close(fd)
        server.sendall(request)
        said = _talk(ours_in, data or b"", (ours_out, ours_err, server.fileno()), timeout)
    return subprocess.CompletedProcess(list(args), int(said[2]), said[0], said[1])


def _talk(stdin: int | None, data: bytes, streams: tuple[int, int, int], timeout: float) -> list[bytes]:
    """What comes from the streams until they end, while `data` is written to the other."""
    said = {fd: bytearray() for fd in streams}
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for fd in streams:
            selector.register(fd, selectors.EVENT_READ)
        if stdin is not None:
            os.set_blocking(stdin, False)
            selector.register(stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("run402", timeout, bytes(said[streams[0]]), bytes(said[streams[1]]))
            for key, _ in ready:
                if key.fd == stdin:
                    with contextlib.suppress(BrokenPipeError):
                        data = data[os.write(stdin, data[:65536]) :] if data else b""
                        if data:
                            continue
                elif part := os.read(key.fd, 65536):
                    said[key.fd] += part
                    continue
                selector.unregister(key.fd)
                if key.fd != streams[2]:
                    os.close(key.fd)
    return [bytes(part) for part in said.values()]


def _settings(variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in variables.items() if name.startswith(INTERPRETER)))


@functools.cache
def _server(program: str, settings: tuple[tuple[str, str], ...]) -> str:
    """The socket of a process that forks, which ends with this one. Its interpreter was started with the settings."""
    folder = Path(tempfile.mkdtemp(prefix="r402f-"))
    place = folder / "s"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(INTERPRETER)}
    process = subprocess.Popen(
        [sys.executable, program, place],
        env={**variables, **dict(settings)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def end() -> None:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    assert process.stdout is not None
    assert process.stdout.read(1) == b".", "the process that forks did not start"
    return str(place)


def _import_all() -> None:
    package = importlib.import_module("run402_cli")
    for module in pkgutil.walk_packages(package.__path__, "run402_cli."):
        # The gateway runs in a process of its own.
        inside = module.name.startswith(("run402_cli.core.", "run402_cli.mcp."))
        if module.name != "run402_cli.__main__" and (not inside or module.name.startswith("run402_cli.core.daemon.")):
            importlib.import_module(module.name)
    for name in LATER:
        importlib.import_module(name)


def _serve(place: str) -> None:
    _import_all()
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        woken, wakes = socket.socketpair()
        wakes.setblocking(False)
        signal.set_wakeup_fd(wakes.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.write(1, b".")
        running: dict[int, socket.socket] = {}
        while True:
            ready = select.select([listener, 0, woken, *running.values()], [], [])[0]
            if 0 in ready:
                return
            if woken in ready:
                woken.recv(4096)
                for child in [child for child in running if _ended(child, running[child])]:
                    running.pop(child).close()
            for child in [child for child, connection in running.items() if connection in ready]:
                os.kill(child, signal.SIGKILL)  # its client has ended
            if listener in ready:
                connection = listener.accept()[0]
                running[_start(connection, [listener, woken, wakes, *running.values()])] = connection


def _start(connection: socket.socket, others: list[socket.socket]) -> int:
    """Run the command that a client asks for in a process that holds nothing of the others."""
    head, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = b""
    while len(request) < int.from_bytes(head, "big"):
        request += connection.recv(1 << 20)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (connection, *others):
            each.close()
        _become(marshal.loads(request), streams)
    for fd in streams:
        os.close(fd)
    return child


def _ended(child: int, connection: socket.socket) -> bool:
    """Whether the command has ended; then its client is told how."""
    pid, status = os.waitpid(child, os.WNOHANG)
    if pid:
        with contextlib.suppress(OSError):
            connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    return bool(pid)


def _become(request: tuple[list[str], dict[str, str], str, int, str], streams: list[int]) -> None:
    args, variables, folder, umask, daemons = request
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["run402", *args]
    if daemons:
        importlib.import_module("run402_cli.core.daemon.launcher").subprocess = forked_daemon.module(daemons)  # type: ignore[attr-defined]
    from run402_cli.main import main

    main()
    os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
