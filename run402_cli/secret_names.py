"""Which names files of credentials have, copies of them too, and what such a file begins with. See docs/deploy.md."""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = frozenset(
    [
        *(".envrc", ".flaskenv", ".dev.vars", ".npmrc", ".pnpmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".gem"),
        *(".netrc", "_netrc", ".authinfo", ".pgpass", "pgpass.conf", ".my.cnf", ".mylogin.cnf", ".dbshell"),
        *(".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh", ".password-store", ".oci", ".terraform.d"),
        *(".git-credentials", ".htpasswd", ".htdigest", ".vault-token", ".msmtprc", ".fetchmailrc", ".muttrc"),
        *(
            ".s3cfg",
            ".boto",
            ".dockercfg",
            ".dockerconfigjson",
            ".terraformrc",
            "terraform.rc",
            "credentials.tfrc.json",
        ),
        *("rclone.conf", ".databrickscfg", "kaggle.json", "application_default_credentials.json", "wp-config.php"),
        *("sftp.json", "sftp-config.json", ".ftpconfig", ".remote-sync.json", ".history", ".lesshst", ".viminfo"),
        # Of this program: a wallet's private key, the service keys of projects, sessions of an operator.
        *("allowance.json", "project-keys.v1.json"),
        *("operator-session.json", "control-plane-session.json", "write-auth-session.json"),
    ]
)
_SUFFIXES: Final = (
    *(".key", ".pem", ".p12", ".pfx", ".pkcs12", ".p8", ".ppk", ".jks", ".jceks", ".keystore", ".bks"),
    *(".kdb", ".kdbx", ".keychain", ".keychain-db", ".agekey", ".ovpn", ".env", ".tfstate", ".tfvars"),
)
# Families: .env.local, .env_local, .env-prod; .bash_history; id_rsa, id_ed25519_sk, id_rsa_work.
_FAMILY: Final = re.compile(
    r"\.env[._ -].*|\.\w+_history|id_(?:dsa|ecdsa|ed25519|rsa)(?:[_-][\w-]*)?|ssh_host_\w+_key|client_secret[_-].*\.json"
    r"|service[_-]?account[_-]?key.*\.json"
)
# What programs and people add to the name of a copy, in front and behind: emacs, vi, patch, downloads, dates.
_COPY: Final = re.compile(
    r"(?:~|#|\.sw[a-z]|\.un~|\.~\d+~|[._ -]+\(?(?:bad|bak|backup|bkp|copy|dist|new|old|orig|original|prev|previous|rej"
    r"|save|saved|temp|tmp)\d*\)?|[._ -]\(?\d{1,14}\)?|[._ -]\d{4}-\d\d-\d\d(?:[t_. -][\d:.-]*z?)?)$"
)
_BEFORE: Final = re.compile(r"^(?:\.?#|~|copy of |backup of |\.(?=[._]))")
_LAYERS: Final = 5

# The first bytes of a private key, and members that the files of this program and of clouds keep one in.
_KEY: Final = re.compile(rb"\s*(?:-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|PuTTY-User-Key-File-\d|Bag Attributes\s)")
_MEMBER: Final = re.compile(
    rb'"private_?key"\s*:\s*"(?:0x[0-9a-f]{64}"|-----BEGIN )|"service_key"\s*:\s*"(?:r402_service_|eyJ)', re.IGNORECASE
)
LOOKED_AT: Final = 4096


def is_secret_name(name: str) -> bool:
    """Whether a file or directory of this name usually holds credentials, or is a copy of one that does."""
    # Windows reads a name without the dots and spaces at its end.
    lowered = name.lower().rstrip(". ")
    if _is_secret(lowered):
        return True
    for _ in range(_LAYERS):
        original = _BEFORE.sub("", _COPY.sub("", lowered))
        if original == lowered:
            return False
        # The swap file of `id_rsa` is `.id_rsa.swp`.
        if _is_secret(original) or _is_secret(original.removeprefix(".")):
            return True
        lowered = original
    return False


def _is_secret(name: str) -> bool:
    return name in _NAMES or name.endswith(_SUFFIXES) or _FAMILY.fullmatch(name) is not None


def is_key(beginning: bytes) -> bool:
    """Whether a file that begins so is a private key, or a file of keys."""
    head = beginning[:LOOKED_AT].removeprefix(b"\xef\xbb\xbf")
    return _KEY.match(head) is not None or (head.lstrip()[:1] == b"{" and _MEMBER.search(head) is not None)
