"""Files of one worktree: where they are, how they are shown to a model, how a piece of them is replaced."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from tokenize import detect_encoding

from aegis_tui.domain.count import counted
from aegis_tui.domain.lock.region import blob_id
from aegis_tui.domain.path.file_name import name_of, read_name, write_name
from aegis_tui.domain.path.letter_case import folded
from aegis_tui.errors import AegisError, Refused, UsageError

MAX_FILE_BYTES = 2 * 1024 * 1024
"""The largest file that is read or edited."""
MAX_LINES = 600
"""Lines that one read shows."""
MAX_LINE_CHARS = 1000
_BINARY_PROBE_BYTES = 8192


class Worktree:
    """The instance's worktree. Every path given by a model is resolved inside it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def locate(self, path: str) -> str:
        """The POSIX path relative to the root that `path` really leads to, links followed.

        Both are in their written form (contract 3): a name that is not UTF-8 is quoted as git quotes it.

        Raises:
            Refused: It leads outside the worktree or into git's own files.
        """
        try:
            real = (self.root / read_name(path)).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise Refused(f"{path!r} is not a usable path: {error}", code="path.invalid") from error
        if not real.is_relative_to(self.root) or real == self.root:
            raise Refused(f"{path} is outside the worktree", "Use a path relative to the root", code="path.outside")
        relative = real.relative_to(self.root)
        if relative.parts[0] == ".git":
            raise Refused(f"{path} belongs to git itself", code="path.git")
        return write_name(relative.as_posix())

    def place(self, path: str) -> Path:
        """Where the file `path`, a result of `locate`, lies."""
        return self.root / name_of(path)

    def case_twin(self, path: str) -> str | None:
        """The path of what bears the same name in other case, for a path or the first of its folders that is not there.

        On a file system that tells cases apart git may not: it then takes the new file for the old one.
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
        """The text of `path`, a result of `locate`; line ends as they are.

        A file that is not UTF-8 is read in the encoding that it declares as Python does (PEP 263).

        Raises:
            UsageError: No such file, a folder, binary, in no known encoding, or too large.
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
        """Put `text` into `path`, a result of `locate`, in the encoding that the file has; folders are made.

        Raises:
            UsageError: The file's encoding lacks a character of it.
            AegisError: The file system refused.
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
        """Put the file back to what `find_bytes` gave; False when it is so already.

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

    def is_file(self, path: str) -> bool:
        """Whether there is a file at `path`, a result of `locate`."""
        return self.place(path).is_file()

    def is_utf8(self, path: str) -> bool:
        """Whether `path`, a result of `locate`, is a file of UTF-8 text that can be read."""
        try:
            self.load(path)
        except UsageError:
            return False
        return _is_utf8(self.find_bytes(path) or b"")

    def find_bytes(self, path: str) -> bytes | None:
        """What is in the file `path`, a result of `locate`, or None where there is none."""
        return self.place(path).read_bytes() if self.is_file(path) else None

    def find_blob(self, path: str) -> str | None:
        """The blob id of the file as it lies there, by which the hub knows it; git's own differs where it filters."""
        raw = self.find_bytes(path)
        return None if raw is None else blob_id(raw)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoding_of(raw: bytes) -> str | None:
    """The encoding that a text can be read in and written back as it was, or None."""
    if _is_utf8(raw):
        return "utf-8"
    try:
        encoding, _ = detect_encoding(io.BytesIO(raw).readline)
        return encoding if raw.decode(encoding).encode(encoding) == raw else None
    except (SyntaxError, UnicodeError, LookupError):
        return None


def numbered(text: str, *, start: int | None, end: int | None) -> str:
    """Lines `start` to `end`, 1-based and both included, each with its number; what is left out is said."""
    lines = text.splitlines()
    first = start or 1
    last = min(end or len(lines), len(lines))
    if not lines:
        return "(the file is empty)"
    if first > len(lines):
        return f"(the file has only {counted(len(lines), 'line')})"
    shown = lines[first - 1 : last][:MAX_LINES]
    body = "\n".join(f"{first + offset:>5}\t{_cut(line)}" for offset, line in enumerate(shown))
    until = first + len(shown) - 1
    if until < len(lines):
        body += f"\n(lines {until + 1} to {len(lines)} not shown; read again with start={until + 1})"
    return body


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + " [line cut]"


def replace_once(text: str, old: str, new: str) -> str:
    """`text` with its only `old` replaced. Line ends of the file are kept when the model wrote plain newlines.

    Raises:
        UsageError: `old` is missing, not unique, or equal to `new`; the message says which and where.
    """
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    if old == new:
        raise UsageError("old and new are equal; nothing would change")
    if (count := text.count(old)) == 1:
        return text.replace(old, new)
    if count == 0:
        raise UsageError(
            f"old does not occur in the file{_near_miss(text, old)}", "Read the file again and copy exactly"
        )
    places: list[int] = []
    position = text.find(old)
    while position >= 0:
        places.append(text.count("\n", 0, position) + 1)
        position = text.find(old, position + len(old))
    at = ", ".join(str(line) for line in places[:10])
    raise UsageError(f"old occurs {count} times, at lines {at}", "Add lines around it until it is unique")


def _near_miss(text: str, old: str) -> str:
    """Where the first line of `old` occurs with other spaces, in words; empty when nowhere."""
    wanted = " ".join((old.strip().splitlines() or [""])[0].split())
    for number, line in enumerate(text.splitlines(), start=1):
        if wanted and " ".join(line.split()) == wanted:
            return f"; its first line is like line {number}, but spaces or later lines differ"
    return ""
