"""PART-4: how many imports suggested partitions cut, beside a split by folders: `python scripts/bench/partitions.py`.

Five source distributions are downloaded from the package index. The split by folders begins with the top folders that
hold code, divides the largest by its own folders (or by the names of its files) until there are enough, and puts the
smallest together until there are as many as parts. Two comparisons are printed: with every file in a part, over all
imports; and as suggested, with hubs outside, over the imports of the files that parts own, for both sides.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.git.content import WorktreeFiles
from aegis_tui.application.code_map import CodeMap
from aegis_tui.application.partition import project_files
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.partition.model import ChangeHistory, ProjectFile, Suggestion
from aegis_tui.domain.partition.suggest import share_out, suggest_parts
from aegis_tui.domain.partition.together import Together
from aegis_tui.domain.partition.units import size_of

SOURCES = ("celery==5.7.0", "django==5.2.9", "scrapy==2.19.0", "sphinx==9.0.4", "starlette==1.10.0")
PARTS = (3, 4, 6, 8)
LARGE_FILES, LARGE_FOLDERS = 50_000, 2_500
_COMMITTING = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org", "commit", "-qm", "files")

Owners = Mapping[str, object]


def unpacked(requirement: str, folder: Path) -> Path:
    """Download a source distribution, make a repository of it, and return its folder."""
    name = requirement.partition("=")[0]
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", name, "-d", str(folder / name)]
    subprocess.run([*argv, requirement], check=True, timeout=300, stderr=subprocess.DEVNULL)
    with tarfile.open(next((folder / name).glob("*.tar.gz"))) as archive:
        archive.extractall(folder / name, filter="data")
    root = next(place for place in (folder / name).iterdir() if place.is_dir())
    for arguments in (("init", "-q"), ("add", "-A", "-f"), _COMMITTING):
        subprocess.run(["git", *arguments], cwd=root, check=True, timeout=120)
    return root


def files_of(root: Path, folder: Path) -> list[ProjectFile]:
    """Return the files of a repository as the code map has them."""
    store = SqliteMapStore(folder / f"{root.name}.db")
    try:
        code_map = CodeMap(WorktreeFiles(root), store, SourceReader())
        code_map.refresh()
        return project_files(list(code_map.links()))
    finally:
        store.close()


def by_folders(files: Sequence[ProjectFile], parts: int) -> dict[str, int]:
    """Return the part of each source file if the repository is divided by its folders."""
    groups: dict[str, list[ProjectFile]] = {}
    for file in files:
        groups.setdefault(file.path.partition("/")[0] if "/" in file.path else "", []).append(file)
    while len(groups) < parts:
        name = max((key for key in groups if len(groups[key]) > 1), key=lambda key: (_size(groups[key]), key))
        members = groups.pop(name)
        inner: dict[str, list[ProjectFile]] = {}
        for file in members:
            folder, slash, _ = file.path.removeprefix(f"{name}/").partition("/")
            inner.setdefault(
                f"{name}/{folder}" if slash and name and not name.endswith("//") else f"{name}//", []
            ).append(file)
        if len(inner) == 1 and f"{name}//" in inner:
            half = len(members) // 2
            inner = {f"{name}1//": sorted(members)[:half], f"{name}2//": sorted(members)[half:]}
        groups.update(inner)
    bins: list[list[ProjectFile]] = [[] for _ in range(parts)]
    for _, members in sorted(groups.items(), key=lambda item: (-_size(item[1]), item[0])):
        min(bins, key=_size).extend(members)
    return {file.path: at for at, members in enumerate(bins) for file in members}


def _size(files: Sequence[ProjectFile]) -> int:
    return sum(map(size_of, files))


def suggested_owners(files: Sequence[ProjectFile], suggestion: Suggestion) -> dict[str, str]:
    """Return the part of each source file by the globs of a suggestion; hubs are left out.

    Raises:
        SystemExit: A file is matched by globs of several owners, or of none.
    """
    globs = [(part.name, compile_glob(glob)) for part in suggestion.parts for glob in part.globs]
    globs += [("", compile_glob(item.glob)) for item in suggestion.outside]
    owners = {}
    for file in files:
        matched = {owner for owner, glob in globs if glob.matches(file.path)}
        if len(matched) != 1:
            raise SystemExit(f"{file.path} belongs to {matched or 'nobody'}")
        if owner := matched.pop():
            owners[file.path] = owner
    return owners


def cut(files: Sequence[ProjectFile], owners: Owners, within: Owners) -> tuple[int, int]:
    """Return how many imports between files of `within` there are, and how many go from one owner to another."""
    pairs = [(file.path, target) for file in files for target in file.imports]
    pairs = [pair for pair in pairs if pair[0] in within and pair[1] in within]
    return len(pairs), sum(owners[one] != owners[other] for one, other in pairs)


def largest(files: Sequence[ProjectFile], owners: Owners) -> int:
    """Return the share of the code that the largest part has, in percent."""
    sizes: dict[object, int] = {}
    for file in files:
        if file.path in owners:
            sizes[owners[file.path]] = sizes.get(owners[file.path], 0) + file.lines
    return round(100 * max(sizes.values()) / sum(sizes.values()))


def large_project() -> list[ProjectFile]:
    """Return 50,000 files in 2,500 folders, each of which imports six others, mostly of folders nearby."""
    paths = [f"src/area{at % 50}/package{at % LARGE_FOLDERS}/module{at}.py" for at in range(LARGE_FILES)]
    steps = (50, 2_500, 5_000, 100, 7, 17_501)
    return [
        ProjectFile(path, 40 + at % 400, True, tuple(sorted({paths[(at + step) % LARGE_FILES] for step in steps})))
        for at, path in enumerate(paths)
    ]


def main() -> int:
    """Print the table; 1 if a suggestion cuts as many imports as the split by folders, or more."""
    worse = 0
    heads = ("tree", "parts", "imports", "folders", "suggested", "without hubs", "folders", "suggested")
    sys.stdout.write("{:17}{:>6} |{:>8}{:>9}{:>11} |{:>13}{:>9}{:>11}".format(*heads))
    sys.stdout.write(" | hubs | largest part: folders, suggested | globs | seconds\n")
    with tempfile.TemporaryDirectory(prefix="aegis-partitions-") as scratch:
        for requirement in SOURCES:
            files = files_of(unpacked(requirement, Path(scratch)), Path(scratch))
            worse += sum(_row(requirement, files, parts) for parts in PARTS)
    started_at = time.perf_counter()
    suggestion = suggest_parts(large_project(), ChangeHistory(), 8)
    seconds = time.perf_counter() - started_at
    sys.stdout.write(
        f"{LARGE_FILES:,} files in {LARGE_FOLDERS:,} folders, 8 parts: {seconds:.1f} s, "
        f"{suggestion.cut:,} of {suggestion.imports:,} imports cut\n"
    )
    return min(worse, 1)


def _row(tree: str, files: Sequence[ProjectFile], parts: int) -> int:
    """Print a line of the table; return 1 if the suggestion is not better, else 0."""
    source = [file for file in files if file.is_source]
    started_at = time.perf_counter()
    suggestion = suggest_parts(files, ChangeHistory(), parts)
    seconds = time.perf_counter() - started_at
    owners, folders = suggested_owners(source, suggestion), by_folders(source, parts)
    everyone = share_out(source, Together(ChangeHistory(), [file.path for file in files]), parts)
    imports, cut_all = cut(source, everyone, everyone)
    cut_folders = cut(source, folders, folders)[1]
    left, cut_left = cut(source, owners, owners)
    cut_same = cut(source, folders, owners)[1]
    globs = sum(len(part.globs) for part in suggestion.parts)
    sys.stdout.write(
        f"{tree:17}{parts:>6} |{imports:>8}{cut_folders:>9}{cut_all:>11} |{left:>13}{cut_same:>9}{cut_left:>11} | "
        f"{len(source) - len(owners):>4} | {largest(source, folders)} %, {largest(source, owners)} % | {globs} | "
        f"{seconds:.1f}\n"
    )
    return int(cut_all >= cut_folders or cut_left >= cut_same)


if __name__ == "__main__":
    raise SystemExit(main())
