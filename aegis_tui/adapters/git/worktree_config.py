"""Sets `extensions.worktreeConfig`, the only change to the person's configuration, so that it can be undone completely.

Edits the text, because `git config` reorders it and drops empty sections. Uses git's own lock file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from pathlib import Path

from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.settings import GitSettings
from aegis_tui.errors import Conflict, Refused

_MARK = b"# aegis-tui: until its last worktree is gone\n"
_MARK_NO_LINE_END = b"# aegis-tui: until its last worktree is gone; there was no line end before\n"
_KEY_LINE = b"\tworktreeConfig = true\n"
_BLOCK = b"[extensions]\n" + _KEY_LINE
_MOVED = b"# aegis-tui moved to config.worktree: "
_SECTION = re.compile(rb"\s*\[\s*([^\]\s\"]+)\s*(\"[^\"]*\")?\s*\]")
_BARE = re.compile(rb"\s*bare\s*(=\s*(true|yes|on|1)\s*)?([#;].*)?$", re.IGNORECASE)
_WORKTREE = re.compile(rb"\s*worktree\s*=", re.IGNORECASE)


async def ensure_worktree_config(runner: GitRunner, common_dir: Path, settings: GitSettings) -> None:
    """Enable settings per worktree, as `enable_worktree_config` does, unless they are enabled already.

    Args:
        runner: Runs git in the common folder.
        common_dir: That folder.
        settings: Its settings.

    Raises:
        Conflict: Another program is writing the configuration.
        Refused: A setting that must be moved is on the same line as its section name.
        GitError: git fails.
        OSError: The configuration cannot be read or written.
    """
    is_on = await settings.is_true_here("extensions.worktreeconfig")
    if is_on is None:
        key = "extensions.worktreeConfig"
        is_on = (await runner.run("config", "--local", "--type=bool", "--get", key, ok=(0, 1))).text == "true"
    if not is_on:
        await asyncio.to_thread(enable_worktree_config, common_dir)


def enable_worktree_config(common_dir: Path) -> None:
    """Enable settings per worktree; `core.bare` and `core.worktree` move to the main worktree's settings.

    Call it only while the extension is off; after an earlier call, do nothing. Source: git-worktree(1), CONFIGURATION
    FILE.

    Raises:
        Conflict: Another program is writing the configuration.
        Refused: A setting that must be moved is on the same line as its section name.
        OSError: The configuration cannot be read or written.
    """
    config = common_dir / "config"
    before = config.read_bytes()
    if _MARK in before or _MARK_NO_LINE_END in before:
        return
    kept, moved = _move_main_settings(before)
    if moved:
        _add_main_block(common_dir / "config.worktree", moved)
    mark = _MARK if not kept or kept.endswith(b"\n") else b"\n" + _MARK_NO_LINE_END
    _replace(config, kept + mark + _BLOCK)


def restore_worktree_config(common_dir: Path) -> bool:
    """Undo the change of `enable_worktree_config`; return True, also if there is nothing to undo.

    Return False, with nothing changed, if other settings need the extension by now.

    Raises:
        Conflict: Another program is writing the configuration.
        OSError: The configuration cannot be read or written.
    """
    config, main = common_dir / "config", common_dir / "config.worktree"
    text = config.read_bytes()
    if _MARK not in text and _MARK_NO_LINE_END not in text:
        return True
    left = _without_main_block(main.read_bytes()) if main.exists() else b""
    if left.strip() or any(common_dir.glob("worktrees/*/config.worktree")):
        return False
    for mark in (b"\n" + _MARK_NO_LINE_END, _MARK):
        text = _without_block(text, mark)
    lines = text.splitlines(keepends=True)
    _replace(config, b"".join(line.removeprefix(_MOVED) for line in lines))
    main.unlink(missing_ok=True)
    return True


def _move_main_settings(text: bytes) -> tuple[bytes, list[bytes]]:
    """Return the text with the lines of `core.bare` (if true) and `core.worktree` as comments, and those lines.

    Raises:
        Refused: Such a setting is on the same line as its section name.
    """
    section = b""
    lines, moved = [], []
    for line in text.splitlines(keepends=True):
        if header := _SECTION.match(line):
            section = b"" if header[2] else header[1].lower()
            rest = line[header.end() :]
            if section == b"core" and (_BARE.match(rest.rstrip()) or _WORKTREE.match(rest)) and rest.strip():
                raise Refused(
                    "core.bare or core.worktree is on the same line as its section name",
                    "put it on a line of its own in the repository's config file",
                    code="git.config",
                )
        elif section == b"core" and (_BARE.match(line.rstrip()) or _WORKTREE.match(line)) and line.strip():
            moved.append(line)
            line = _MOVED + line
        lines.append(line)
    return b"".join(lines), moved


def _add_main_block(main: Path, moved: list[bytes]) -> None:
    present = _without_main_block(main.read_bytes()) if main.exists() else b""
    block = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in moved)
    _replace(main, present + _MARK + b"[core]\n" + block)


def _without_main_block(text: bytes) -> bytes:
    head, mark, tail = text.partition(_MARK)
    if not mark:
        return text
    ours = tail.removeprefix(b"[core]\n").splitlines(keepends=True)
    return head + b"".join(line for line in ours if not (_BARE.match(line.rstrip()) or _WORKTREE.match(line)))


def _without_block(text: bytes, mark: bytes) -> bytes:
    head, separator, tail = text.partition(mark)
    if not separator:
        return text
    rest = tail.removeprefix(_BLOCK)
    if rest != tail and (not rest.strip() or rest.lstrip().startswith(b"[")):
        return head + rest
    # Another program has added a key to our section: it is kept, in a section of its own.
    return head + tail.replace(_KEY_LINE, b"", 1)


def _replace(path: Path, content: bytes) -> None:
    """Write a configuration file as git does: through `<file>.lock`, keeping its mode.

    Raises:
        Conflict: The lock file exists.
        OSError: The file cannot be written; it is unchanged.
    """
    target = path.resolve()
    lock = target.with_name(target.name + ".lock")
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    try:
        descriptor = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise Conflict(
            f"the configuration of the repository is locked by {lock}",
            "wait for the other program; remove the file if there is none",
            code="git.config.locked",
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        lock.chmod(mode)
        lock.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            lock.unlink()
        raise
