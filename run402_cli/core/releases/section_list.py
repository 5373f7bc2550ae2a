"""Every section of a release that has effects of its own, in the order in which they are staged and activated."""

from __future__ import annotations

from run402_cli.core.diagnostics import events
from run402_cli.core.functions import section as functions
from run402_cli.core.releases.sections import Section
from run402_cli.core.storage import section as storage
from run402_cli.core.users import section as users

SECTIONS: tuple[Section, ...] = (storage.SECTION, functions.SECTION, users.SECTION, events.SECTION)
