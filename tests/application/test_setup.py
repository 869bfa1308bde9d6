import hashlib
import subprocess
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aegis_tui.application.setup import AGENT_DOCS, RECORD, RUN_DATA, SETUP_FILES, Setup
from aegis_tui.domain.rule.model import wrong_examples
from aegis_tui.domain.rule.parse import parse_rules
from aegis_tui.errors import Refused, UsageError

ROLES = {"worker": "---\nname: worker\n---\nWork.\n", "scout": "---\nname: scout\n---\nLook.\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "code.py").write_text("x = 1\n")
    return root


@pytest.fixture
def setup(root: Path) -> Setup:
    return Setup(root, root / ".git", ROLES)


def tree(root: Path) -> dict[str, tuple[int, str]]:
    """Every path with its mode and content."""
    return {
        str(path.relative_to(root)): (
            path.stat().st_mode,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder",
        )
        for path in root.rglob("*")
    }


def test_what_a_team_edits_is_written_and_can_be_read(root: Path, setup: Setup) -> None:
    change = setup.write()
    assert set(change.written) >= {
        ".agents/config.toml",
        ".agents/agents/worker.md",
        ".agents/rules/default.toml",
        ".agents/specs/templates/feature.yaml",
        ".git/info/exclude",
    }
    assert tomllib.loads((root / ".agents/config.toml").read_text()) == {}
    rules = (root / ".agents/rules/default.toml").read_text()
    assert parse_rules(rules, "f") == ()
    example = "\n".join(line.removeprefix("# ") for line in rules.splitlines()[4:])
    assert [wrong_examples(rule) for rule in parse_rules(example, "f")] == [[]]
    for path in (root / ".agents/specs/templates").iterdir():
        spec = YAML(typ="safe", pure=True).load(path.read_text())
        assert spec["status"] == "draft" and spec["tasks"]
    assert (root / ".agents/agents/scout.md").read_text() == ROLES["scout"]


def test_run_data_is_not_seen_by_git_and_the_rest_is(root: Path, setup: Setup) -> None:
    setup.write()
    for name in RUN_DATA:
        path = root / name.strip("/")
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            path /= "file"
        path.write_text("x")
    argv = ["git", "status", "--porcelain", "--untracked-files=all"]
    seen = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True).stdout
    assert [row[3:] for row in seen.splitlines() if "agents/agents" not in row] == [
        ".agents/config.toml",
        ".agents/rules/default.toml",
        *(
            f".agents/specs/templates/{name}"
            for name in sorted(path.name for path in (SETUP_FILES / "specs").iterdir())
        ),
        "code.py",
    ]


@pytest.mark.parametrize("exclude", [None, b"", b"*.tmp", b"*.tmp\n", b"# \xff\r\n"])
@pytest.mark.parametrize("docs", [None, b"# Agents\n\nBe kind."])
def test_undo_gives_back_every_byte_and_mode(
    root: Path, setup: Setup, exclude: bytes | None, docs: bytes | None
) -> None:
    target = root / ".git/info/exclude"
    if exclude is None:
        target.unlink()
        target.parent.rmdir()
    else:
        target.write_bytes(exclude)
        target.chmod(0o600)
    if docs is not None:
        (root / "AGENTS.md").write_bytes(docs)
    before = tree(root)
    written = setup.write(agent_docs=True).written
    assert {*AGENT_DOCS, ".git/info/exclude"} <= set(written)
    assert tree(root) != before
    change = setup.undo()
    assert tree(root) == before
    assert set(change.removed) == set(written)


def test_a_second_time_nothing_is_written_and_undo_still_gives_back_all(root: Path, setup: Setup) -> None:
    before = tree(root)
    setup.write()
    assert setup.write().written == ()
    assert setup.write(agent_docs=True).written == AGENT_DOCS
    assert setup.write(agent_docs=True).written == ()
    setup.undo()
    assert tree(root) == before


def test_files_of_the_team_stay_as_they_are(root: Path, setup: Setup) -> None:
    (root / ".agents/agents").mkdir(parents=True)
    (root / ".agents/agents/worker.md").write_text("ours")
    before = tree(root)
    assert ".agents/agents/worker.md" not in setup.write().written
    assert (root / ".agents/agents/worker.md").read_text() == "ours"
    setup.undo()
    assert tree(root) == before


