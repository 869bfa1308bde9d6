"""Finds why bubblewrap does not start here and what would help, from its messages and the kernel's settings.

Sources: the messages of bubblewrap 0.4 to 0.11, user_namespaces(7), Ubuntu's notes on restricted user namespaces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

INSTALL = "install bubblewrap (apt install bubblewrap, dnf install bubblewrap), or use --sandbox auto"
_OTHERWISE = ", or use --sandbox auto"
_PROFILE = (
    "let AppArmor allow it: echo 'abi <abi/4.0>, profile bwrap {bwrap} flags=(unconfined) {{ userns, }}' "
    "| sudo tee /etc/apparmor.d/bwrap && sudo apparmor_parser -r /etc/apparmor.d/bwrap"
)
_CONTAINER = (
    "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined"
)


@dataclass(frozen=True)
class Kernel:
    """The settings that decide whether a program without root rights may create namespaces."""

    max_namespaces: int | None = None
    """`user.max_user_namespaces`; None if the kernel was built without user namespaces."""
    unprivileged: bool = True
    """False if `kernel.unprivileged_userns_clone` is 0 (Debian)."""
    apparmor: bool = False
    """True if `kernel.apparmor_restrict_unprivileged_userns` is 1 (Ubuntu 23.10 and later)."""
    is_container: bool = False


def read_kernel(root: Path = Path("/")) -> Kernel:
    """Return the kernel's settings of this machine; one that cannot be read counts as not set.

    Args:
        root: The folder to read them below.
    """
    settings = root / "proc" / "sys"
    limit = _number(settings / "user" / "max_user_namespaces")
    marks = (root / ".dockerenv", root / "run" / ".containerenv")
    return Kernel(
        max_namespaces=limit,
        unprivileged=_number(settings / "kernel" / "unprivileged_userns_clone") != 0,
        apparmor=_number(settings / "kernel" / "apparmor_restrict_unprivileged_userns") == 1,
        is_container=any(mark.exists() for mark in marks),
    )


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return None


def first_words(errors: str, status: int) -> str:
    """Return in one line why bubblewrap failed: its first message, or its exit status if it wrote nothing.

    Args:
        errors: What was written to stderr; the first line is used if none begins with `bwrap:`.
        status: The exit status.
    """
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("bwrap:")]
    return next(iter([*own, *lines]), f"it ended with status {status} and printed nothing")


def remedy_for(words: str, kernel: Kernel, bwrap: str) -> str:
    """Return, in one line, what a person can do so that bubblewrap works.

    Args:
        words: The message of bubblewrap.
        kernel: The settings of the machine.
        bwrap: The path of bubblewrap.
    """
    if re.search(r"Unexpected capabilities but not setuid", words):
        return f"remove its file capabilities: sudo setcap -r {bwrap}" + _OTHERWISE
    if re.search(r"Unknown option|requires? .*newer", words):
        return "install bubblewrap 0.4 or later" + _OTHERWISE
    if re.search(r"error while loading shared libraries|Exec format|cannot execute", words):
        return f"install bubblewrap again: {bwrap} cannot be started" + _OTHERWISE
    if kernel.max_namespaces == 0 or "exceeded (ENOSPC)" in words or "No space left on device" in words:
        return "allow user namespaces: sudo sysctl -w user.max_user_namespaces=15000" + _OTHERWISE
    if not kernel.unprivileged:
        return "allow user namespaces: sudo sysctl -w kernel.unprivileged_userns_clone=1" + _OTHERWISE
    if kernel.apparmor and re.search(r"ermission denied|not permitted|No permissions", words):
        return _PROFILE.format(bwrap=bwrap) + _OTHERWISE
    if kernel.is_container:
        return _CONTAINER + _OTHERWISE
    if kernel.max_namespaces is None:
        return f"this kernel has no user namespaces: sudo chmod u+s {bwrap}" + _OTHERWISE
    if re.search(r"No permissions to create|not permitted|ermission denied", words):
        return "a security module or a seccomp filter refuses namespaces: look at `sudo dmesg | tail`" + _OTHERWISE
    return f"try it by hand: {bwrap} --unshare-all --ro-bind / / true" + _OTHERWISE
