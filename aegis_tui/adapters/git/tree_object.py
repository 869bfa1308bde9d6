"""Git's objects as bytes: how a tree lists its entries, and how an object gets its id. Starts and reads nothing."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from aegis_tui.errors import GitError

REGULAR, EXECUTABLE, LINK = b"100644", b"100755", b"120000"
"""The modes of files."""

FOLDER, SUBMODULE = b"40000", b"160000"
"""The modes of what is no file."""

_SHA256_BYTES = 32


class TreeEntry(NamedTuple):
    """What a tree has under one name: a file, a link, a submodule or a folder."""

    mode: bytes
    """Which of these it is, in octal digits without leading zeros, such as `REGULAR` or `FOLDER`.

    Old programs have written other modes of files too, such as `100664`.
    """
    oid: str
    """The id of the blob or of the folder's tree; of a submodule, that of the commit that is checked out there."""


TreeEntries = dict[bytes, TreeEntry]
"""The entries of one tree by name, without those of its folders."""


def parse_tree(raw: bytes, oid_bytes: int) -> TreeEntries:
    """Return the entries of a tree object.

    Source: git's Documentation/technical/pack-format, tree objects.

    Args:
        raw: Its content, without the header.
        oid_bytes: The length of the repository's object ids: 20 for SHA-1, 32 for SHA-256.

    Raises:
        GitError: It is damaged.
    """
    entries: TreeEntries = {}
    at = 0
    while at < len(raw):
        space, end = raw.find(b" ", at), raw.find(b"\0", at)
        if not at < space < end or end + 1 + oid_bytes > len(raw):
            raise GitError("a tree is damaged", "look for damage: git fsck")
        # Some programs have written `040000`, which git reads as `40000`.
        entries[raw[space + 1 : end]] = TreeEntry(raw[at:space].lstrip(b"0"), raw[end + 1 : end + 1 + oid_bytes].hex())
        at = end + 1 + oid_bytes
    return entries


def render_tree(entries: TreeEntries) -> bytes:
    """Return the tree object with these entries, in git's order: folders as if their names ended in a slash."""
    ordered = sorted(entries.items(), key=lambda item: item[0] + b"/" if item[1].mode == FOLDER else item[0])
    return b"".join(b"%s %s\0%s" % (entry.mode, name, bytes.fromhex(entry.oid)) for name, entry in ordered)


def with_header(kind: str, content: bytes) -> bytes:
    """Return an object as git stores it, before compression: its type, its length in bytes, a NUL and its content.

    Args:
        kind: `blob`, `tree` or `commit`.
        content: What is in it.
    """
    return b"%s %d\0%s" % (kind.encode("ascii"), len(content), content)


def object_id(stored: bytes, oid_bytes: int) -> str:
    """Return the id of an object.

    Args:
        stored: The object as `with_header` returns it.
        oid_bytes: The length of the repository's object ids: 20 for SHA-1, 32 for SHA-256.
    """
    algorithm = hashlib.sha256 if oid_bytes == _SHA256_BYTES else hashlib.sha1
    return algorithm(stored, usedforsecurity=False).hexdigest()
