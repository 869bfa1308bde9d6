"""Commands about specs, in the order in which they make sense; their output is frozen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from aegis_tui.sdk.quick import HubQuick

WHOLE = """\
id: whole
version: 1.0.0
priority: high
status: draft
diffPath: .agents/diffs/whole.diff
error: e
result: aegis/run1/result 0123456789
dependencies: [other]
agents: [native]
assignedAgent: NATIVE-w01
metadata:
  title: t
  description: d
  author: a
  createdAt: "2026-11-30T00:00:00Z"
  updatedAt: "2026-11-30T00:00:00Z"
  tags: [x]
  estimatedDuration: 1h
context:
  files: [a.py]
  dependencies: [httpx]
  env_vars: [HOME]
requirements:
  - {id: R1, description: d, acceptanceCriteria: [works]}
tasks:
  - {id: T1, title: t, files: [a.py]}
  - {id: T2, title: t, dependencies: [T1]}
progress: {total: 2, pending: 2}
changeLog:
  - {timestamp: "2026-11-30T00:00:00Z", author: a, change: written}
"""


def write_specs(ask: Callable[..., Any]) -> None:
    """Every field of a spec, a new one, and one that is none."""
    ask("spec", "new", "Add a discount")
    folder = Path(".agents/specs/active")
    Path("issue.md").write_text("# Add a search\n")
    ask("spec", "import", "issue.md")
    Path("issue.md").unlink()
    (folder / "whole.yaml").write_text(WHOLE)
    ask("spec", "show", "whole")
    ask("spec", "approve", "whole")
    ask("spec", "validate")
    ask("spec", "schema")
    (folder / "bad.yaml").write_text("id: bad\n")
    ask("spec", "list")
    ask("spec", "validate", ends="a file is no spec")
    shutil.rmtree(".agents")


def ping_specs(ask: Callable[..., Any]) -> None:
    """What a whole hub would find."""
    seen = {"spec_id": "whole", "status": "approved", "title": "t", "run": None}
    found = {"specs": [seen], "problems": [{"spec": "bad", "reason": "it is no spec"}]}
    with mock.patch.object(HubQuick, "reply", lambda *_, **__: found):
        ask("spec", "ping", "whole")
        ask("spec", "rescan")


def direct_by_hand(ask: Callable[..., Any], instance: str) -> None:
    """A task, a part of it for an instance, an event for all, and the end of the instance."""
    ask("new", "--title", "Add a search page")
    ask("assign", "--instance", instance, "--subtask", "Build the form")
    ask("broadcast", "note:hello", "--data", "{}")
    ask("stop", instance)
    shutil.rmtree(".agents/specs")
