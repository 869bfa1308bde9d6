"""Why bubblewrap does not start: its own words, and the step that fits the cause (SEC-1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.adapters.sandbox.remedy import Kernel, read_kernel, remedy_for
from aegis_tui.errors import SandboxUnavailable

OFF = (
    "bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user "
    "namespaces. See <https://deb.li/bubblewrap>."
)
REFUSED = "bwrap: Creating new namespace failed: Operation not permitted"
SPENT = "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)"
UID_MAP = "bwrap: setting up uid map: Permission denied"
CAPABILITIES = "bwrap: Unexpected capabilities but not setuid, old file caps config?"
USUAL = Kernel(max_namespaces=1000)


@pytest.mark.parametrize(
    ("words", "kernel", "step"),
    [
        (SPENT, USUAL, "sysctl -w user.max_user_namespaces="),
        (REFUSED, Kernel(max_namespaces=0), "sysctl -w user.max_user_namespaces="),
        (OFF, Kernel(max_namespaces=1000, unprivileged=False), "sysctl -w kernel.unprivileged_userns_clone=1"),
        (UID_MAP, Kernel(max_namespaces=1000, apparmor=True), "/etc/apparmor.d/bwrap"),
        (REFUSED, Kernel(max_namespaces=1000, is_container=True), "--security-opt seccomp=unconfined"),
        (OFF, Kernel(), "chmod u+s /usr/bin/bwrap"),
        (CAPABILITIES, USUAL, "setcap -r /usr/bin/bwrap"),
        (REFUSED, USUAL, "dmesg"),
        ("bwrap: Unknown option --cap-drop", USUAL, "bubblewrap 0.4"),
        ("bwrap: error while loading shared libraries: libcap.so.2", USUAL, "install bubblewrap again"),
        ("bwrap: Can't mount proc on /newroot/proc: Invalid argument", USUAL, "--unshare-all --ro-bind / / true"),
    ],
)
def test_each_cause_has_its_own_remedy(words: str, kernel: Kernel, step: str) -> None:
    remedy = remedy_for(words, kernel, "/usr/bin/bwrap")
    assert step in remedy
    assert remedy.endswith("or use --sandbox auto")
    assert "apt install" not in remedy


def test_the_kernel_is_read_from_its_files(tmp_path: Path) -> None:
    assert read_kernel(tmp_path) == Kernel()
    for name, value in (
        ("user/max_user_namespaces", "0"),
        ("kernel/unprivileged_userns_clone", "0"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1"),
    ):
        path = tmp_path / "proc" / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    (tmp_path / ".dockerenv").touch()
    assert read_kernel(tmp_path) == Kernel(0, unprivileged=False, apparmor=True, is_container=True)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"[ $1 = --version ] && echo bubblewrap 0.8.0 && exit; echo noise >&2; echo '{SPENT}' >&2; exit 1", SPENT),
        (f"echo '{CAPABILITIES}' >&2; exit 1", CAPABILITIES),
        ("exit 3", "it ended with status 3 and printed nothing"),
    ],
)
def test_strict_names_the_cause_in_the_words_of_bubblewrap(tmp_path: Path, script: str, words: str) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    sandbox = BubblewrapSandbox({"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)})
    report = asyncio.run(sandbox.probe())
    with pytest.raises(SandboxUnavailable) as caught:
        sandbox.choose("strict", report)
    assert words in caught.value.message
    assert "apt install" not in caught.value.hint
