"""Copies objects from an instance's own store to the common one: those that a commit needs, and nothing else.

The store is read as a hostile folder. Its objects go to git as a pack, so that git computes every id itself, checks
every object as it does for a fetch, and writes nothing unless all linked objects exist. Sources: gitformat-pack(5),
git-unpack-objects(1).
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from aegis_tui.adapters.git.folder import scratch_folder
from aegis_tui.adapters.git.known import is_oid
from aegis_tui.adapters.git.objects import Objects
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.tree_object import SUBMODULE
from aegis_tui.adapters.git.tree_size import TreeShape, entries_of, shape_of
from aegis_tui.errors import GitError
from aegis_tui.sdk.untrusted_folder import UntrustedFolder

MAX_OBJECTS = 500_000
MAX_BYTES = 4 << 30
"""The limit for all new objects of one commit together, unpacked."""

MAX_LINKS = 1_000_000
"""The limit for the links of one object to others, each counted once."""

MAX_PATHS = 2_000_000
"""The limit for one commit. A few objects can represent billions of files if a tree holds the same tree many times."""

MAX_PATH_BYTES = 512 << 20
"""The limit for all paths of one commit together."""

MAX_DEPTH = 2048
"""The limit for folders inside each other; newer versions of git have the same (`core.maxTreeDepth`)."""

_MAX_LINKING_BYTES = 64 << 20
_MAX_HEADER = 64
_CHUNK = 1 << 16
_DEADLINE_S = 300.0
_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}


class Packed(NamedTuple):
    """What was written to a pack: enough to judge its trees before git unpacks them."""

    objects: int
    """The number of objects in it, of all kinds."""
    trees: dict[str, TreeShape]
    """The shape of each tree, by its id."""
    commits: dict[str, str]
    """The id of each commit's tree, by that of the commit."""


class Intake:
    """Copies objects into one repository. Raises `GitUnavailable` if git cannot be started.

    Args:
        runner: Runs git in the common folder.
        common_dir: That folder.
        objects: Reads the repository.
    """

    def __init__(self, runner: GitRunner, common_dir: Path, objects: Objects) -> None:
        self._runner, self._store, self._objects = runner, common_dir / "objects", objects

    async def take(self, store: Path, oids: Sequence[str]) -> None:
        """Copy objects, and all that they link to, from an instance's store, except those that the repository has.

        Args:
            store: A folder of loose objects; its content is not trusted.
            oids: The objects.

        Raises:
            GitError: An object is missing, damaged, malformed or beyond the limits, or git fails; nothing was copied
                (code `git.objects`).
            OSError: No temporary folder can be created.
        """
        with scratch_folder() as folder:
            aside = folder / "of-the-instance.pack"
            try:
                packed = await asyncio.to_thread(write_pack, store, oids, aside, is_known=self._is_known)
                if packed.objects:
                    await self._weigh(packed, oids)
                    args = ("unpack-objects", "-q", "--strict")
                    await self._runner.run(*args, stdin_file=aside, deadline_s=_DEADLINE_S)
            except (GitError, OSError) as error:
                reason = error.message if isinstance(error, GitError) else str(error)
                raise GitError(f"an instance's git objects cannot be copied: {reason}", code="git.objects") from error

    async def _weigh(self, packed: Packed, oids: Sequence[str]) -> None:
        """Return if no commit or tree of the objects has more paths than is allowed; called before they are copied.

        Args:
            packed: Those of the objects, and of what they link to, that are to be copied.
            oids: The objects.

        Raises:
            GitError: One has more than 2,000,000 paths, longer ones than is allowed, or deeper folders (code
                `git.output`); or git fails.
        """
        for oid in oids:
            tree = packed.commits.get(oid, oid if oid in packed.trees else "")
            if not is_oid(tree):
                continue  # a blob, or what the repository has already
            size = await self._objects.size_of(tree, packed.trees)
            if size.files > MAX_PATHS or size.path_bytes > MAX_PATH_BYTES or size.depth > MAX_DEPTH:
                words = f"a commit has {size.files} paths, in folders up to {size.depth} deep: more than is allowed"
                raise GitError(words, "the commit is too large", code="git.output")

    def _is_known(self, oid: str) -> bool:
        return (self._store / oid[:2] / oid[2:]).is_file()


