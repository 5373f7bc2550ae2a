"""`python -IS forked_client.py SOCKET ARGS...`: `run402 ARGS` in a fork of the process behind the socket (forked_kit.py).

Its streams, directory, variables and umask are those of this process, and this process ends as it ends.
"""

import _socket
import marshal
import os
import signal
import sys
from array import array


def main() -> None:
    umask = os.umask(0)
    os.umask(umask)
    request = marshal.dumps((sys.argv[2:], dict(os.environ), os.getcwd(), umask, ""))  # noqa: PTH109 (pathlib takes its time)
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    server.connect(sys.argv[1])
    streams = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array("i", [0, 1, 2]))]
    server.sendmsg([len(request).to_bytes(4, "big")], streams)
    sent = 0
    while sent < len(request):
        sent += server.send(request[sent:])
    answer = b""
    while part := server.recv(8):
        answer += part
    code = int(answer)
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main()
