"""What a section of a release is to the loops over all of them: one object each, in `sections/<name>.py`.

The loops: manifest.py, discovery.py, spec.py, wire.py, digests.py and state.py here; release_request.py, diffs.py and
inventory.py of the gateway. Every section counts for the digests. See docs/protocol/releases.md, "Sections".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from run402_cli.release.canonical import code_unit_key, code_unit_sorted
from run402_cli.release.content import SliceKind, Writer
from run402_cli.release.entries import Base
from run402_cli.release.fields import SPEC, WIRE, Spellings


class Section:
    """One section. What is here holds for a section that is sent as it is written and leaves nothing in a release."""

    name: str
    # Fields that have two names: the dialects choose between them.
    spellings: tuple[Spellings, ...] = ()

    # -- as written in a manifest

    # Null is a value of its own, which clears what is there, and not the same as nothing.
    null_clears = False

    def normalize(self, value: Any, base: Base) -> Any:
        """The section in its ReleaseSpec form; `value` is not null. ReleaseError LOCAL_ERROR. `fields.MANIFEST` checks."""
        return value

    def says_something(self, value: Any) -> bool:
        """Whether a manifest with this section alone, as written, is more than empty."""
        return has_leaf(value)

    # -- in a ReleaseSpec

    def check_spec(self, value: Any) -> None:
        """ReleaseError INVALID_SPEC, phase validate, for what must not be sent. `fields.SPEC` checks."""

    def deploys(self, value: Any) -> bool:
        """Whether a spec with this section alone, checked, deploys anything."""
        return bool(value)

    # -- on the wire

    # What kind of content the section names, if any.
    slice_kind: SliceKind | None = None
    # An empty one is not sent.
    sent_empty = True

    def collect(self, value: Any, writer: Writer) -> None:
        """Tell the writer what content a checked, filled section names. ReleaseError of the spec layer."""

    def to_wire(self, value: Any, writer: Writer) -> Any:
        """The section in the writer's dialect."""
        return value

    def check_wire(self, value: Any) -> None:
        """A gateway's check of what arrives in either dialect: ReleaseError INVALID_SPEC, phase plan. `fields.WIRE` checks.

        What only a gateway can know is checked by its `Section.check` (core/releases/sections.py), after this.
        """

    # -- in the state of a release

    # Where the state has it; "" for a section that is no part of what is live.
    state_key = ""

    def empty(self) -> dict[str, Any]:
        """The section's part of a state that has nothing."""
        return {}

    def of(self, state: Mapping[str, Any]) -> Any:
        """The section's part of a state, which may be older than the section."""
        return state[self.state_key] if self.state_key in state else self.empty()[self.state_key]

    def after(self, base: Any, value: Any) -> Any:
        """The part of the state after a wire section was applied to `base`, the part before it."""
        return value

    def normal(self, part: Any) -> Any:
        """The part with every list in its one order."""
        return part

    def shown(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """What an inventory shows of a state."""
        return {self.state_key: self.of(state)}

    # -- in the difference between two states

    # What a summary counts; "" for a section of which no difference is told.
    noun = ""
    # Its lists are long: a difference shows the beginning of each.
    long_lists = False
    # A plan that removes any of it must be confirmed.
    confirms_removal = False

    def diff(self, old: Any, new: Any) -> dict[str, Any]:
        """`{added, removed, changed?}` between two parts."""
        raise NotImplementedError


class NamesSection(Section):
    """A section of lists of names, which leaves one list of names in a release."""

    keys: tuple[str, ...]
    list_key: str  # of the state
    pattern: re.Pattern[str]  # a gateway's
    confirms_removal = True

    def check_lists(self, value: Any) -> Mapping[str, Any]:
        section = SPEC.known(value, self.keys, self.name)
        for key in self.keys:
            if key in section:
                SPEC.strings(section[key], f"{self.name}.{key}")
        return section

    def read_list(self, value: Any, key: str) -> list[str]:
        where = f"{self.name}.{key}"
        names = list(WIRE.strings(value, where))
        for index, name in enumerate(names):
            if not self.pattern.fullmatch(name):
                message = f"{where}.{index} is {name!r}; it must match {self.pattern.pattern}."
                raise WIRE.error(message, f"{where}.{index}")
        return names

    def deploys(self, value: Any) -> bool:
        return bool(value) and any(value.values())

    def empty(self) -> dict[str, Any]:
        return {self.state_key: {self.list_key: []}}

    def changed(self, base: Any, add: Iterable[str] | None, remove: Iterable[str] | None) -> dict[str, Any]:
        """The names of `base` with some more and some fewer."""
        return {self.list_key: code_unit_sorted((set(base[self.list_key]) | set(add or ())) - set(remove or ()))}

    def normal(self, part: Any) -> Any:
        return {self.list_key: code_unit_sorted(set(part[self.list_key]))}

    def diff(self, old: Any, new: Any) -> dict[str, Any]:
        before, after = set(old[self.list_key]), set(new[self.list_key])
        return {"added": sorted(after - before), "removed": sorted(before - after)}


def in_order(entries: Iterable[Mapping[str, Any]], *keys: str) -> list[Any]:
    """`entries` sorted by these fields of theirs."""
    entries = list(entries)
    if len(keys) == 1 and all(entry[keys[0]].isascii() for entry in entries):
        return sorted(entries, key=itemgetter(keys[0]))  # code units come in the order of characters
    return sorted(entries, key=lambda entry: [code_unit_key(entry[key]) for key in keys])


def has_leaf(value: Any) -> bool:
    """Whether there is anything in `value` but null and empty lists, objects and texts."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending += item.values()
        elif isinstance(item, (list, str, bytes)):
            if item:
                return True
        elif item is not None:
            return True
    return False
