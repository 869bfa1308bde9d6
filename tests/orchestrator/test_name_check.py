"""Names that a submission uses and nothing defines, in a real repository (item by item: `test_unknown.py`)."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from aegis_tui.adapters.git.describe import import_roots, list_files
from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.bootstrap.rules import name_check_of
from aegis_tui.orchestrator.name_check import NameCheck, NamesReport

BASE = {
    "pyproject.toml": '[project]\ndependencies = [\n  "python-dateutil>=2",\n  "attrs",\n]\n',
    "src/shop/__init__.py": "",
    "src/shop/cart.py": "import yaml\n\n\ndef total(cart):\n    return old_name\n",
}


def commit(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    identity = ("-c", "user.name=P", "-c", "user.email=p@example.org")
    for words in (("add", "-A"), (*identity, "commit", "-qm", "x")):
        subprocess.run(["git", *words], cwd=root, check=True, timeout=30)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def check(root: Path, files: dict[str, str]) -> NamesReport:
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True, timeout=30)
    base = commit(root, BASE)
    head = commit(root, files)

    async def run() -> NamesReport:
        repository = await open_repository(root)
        return await name_check_of(repository).check(base=base, into=base, head=head)

    return asyncio.run(run())


def test_names_in_added_lines_that_nothing_defines_are_warnings(tmp_path: Path) -> None:
    text = BASE["src/shop/cart.py"] + "\n\ndef pay(cart):\n    return charge(total(cart))\n"
    new = "import attrs, yaml, dateutilx\nfrom shop.cart import sum_up, total\n\nprint(attrs, yaml, sum_up, total)\n"
    report = check(tmp_path, {"src/shop/cart.py": text, "src/shop/new.py": new})
    assert [(item.file, item.line, item.msg, item.severity) for item in report.findings] == [
        ("src/shop/cart.py", 9, "charge is not known: nothing in the file defines it", "warning"),
        (
            "src/shop/new.py",
            1,
            "dateutilx is not known: neither a dependency nor the standard library has it",
            "warning",
        ),
        ("src/shop/new.py", 2, "shop.cart.sum_up is not known: src/shop/cart.py defines no sum_up", "warning"),
    ]
    assert report.unknown == 3 and report.used > 10


def test_a_submission_without_python_has_no_names(tmp_path: Path) -> None:
    assert check(tmp_path, {"README.md": "import nothing\n"}) == NamesReport()


def test_what_the_base_imports_is_listed_only_for_a_name_that_is_not_found_elsewhere(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True, timeout=30)
    base = commit(tmp_path, BASE)
    known = commit(
        tmp_path, {"src/shop/known.py": "import json, attrs\nimport shop.cart\n\nprint(json, attrs, shop)\n"}
    )
    other = commit(tmp_path, {"src/shop/other.py": "import yaml\n\nprint(yaml)\n"})
    asked: list[str] = []

    async def run() -> list[NamesReport]:
        repository = await open_repository(tmp_path)

        async def find_roots(oid: str) -> frozenset[str]:
            asked.append(oid)
            return await import_roots(repository.common_dir, oid)

        async def apart(function: Callable[..., Any], arguments: tuple[Any, ...], *, size: int) -> Any:
            return function(*arguments)

        names = NameCheck(repository, partial(list_files, repository.common_dir), find_roots, apart)
        first = await names.check(base=base, into=base, head=known)
        assert asked == []
        return [first, await names.check(base=base, into=known, head=other)]

    assert [report.unknown for report in asyncio.run(run())] == [0, 0]
    assert asked == [base]