def write_pack(store: Path, oids: Sequence[str], target: Path, *, is_known: Callable[[str], bool]) -> Packed:
    """Write a pack of the given objects and all that they link to, as far as the store has them; blocking.

    Args:
        store: A folder of loose objects; not trusted.
        oids: The objects to start with.
        target: The pack file to write.
        is_known: Returns True for an object that is not needed, nor anything that it links to.

    Returns:
        What is in the pack; without objects, the file is no complete pack. Those that the store lacks are left out;
        git reports them if they are missing.

    Raises:
        GitError: An object is damaged or beyond the limits.
        OSError: The store cannot be opened or the pack cannot be written.
    """
    count, left = 0, MAX_BYTES
    trees: dict[str, TreeShape] = {}
    commits: dict[str, str] = {}
    seen: set[str] = set()
    waiting = list(oids)
    with UntrustedFolder(store) as folder, target.open("wb") as pack:
        pack.write(_header(0))
        # A commit links to every file of the repository: only what the store has is looked up, in a list of its names.
        made = _made_in(folder)
        while waiting:
            oid = waiting.pop()
            if oid in seen or oid not in made or is_known(oid):
                continue
            seen.add(oid)
            with folder.open(f"{oid[:2]}/{oid[2:]}") as file:
                if file is None:
                    continue
                kind, size, linking = _append(pack, _inflated(file), oid, left=left)
            count, left = count + 1, left - size
            links = _links(kind, linking, len(oid) // 2)
            if kind == b"tree":
                trees[oid] = shape_of(entries_of(linking, len(oid) // 2))
            elif kind == b"commit":
                commits[oid] = next(_header_links(kind, linking), "")
            if count > MAX_OBJECTS:
                raise GitError(f"more than {MAX_OBJECTS} objects")
            waiting += links - seen
    if count:
        _seal(target, count, _algorithm(oids[0]))
    return Packed(count, trees, commits)


def _made_in(store: UntrustedFolder) -> frozenset[str]:
    """Return the names of the objects in a store; as its owner chose them, each may be any text.

    Raises:
        GitError: There are more than `MAX_OBJECTS`.
    """
    every = (f"{part:02x}{rest}" for part in range(256) for rest in store.names(f"{part:02x}"))
    made = frozenset(islice(every, MAX_OBJECTS + 1))
    if len(made) > MAX_OBJECTS:
        raise GitError(f"more than {MAX_OBJECTS} objects")
    return made


def _algorithm(oid: str) -> str:
    return "sha256" if len(oid) == 64 else "sha1"


def _header(count: int) -> bytes:
    return struct.pack(">4sII", b"PACK", 2, count)


def _seal(target: Path, count: int, algorithm: str) -> None:
    """Complete a pack file: write the number of objects into its header, and append its checksum; call it once.

    Args:
        target: The pack file; it begins with a header for no objects.
        count: The number of its objects.
        algorithm: The hash of the repository: `sha1` or `sha256`.

    Raises:
        OSError: The file cannot be read or written.
    """
    with target.open("r+b") as pack:
        pack.write(_header(count))
        pack.seek(0)
        digest = hashlib.new(algorithm, usedforsecurity=False)
        while chunk := pack.read(1 << 20):
            digest.update(chunk)
        pack.write(digest.digest())


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """Yield the decompressed content of a loose object, in chunks of at most 64 KiB.

    Raises:
        GitError: It is damaged or cut off.
        OSError: The file cannot be read.
    """
    engine = zlib.decompressobj()
    try:
        while not engine.eof:
            raw = engine.unconsumed_tail or file.read(_CHUNK)
            chunk = engine.decompress(raw, _CHUNK)
            if not raw and not chunk:
                raise GitError("an object is cut off")
            yield chunk
    except zlib.error as error:
        raise GitError(f"an object is damaged: {error}") from error


def _append(pack: BinaryIO, content: Iterator[bytes], oid: str, *, left: int) -> tuple[bytes, int, bytes]:
    """Append one object to a pack; return its kind, its size in bytes, and its content, which is empty for a blob.

    Args:
        pack: The pack file.
        content: The decompressed content of a loose object, with its header.
        oid: The id that it must have.
        left: How many bytes it may have at most.

    Raises:
        GitError: It is damaged, does not match its id, or is too large.
        OSError: The pack cannot be written.
    """
    digest = hashlib.new(_algorithm(oid), usedforsecurity=False)
    kind, size, first = _read_header(content)
    if size > left or (kind != b"blob" and size > _MAX_LINKING_BYTES):
        raise GitError(f"an object of {size} bytes is too large")
    pack.write(_entry_header(_KINDS[kind], size))
    engine = zlib.compressobj(1)
    digest.update(b"%s %d\0" % (kind, size))
    seen, kept = 0, bytearray()
    for chunk in chain((first,), content):
        seen += len(chunk)
        if seen > size:
            break
        digest.update(chunk)
        pack.write(engine.compress(chunk))
        if kind != b"blob":
            kept += chunk
    pack.write(engine.flush())
    if seen != size or digest.hexdigest() != oid:
        raise GitError("an object does not match its id")
    return kind, size, bytes(kept)


def _read_header(content: Iterator[bytes]) -> tuple[bytes, int, bytes]:
    """Return kind and size of a loose object, and the content that follows its header in the first chunks.

    Raises:
        GitError: It has no valid header.
    """
    begin = b""
    for chunk in content:
        begin += chunk
        if b"\0" in begin or len(begin) > _MAX_HEADER:
            break
    header, end, rest = begin.partition(b"\0")
    kind, _, size = header.partition(b" ")
    if not end or kind not in _KINDS or not size.isdigit() or len(size) > 18:
        raise GitError("an object has no header")
    return kind, int(size), rest


def _entry_header(kind: int, size: int) -> bytes:
    """Return the header of an entry of a pack file.

    Args:
        kind: 1 for a commit, 2 for a tree, 3 for a blob, 4 for a tag.
        size: The size of the object in bytes, unpacked.
    """
    byte, size = kind << 4 | size & 15, size >> 4
    out = bytearray()
    while size:
        out.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    return bytes([*out, byte])


def _links(kind: bytes, content: bytes, oid_bytes: int) -> set[str]:
    """Return the ids of the objects that an object links to; `GitError` if there are too many."""
    oids = _tree_links(content, oid_bytes) if kind == b"tree" else _header_links(kind, content)
    links: set[str] = set()
    for oid in oids:
        links.add(oid)
        if len(links) > MAX_LINKS:
            raise GitError(f"an object links to more than {MAX_LINKS} others")
    return {oid for oid in links if len(oid) == 2 * oid_bytes and oid.isalnum()}


def _header_links(kind: bytes, content: bytes) -> Iterator[str]:
    """Yield the ids that the header of a commit or a tag links to; nothing for a blob."""
    wanted = (b"tree", b"parent") if kind == b"commit" else (b"object",)
    for line in content.partition(b"\n\n")[0].split(b"\n") if kind != b"blob" else ():
        name, _, oid = line.partition(b" ")
        if name in wanted:
            yield oid.decode("ascii", "replace")


def _tree_links(content: bytes, oid_bytes: int) -> Iterator[str]:
    return (oid for mode, _, oid in entries_of(content, oid_bytes) if mode != SUBMODULE)
