from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.strays import locked_names

PINNED = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ \\;]+)(?: ; (.+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


def wanted_of(root: Path, lock: str) -> list[str]:
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    extra = project["optional-dependencies"]["dev"] if lock == "dev" else []
    build = (root / "requirements" / "build.in").read_text("utf-8").splitlines()[1:]
    return [*project["dependencies"], *extra, *build]


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_a_lock_pins_every_dependency_by_hash_and_names_no_address(root: Path, lock: str) -> None:
    text = (root / "requirements" / f"{lock}.txt").read_text("utf-8")
    pins = {canonicalize_name(found[1]): Version(found[2]) for found in PINNED.finditer(text)}
    assert not re.search(r"https?://|--index|--find-links|file:", text)
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9]", text, re.M)), "a line is not a pin with hashes"
    for line in wanted_of(root, lock):
        requirement = Requirement(line)
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, line


def test_both_locks_agree(root: Path) -> None:
    run, dev = (
        {found[1]: found[2] for found in PINNED.finditer((root / "requirements" / f"{name}.txt").read_text("utf-8"))}
        for name in ("run", "dev")
    )
    assert {name: dev[name] for name in run} == run
    assert "vllm" not in dev


def test_a_stray_is_what_the_lock_does_not_name(root: Path) -> None:
    text = (root / "requirements" / "dev.txt").read_text("utf-8")
    assert locked_names(text) == {canonicalize_name(found[1]) for found in PINNED.finditer(text)}
    assert locked_names("Ruamel.Yaml==1 \\\n    --hash=sha256:0\n# via x==2\n") == {"ruamel-yaml"}
