"""Scenarios of the scripted model server: what the model replies, and which replies wait at a gate (contract 8).

A scenario is a folder of ``NAME.json`` files. A conversation names its script by ``[[script:NAME]]`` in a user message,
or else in a system message, and by ``[[cwd:/path]]`` in a user message the folder that relative paths are in. The next
step depends only on the conversation, so that one server without state can serve many agents. This module only reads
files and chooses replies; the server is `scripted_llm`. A step may name a tool in the way of one agent program or, by
`portable_tools`, of all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from aegis_tui.domain.model import FrozenModel
from aegis_tui.errors import UsageError
from aegis_tui.testing.portable_tools import check_call

MARKER = re.compile(r"\[\[script:([A-Za-z0-9_][A-Za-z0-9_.-]*)\]\]")
FOLDER_MARKER = re.compile(r"\[\[cwd:(/.*?)\]\](?!\])")
Message = Mapping[str, Any]


class PlannedCall(FrozenModel):
    """One tool call of the scripted model."""

    tool: str
    args: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_callable(self) -> Self:
        check_call(self.tool, self.args)
        return self


class Step(FrozenModel):
    """One reply of the model: one call, several calls, or text."""

    tool: str | None = None
    """The tool of a reply with one call, as the client names it or by a portable name; its arguments are in `args`."""
    args: dict[str, Any] = Field(default_factory=dict)
    calls: tuple[PlannedCall, ...] = ()
    """Several calls in one reply, instead of `tool`."""
    text: str | None = None
    """A reply without a call."""
    say: str = ""
    """Text before the calls of the same reply."""
    gate: str | None = None
    """The reply is held until this gate is open."""
    pace: float | None = Field(default=None, gt=0)
    """Tokens per second of the stream."""

    @model_validator(mode="after")
    def _is_one_of_three(self) -> Self:
        if [self.tool is not None, bool(self.calls), self.text is not None].count(True) != 1:
            raise ValueError("a step has exactly one of tool, calls and text")
        if self.args and self.tool is None:
            raise ValueError("args need a tool")
        if self.tool is not None:
            check_call(self.tool, self.args)
        return self

    @property
    def tool_calls(self) -> tuple[PlannedCall, ...]:
        """The calls of the reply, in order; empty for text."""
        return (PlannedCall(tool=self.tool, args=self.args),) if self.tool is not None else self.calls

    @property
    def content(self) -> str:
        """The text of the reply; for a reply with calls, the text before them."""
        return self.text if self.text is not None else self.say


class Section(FrozenModel):
    """Steps that begin after a message: the one with the script's marker, or the last one that `on` matches."""

    steps: tuple[Step, ...] = Field(min_length=1)
    side: str | None = None
    """The reply to a request without tools, such as one for a title."""
    by_turn: bool = False
    """Whether steps are counted by the model's replies instead of tool results; for programs with their own tools."""
    on: str | None = None
    """Regular expression, searched in user and tool messages."""
    on_role: Literal["any", "user", "tool"] = "any"
    """Which messages `on` is searched in."""
    gate: str | None = None
    """The first reply of the section is held until this gate is open."""
    pace: float | None = Field(default=None, gt=0)
    """Tokens per second for steps that set no pace."""

    @field_validator("on")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"on is not a regular expression: {error}") from error
        return value

    def starts_at(self, message: Message) -> bool:
        """Return whether `on` matches this message; False for a section without `on`."""
        role = message.get("role")
        if self.on is None or role not in ("user", "tool") or self.on_role not in ("any", role):
            return False
        return re.search(self.on, message_text(message)) is not None


