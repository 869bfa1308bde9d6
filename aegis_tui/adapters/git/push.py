"""Pushes for a person: with their configuration, hooks and credentials, in their terminal (GIT-6).

The only code that starts git so: all other code runs it without hooks and without questions (`run.GitRunner`).
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
from pathlib import Path

from aegis_tui.adapters.git.environment import outside_environment
from aegis_tui.errors import GitError, GitUnavailable, UsageError
from aegis_tui.ports.push import PushPlan

_log = logging.getLogger(__name__)

_ASK_S = 120.0
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class GitPusher:
    """Implements `Pusher`.

    Args:
        root: The person's checkout.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def plan(self, source: str, remote: str | None, branch: str | None) -> PushPlan:
        """Ask the remote and return what a push would do; blocking, and git may ask the person for credentials.

        Args:
            source: A run's branch or any commit.
            remote: Its name; None for the one that git itself would push to, else the only one, else `origin`.
            branch: The short name of the branch on the remote; None for the name of `source`, which has to be a branch.

        Raises:
            UsageError: There is no such commit or remote, none is named and none is obvious, the name of the branch is
                not valid, or there is none.
            GitError: The remote cannot be asked, or not within two minutes, or git fails.
            GitUnavailable: git is missing.
            OSError: git cannot be started for another reason.
        """
        oid = self._commit(source)
        if branch is None and not self._lines("for-each-ref", f"refs/heads/{source}"):
            raise UsageError(
                f"{source} is not a branch, so the name on the remote is not known", "name one: --to BRANCH"
            )
        branch = branch or source
        name = remote or self._usual_remote()
        if name not in (remotes := self._lines("remote")):
            raise UsageError(f"there is no remote {name}", f"the remotes are: {', '.join(remotes) or 'none'}")
        if self._git("check-ref-format", f"refs/heads/{branch}", ok=(0, 1, 128)).returncode:
            raise UsageError(f"{branch} is not a valid branch name", "name another: --to BRANCH")
        old_oid = self._stands(name, branch)
        known = [line for line in self._lines("for-each-ref", "--format=%(objectname)", f"refs/remotes/{name}") if line]
        fresh = self._lines("log", "--topo-order", "--format=%H %s", oid, "--not", *known)
        commits = tuple((line.partition(" ")[0], line.partition(" ")[2]) for line in fresh)
        base = self._lines("rev-parse", "--verify", "--quiet", f"{commits[-1][0]}^", ok=(0, 1, 128)) if commits else []
        return PushPlan(
            remote=name,
            url=", ".join(map(without_password, self._lines("remote", "get-url", "--push", "--all", name))),
            branch=branch,
            oid=oid,
            old_oid=old_oid,
            base_oid=next(iter(base), None),
            commits=commits,
            is_fast_forward=old_oid is None or self._contains(oid, old_oid),
        )

    def push(self, plan: PushPlan) -> None:
        """Push the commit of a plan, never by force; blocking. Hooks run, and git's messages go to the terminal.

        Raises:
            GitError: The remote or a hook refuses.
            OSError: git cannot be started.
        """
        # Without force git refuses what is no fast forward, also if the branch was moved since the remote was asked.
        options = ["--no-follow-tags", "--recurse-submodules=no", "--no-force"]
        argv = ["push", *options, "--", plan.remote, f"{plan.oid}:refs/heads/{plan.branch}"]
        _log.info("push", extra={"remote": plan.remote, "branch": plan.branch, "oid": plan.oid})
        done = subprocess.run(["git", *argv], cwd=self._root, env=outside_environment(os.environ), check=False)
        if done.returncode:
            raise GitError(
                f"git push to {plan.remote} failed with exit code {done.returncode}", "git's own message is above"
            )

    def _commit(self, source: str) -> str:
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{source}^{{commit}}")
        oids = self._lines(*asked, ok=(0, 1, 128))
        if not oids:
            raise UsageError(f"there is no commit {source}", "name a run, a branch or a commit")
        return oids[0]

    def _usual_remote(self) -> str:
        """Return the remote that git itself would push to, else the only one, else `origin`.

        Raises:
            UsageError: There is none, or several and none of these.
        """
        branch = next(iter(self._lines("symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1, 128))), "")
        for key in (f"branch.{branch}.pushRemote", "remote.pushDefault", f"branch.{branch}.remote"):
            if value := next(iter(self._lines("config", "--get", key, ok=(0, 1))), ""):
                return value
        remotes = self._lines("remote")
        if len(remotes) == 1:
            return remotes[0]
        if "origin" in remotes:
            return "origin"
        hint = f"name one: --remote NAME ({', '.join(remotes)})" if remotes else "add one: git remote add origin URL"
        raise UsageError("no remote is named, and git does not say which one to use", hint)

    def _stands(self, remote: str, branch: str) -> str | None:
        listed = self._git("ls-remote", "--quiet", "--", remote, f"refs/heads/{branch}")
        oid = listed.stdout.split("\t")[0].strip()
        return oid if _OID.fullmatch(oid) else None

    def _contains(self, oid: str, older: str) -> bool:
        return self._git("merge-base", "--is-ancestor", older, oid, ok=(0, 1, 128)).returncode == 0

    def _lines(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> list[str]:
        return self._git(*arguments, ok=ok).stdout.splitlines()

    def _git(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run git and return its exit code, which is one of `ok`, and its output as text.

        Its questions go to the terminal, and so do its messages, unless `ok` has several codes: then they are dropped.

        Raises:
            GitError: It exits with another code, or takes more than two minutes.
            GitUnavailable: It is missing.
            OSError: It cannot be started for another reason.
        """
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=self._root,
                env=outside_environment(os.environ),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if len(ok) > 1 else None,
                timeout=_ASK_S,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise GitUnavailable("git is not installed", "install git 2.38 or newer") from error
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {arguments[0]} took more than {_ASK_S:g} s", "check the remote") from error
        if done.returncode not in ok:
            raise GitError(f"git {arguments[0]} failed with exit code {done.returncode}", "git's own message is above")
        return done


def without_password(url: str) -> str:
    """Return a URL without the password in it, and without a user name that may be a token."""
    return re.sub(r"^([a-z][a-z0-9+.-]*://)[^/@\s]*@", r"\1", url)
