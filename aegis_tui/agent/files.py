"""Files of one worktree: resolves paths, reads and writes text, shows it to a model, and replaces parts of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tokenize import detect_encoding

from aegis_tui.domain.count import counted
from aegis_tui.domain.filling import FILLING_NAME, WANTED_NAME
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.domain.path.file_name import name_of, read_name, write_name
from aegis_tui.domain.path.letter_case import folded
from aegis_tui.errors import AegisError, Refused, UsageError

MAX_FILE_BYTES = 2 * 1024 * 1024
"""The largest file that is read or edited."""
MAX_LINES = 600
"""The most lines that one read shows."""
MAX_LINE_CHARS = 1000
_BINARY_PROBE_BYTES = 8192
MAX_FILLING_S = 120.0
"""How long a tool waits for the files of its worktree, in seconds."""

_FILLING_POLL_S = 0.05


class OwnWorktree:
    """The instance's worktree. Every path given by a model is resolved inside it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._is_whole = False

    def locate(self, path: str) -> str:
        """Return the POSIX path, relative to the root, that `path` leads to after links are followed.

        Both paths are in their written form (contract 3): a name that is not UTF-8 is quoted as git quotes it.

        Raises:
            Refused: The path is not usable, or leads to the root, outside the worktree or into git's own files.
        """
        try:
            real = (self.root / read_name(path)).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise Refused(f"{path!r} is not a usable path: {error}", code="path.invalid") from error
        if not real.is_relative_to(self.root) or real == self.root:
            raise Refused(f"{path} is outside the worktree", "Use a path relative to the root", code="path.outside")
        relative = real.relative_to(self.root)
        if relative.parts[0] == ".git":
            raise Refused(f"{path} is part of git's own folder (.git)", code="path.git")
        return write_name(relative.as_posix())

    async def complete(self, path: str | None = None) -> None:
        """Return when all files of the worktree are there: in a large repository they are added in the background.

        Returns at once if `path` names a file that is there; after `MAX_FILLING_S` (120 s) in any case, even if some
        are missing. Once it has waited, it never waits again. It asks the hub for the files, which may put them off
        until then.

        Args:
            path: In written form; it need not be usable.
        """
        if self._is_whole or (path and self._has_file(path)):
            return
        ends_at = time.monotonic() + MAX_FILLING_S
        while time.monotonic() < ends_at:
            if not self.is_filling():
                break
            with contextlib.suppress(OSError):
                (_git_folder(self.root) / WANTED_NAME).touch()
            await asyncio.sleep(_FILLING_POLL_S)
        self._is_whole = True

    def is_filling(self) -> bool:
        """Return whether files of the worktree are still being added; the hub removes the mark when all are there."""
        return (_git_folder(self.root) / FILLING_NAME).exists()

    def _has_file(self, path: str) -> bool:
        try:
            return (self.root / read_name(path)).is_file()
        except (OSError, ValueError):
            return False

    def place(self, path: str) -> Path:
        """Return the absolute path of `path`, a result of `locate`; whether it exists is not checked."""
        return self.root / name_of(path)

    def case_twin(self, path: str) -> str | None:
        """Return the existing path that differs only in case from `path`, or from the first part of it that is missing.

        The result is relative to the worktree's root, and ends with the differing name: for `Src/new.py` it is `src`.
        None if there is no such path, if `path` exists, or if a folder cannot be read. Needed where git ignores case on
        a file system that does not: git would take the new file for the old one.
        """
        place = self.root
        for part in Path(path).parts:
            try:
                names = {entry.name for entry in place.iterdir()}
            except OSError:
                return None
            if part not in names:
                twin = next((name for name in sorted(names) if folded(name) == folded(part)), None)
                return (place / twin).relative_to(self.root).as_posix() if twin else None
            place /= part
        return None

    def load(self, path: str) -> str:
        """Return the text of the file `path`, a result of `locate`, with its line ends unchanged.

        A file that is not UTF-8 is read in the encoding that it declares in the way of Python files (PEP 263).

        Raises:
            UsageError: There is no such file, or it is a folder (the message lists what that holds), binary (a zero
                byte in its first 8 KiB), in no known encoding, or larger than `MAX_FILE_BYTES`.
            OSError: The system refuses to read it.
        """
        place = self.place(path)
        if place.is_dir():
            names = sorted(
                write_name(entry.name) + "/" * entry.is_dir() for entry in place.iterdir() if entry.name != ".git"
            )
            raise UsageError(f"{path} is a folder; it holds: {', '.join(names[:100])}")
        if not place.is_file():
            raise UsageError(f"there is no file {path}")
        if (size_bytes := place.stat().st_size) > MAX_FILE_BYTES:
            raise UsageError(f"{path} has {size_bytes} bytes; at most {MAX_FILE_BYTES} can be read", "Use search")
        raw = place.read_bytes()
        if b"\0" in raw[:_BINARY_PROBE_BYTES]:
            raise UsageError(f"{path} is a binary file of {size_bytes} bytes")
        if (encoding := _encoding_of(raw)) is None:
            raise UsageError(f"{path} is not UTF-8 text")
        return raw.decode(encoding)

    def save(self, path: str, text: str) -> None:
        """Write `text` to the file `path`, a result of `locate`, in the file's present encoding; create its folders.

        Of the encodings only those that `load` reads count; a new file, or one in another encoding, is written in
        UTF-8, in which characters that it cannot hold (lone surrogates) become `?`.

        Raises:
            UsageError: The file's encoding lacks a character of the text.
            OSError: The present file cannot be read, for its encoding.
            AegisError: The file system refused to write (code `disk`); `is_certain`, as a new try would fail too, if
                the disk is full.
        """
        encoding = _encoding_of(self.find_bytes(path) or b"") or "utf-8"
        try:
            raw = text.encode(encoding, "replace" if encoding == "utf-8" else "strict")
        except UnicodeEncodeError as error:
            missing = text[error.start]
            raise UsageError(f"{path} is in {encoding}, which has no {missing!a}", "Use other characters") from error
        place = self.place(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(raw)
        except OSError as error:
            raise AegisError(
                f"{path} cannot be written: {error.strerror}",
                code="disk",
                is_certain=error.errno in (errno.ENOSPC, errno.EDQUOT),
            ) from error

    def restore(self, path: str, raw: bytes | None) -> bool:
        """Restore a file's earlier content; return False, with nothing written, if it has that content.

        Args:
            path: A result of `locate`.
            raw: The content that `find_bytes` returned; None to delete the file, because there was none.

        Raises:
            OSError: The file system refused.
        """
        if self.find_bytes(path) == raw:
            return False
        if raw is None:
            self.place(path).unlink(missing_ok=True)
        else:
            self.place(path).write_bytes(raw)
        return True

    def move(self, path: str, to: str) -> None:
        """Give the file `path` the path `to`, both results of `locate`; create the folders of `to`.

        Raises:
            AegisError: The file system refused (code `disk`).
        """
        try:
            self.place(to).parent.mkdir(parents=True, exist_ok=True)
            self.place(path).rename(self.place(to))
        except OSError as error:
            raise AegisError(f"{path} cannot be moved: {error.strerror}", code="disk") from error

    def is_file(self, path: str) -> bool:
        """Return whether there is a file at `path`, a result of `locate`; False for a folder, and for nothing."""
        return self.place(path).is_file()

    def is_utf8(self, path: str) -> bool:
        """Return whether `path`, a result of `locate`, is a file of UTF-8 text that `load` can read.

        Raises:
            OSError: The system refuses to read it.
        """
        try:
            self.load(path)
        except UsageError:
            return False
        return _is_utf8(self.find_bytes(path) or b"")

    def find_bytes(self, path: str) -> bytes | None:
        """Return all bytes of the file `path`, a result of `locate`; None if there is no file, or it is a folder.

        Raises:
            OSError: The system refuses to read it.
        """
        return self.place(path).read_bytes() if self.is_file(path) else None

    def find_blob(self, path: str) -> str | None:
        """Return the blob id of the file's bytes on disk, as the hub uses it; None if there is no file, or a folder.

        git's own id differs if git filters the file (gitattributes).

        Raises:
            OSError: The system refuses to read it.
        """
        raw = self.find_bytes(path)
        return None if raw is None else blob_id(raw)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoding_of(raw: bytes) -> str | None:
    """Return an encoding in which the bytes can be decoded and encoded again unchanged; None if there is none.

    It is UTF-8, else the one that the text declares in the way of Python files (PEP 263).
    """
    if _is_utf8(raw):
        return "utf-8"
    try:
        encoding, _ = detect_encoding(io.BytesIO(raw).readline)
        return encoding if raw.decode(encoding).encode(encoding) == raw else None
    except (SyntaxError, UnicodeError, LookupError):
        return None


def numbered(text: str, *, start: int | None, end: int | None) -> str:
    """Return lines `start` to `end` (1-based, both included), each with its number, and a note of what is not shown.

    At most `MAX_LINES` (600) lines are shown, and those over 1,000 characters cut. For an empty text, or one that is
    too short, a remark in parentheses is returned instead. The note is about lines after the shown ones only; if `end`
    is before `start`, it is all that is returned.

    Args:
        text: The whole text.
        start: None for the first line.
        end: None for the last line.
    """
    lines = text.splitlines()
    first = start or 1
    last = min(end or len(lines), len(lines))
    if not lines:
        return "(the file is empty)"
    if first > len(lines):
        return f"(the file has only {counted(len(lines), 'line')})"
    shown = lines[first - 1 : last][:MAX_LINES]
    body = "\n".join(f"{first + offset:>5}\t{cut_line(line)}" for offset, line in enumerate(shown))
    until = first + len(shown) - 1
    if until < len(lines):
        body += f"\n(lines {until + 1} to {len(lines)} not shown; read again with start={until + 1})"
    return body


def cut_line(line: str) -> str:
    """Return a line of a file as a tool shows it: over 1,000 characters it is cut, and that is said."""
    return line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + " [line cut]"


def replace_once(text: str, old: str, new: str, *, spans: Sequence[tuple[int, int]] | None = None) -> str:
    """Return `text` with the only occurrence of `old`, which is not empty, replaced by `new`.

    In a text with CRLF line ends, plain newlines in `old` and `new` are taken as CRLF.

    Args:
        text: The content of a file.
        old: What to replace.
        new: What to put in its place.
        spans: Look only in these lines, each pair the first and the last, 1-based; None: in all.

    Raises:
        UsageError: `old` is missing, not unique, or equal to `new`; the message says which, and at which lines.
    """
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    if old == new:
        raise UsageError("old and new are equal; nothing would change")
    places = sorted(
        {at for begin, end in _offsets(text, spans) for at in _occurrences(text, old, begin=begin, end=end)}
    )
    if len(places) == 1:
        return text[: places[0]] + new + text[places[0] + len(old) :]
    where = "file" if spans is None else "definition"
    if not places:
        raise UsageError(
            f"old does not occur in the {where}{_near_miss(text, old)}", "Read the file again and copy exactly"
        )
    at = ", ".join(str(text.count("\n", 0, place) + 1) for place in places[:10])
    raise UsageError(f"old occurs {len(places)} times, at lines {at}", "Add lines around it until it is unique")


def _offsets(text: str, spans: Sequence[tuple[int, int]] | None) -> list[tuple[int, int]]:
    """Return the offsets in a text of the first and after the last character of each span of lines."""
    if spans is None:
        return [(0, len(text))]
    starts = [0, *(match.end() for match in re.finditer("\n", text)), len(text)]
    last = len(starts) - 1
    return [(starts[min(first - 1, last)], starts[min(end, last)]) for first, end in spans]


def _occurrences(text: str, old: str, *, begin: int, end: int) -> Iterator[int]:
    position = text.find(old, begin, end)
    while position >= 0:
        yield position
        position = text.find(old, position + len(old), end)


def _near_miss(text: str, old: str) -> str:
    """Return words for the message that name a line equal to the first of `old` except for spaces; empty if none is."""
    wanted = " ".join((old.strip().splitlines() or [""])[0].split())
    for number, line in enumerate(text.splitlines(), start=1):
        if wanted and " ".join(line.split()) == wanted:
            return f"; its first line is like line {number}, but spaces or later lines differ"
    return ""


def _git_folder(root: Path) -> Path:
    """Return the path of the git folder that the file `.git` of a worktree names.

    That of `.git` if it cannot be read.
    """
    try:
        return root / (root / ".git").read_text("utf-8", "surrogateescape").removeprefix("gitdir: ").rstrip("\n")
    except OSError:
        return root / ".git"