def test_undo_keeps_what_somebody_has_changed_since(root: Path, setup: Setup) -> None:
    setup.write(agent_docs=True)
    (root / ".agents/config.toml").write_text("workers = 3\n")
    exclude, docs = root / ".git/info/exclude", root / "AGENTS.md"
    old = exclude.read_text()
    exclude.write_text(f"{old}mine\n")
    docs.write_text(f"Hello.\n{docs.read_text()}Bye.\n")
    change = setup.undo()
    assert change.kept == (".agents/config.toml",)
    assert (root / ".agents/config.toml").read_text() == "workers = 3\n"
    assert "aegis" not in exclude.read_text() and exclude.read_text().endswith("mine\n")
    assert docs.read_text() == "Hello.\nBye.\n"
    assert not (root / ".git" / RECORD).exists()


@pytest.mark.parametrize(
    "mine", [b"# Mine\n", b"# Mine", b"# Mine\r\nmore\r\n", b"# Mine\r\nmore", b"", b"\xef\xbb\xbf\xff"]
)
def test_the_sections_alone_are_taken_out_again(root: Path, setup: Setup, mine: bytes) -> None:
    (root / "CLAUDE.md").write_bytes(mine)
    setup.write()
    before = tree(root)
    setup.write(agent_docs=True)
    content = (root / "CLAUDE.md").read_bytes()
    assert content.startswith(mine) and (b"\r\n<!-- aegis" in content) is (b"\r\n" in mine)
    changed = tree(root)
    assert setup.undo(only_agent_docs=True).removed == AGENT_DOCS
    assert {name: seen for name, seen in tree(root).items() if name != f".git/{RECORD}"} == {
        name: seen for name, seen in before.items() if name != f".git/{RECORD}"
    }
    assert setup.undo(only_agent_docs=True).removed == ()
    setup.write(agent_docs=True)
    assert tree(root) == changed
    setup.undo()
    assert (root / "CLAUDE.md").read_bytes() == mine and not (root / ".agent").exists()


def test_the_text_around_a_section_stays_byte_for_byte(root: Path, setup: Setup) -> None:
    path = root / "GEMINI.md"
    path.write_bytes(b"a\r\nb")
    setup.write(agent_docs=True)
    path.write_bytes(b"z\n" + path.read_bytes())
    setup.undo(only_agent_docs=True)
    assert path.read_bytes() == b"z\na\r\nb"


def test_links_and_other_encodings_stay_as_they_are(root: Path, setup: Setup) -> None:
    (root / "CLAUDE.md").symlink_to("/etc/hosts")
    (root / "GEMINI.md").write_bytes("Hallo".encode("utf-16"))
    change = setup.write(agent_docs=True)
    assert change.kept == ("CLAUDE.md", "GEMINI.md") and "AGENTS.md" in change.written
    assert (root / "CLAUDE.md").is_symlink() and (root / "GEMINI.md").read_bytes() == "Hallo".encode("utf-16")
    setup.undo()
    assert (root / "CLAUDE.md").is_symlink() and not (root / "AGENTS.md").exists()


def test_undo_without_a_set_up_is_a_wrong_usage(setup: Setup) -> None:
    with pytest.raises(UsageError):
        setup.undo()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"files": 1, "folders": []}'])
def test_a_damaged_record_is_named_and_nothing_is_undone(root: Path, setup: Setup, content: str) -> None:
    setup.write()
    (root / ".git" / RECORD).write_text(content)
    before = tree(root)
    for step in (setup.undo, setup.write):
        with pytest.raises(UsageError, match=f"{RECORD} cannot be read"):
            step()
    assert tree(root) == before


def test_a_link_out_of_the_checkout_is_refused(root: Path, setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (root / ".agents").symlink_to(tmp_path / "outside")
    with pytest.raises(Refused):
        setup.write()
    assert list((tmp_path / "outside").iterdir()) == []


def test_from_a_linked_worktree_the_common_exclude_is_changed_and_given_back(root: Path, tmp_path: Path) -> None:
    for arguments in (["add", "-A"], ["commit", "-q", "-m", "x"], ["worktree", "add", "-q", str(tmp_path / "side")]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)
    before = (root / ".git/info/exclude").read_bytes()
    setup = Setup(tmp_path / "side", root / ".git", ROLES)
    assert str(root / ".git/info/exclude") in setup.write().written
    assert (root / ".git/info/exclude").read_bytes() != before
    setup.undo()
    assert (root / ".git/info/exclude").read_bytes() == before
    assert not (tmp_path / "side" / ".agents").exists()