class Script(FrozenModel):
    """All sections of one ``NAME.json``."""

    scripts: tuple[Section, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_one_start(self) -> Self:
        if sum(section.on is None for section in self.scripts) > 1:
            raise ValueError("at most one section goes without 'on'")
        return self

    @property
    def gates(self) -> set[str]:
        """The names of all gates at which a reply of the script can wait."""
        steps = [step.gate for section in self.scripts for step in section.steps]
        return {gate for gate in [*steps, *(section.gate for section in self.scripts)] if gate}


class GateRule(FrozenModel):
    """Describes the hub events that open a gate."""

    type: str
    match: dict[str, Any] = Field(default_factory=dict)
    """Fields with values that the event's data must contain, each at any depth."""

    def opens(self, event_type: str, data: Mapping[str, Any]) -> bool:
        """Return whether an event of this type with this data opens the gate."""
        return event_type == self.type and all(_holds(data, key, value) for key, value in self.match.items())


class NextReply(NamedTuple):
    """The next reply of the model, the gate that it waits at, and its pace in tokens per second."""

    step: Step
    gate: str | None
    pace: float | None


class Scenario:
    """The scripts of one folder, by name."""

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = dict(scripts)

    @property
    def gates(self) -> set[str]:
        """The names of the gates of all scripts."""
        return {gate for script in self.scripts.values() for gate in script.gates}

    def reply(self, messages: Sequence[Message], *, with_tools: bool, default_script: str | None = None) -> NextReply:
        """Return the next reply in a conversation; it depends only on the arguments.

        Args:
            messages: The conversation in the form of OpenAI's API, oldest message first.
            with_tools: Whether the request offers tools; one without is answered with `side`, except in a section
                with `by_turn`.
            default_script: The script of a conversation that names none.

        Returns:
            The step with its gate and pace; when a section has no more steps, its last one again. A conversation
            without a script gets a fixed text.

        Raises:
            UsageError: There is no such script, or none of its sections starts anywhere in the conversation.
        """
        name = script_name(messages) or default_script
        if name is None:
            return NextReply(Step(text="scripted: no script named"), None, None)
        if name not in self.scripts:
            known = ", ".join(sorted(self.scripts)) or "none"
            raise UsageError(f"there is no script {name}", f"the scripts are: {known}", code="script.unknown")
        section, after = _find_section(name, self.scripts[name], messages)
        if not with_tools and not section.by_turn:
            return NextReply(Step(text=section.side or "scripted"), None, section.pace)
        index = _step_index(section, messages[after:])
        step = section.steps[index]
        gate = step.gate or (section.gate if index == 0 else None)
        return NextReply(step, gate, step.pace or section.pace)


def load_scenario(directory: Path) -> Scenario:
    """Read and check every ``NAME.json`` of a folder.

    Raises:
        UsageError: The folder has none, or a file is not a valid script; the message names file and field.
    """
    files = sorted(directory.glob("*.json"))
    if not files:
        raise UsageError(f"no scripts in {directory}", "a scenario is a folder with NAME.json files", code="scenario")
    return Scenario({file.stem: _load_script(file) for file in files})


def load_gates(directory: Path) -> dict[str, GateRule]:
    """Read ``gates.yaml``: gate name -> the rule for the event that opens it; empty if there is no such file.

    Raises:
        UsageError: The file is not YAML, or not a mapping of valid rules.
    """
    path = directory / "gates.yaml"
    if not path.exists():
        return {}
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, GateRule]).validate_python(data or {})
    except (YAMLError, ValidationError) as error:
        raise UsageError(f"{path}: {error}", code="scenario") from error


def script_name(messages: Sequence[Message]) -> str | None:
    """Return the script name of the last ``[[script:NAME]]`` in the user messages, or else in the system messages.

    None if there is none. System messages count because they hold the goal of a run, which may name a script.
    """
    return _last_marked(MARKER, messages) or _last_marked(MARKER, messages, role="system")


def folder_name(messages: Sequence[Message]) -> str | None:
    """Return the absolute path of the last ``[[cwd:/path]]`` in the user messages; None if there is none."""
    return _last_marked(FOLDER_MARKER, messages)


def message_text(message: Message) -> str:
    """Return the text of a message; other parts, such as images, are ignored."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def _last_marked(marker: re.Pattern[str], messages: Sequence[Message], *, role: str = "user") -> str | None:
    for message in reversed(messages):
        if message.get("role") == role and (values := marker.findall(message_text(message))):
            return str(values[-1])
    return None


def _load_script(file: Path) -> Script:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(data, list):
            data = {"scripts": data}
        elif isinstance(data, dict) and "scripts" not in data:
            data = {"scripts": [data]}
        return Script.model_validate(data)
    except (ValueError, ValidationError) as error:
        raise UsageError(f"{file}: {error}", "see contract 8 for the form of a script", code="scenario") from error


def _find_section(name: str, script: Script, messages: Sequence[Message]) -> tuple[Section, int]:
    """Return the section that was started last, and the index of the first message after the one that started it.

    If no message starts one, these are the section without `on`, and 0. A message of the user with the script's marker
    starts that section too, if there is one, and is not compared with any `on`: a brief may quote why an earlier
    attempt was rejected.

    Args:
        name: The script's name, as it is in the marker.
        script: The sections.
        messages: The conversation, oldest message first.

    Raises:
        UsageError: No message starts a section, and every section has an `on`.
    """
    start = next((section for section in script.scripts if section.on is None), None)
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if start and message.get("role") == "user" and name in MARKER.findall(message_text(message)):
            return start, index + 1
        if matching := next((section for section in script.scripts if section.starts_at(message)), None):
            return matching, index + 1
    if start is None:
        raise UsageError(f"no section of script {name} fits the conversation", code="script.section")
    return start, 0


def _step_index(section: Section, messages: Sequence[Message]) -> int:
    """Return the index of the step to play next: the number of steps already played, at most that of the last step."""
    roles = [message.get("role") for message in messages]
    first = next((index for index, role in enumerate(roles) if role != "tool"), len(roles))
    if section.by_turn:
        return min(roles.count("assistant"), len(section.steps) - 1)
    results = roles[first:].count("tool")
    texts = sum(
        role == "assistant" and not message.get("tool_calls") for role, message in zip(roles, messages, strict=True)
    )
    for index, step in enumerate(section.steps):
        if step.text is not None:
            texts -= 1
        else:
            results -= len(step.tool_calls)
        if texts < 0 or results < 0:
            return index
    return len(section.steps) - 1


def _holds(data: object, key: str, value: object) -> bool:
    if isinstance(data, Mapping):
        return (key in data and data[key] == value) or any(_holds(item, key, value) for item in data.values())
    return isinstance(data, list | tuple) and any(_holds(item, key, value) for item in data)
