"""What varies is added in few places: five fictional parts, each by at most three files, work in a copy of the package.

The parts are rows of the table "How to add" in docs/architecture.md: an agent kind, a detector of QA commands, a lens
of review, an event and a command.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_FILES = 3


class Edit(NamedTuple):
    """A text of a file, and what takes its place."""

    old: str
    new: str


Part = Mapping[str, str | Edit | tuple[Edit, ...]]
"""File, by its path in the scratch folder -> its whole text, or what is changed in it."""

KIND: Part = {
    "parrot.py": """
class Parrot:
    def argv(self, launch):
        return ["parrot", "--speak-to", launch.hub_url]

    def environment(self, launch):
        return {"PARROT_GATEWAY": launch.gateway_url}
""",
    "parrot.toml": 'title = "a parrot"\nprograms = ["sh"]\n',
    "parrot-1.0.dist-info/entry_points.txt": "[aegis_tui.agent_kinds]\nparrot = parrot:Parrot\n",
}
DETECTOR: Part = {
    "aegis_tui/domain/qa/detectors/zig.py": '''
class ZigDetector:
    """Finds the tests of a Zig project."""

    name = "zig"

    def wants(self, path):
        return path == "build.zig"

    def commands(self, files, read):
        if "addTest" in read("build.zig"):
            yield "zig build test"
''',
    "aegis_tui/domain/qa/detectors/__init__.py": (
        Edit(
            "import PythonDetector\n",
            "import PythonDetector\nfrom aegis_tui.domain.qa.detectors.zig import ZigDetector\n",
        ),
        Edit("    PythonDetector(),\n", "    PythonDetector(),\n    ZigDetector(),\n"),
    ),
}
LENS: Part = {
    "aegis_tui/adapters/lenses/accessibility.md": "---\nname: accessibility\ndescription: Keys, contrast, names.\n---\n"
    "- keys: everything can be reached without a mouse\n",
}
EVENT: Part = {
    "aegis_tui/domain/message/events.py": Edit(
        "MessageEvent = MessageSent",
        '''class MessagePinned(EventData):
    """Somebody wants a message to be seen by all."""

    type: Literal["message:pinned"] = "message:pinned"
    of: int


MessageEvent = MessagePinned | MessageSent''',
    ),
    "aegis_tui/domain/message/board.py": (
        Edit("import Broadcast, CodeWritten,", "import MessagePinned, Broadcast, CodeWritten,"),
        Edit(
            "            case Broadcast():\n",
            '            case MessagePinned():\n                return frozenset({("message", agent_id)})\n'
            "            case Broadcast():\n",
        ),
    ),
    "aegis_tui/domain/words.py": (
        Edit("import Broadcast, CodeWritten,", "import MessagePinned, Broadcast, CodeWritten,"),
        Edit(
            "    MessageAcked: _acked",
            '    MessagePinned: lambda data: f"pinned message #{data.of}",\n    MessageAcked: _acked',
        ),
    ),
}
COMMAND: Part = {
    "aegis_tui/domain/message/commands.py": (
        Edit(
            "MessageClientCommand = ",
            '''class MessagePin(CommandData):
    """Let all see a message."""

    type: Literal["message:pin"] = "message:pin"
    of: Count


MessageClientCommand = MessagePin | ''',
        ),
    ),
    "aegis_tui/domain/message/rules.py": (
        Edit("import Ack, BroadcastSend,", "import MessagePin, Ack, BroadcastSend,"),
        Edit("import Broadcast, CodeWritten,", "import MessagePinned, Broadcast, CodeWritten,"),
        Edit(
            "RULES: Final",
            '''def pin(workspace: Workspace, command: MessagePin, actor: Actor, request_id: str) -> Decision:
    """Pin what is there."""
    return Decision([(actor.agent_id, MessagePinned(of=command.of))])


RULES: Final''',
        ),
        Edit("        Ack: ack,\n", "        Ack: ack,\n        MessagePin: pin,\n"),
    ),
    "aegis_tui/domain/rights.py": Edit(
        '        "message:read": _EVERYBODY,\n',
        '        "message:read": _EVERYBODY,\n        "message:pin": _PERSON,\n',
    ),
}
PARTS = {"agent kind": KIND, "detector": DETECTOR, "lens": LENS, "event": EVENT, "command": COMMAND}

USE = """
import json
from pathlib import Path

