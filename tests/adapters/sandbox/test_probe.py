"""The probe tries to get out of the sandbox itself, and believes only what was prevented."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from aegis_tui.adapters.sandbox.bubblewrap import BubblewrapSandbox
from aegis_tui.errors import SandboxUnavailable
from aegis_tui.ports.sandbox import SandboxLevel, SandboxReport, SandboxSpec
from tests.adapters.sandbox.lab import needs_bwrap


@needs_bwrap
def test_the_probe_finds_that_everything_holds_and_asks_only_once() -> None:
    async def twice() -> tuple[SandboxReport, SandboxReport]:
        sandbox = BubblewrapSandbox()
        first, second = await asyncio.gather(sandbox.probe(), sandbox.probe())
        return first, second

    first, second = asyncio.run(twice())
    assert first is second
    assert first.level is SandboxLevel.BUBBLEWRAP
    assert first.layers["filesystem"].startswith("bubblewrap ")
    assert (first.layers["network"], first.layers["processes"]) == ("own namespace", "own namespace")
    assert BubblewrapSandbox().choose("strict", first) is SandboxLevel.BUBBLEWRAP
    assert BubblewrapSandbox().choose("off", first) is SandboxLevel.NONE


def test_strict_without_bubblewrap_says_how_to_install_it(tmp_path: Path) -> None:
    sandbox = BubblewrapSandbox({"PATH": str(tmp_path), "HOME": str(tmp_path)})
    report = asyncio.run(sandbox.probe())

    assert report.level is SandboxLevel.NONE
    assert report.layers["filesystem"] == "none: bubblewrap is not installed"
    assert sandbox.choose("auto", report) is SandboxLevel.NONE
    with pytest.raises(SandboxUnavailable) as caught:
        sandbox.choose("strict", report)
    assert caught.value.exit_code == 5
    assert "apt install bubblewrap" in caught.value.hint
    spec = SandboxSpec(worktree=tmp_path, cwd=tmp_path)
    assert sandbox.wrap(["true"], spec, SandboxLevel.NONE) == ["true"]


@pytest.mark.boundary(
    layer="namespace",
    tried="a bubblewrap that lets everything through, or fails",
    refused="the probe tries to break out, and reports that the sandbox does not protect",
)
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", "setting up uid map: Permission denied"),
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "a write outside the worktree was possible"),
    ],
    ids=["one that fails", "one that holds nothing"],
)
def test_a_sandbox_that_does_not_hold_is_not_believed(tmp_path: Path, script: str, reason: str) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo fake 1 && exit 0\n{script}\n', encoding="utf-8")
    fake.chmod(0o755)
    sandbox = BubblewrapSandbox({"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)})
    report = asyncio.run(sandbox.probe())

    assert report.level is SandboxLevel.NONE
    assert reason in report.layers["filesystem"]


LEAKY = """#!/bin/sh
number=$#
while [ $number -gt 0 ]; do
    word=$1; shift; number=$((number - 1))
    [ "$word" != --chdir ] || set -- "$@" {more}
    set -- "$@" "$word"
done
exec {bwrap} "$@"
"""
"""A sandbox program that passes everything on to the real one, and opens one hole."""


@pytest.mark.boundary(
    layer="namespace",
    tried="a sandbox program that leaves one hole: the network, a file that is not shown, the socket of a server",
    refused="the probe reads, connects and writes itself, and reports what was possible",
)
@needs_bwrap
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("--share-net", "a connection to another port was possible"),
        ("--ro-bind {folder}/secret {folder}/secret", "a hidden file could be read"),
        ("--ro-bind {folder}/socket {folder}/socket", "a connection to a socket of this machine was possible"),
    ],
)
def test_one_hole_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, reason: str) -> None:
    (tmp_path / "bin").mkdir()  # what lies in a folder of PATH is shown
    long = tmp_path / ("tmp" * 40)  # longer than the path of a socket may be
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    fake = tmp_path / "bin" / "bwrap"
    folder = f"{long}/aegis-probe-{os.getpid()}-*"
    fake.write_text(LEAKY.format(more=more.format(folder=folder), bwrap=shutil.which("bwrap")), encoding="utf-8")
    fake.chmod(0o755)
    report = asyncio.run(BubblewrapSandbox({**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}).probe())

    assert report.level is SandboxLevel.NONE
    assert reason in report.layers["filesystem"]
    assert list(long.iterdir()) == []


@needs_bwrap
def test_without_a_temporary_folder_nothing_is_said_of_the_sandbox_until_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def both() -> tuple[SandboxUnavailable, SandboxReport]:
        sandbox = BubblewrapSandbox()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(SandboxUnavailable) as caught:
            await sandbox.probe()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return caught.value, await sandbox.probe()

    error, report = asyncio.run(both())
    assert error.message == "the sandbox cannot be tried: No such file or directory"
    assert "TMPDIR" in error.hint
    assert report.level is SandboxLevel.BUBBLEWRAP


def test_on_macos_it_is_said_that_there_is_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = BubblewrapSandbox()
    monkeypatch.setattr("sys.platform", "darwin")
    report = asyncio.run(sandbox.probe())
    assert report.level is SandboxLevel.NONE
    assert report.layers["filesystem"] == "none: there is none for macOS yet (sandbox-exec is not used)"
    with pytest.raises(SandboxUnavailable, match="sandbox-exec is not used") as caught:
        sandbox.choose("strict", report)
    assert caught.value.hint == "use a Linux machine or VM"
