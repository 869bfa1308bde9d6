"""A filter as Git LFS is one: git stores a pointer, a folder the content; one process serves a whole git command.

    filter_of_lfs.py STORE

Source: gitattributes(5), long running filter process; the pointer is that of git-lfs(1).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

MOST = 65516
HEAD = b"version https://git-lfs.github.com/spec/v1\n"


def packets() -> Iterator[bytes]:
    """The packets up to the next flush.

    Raises:
        EOFError: git has ended.
    """
    while True:
        size = sys.stdin.buffer.read(4)
        if len(size) < 4:
            raise EOFError
        if size == b"0000":
            return
        yield sys.stdin.buffer.read(int(size, 16) - 4)


def send(*parts: bytes) -> None:
    for part in parts:
        sys.stdout.buffer.write(b"%04x" % (len(part) + 4) + part)
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()


def clean(store: Path, content: bytes) -> bytes:
    if content.startswith(HEAD):
        return content
    oid = hashlib.sha256(content).hexdigest()
    store.mkdir(parents=True, exist_ok=True)
    (store / oid).write_bytes(content)
    return HEAD + f"oid sha256:{oid}\nsize {len(content)}\n".encode()


def smudge(store: Path, content: bytes) -> bytes:
    if not content.startswith(HEAD):
        return content
    oid = content.split(b"sha256:", 1)[1].split(b"\n", 1)[0].decode()
    return (store / oid).read_bytes()


def main(store: Path) -> None:
    list(packets())
    send(b"git-filter-server\n", b"version=2\n")
    list(packets())
    send(b"capability=clean\n", b"capability=smudge\n")
    while True:
        try:
            asked = dict(line.rstrip(b"\n").split(b"=", 1) for line in packets())
        except EOFError:
            return
        content = b"".join(packets())
        try:
            done = (clean if asked[b"command"] == b"clean" else smudge)(store, content)
        except OSError:
            send(b"status=error\n")
            continue
        send(b"status=success\n")
        send(*(done[at : at + MOST] for at in range(0, len(done), MOST)))
        send()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
