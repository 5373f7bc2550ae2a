"""A section is a module and a line of the list: every loop knows it then. Shown on one that there is not, in a copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from run402_cli.release.sections import SECTIONS, ordered

PACKAGE = Path(__file__).resolve().parents[2] / "run402_cli"
BANNER = """
from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from run402_cli.release.content import Writer
from run402_cli.release.fields import MANIFEST, SPEC, WIRE, Spellings, aliased, spelled, spellings
from run402_cli.release.section import Section

_FIELDS: Final[Spellings] = {"text": ("text",), "shownUntil": ("shownUntil", "shown_until")}


class BannerSection(Section):
    name = state_key = "banner"
    spellings = (_FIELDS,)
    noun = "banner"

    def normalize(self, value: Any, base_dir: Path) -> Any:
        return aliased(MANIFEST.known(value, spellings(_FIELDS), "banner"), _FIELDS)

    def check_spec(self, value: Any) -> None:
        SPEC.text(SPEC.known(value, tuple(_FIELDS), "banner").get("text"), "banner.text")

    def to_wire(self, value: Any, writer: Writer) -> Any:
        return writer.renamed(value, _FIELDS)

    def check_wire(self, value: Any) -> None:
        WIRE.text(WIRE.known(value, spellings(_FIELDS), "banner").get("text"), "banner.text")

    def empty(self) -> dict[str, Any]:
        return {"banner": None}

    def after(self, base: Any, value: Any) -> Any:
        return {"text": value["text"], "shown_until": spelled(value, "shownUntil", "shown_until")}

    def diff(self, old: Any, new: Any) -> dict[str, Any]:
        return {"added": [new["text"]] if new and new != old else [], "removed": [old["text"]] if old and not new else []}


SECTION: Final = BannerSection()
"""
# Prints what each loop says of a release with a banner, and with another.
ASKED = """
import json, sys
from pathlib import Path
import run402_cli
from run402_cli.core.errors import GatewayError
from run402_cli.core.releases import diffs
from run402_cli.core.releases.inventory import contents, empty_inventory
from run402_cli.core.releases.planning import neutral_spec
from run402_cli.core.releases.release_request import read_spec
from run402_cli.release.digests import spec_digests
from run402_cli.release.discovery import Origin, require_content, require_deployable
from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import normalize
from run402_cli.release.state import empty_state, materialize, state_digest
from run402_cli.release.wire import Dialect, to_wire

class Project:
    project_id = "p"

def refusal(call, *args, **more):
    try:
        call(*args, **more)
    except ReleaseError as error:
        return [error.code, error.phase, error.resource]

def spec_of(manifest):
    require_content(manifest, Origin("manifest"))
    spec = normalize(manifest, base_dir=Path(), project="p").spec
    require_deployable(spec, None)
    return spec

old = empty_state()
del old["banner"]
spec = spec_of({"banner": {"text": "a", "shown_until": "b"}})
core, cloud = (to_wire(spec, dialect).spec for dialect in (Dialect.CORE, Dialect.CLOUD))
other = to_wire(spec_of({"banner": {"text": "c"}}), Dialect.CORE).spec
state = materialize(old, read_spec(core).document)
diff = diffs.compare(old, state)
print(json.dumps({
    "file": run402_cli.__file__,
    "spec": spec,
    "core": core,
    "cloud": cloud,
    "refusals": [
        refusal(normalize, {"banner": {"x": 1}}, base_dir=Path(), project="p"),
        refusal(to_wire, {"project": "p", "banner": {"text": ""}}),
        refusal(read_spec, {"project": "p", "banner": {"text": 1}}),
        refusal(read_spec, {"project": "p", "banners": {}}),
        refusal(require_content, {"banner": {}}, Origin("manifest")),
        refusal(to_wire, {"project": "p"}),
    ],
    "digests_differ": [a != b for a, b in zip(spec_digests(core), spec_digests(other))],
    "neutral": neutral_spec(core) == neutral_spec(cloud),
    "state": state["banner"],
    "kept": materialize(state, {"project": "p"})["banner"],
    "states_differ": state_digest(state) != state_digest(materialize(None, other)),
    "diff": diff["banner"],
    "shown": [empty_inventory(Project)["banner"], contents(state)["banner"]],
    "told": [diffs.changes_nothing(diff), diffs.summary(diff, 0, False)],
}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, root / "run402_cli", ignore=shutil.ignore_patterns("__pycache__"))
    sections = root / "run402_cli" / "release" / "sections"
    (sections / "banner.py").write_text(BANNER, encoding="utf-8")
    names = (sections / "__init__.py").read_text(encoding="utf-8")
    named = names.replace("    assets,\n", "    assets,\n    banner,\n", 1)
    named = named.replace("    i18n.SECTION,\n", "    i18n.SECTION,\n    banner.SECTION,\n", 1)
    assert named.count("banner") == 2
    (sections / "__init__.py").write_text(named, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert Path(found["file"]).is_relative_to(root)
    return found


def test_the_manifest_and_the_wire_know_a_new_section(answers: dict[str, Any]) -> None:
    assert answers["spec"] == {"project": "p", "banner": {"text": "a", "shownUntil": "b"}}
    assert answers["core"] == {"project": "p", "banner": {"text": "a", "shownUntil": "b"}}
    assert answers["cloud"] == {"project_id": "p", "banner": {"text": "a", "shown_until": "b"}}
    assert answers["neutral"]


def test_each_layer_refuses_what_a_new_section_refuses(answers: dict[str, Any]) -> None:
    assert answers["refusals"] == [
        ["LOCAL_ERROR", None, None],
        ["INVALID_SPEC", "validate", "banner.text"],
        ["INVALID_SPEC", "plan", "banner.text"],
        ["INVALID_SPEC", "plan", "spec.banners"],
        ["MANIFEST_EMPTY", None, None],
        ["MANIFEST_EMPTY", "validate", "spec"],
    ]


def test_a_new_section_counts_for_the_digests_and_is_carried_on(answers: dict[str, Any]) -> None:
    assert answers["digests_differ"] == [True, True]
    assert answers["state"] == answers["kept"] == {"text": "a", "shown_until": "b"}
    assert answers["states_differ"]


def test_a_difference_tells_of_a_new_section(answers: dict[str, Any]) -> None:
    assert answers["diff"] == {"added": ["a"], "removed": []}
    assert answers["shown"] == [None, {"text": "a", "shown_until": "b"}]
    assert answers["told"] == [False, "banners: 1 added"]


def test_what_is_told_in_another_order_still_tells_all() -> None:
    assert sorted(section.name for section in ordered("site")) == sorted(section.name for section in SECTIONS)
    assert [section.name for section in ordered("site", "database")][:3] == ["site", "database", "secrets"]


def test_every_module_of_the_folder_is_a_section_of_its_name() -> None:
    modules = {path.stem for path in (PACKAGE / "release" / "sections").glob("*.py")} - {"__init__"}
    assert {section.name for section in SECTIONS} == modules
