"""The demo's sample repository and scenarios: files in this package, and how they become a real git repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from aegis_tui.errors import GitError, GitUnavailable, UsageError

SAMPLE = Path(__file__).parent / "sample"
COMMIT_DATE = "2026-01-05T09:00:00+00:00"
PERSON = ("Sam Sample", "sam@example.invalid")
_GIT_DEADLINE_S = 30.0


def scenario_names() -> list[str]:
    """Return the names of the scenarios that come with the program, `default` first."""
    names = sorted(path.name for path in (SAMPLE / "scenarios").iterdir() if (path / "design.yaml").exists())
    return sorted(names, key=lambda name: name != "default")


def scenario_directory(name: str) -> Path:
    """Return the folder of a scenario: ``design.yaml``, ``gates.yaml`` and a script for each instance.

    Raises:
        UsageError: There is no scenario of that name.
    """
    if name not in scenario_names():
        raise UsageError(f"there is no scenario {name}", f"the scenarios are: {', '.join(scenario_names())}")
    return SAMPLE / "scenarios" / name


def create_sample_repository(directory: Path) -> str:
    """Create the sample repository in a new or empty folder, with one commit on `main`; blocking.

    Author, dates and content are fixed, so the commit is the same everywhere. The identity is in the repository's own
    configuration; the person's configuration is neither read nor changed.

    Args:
        directory: The folder; it is created with its parents if it does not exist.

    Returns:
        The commit's object id.

    Raises:
        UsageError: The folder is not empty.
        GitUnavailable: git is not on the path.
        GitError: git failed.
    """
    if directory.exists() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty", "name a new folder")
    shutil.copytree(
        SAMPLE / "repo", directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*_cache")
    )
    git_in_sample(directory, "init", "--quiet", "--initial-branch=main", "--template=")
    for key, value in (("user.name", PERSON[0]), ("user.email", PERSON[1]), ("commit.gpgSign", "false")):
        git_in_sample(directory, "config", key, value)
    git_in_sample(directory, "add", "--all")
    git_in_sample(directory, "commit", "--quiet", "--message", "feat: a small shop behind an HTTP interface")
    return git_in_sample(directory, "rev-parse", "HEAD").strip()


def git_in_sample(directory: Path, *arguments: str) -> str:
    """Run git in a sample repository without the person's configuration and hooks; return its standard output.

    Raises:
        GitUnavailable: git is not on the path.
        GitError: git failed or took too long.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_DATE": COMMIT_DATE,
        "GIT_COMMITTER_DATE": COMMIT_DATE,
    }
    argv = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", *arguments]
    try:
        done = subprocess.run(
            argv, cwd=directory, env=environment, capture_output=True, text=True, timeout=_GIT_DEADLINE_S, check=False
        )
    except FileNotFoundError as error:
        raise GitUnavailable("git is not installed", "install git 2.38 or newer") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {arguments[0]} did not end within {_GIT_DEADLINE_S:g} s") from error
    if done.returncode:
        raise GitError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
