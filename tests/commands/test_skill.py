"""run402 skill: where the file goes, what is never overwritten, and that what it teaches is true."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from run402_cli import __version__, global_options
from run402_cli.main import _guarded
from run402_cli.registry import GROUPS
from run402_cli.services import skill


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setattr(Path, "home", lambda: folder)
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def go(*args: str) -> tuple[int, Any, Any]:
        code = _guarded(["skill", *args])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else None, json.loads(err.splitlines()[-1]) if code == 1 else err

    return go


def statuses(document: Any) -> dict[str, str]:
    return {each["agent"]: each["status"] for each in document["skills"]}


def make_outdated(place: Path) -> None:
    """As an earlier release left it."""
    old = b"---\nname: run402\n---\nold\n"
    place.write_bytes(old)
    record = place.with_name(".run402-skill.json")
    record.write_text(json.dumps({"version": "0.0.1", "sha256": skill._digest(old)}), encoding="utf-8")


def test_install_puts_the_packaged_file_where_the_agent_looks(run: Any, home: Path) -> None:
    code, out, _ = run("install", "claude", "opencode")
    assert code == 0
    assert out["version"] == __version__
    assert statuses(out) == {"claude": "installed", "opencode": "installed"}
    for place in (home / ".claude/skills/run402", home / ".config/opencode/skills/run402"):
        assert (place / "SKILL.md").read_bytes() == skill.source().read_bytes()
        assert sorted(path.name for path in place.iterdir()) == [".run402-skill.json", "SKILL.md"]
    assert run("install", "claude")[1]["skills"][0]["status"] == "current"


def test_all_means_every_agent(run: Any) -> None:
    assert set(statuses(run("install", "--all")[1])) == set(skill.AGENTS)


def test_the_agents_own_variables_move_the_place(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    paths = [each["path"] for each in run("install", "codex", "opencode")[1]["skills"]]
    assert paths == [
        str(tmp_path / "codex/skills/run402/SKILL.md"),
        str(tmp_path / "xdg/opencode/skills/run402/SKILL.md"),
    ]


def test_dir_installs_into_a_project_and_leaves_the_home_alone(run: Any, home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    assert run("install", "cursor", "--dir", str(project))[2]["code"] == "NOT_A_DIRECTORY"
    project.mkdir()
    run("install", "cursor", "--dir", str(project))
    assert (project / ".cursor/skills/run402/SKILL.md").exists()
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "words"),
    [((), "Name the agent"), (("claude", "--all"), "exclude"), (("claud",), "Did you mean claude?")],
)
def test_wrong_arguments_write_nothing(run: Any, home: Path, args: tuple[str, ...], words: str) -> None:
    code, out, error = run("install", *args)
    assert (code, out, error["code"]) == (1, None, "BAD_USAGE")
    assert words in error["message"]
    assert list(home.iterdir()) == []


def test_update_brings_old_ones_forward_and_installs_no_others(run: Any, home: Path) -> None:
    run("install", "claude", "cursor")
    make_outdated(home / ".claude/skills/run402/SKILL.md")
    assert statuses(run("path")[1])["claude"] == "outdated"
    code, out, _ = run("update")
    assert code == 0
    assert statuses(out) == {"claude": "updated", "cursor": "current"}
    assert (home / ".claude/skills/run402/SKILL.md").read_bytes() == skill.source().read_bytes()
    assert not (home / ".codex").exists()


@pytest.mark.parametrize("action", [["update"], ["install", "claude"]])
def test_an_edited_file_is_left_alone_without_force(run: Any, home: Path, action: list[str]) -> None:
    run("install", "claude")
    place = home / ".claude/skills/run402/SKILL.md"
    make_outdated(place)
    place.write_bytes(place.read_bytes() + b"my own line\n")
    code, out, err = run(*action)
    assert (code, err) == (
        2,
        f"Changed by somebody and left alone: {place}. Next: run402 skill {' '.join(action)} --force\n",
    )
    assert statuses(out) == {"claude": "edited"}
    assert "--force" in out["hint"]
    assert place.read_bytes().endswith(b"my own line\n")
    code, out, _ = run(*action, "--force")
    assert (code, statuses(out)) == (0, {"claude": "updated"})
    assert place.read_bytes() == skill.source().read_bytes()


def test_a_file_that_run402_did_not_write_counts_as_edited(run: Any, home: Path) -> None:
    place = home / ".codex/skills/run402/SKILL.md"
    place.parent.mkdir(parents=True)
    place.write_text("someone else's", encoding="utf-8")
    assert run("install", "codex")[0] == 2
    assert place.read_text(encoding="utf-8") == "someone else's"


def test_a_symbolic_link_is_not_replaced(run: Any, home: Path, tmp_path: Path) -> None:
    own = tmp_path / "dotfiles.md"
    own.write_bytes(skill.source().read_bytes())
    place = home / ".claude/skills/run402/SKILL.md"
    place.parent.mkdir(parents=True)
    try:
        place.symlink_to(own)
    except OSError:
        pytest.skip("no symbolic links here")
    assert run("update")[0] == 2
    assert place.is_symlink()


def test_changed_line_endings_are_no_edit(run: Any, home: Path) -> None:
    run("install", "claude")
    place = home / ".claude/skills/run402/SKILL.md"
    place.write_bytes(place.read_bytes().replace(b"\n", b"\r\n"))
    assert statuses(run("update")[1]) == {"claude": "current"}


def test_a_dry_run_lists_the_files_and_writes_none(run: Any, home: Path) -> None:
    code, out, _ = run("install", "claude", "--dry-run")
    assert code == 0
    assert out["files"] == [str(home / ".claude/skills/run402/SKILL.md")]
    assert list(home.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error_with_its_path(run: Any, home: Path) -> None:
    (home / ".claude").write_text("a file in the way", encoding="utf-8")
    code, _, error = run("install", "claude")
    assert (code, error["code"]) == (1, "BAD_ENV")
    assert str(home / ".claude") in error["details"]["path"]


def test_path_names_the_packaged_file(run: Any) -> None:
    _, out, _ = run("path")
    assert Path(out["path"]).read_bytes() == skill.source().read_bytes()
    assert set(statuses(out).values()) == {"absent"}


# -- what the skill says ------------------------------------------------------------------------------------------------

TEXT = skill.source().read_text(encoding="utf-8")


def taught() -> list[str]:
    """Every command line of the skill, without what a shell pipes into it."""
    body = TEXT.split("---\n", 2)[2].replace("\\|", "|")
    spans = re.findall(r"`([^`\n]+)`", body) + [
        line for block in re.findall(r"```sh\n(.*?)```", body, re.DOTALL) for line in block.splitlines()
    ]
    found = [span[span.index("run402 ") :] for span in spans if re.search(r"(^|\| )run402 ", span)]
    return [line for line in dict.fromkeys(found) if "<" not in line]


def test_the_front_matter_is_that_of_an_agent_skill() -> None:
    head = TEXT.split("---\n")[1]
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert fields["name"] == skill.NAME
    assert 100 < len(fields["description"]) <= 1024
    assert ": " not in fields["description"]  # YAML would read it as a mapping
    assert len(fields["compatibility"]) <= 500


def test_the_skill_stays_short() -> None:
    assert len(TEXT) < 6000


@pytest.mark.parametrize("line", taught())
def test_every_command_that_the_skill_teaches_exists_with_its_flags(line: str) -> None:
    import importlib

    words = shlex.split(line)[1:]
    group = GROUPS[words[0]]
    path = next(
        (" ".join(words[1 : 1 + size]) for size in (3, 2, 1) if " ".join(words[1 : 1 + size]) in group.commands),
        words[0],
    )
    assert path in group.commands or not group.commands
    command = importlib.import_module(f"run402_cli.commands.{group.module}").app.find(path)
    known = {option for param in command.params for option in param.opts} | set(global_options.OPTIONS)
    assert {word for word in words if word.startswith("--")} <= known


def test_the_skill_teaches_enough_to_be_checked() -> None:
    assert len(taught()) > 20
