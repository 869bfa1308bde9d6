from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from aegis_tui.adapters.git.worktree_config import enable_worktree_config, restore_worktree_config
from aegis_tui.errors import Conflict, Refused

CONFIGS = [
    b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n",
    b'[core]\n\tbare = true\n\tfilemode = true\n[remote "o"]\n\turl = x\n',
    b"[core]\n\tbare\n\tworktree = ../../here\n",
    b"[core]\n\tbare = TRUE ; because\n[user]\n\tname = x",
    b"[extensions]\n\tobjectFormat = sha256\n[CORE]\n\tBare = yes\n",
    b"",
    b"\n\n[core]\r\n\tbare = false\r\n",
]


def get(config: Path, key: str) -> str:
    argv = ["git", "config", "--file", str(config), "--get", key]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture
def common(tmp_path: Path) -> Path:
    folder = tmp_path / "common"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("text", CONFIGS)
def test_the_configuration_comes_back_byte_for_byte(common: Path, text: bytes) -> None:
    config = common / "config"
    config.write_bytes(text)
    config.chmod(0o640)
    enable_worktree_config(common)
    assert get(config, "extensions.worktreeConfig") == "true"
    assert get(config, "core.bare") in ("", "false")
    assert get(config, "core.worktree") == ""
    once = config.read_bytes()
    enable_worktree_config(common)
    assert config.read_bytes() == once
    assert restore_worktree_config(common)
    assert config.read_bytes() == text
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert [path.name for path in common.iterdir()] == ["config"]
    assert restore_worktree_config(common)


def test_what_may_not_be_common_moves_to_the_main_one(common: Path) -> None:
    (common / "config").write_bytes(b"[core]\n\tbare = true\n\tworktree = ../x\n")
    enable_worktree_config(common)
    assert get(common / "config.worktree", "core.bare") == "true"
    assert get(common / "config.worktree", "core.worktree") == "../x"


def test_settings_that_were_added_meanwhile_stay(common: Path) -> None:
    config = common / "config"
    config.write_bytes(b"[core]\n\tbare = false\n")
    enable_worktree_config(common)
    for key, value in (("user.name", "New"), ("extensions.partialClone", "origin")):
        subprocess.run(["git", "config", "--file", str(config), key, value], check=True)
    assert restore_worktree_config(common)
    assert get(config, "user.name") == "New"
    assert get(config, "extensions.partialClone") == "origin"
    assert get(config, "extensions.worktreeConfig") == ""
    assert b"aegis" not in config.read_bytes()


def test_the_change_stays_while_another_worktree_has_settings_of_its_own(common: Path) -> None:
    (common / "config").write_bytes(b"")
    enable_worktree_config(common)
    other = common / "worktrees/other/config.worktree"
    other.parent.mkdir(parents=True)
    other.write_text("[core]\n\tsparseCheckout = true\n")
    assert not restore_worktree_config(common)
    assert get(common / "config", "extensions.worktreeConfig") == "true"


def test_a_locked_configuration_is_not_written(common: Path) -> None:
    (common / "config").write_bytes(b"[core]\n")
    (common / "config.lock").touch()
    with pytest.raises(Conflict):
        enable_worktree_config(common)
    assert (common / "config").read_bytes() == b"[core]\n"


def test_a_setting_on_the_line_of_its_section_is_refused(common: Path) -> None:
    (common / "config").write_bytes(b"[core] bare = true\n")
    with pytest.raises(Refused):
        enable_worktree_config(common)
