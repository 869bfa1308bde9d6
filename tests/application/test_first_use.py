"""What the dialog of a first session writes, and that it says so before."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest

from aegis_tui.application.check import Check
from aegis_tui.application.first_use import FirstChoice, FirstUse
from aegis_tui.application.setup import Setup
from aegis_tui.config import load_settings
from aegis_tui.errors import Refused

URL = "http://10.0.0.7:8001/v1"


def use_at(folder: Path) -> FirstUse:
    async def setup() -> Setup:
        return Setup(folder / "repo", folder / "repo/.git", {"worker": "text"})

    async def nothing(_url: str = "") -> list[Check]:
        return []

    (folder / "repo/.git/info").mkdir(parents=True, exist_ok=True)
    return FirstUse(
        settings_file=folder / "config" / "aegis-tui" / "config.toml",
        default_url=URL,
        setup=setup,
        examine_machine=nothing,
        examine_model=nothing,
        kinds=lambda: ["native"],
    )


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("with_files", [False, True])
def test_what_is_planned_is_written_and_nothing_before(tmp_path: Path, with_files: bool) -> None:
    use, choice = use_at(tmp_path), FirstChoice(URL, with_files=with_files)
    planned = asyncio.run(use.planned(choice))
    assert files_below(tmp_path) == []
    written = asyncio.run(use.write(choice))
    own = {str(tmp_path / "repo" / ".git/info/exclude"), ".git/info/exclude"}
    assert planned == [name for name in written if name not in own]
    assert (tmp_path / "repo/.agents").exists() == with_files


def test_the_settings_are_those_that_were_chosen(tmp_path: Path) -> None:
    odd = 'http://host:1/v1?a="b"\\é😀'
    assert tomllib.loads(FirstChoice(odd, "codex").settings_text()) == {"base_url": odd, "kind": "codex"}
    use = use_at(tmp_path)
    asyncio.run(use.write(FirstChoice(URL, "codex")))
    settings = load_settings({"AEGIS_CONFIG": str(use.settings_file)})
    assert (settings.base_url, settings.kind) == (URL, "codex")


def test_a_settings_file_that_appeared_meanwhile_stays_as_it_is(tmp_path: Path) -> None:
    use = use_at(tmp_path)
    use.settings_file.parent.mkdir(parents=True)
    use.settings_file.write_text("workers = 3\n")
    with pytest.raises(Refused, match="exists already"):
        asyncio.run(use.write(FirstChoice(URL, with_files=True)))
    assert use.settings_file.read_text() == "workers = 3\n" and not (tmp_path / "repo/.agents").exists()
