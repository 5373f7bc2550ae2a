"""Which user of this machine a connection comes from, where the system tells (Linux). See docs/security.md."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from pathlib import Path

from starlette.requests import Request

_TABLES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")
# Of a row: sl, local address, remote address, state, queues, timer, retransmits, uid.
_LOCAL, _REMOTE, _UID = 1, 2, 7


def is_another_user(request: Request) -> bool:
    """Whether another user than this one and root holds the other end; False where the system does not tell."""
    here, there = request.scope.get("server"), request.scope.get("client")
    if sys.platform != "linux" or not here or not there:
        return False
    wanted = (_written(*there), _written(*here))
    for table in _TABLES:
        with contextlib.suppress(OSError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                row = line.split()
                if (row[_LOCAL], row[_REMOTE]) in zip(*wanted, strict=True):
                    return int(row[_UID]) not in (os.geteuid(), 0)
    return False


def _written(host: str, port: int) -> tuple[str, str]:
    """An address as the tables have it, of IPv4 and of IPv6: words in the order of this machine's bytes."""
    address = ipaddress.ip_address(host)
    four = address if address.version == 4 else address.ipv4_mapped
    six = address if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{host}")
    return (_hex(four.packed, port) if four else ""), _hex(six.packed, port)


def _hex(packed: bytes, port: int) -> str:
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    text = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{text}:{port:04X}"
