import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WriteScripts = Callable[..., Path]


@pytest.fixture
def write_scripts(tmp_path: Path) -> WriteScripts:
    """Writes NAME.json for each keyword and returns their folder."""

    def write(**scripts: Any) -> Path:
        directory = tmp_path / "scenario"
        directory.mkdir(exist_ok=True)
        for name, script in scripts.items():
            (directory / f"{name}.json").write_text(json.dumps(script))
        return directory

    return write
