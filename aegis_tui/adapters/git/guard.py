"""Guards: hooks and settings that restrict one instance's worktree to its branch and its partition (GIT-6, PART-3).

All of it is written to the instance's own hooks folder; the worktree's configuration gets one line that includes it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from aegis_tui.adapters.git.environment import REMOTE_PROTOCOLS
from aegis_tui.adapters.git.glob_ere import glob_to_ere
from aegis_tui.adapters.git.run import GitRunner
from aegis_tui.adapters.git.settings import GitSettings
from aegis_tui.domain.git_refusal import CHAIN_NAME
from aegis_tui.domain.glob.pattern import compile_glob
from aegis_tui.domain.run.commit import author_of
from aegis_tui.errors import GitError
from aegis_tui.ports.repository import Guard

GUARDED_HOOKS = ("pre-commit", "pre-push", "reference-transaction")
"""Hooks with checks of our own."""

CHAINED_HOOKS = (
    "applypatch-msg",
    "commit-msg",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-merge",
    "post-rewrite",
    "pre-applypatch",
    "pre-merge-commit",
    "pre-rebase",
    "prepare-commit-msg",
)
"""Hooks that only call the person's own hook; two of them clean up first."""

CONFIG_NAME = "config"
"""The settings file in the hooks folder that the worktree includes."""

_SCRIPT_NAME = "aegis-guard"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def write_guard(guard: Guard, chain: str) -> Path:
    """Write the hooks, rules and settings of one instance; blocking. A reader of a file sees the old or the new one.

    They are written to `guard.hooks_dir`, which is created if it is missing; nothing uses them before the settings are
    included.

    Args:
        guard: What the instance may commit.
        chain: The folder of the person's own hooks, which are called too; relative to the top of the worktree or
            absolute. Empty for none.

    Returns:
        The settings file to include in the worktree's configuration.

    Raises:
        GitError: The hooks folder cannot be written.
        Refused: A glob is not valid.
    """
    folder = guard.hooks_dir
    rules = render_rules(guard)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder / CHAIN_NAME, (chain + "\n").encode("utf-8", "surrogateescape"))
        _write(folder / "rules", rules)
        script = resources.files("aegis_tui.adapters.git").joinpath("guard.sh").read_bytes()
        _write(folder / _SCRIPT_NAME, script, mode=0o700)
        for hook in (*GUARDED_HOOKS, *CHAINED_HOOKS):
            stub = f'#!/bin/sh\nexec /bin/sh "${{0%/*}}/{_SCRIPT_NAME}" {shlex.quote(hook)} "$@"\n'
            _write(folder / hook, stub.encode(), mode=0o700)
        _write(folder / CONFIG_NAME, _render_config(guard).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise GitError(
            f"the git hooks of {guard.agent_id} cannot be written: {error}", "check the state folder"
        ) from error
    return folder / CONFIG_NAME


async def hooks_of_the_person(runner: GitRunner, common_dir: Path, settings: GitSettings | None = None) -> str:
    """Return the folder of the person's own hooks: the most local setting, or else git's default.

    Args:
        runner: Runs git in the repository or in one of its worktrees.
        common_dir: The git folder that all worktrees share.
        settings: The settings of the common folder, if those are meant.

    Raises:
        GitError: git fails.
    """
    if settings is not None:
        known = [item for item in await settings.list_all() if item.name == "core.hookspath"]
        plain = [item.value for item in known if item.scope != "command"]
        if not plain:
            return str(common_dir / "hooks")
        if plain[-1] and not plain[-1].startswith(("~", "%", ":")):  # git replaces what begins so
            return plain[-1]
    asked = ("config", "--show-scope", "-z", "--includes", "--type=path", "--get-all", "core.hooksPath")
    scopes = iter((await runner.run(*asked, ok=(0, 1))).fields())
    pairs = zip(scopes, scopes, strict=True)
    theirs = [folder for scope, folder in pairs if scope != "command"]  # that one is our own `-c` option
    return theirs[-1] if theirs else str(common_dir / "hooks")


def render_rules(guard: Guard) -> bytes:
    """Return the rules file that the hooks read: one rule per line, fields separated by tabs, `end` as the last line.

    The first lines are `own` and `integration` with their refs. A rule is `deny`, `allow`, `shared` or `owner`, then
    the owner (else empty), the glob, and the glob as an extended regular expression.

    Raises:
        Refused: A glob is not valid.
    """
    head = [f"own\t{_plain(guard.own_ref)}".encode(), f"integration\t{_plain(guard.integration_ref)}".encode()]
    return b"\n".join([*head, *_rule_lines(guard), b"end"]) + b"\n"


def _rule_lines(guard: Guard) -> Iterator[bytes]:
    groups = (("deny", guard.denied), ("allow", (*guard.allow, *guard.joint)), ("shared", guard.shared))
    rules = [(kind, "", glob) for kind, globs in groups for glob in globs]
    rules += [("owner", owner, glob) for glob, owner in guard.owners]
    for kind, owner, glob in rules:
        ere = glob_to_ere(compile_glob(glob, ignore_case=guard.ignore_case))
        yield b"\t".join([kind.encode(), _plain(owner).encode(), glob.encode(), ere])


def _render_config(guard: Guard) -> str:
    name, email = author_of(guard.agent_id)
    sections: list[tuple[str, dict[str, str]]] = [
        ("core", {"hooksPath": str(guard.hooks_dir), "askPass": "", "sparseCheckout": "false", "splitIndex": "false"}),
        ("index", {"sparse": "false"}),
        *((who, {"name": name, "email": email}) for who in ("user", "author", "committer")),
        ("commit", {"gpgSign": "false"}),
        ("credential", {"helper": ""}),
        ("gc", {"auto": "0"}),
        ("maintenance", {"auto": "false"}),
        ("push", {"default": "nothing"}),
        ("protocol", {"allow": "never"}),
        *((f'protocol "{name}"', {"allow": "never"}) for name in REMOTE_PROTOCOLS),
    ]
    lines: list[str] = []
    for section, settings in sections:
        lines.append(f"[{section}]")
        lines.extend(f"\t{key} = {quote_config(value)}" for key, value in settings.items())
    return "\n".join(lines) + "\n"


def quote_config(value: str) -> str:
    """Return a value in double quotes, with backslashes and quotes escaped, for git's configuration files."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(text: str) -> str:
    return _CONTROL.sub("?", text)


def _write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    fresh.replace(path)
