"""Checks one edit of a hosted program before the program makes it; the program's own hook runs it (PART-3, AGENT-5).

`python -m aegis_tui.agent.hosted.guard before|after` reads the hook's JSON from standard input. `before` exits with 0
if the edit may be made; else with 2 and the reason on standard error. It refuses an edit of a joint file that has moved
on once, with what has changed. `after` records what was written and releases the locks that `before` took. It fails
closed: a call that it cannot read is refused, and if the hub does not answer, only what the scope file alone allows is
allowed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from aegis_tui.agent.fenced_writes import GONE, state_of
from aegis_tui.agent.files import OwnWorktree
from aegis_tui.agent.git import Git
from aegis_tui.agent.hosted.tool_calls import paths_in
from aegis_tui.agent.locks import resource_of
from aegis_tui.agent.newest import NewestContent
from aegis_tui.agent.scope import WriteScope
from aegis_tui.agent.settings import InstanceScope
from aegis_tui.domain.inert import inert
from aegis_tui.domain.lock.news_text import write_words
from aegis_tui.domain.path.file_name import is_below, write_name
from aegis_tui.domain.path.git_path import is_git_path
from aegis_tui.domain.scope.partition import Rule
from aegis_tui.errors import AegisError, HubUnavailable, LockHeld, Refused, Unavailable, UsageError
from aegis_tui.sdk.quick import HubQuick, new_request_id

WORKTREE, ASK_TOOL = "AEGIS_WORKTREE", "AEGIS_ASK_TOOL"
"""Variables that the wrapper sets: the worktree, and how the program names the tool that asks for a path."""

_REFUSED = 2
"""The exit code by which Claude Code and Qwen Code block a call and show standard error to the model."""
_LOCK_WAIT_S = 20.0
"""How long the call may wait for all of its locks; hooks get 60 seconds."""
_LOCK_TTL_S = 60.0
"""How long a lock lasts if `after` does not run, as after an edit that the program could not make."""
_ANSWER_S = 10.0
_TEMPORARY = "/tmp"
_WHY: Mapping[Rule, str] = {
    "shared": "is read-only shared: no worker may write it",
    "unowned": "is in nobody's partition",
}


class EditGuard:
    """Decides on the edits of one instance.

    Args:
        environ: The variables of the instance.
        worktree: Its worktree, without links.
        call: What the hook says about the call: the tool, its arguments, an id of the call.
    """

    def __init__(self, environ: Mapping[str, str], worktree: Path, call: Mapping[str, Any]) -> None:
        self._environ, self._worktree, self._call = environ, worktree, call
        self._wait_until = time.monotonic() + _LOCK_WAIT_S
        self._notes = Path(environ.get("HOME", "/nonexistent")) / ".aegis-guard"

    def before(self) -> None:
        """Return if every path of the call may be written; the locks that it needs are then held, for 60 s at most.

        Waits, 20 s for all together, for locks that others hold.

        Raises:
            AegisError: A path may not be written, or its lock was not granted. Locks taken before are released.
        """
        with ExitStack() as undo:
            for place in self._places():
                if (note := self._check(place)) is not None:
                    undo.callback(self._release, note)
            undo.pop_all()

    def after(self) -> None:
        """Tell the hub what was written under the locks that `before` took for this call, and release them.

        A lock that cannot be released lapses by itself.

        Raises:
            UsageError: The call names no path.
        """
        for place in self._places():
            if place.is_relative_to(self._worktree):
                path = write_name(place.relative_to(self._worktree).as_posix())
                self._tell_written(path, place)
                self._release(self._note(path))

    def _places(self) -> list[Path]:
        """Return the absolute paths that the call writes, after links were followed.

        Raises:
            UsageError: The call names none.
        """
        arguments = self._call.get("tool_input")
        base = self._call.get("cwd")
        folder = Path(base) if isinstance(base, str) and base else Path.cwd()
        try:
            places = [(folder / Path(text).expanduser()).resolve() for text in paths_in(arguments)]
        except (OSError, RuntimeError, ValueError) as error:
            raise UsageError("the path of this edit cannot be read, so it was refused") from error
        if not places:
            raise UsageError("this edit names no path that can be checked, so it was refused")
        return places

    def _check(self, place: Path) -> Path | None:
        """Return None if a path may be written without a lock, else the note (file) of the lock that was taken for it.

        Raises:
            AegisError: It may not be written, or its lock was not granted.
        """
        if not place.is_relative_to(self._worktree):
            if self._is_scratch(place):
                return None
            raise Refused(f"{place} is outside your worktree {self._worktree}: write inside it, or in {_TEMPORARY}")
        path = write_name(place.relative_to(self._worktree).as_posix())
        scope = self._scope()
        for folder in scope.scope.submodules:
            if is_below(path, folder):
                raise Refused(
                    f"{path} lies in the submodule {folder}, whose files no commit of this repository can hold"
                )
        verdict = scope.verdict(path)
        if verdict.allowed and not verdict.needs_lock:
            return None
        if is_git_path(path) or path == "." or verdict.rule == "specs":
            raise Refused(f"{verdict.message}, so it was not changed")
        note = self._lock(path, verdict.rule, verdict.owner)
        if words := self._moved_on(path):
            self._release(note)
            raise Refused(f"{path} was not changed yet: {words}\nRead it again, then make your change")
        self._remember_base(note, place)
        return note

    def _moved_on(self, path: str) -> str:
        """Return what the program has to know before it changes a file whose lock it has; each is told only once.

        The integration branch is merged into the worktree if the file has changed there.
        """
        newest = NewestContent(Git(self._worktree), OwnWorktree(self._worktree), None, self._environ)
        moved = asyncio.run(newest.bring(path))
        words = [moved.words] if moved and (not moved.problem or self._is_new(path, moved.tip)) else []
        with suppress(AegisError):
            writes = self._hub().command("lock:news", path=path).get("writes", [])
            words += [write_words(path, item) for item in writes if self._is_new(path, str(item["token"]))]
        return "\n".join(words)

    def _is_new(self, *parts: str) -> bool:
        mark = self._notes / f"told-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"
        try:
            mark.touch(exist_ok=False)
        except OSError:
            return False
        return True

    def _remember_base(self, note: Path, place: Path) -> None:
        """Add to a note what the file holds now, for `after`."""
        with suppress(OSError):
            note.write_text(f"{note.read_text('ascii')} {state_of(place).oid or '-'}", "ascii")

    def _tell_written(self, path: str, place: Path) -> None:
        with suppress(OSError, AegisError, ValueError):
            _, token, base = self._note(path).read_text("ascii").split()
            new_oid = state_of(place).oid or GONE
            if new_oid != base:
                data = {"file": resource_of(path).path, "token": int(token), "new_oid": new_oid}
                base_oid = {} if base == "-" else {"base_oid": base}
                self._hub().command("broadcast", event="code:written", data={**data, **base_oid})

    def _is_scratch(self, place: Path) -> bool:
        folders = [self._environ.get("HOME"), self._environ.get("TMPDIR"), _TEMPORARY]
        return any(place.is_relative_to(Path(folder).resolve()) for folder in folders if folder)

    def _scope(self) -> WriteScope:
        try:
            text = Path(self._environ["AEGIS_SCOPE_FILE"]).read_text("utf-8")
            return WriteScope(self._environ["AEGIS_AGENT_ID"], InstanceScope.model_validate_json(text))
        except (KeyError, OSError, ValueError, AegisError) as error:
            raise Unavailable("what you may write cannot be read, so the edit was refused") from error

    def _lock(self, path: str, rule: Rule, owner: str | None) -> Path:
        """Take the lock of a path from the hub, which knows newer partitions and grants than the scope file.

        Waits while somebody else holds it, until 20 s after this object was created at most. The lock lasts for 60 s.

        Args:
            path: The path, relative to the worktree.
            rule: The rule of the scope file's verdict, for the words of a refusal.
            owner: Who owns the path by the scope file, for these words; None if nobody does.

        Returns:
            The note of the lock, the file that `_release` takes.

        Raises:
            Refused: It was refused or is still held, the hub does not answer, or the note cannot be written. No note is
                left; a lock that a hub granted without an answer lapses by itself.
        """
        request, note = new_request_id(), self._note(path)
        try:
            self._notes.mkdir(mode=0o700, exist_ok=True)
            note.write_text(request, "ascii")
            granted = self._hub().command(
                "lock:acquire",
                request_id=request,
                path=path,
                lock_type="EXCLUSIVE",
                ttl_s=_LOCK_TTL_S,
                wait_s=max(0.0, self._wait_until - time.monotonic()),
            )
            note.write_text(f"{request} {granted['locks'][0]['token']}", "ascii")
        except (AegisError, OSError) as error:
            with suppress(OSError):
                note.unlink(missing_ok=True)
            raise Refused(self._words(path, error, rule, owner)) from error
        return note

    def _words(self, path: str, error: AegisError | OSError, rule: Rule, owner: str | None) -> str:
        """Return what the program is told about a path whose lock was not granted.

        Args:
            path: The path, relative to the worktree.
            error: Why it was not granted.
            rule: The rule of the scope file's verdict, used if the error names none.
            owner: Who owns the path by the scope file, used if the error names nobody.
        """
        if isinstance(error, AegisError) and error.code == "PARTITION":
            return self._refusal(path, error.data.get("rule", rule), error.data.get("held_by", owner))
        if isinstance(error, LockHeld):
            return _held(path, error)
        if isinstance(error, AegisError) and not isinstance(error, Unavailable):
            return f"{path} was not changed: {error}"
        return f"{path} was not changed: the hub, which has to allow it, does not answer; try again later"

    def _refusal(self, path: str, rule: Rule, owner: str | None) -> str:
        why = f"belongs to {owner}" if owner else _WHY.get(rule, _WHY["unowned"])
        tool = self._environ.get(ASK_TOOL)
        way_out = f"ask for it with the tool {tool} and a reason, or leave it" if tool else "leave it as it is"
        return f"{path} {why}, so it was not changed; {way_out}"

    def _note(self, path: str) -> Path:
        """Return the file that holds the id of the request for the lock of a path, for this call."""
        key = json.dumps([str(self._call.get("tool_use_id")), path])
        return self._notes / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _release(self, note: Path) -> None:
        with suppress(OSError, AegisError):
            request = note.read_text("ascii").split()[0]
            note.unlink()
            self._hub().command("lock:release", request=request)

    def _hub(self) -> HubQuick:
        try:
            token = Path(self._environ["AEGIS_TOKEN_FILE"]).read_text("utf-8").strip()
            return HubQuick.at(self._environ["AEGIS_HUB"], token, timeout_s=_ANSWER_S)
        except (KeyError, OSError, ValueError) as error:
            raise HubUnavailable("the hub is not known") from error


def _held(path: str, error: LockHeld) -> str:
    holder, left_s = error.data.get("held_by"), error.data.get("expires_in_s")
    if not holder:
        return f"the lock of {path} was not granted: {error.message}; edit it later"
    until = f" for {left_s:.0f} s at most" if isinstance(left_s, int | float) else ""
    return f"{holder} holds the lock of {path}{until}; do other work and edit it later"


def _worktree(environ: Mapping[str, str]) -> Path:
    """Return the instance's worktree, without links: that of AEGIS_WORKTREE, else the one of the present folder.

    The folder in AEGIS_WORKTREE is not examined: it need not exist, nor be a worktree.

    Raises:
        Unavailable: AEGIS_WORKTREE is not set, and the present folder is in no worktree, or git does not answer.
    """
    if folder := environ.get(WORKTREE):
        return Path(folder).resolve()
    try:
        argv = ["git", "rev-parse", "--show-toplevel"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable("the worktree cannot be found, so the edit was refused") from error
    return Path(done.stdout.removesuffix("\n")).resolve()


def main(argv: list[str], environ: Mapping[str, str]) -> int:
    """Check the edit that standard input describes, in JSON, or release its locks; return the exit code.

    Args:
        argv: The program's name, then `before` to check the edit and take its locks, or `after` to release these.
        environ: The variables of the instance.

    Returns:
        With `before`: 0 if the edit may be made, else 2, with the reason on standard error; 2 also if it cannot be
        read. With anything else: 0, whether or not that succeeded.
    """
    is_before = argv[1:] == ["before"]
    try:
        call = json.loads(sys.stdin.buffer.read())
        if not isinstance(call, dict) or argv[1:] not in (["before"], ["after"]):
            raise UsageError("the hook of this edit cannot be read, so it was refused")
        guard = EditGuard(environ, _worktree(environ), call)
        if is_before:
            guard.before()
        else:
            guard.after()
    except (AegisError, ValueError, RecursionError) as error:
        if is_before:
            words = str(error) if isinstance(error, AegisError) else "the hook of this edit cannot be read"
            shown = inert(words, keep="\n\t")
            sys.stderr.write(f"AEGIS: {shown}\n")
        return _REFUSED if is_before else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv, os.environ))
