"""`subdomains`: the names under which a site answers. See docs/protocol/releases.md."""

from __future__ import annotations

import re
from typing import Any, Final

from run402_cli.release.fields import WIRE
from run402_cli.release.section import NamesSection


class SubdomainsSection(NamesSection):
    name = state_key = "subdomains"
    noun = "subdomain"
    keys = ("set", "add", "remove")
    list_key = "names"
    pattern = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

    def check_spec(self, value: Any) -> None:
        self.check_lists(value)

    def check_wire(self, value: Any) -> None:
        subdomains = WIRE.known(value, self.keys, "subdomains")
        for key in subdomains:
            self.read_list(subdomains[key], key)
        if "set" in subdomains and len(subdomains) > 1:
            raise WIRE.error("subdomains.set stands alone; use add and remove without it.", "subdomains")

    def after(self, base: Any, value: Any) -> Any:
        subdomains = value or {}
        there = {"names": subdomains["set"]} if "set" in subdomains else base
        return self.changed(there, subdomains.get("add"), subdomains.get("remove"))


SECTION: Final = SubdomainsSection()