from aegis_tui.adapters.agents.installed import check_kind, describe_kinds, find_kind
from aegis_tui.adapters.lens_files import find_lens
from aegis_tui.domain import command as commands
from aegis_tui.domain.core import THE_PERSON, Workspace, evolve, execute
from aegis_tui.domain.event import event_from_wire, event_to_wire
from aegis_tui.domain.qa.detectors import detect_qa, wanted_files
from aegis_tui.domain.review.lens import GENERAL
from aegis_tui.domain.words import WORDS
from aegis_tui.hub.schema import asyncapi
from aegis_tui.ports.agent_kind import Launch
from tests.domain.review.test_lens import Bench
from tests.domain.totality import gaps

place = Path("/nowhere")
sockets = ("unix:/s/hub.sock", "http+unix:/s/g.sock")
launch = Launch("w01", "worker", place, place, *sockets, place, place, place, place, None)
check_kind("parrot")
kind = find_kind("parrot")

lens = find_lens(place, "accessibility")
bench = Bench(GENERAL, lens)
bench.judge("general")
before = bench.stands()
bench.judge("accessibility")

workspace = Workspace()
pin = commands.parse_command({"type": "message:pin", "of": 4})
done = execute(workspace, pin, actor=THE_PERSON, request_id="r", now=0.0, timestamp="2026-01-01T00:00:00Z")
(event,) = done.events
again = event_from_wire(event_to_wire(event))
texts = {"build.zig": "b.addTest()"}

print(json.dumps({
    "kinds": [[item.name, item.title] for item in describe_kinds()],
    "argv": kind.argv(launch),
    "environment": kind.environment(launch),
    "wanted": wanted_files([*texts, "README"]),
    "checks": detect_qa([*texts, "README"], lambda name: texts.get(name, "")),
    "before": before,
    "after": bench.stands(),
    "brief": lens.brief,
    "event": [event.type, WORDS[type(event.data)](again.data)],
    "keys": sorted(evolve(Workspace(), again)),
    "schemas": sorted({"MessagePin", "MessagePinned"} & set(asyncapi()["components"]["schemas"])),
    "gaps": gaps(),
}))
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the package that has all five parts does with them."""
    folder = tmp_path_factory.mktemp("seams")
    shutil.copytree(ROOT / "aegis_tui", folder / "aegis_tui", ignore=shutil.ignore_patterns("tui", "__pycache__"))
    for part in PARTS.values():
        for name, change in part.items():
            put(folder / name, change)
    (folder / "parrot-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot\nVersion: 1.0\n")
    done = subprocess.run(
        [sys.executable, "-c", USE],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def put(file: Path, change: str | Edit | tuple[Edit, ...]) -> None:
    """Write a new file, or change one that is there."""
    if isinstance(change, str):
        assert not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(change, "utf-8")
        return
    for edit in (change,) if isinstance(change, Edit) else change:
        text = file.read_text("utf-8")
        assert text.count(edit.old) == 1, f"{file.name}: {edit.old}"
        file.write_text(text.replace(edit.old, edit.new), "utf-8")


@pytest.mark.parametrize("name", PARTS)
def test_a_part_touches_few_files(name: str) -> None:
    assert len(PARTS[name]) <= MOST_FILES


def test_an_agent_kind_is_found_described_and_started(used: dict[str, Any]) -> None:
    assert ["parrot", "a parrot"] in used["kinds"]
    assert used["argv"] == ["parrot", "--speak-to", "unix:/s/hub.sock"]
    assert used["environment"] == {"PARROT_GATEWAY": "http+unix:/s/g.sock"}


def test_a_detector_is_asked_and_gets_the_file_that_it_wants(used: dict[str, Any]) -> None:
    assert used["wanted"] == ["build.zig"]
    assert used["checks"] == ["zig build test"]


def test_a_piece_is_merged_only_when_the_new_lens_approves_it(used: dict[str, Any]) -> None:
    assert (used["before"], used["after"]) == ("reviewing", "accepted")
    assert "without a mouse" in used["brief"]


def test_a_command_is_carried_out_as_an_event_that_is_logged_folded_worded_and_documented(used: dict[str, Any]) -> None:
    assert used["event"] == ["message:pinned", "pinned message #4"]
    assert used["keys"] == [["message", "person"]]
    assert used["schemas"] == ["MessagePin", "MessagePinned"]
    assert used["gaps"] == []
