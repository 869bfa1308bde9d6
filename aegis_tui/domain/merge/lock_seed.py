"""What a package manager begins with when it makes a lockfile again: what both sides have locked (GIT-3).

So it needs no network: it keeps the versions that it finds, and drops what the merged manifests do not need.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any, Final

_PACKAGE: Final = "[[package]]"
_OTHER_TABLE: Final = re.compile(r"^\[(?!\[?package[.\]])", re.MULTILINE)


def lock_seed(path: str, ours: str, theirs: str) -> str:
    """Return our lockfile with the packages that only theirs has.

    Args:
        path: Its path; the suffix tells the format.
        ours: Our version: JSON with `packages` as npm writes it, or TOML with `[[package]]` tables.
        theirs: Their version.

    Raises:
        ValueError: One of them cannot be read.
    """
    return _json_seed(ours, theirs) if path.endswith(".json") else _toml_seed(ours, theirs)


def locked_packages(path: str, text: str) -> frozenset[tuple[str, str]]:
    """Return the names and versions of the packages in a lockfile; a package without a version is left out.

    Raises:
        ValueError: It cannot be read.
    """
    if path.endswith(".json"):
        listed = [(name.rpartition("node_modules/")[2], item) for name, item in _packages(_json(text)).items() if name]
        return frozenset((name, str(item["version"])) for name, item in listed if "version" in item)
    data = tomllib.loads(text).get("package", [])
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise ValueError("`package` is not a list of tables")
    return frozenset((str(item.get("name")), str(item["version"])) for item in data if "version" in item)


def _json(text: str) -> dict[str, Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    return data


def _packages(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    packages = data.get("packages")
    if not isinstance(packages, dict) or not all(isinstance(item, dict) for item in packages.values()):
        raise ValueError("it has no `packages`, which lockfiles of npm 7 and newer have")
    return packages


def _json_seed(ours: str, theirs: str) -> str:
    data, other = _json(ours), _json(theirs)
    data["packages"] = {
        **_packages(data),
        **{key: item for key, item in _packages(other).items() if key not in data["packages"]},
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _toml_seed(ours: str, theirs: str) -> str:
    head, mine, tail = _blocks(ours)
    _, others, _ = _blocks(theirs)
    known = {_key(block) for block in mine}
    blocks = [*mine, *(block for block in others if _key(block) not in known)]
    return head + "".join(f"{block.rstrip()}\n\n" for block in blocks) + tail


def _blocks(text: str) -> tuple[str, list[str], str]:
    """Return what is before the packages, each package with its tables, and what is after them."""
    text = text.replace("\r\n", "\n")
    tomllib.loads(text)
    head, *blocks = re.split(rf"^(?={re.escape(_PACKAGE)})", text, flags=re.MULTILINE)
    tail = ""
    if blocks and (other := _OTHER_TABLE.search(blocks[-1])):
        blocks[-1], tail = blocks[-1][: other.start()], blocks[-1][other.start() :]
    return head, blocks, tail


def _key(block: str) -> tuple[str, str, str]:
    (package,) = tomllib.loads(block)["package"]
    return str(package.get("name")), str(package.get("version")), str(package.get("source"))
