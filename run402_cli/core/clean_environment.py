"""The environment of every process that the gateway is or starts: names of a list, and nothing else of the shell's.

Whoever starts a gateway may have keys of other services in the environment, and projects' SQL and functions run in and
beside these processes. docs/local-gateway.md, "Environment".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from run402_cli import interpreter

# What every program needs to be found, to load, and to write temporary files and text.
SYSTEM = (
    *("PATH", "LANG", "LANGUAGE", "LC_*", "TZ", "TZDIR", "TMPDIR", "TEMP", "TMP"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "__CF_USER_TEXT_ENCODING"),
    # Windows
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE"),
    *("PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMW6432", "PROGRAMDATA", "COMMONPROGRAMFILES", "ALLUSERSPROFILE"),
)
# Where the user's own files are.
HOME = (
    *("HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"),
    *("USERNAME", "USERDOMAIN", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA"),
)
# How other machines are reached.
NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
)
_NPM = tuple(
    f"npm_config_{name}"
    for name in (
        *("registry", "cache", "userconfig", "globalconfig", "cafile", "strict_ssl", "proxy", "https_proxy", "noproxy"),
        *("fetch_retries", "fetch_timeout", "offline"),
    )
)
NPM = (*_NPM, *(name.upper() for name in _NPM))
PYTHON = (
    *("PYTHONHOME", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONNOUSERSITE", "PYTHONUSERBASE"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
# What libpq takes where a connection URL says nothing.
LIBPQ = (
    *("PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE"),
    *("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL", "PGSSLNEGOTIATION", "PGCHANNELBINDING"),
    *("PGGSSENCMODE", "PGKRBSRVNAME", "PGTARGETSESSIONATTRS", "PGCONNECT_TIMEOUT"),
)
# The gateway's own: functions install packages through it, so what npm needs comes along.
GATEWAY = (*HOME, *NETWORK, *NPM, *PYTHON, "RUN402_CORE_CI_JWKS")


def clean(*more: str, **own: str) -> dict[str, str]:
    """The variables of SYSTEM and of `more` that are set, and `own`. A name may end in *."""
    wanted = (*SYSTEM, *more)
    exact = {_spelled(name) for name in wanted if not name.endswith("*")}
    beginnings = tuple(_spelled(name[:-1]) for name in wanted if name.endswith("*"))
    kept = {
        name: value
        for name, value in os.environ.items()
        if _spelled(name) in exact or _spelled(name).startswith(beginnings)
    }
    return {**kept, **own}


def of_gateway(*more: str, **own: str) -> dict[str, str]:
    """For the gateway's own process. It imports this program from where it is, whatever directory it stands in."""
    root = str(Path(__file__).resolve().parents[2])
    # A relative or empty part would be the working directory.
    parts = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(part).is_absolute()]
    return clean(*GATEWAY, *more, PYTHONPATH=os.pathsep.join(dict.fromkeys([root, *parts])), **own)


def begin_again(names: Iterable[str]) -> None:
    """Make the process of a command the gateway's: variables of of_gateway() and of `names`, no module from the working
    directory. A caller's process stays as it is.

    The command runs anew in the same process, because what a process was started with stays readable.
    """
    wanted = of_gateway(*names)
    changed = [name for name, value in os.environ.items() if wanted.get(name) != value]
    if not interpreter.own or (not changed and sys.flags.safe_path):
        return
    if os.name == "posix" and sys.executable:
        words = [sys.executable, "-P", *sys.orig_argv[1:]]
        os.execve(sys.executable, [os.fsencode(word) for word in words], wanted)
    for name in changed:
        del os.environ[name]


def _spelled(name: str) -> str:
    return name.upper() if sys.platform == "win32" else name
