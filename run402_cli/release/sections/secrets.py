"""`secrets`: which a release requires, and which go with it. Names only. See docs/protocol/releases.md."""

from __future__ import annotations

import re
from typing import Any, Final

from run402_cli.release.fields import SPEC, WIRE
from run402_cli.release.section import NamesSection


class SecretsSection(NamesSection):
    name = state_key = "secrets"
    noun = "secret"
    keys = ("require", "delete")
    list_key = "keys"
    pattern = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")

    def check_spec(self, value: Any) -> None:
        secrets = self.check_lists(value)
        for key, names in secrets.items():
            for name in names:
                if not self.pattern.fullmatch(name):
                    raise SPEC.error(
                        f"secrets.{key} has {name!r}. A key is upper-case letters, digits and _, at most 128.",
                        f"secrets.{key}",
                    )
            if len(set(names)) != len(names):
                raise SPEC.error(f"secrets.{key} lists a key twice. List each once.", f"secrets.{key}")
        both = sorted(set(secrets.get("require", ())) & set(secrets.get("delete", ())))
        if both:
            raise SPEC.error(f"secrets both requires and deletes {both[0]}. Keep one of them.", "secrets")

    def check_wire(self, value: Any) -> None:
        secrets = WIRE.known(value, self.keys, "secrets")
        names = {key: self.read_list(secrets.get(key, []), key) for key in self.keys}
        both = set(names["require"]) & set(names["delete"])
        if both:
            raise WIRE.error(f"{', '.join(sorted(both))} is both required and deleted. Keep one.", "secrets")

    def after(self, base: Any, value: Any) -> Any:
        secrets = value or {}
        return self.changed(base, secrets.get("require"), secrets.get("delete"))


SECTION: Final = SecretsSection()
