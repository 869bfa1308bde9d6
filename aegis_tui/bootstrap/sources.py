"""Asks what the pane of an instance says about its state: its process, title and screen (PANE-5)."""

from __future__ import annotations

import asyncio
import os

from aegis_tui.adapters.agents.installed import find_screen_rules
from aegis_tui.adapters.process_usage import find_usage
from aegis_tui.bootstrap.panes import terminal_of
from aegis_tui.domain.count import counted
from aegis_tui.domain.hosting.screen_rule import read_screen
from aegis_tui.domain.instance.belief import SourceReading
from aegis_tui.domain.instance.model import Instance, Phase
from aegis_tui.errors import AegisError, TerminalUnavailable
from aegis_tui.orchestrator.last_screen import plain_lines
from aegis_tui.ports.terminal import PaneState, Terminal
from aegis_tui.sdk.discovery import WorkspacePaths

_MIB = 1024 * 1024


def read_sources(paths: WorkspacePaths, item: Instance) -> list[SourceReading]:
    """Return what the process, title and screen of an instance say now. Starts an event loop of its own.

    Empty for an instance that has ended, has no pane yet, or runs in a terminal of the person. Never raises an
    `AegisError`: a tmux that does not answer is a source that is silent.
    """
    if item.phase not in (Phase.LAUNCHED, Phase.JOINED) or not item.pane:
        return []
    return asyncio.run(_readings(terminal_of(paths, os.environ), paths.key, item))


async def _readings(terminal: Terminal, key: str, item: Instance) -> list[SourceReading]:
    try:
        pane = await terminal.find_pane(item.instance_id)
        shots = await terminal.capture([pane.pane_id]) if pane else {}
    except TerminalUnavailable:
        return [SourceReading("process", "ended", "the tmux server with its pane is not running")]
    except AegisError as error:
        return [SourceReading("process", None, error.message)]
    finally:
        await terminal.close()
    process = _of_process(pane, await asyncio.to_thread(_usage_words, key, item, pane))
    rules = find_screen_rules(item.kind)
    if pane is None or not rules.rules or pane.pane_id not in shots:
        return [process]
    shown = read_screen(rules, pane.title, plain_lines(shots[pane.pane_id].lines))
    if shown is None:
        return [process, SourceReading("screen", None, "it shows nothing that a rule of its kind recognizes")]
    return [process, SourceReading(shown.source, shown.state, shown.evidence)]


def _usage_words(key: str, item: Instance, pane: PaneState | None) -> str:
    """Return what the processes of an instance use, as the end of a sentence; empty if none of them is alive."""
    usage = None if pane is None or pane.dead else find_usage(pane.pid, (item.instance_id, key))
    if usage is None:
        return ""
    size = f"{usage.memory_bytes / _MIB:.0f} MiB"
    return f"; {counted(usage.processes, 'process', 'processes')} with {size}, {usage.cpu_s:.1f} s of processor time"


def _of_process(pane: PaneState | None, usage: str) -> SourceReading:
    if pane is None:
        return SourceReading("process", "ended", "its pane is gone")
    if not pane.dead:
        return SourceReading("process", "running", f"process {pane.pid} of its pane is running{usage}")
    how = f"signal {pane.exit_signal}" if pane.exit_signal is not None else f"status {pane.exit_status}"
    return SourceReading("process", "ended", f"the process of its pane has ended with {how}")
