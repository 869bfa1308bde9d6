"""The TOML file of an agent kind: its program's arguments, variables, configuration files and output (AGENT-1).

Two kinds of placeholders are filled in when an instance starts. In `argv` and `environment`, `{name}` becomes the
value. In the text of a configuration file, `<<name>>` becomes the value as a string literal with its quotes, which is
valid in both JSON and TOML, so that no value can break out of its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from aegis_tui.domain.field import HostName
from aegis_tui.domain.hosting.screen_rule import ScreenRules
from aegis_tui.domain.hosting.usage_limit import UsageLimit
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.role import ROLES

VALUES = frozenset(
    {
        "gateway",
        "gateway_v1",
        "guard_after",
        "guard_before",
        "hear",
        "home",
        "instance",
        "model",
        "noted",
        "permission",
        "prompt",
        "python",
        "repository",
        "session",
        "token",
        "worktree",
    }
)
"""The names of all placeholders; docs/agents.md explains each."""

GUARD = "guard_before"
"""The placeholder of the command that checks an edit before it is made."""

HEAR = "hear"
"""The placeholder of the command that brings waiting lines to the program."""

SECRET = "token"
"""The placeholder that must not be part of a command line, which every process of the machine can read."""

_IN_ARGUMENT = re.compile(r"\{([a-z_0-9]+)\}")
_IN_FILE = re.compile(r"<<([a-z_0-9]+)>>")
T = TypeVar("T")
_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\[\])?(?:\.[A-Za-z_][A-Za-z0-9_-]*(?:\[\])?)*\Z")


class HeadlessMode(FrozenModel):
    """How the program does one task without a person and then ends."""

    argv: tuple[str, ...] = Field(min_length=1)
    """The command for the first prompt."""
    again: tuple[str, ...] = ()
    """The command for a later prompt of the same conversation; empty: the program cannot go on with one, so it gets the
    earlier prompts again."""
    prompt: Literal["argument", "stdin"] = "argument"
    """Where the prompt goes: into the place of `{prompt}`, or to standard input."""

    @model_validator(mode="after")
    def _takes_prompt(self) -> Self:
        for argv in filter(None, (self.argv, self.again)):
            if ("{prompt}" in argv) != (self.prompt == "argument"):
                raise ValueError(
                    "'argv' and 'again' must contain {prompt} if 'prompt' is 'argument', "
                    "and must not contain it otherwise"
                )
        return self


class TerminalMode(FrozenModel):
    """How the program runs with its own interface, in which prompts are typed for it."""

    argv: tuple[str, ...] = Field(min_length=1)
    again: tuple[str, ...] = ()
    """The command that starts it again, after it has ended, with the conversation that it had; empty: the program
    cannot go on with one, so it is started anew and gets the earlier prompts again."""
    changes: tuple[Literal["nfc", "tabs"], ...] = ()
    """What its input box does to a text: it composes characters (NFC), or turns each tab into four spaces. The prompt
    is typed in that form, so that what arrives can be compared with it."""
    ready: str = ""
    """A text that its interface shows once it takes a prompt. Without it, or if that text does not come for 20 seconds,
    the program counts as ready when it has switched bracketed paste on and is quiet."""
    interrupt: tuple[Annotated[str, Field(min_length=1, max_length=16)], ...] = Field(("\x1b",), min_length=1)
    """The keys that end its present turn, as the terminal sends them; they are pressed one after the other. A person
    who presses one of them, or Ctrl-C, has interrupted the turn."""
    forgets_interrupted: bool = False
    """Whether it removes a prompt from its conversation when its turn is ended by these keys. It then gets that prompt
    again, before the next one."""


class AcpMode(FrozenModel):
    """How the program is driven over the Agent Client Protocol, version 1: one process for a conversation (AGENT-3)."""

    argv: tuple[str, ...] = Field(min_length=1)
    """The command that speaks ACP on its standard input and output."""
    programs: tuple[str, ...] = ()
    """Names of programs that must be on PATH for this mode, such as an adapter; empty: those of the kind."""
    install: str = Field("", max_length=200)
    """The command that installs them."""
    login: str = Field("", max_length=80)
    """The id of the authentication method that has to be chosen first; empty: none."""
    boxed: str = Field("", max_length=80)
    """The id of the session's mode in the sandbox; empty: the mode is not set."""
    open: str = Field("", max_length=80)
    """The id of its mode where there is no sandbox."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Further environment variables in this mode."""
    forgets_interrupted: bool = False
    """Whether it removes a prompt from its conversation when its turn is cancelled. It then gets that prompt again,
    before the next one."""
    meta: dict[str, Any] = Field(default_factory=dict)
    """A table that goes with each session as its `_meta`, where programs take their own options; in its texts,
    `{name}` is replaced as in `environment`."""


class Output(FrozenModel):
    """What the program prints when it runs headless, and which parts of it are shown and read.

    The paths name fields of a JSON line: `message.content[].text` is the field `text` of each item of the list
    `content`.
    """

    format: Literal["text", "jsonl"] = "text"
    show: tuple[str, ...] = ()
    """Texts that are shown in the pane."""
    tools: tuple[str, ...] = ()
    """Names of tools that the program calls, which are shown in the pane."""
    summary: tuple[str, ...] = ()
    """The text that says what was done: the last one found; without any, the last text shown. Of plain text, the last
    line counts that has the form of a commit's subject."""
    failed: tuple[str, ...] = ()
    """Fields that are true when the program failed although it exits with 0."""

    @field_validator("show", "tools", "summary", "failed")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not _STEP.match(path):
                raise ValueError(f"{path!r} is not a path such as message.content[].text")
        return paths


class HomeFile(FrozenModel):
    """A configuration file that is written into the instance's home folder before the program starts."""

    path: str
    """Where the file is written, relative to the instance's home folder; never outside it."""
    text: str

    @field_validator("path")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        parts = path.split("/")
        if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{path!r} is not a path inside the home folder")
        return path


class Permission(FrozenModel):
    """The program's own permission mode. It is always set, because the default of some programs asks another model."""

    boxed: str = ""
    """The value of `{permission}` where the instance runs in the sandbox."""
    open: str = ""
    """The value of `{permission}` where there is no sandbox."""


class ToolNames(FrozenModel):
    """Names of the program's tools, as its hooks and its output show them: they say what it does."""

    writes: tuple[str, ...] = ()
    """Tools that change files."""
    runs: tuple[str, ...] = ()
    """Tools that run commands."""


class KindFile(FrozenModel):
    """The whole file. A kind without `headless` has a class of its own that starts the program."""

    title: str = Field(min_length=1, max_length=80)
    programs: tuple[str, ...] = ()
    """Names of programs that must be on PATH, or the kind cannot be started."""
    install: str = Field("", max_length=200)
    """The command that installs them."""
    dialect: Literal["", "chat", "responses", "messages", "google"] = ""
    """The API through which the program calls its model."""
    mcp: str = ""
    """How the program names a tool of our MCP server, with `{tool}` in place of the tool's name; empty: it cannot."""
    roles: tuple[str, ...] = ()
    """The roles that it can take; empty: with MCP all, without it those that give no verdict and propose no design."""
    headless: HeadlessMode | None = None
    terminal: TerminalMode | None = None
    acp: AcpMode | None = None
    output: Output = Output()
    tools: ToolNames = ToolNames()
    permission: Permission = Permission()
    usage_limit: UsageLimit = UsageLimit()
    screen: ScreenRules = ScreenRules()
    environment: dict[str, str] = Field(default_factory=dict)
    files: tuple[HomeFile, ...] = ()
    names: dict[str, tuple[HostName, ...]] = Field(default_factory=dict)
    """Version of the program -> the names that it looks up besides its model's. The sandbox refuses them all."""

    @field_validator("roles")
    @classmethod
    def _exist(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        for role in roles:
            if role not in ROLES:
                raise ValueError(f"there is no role {role!r}")
        return roles

    @field_validator("mcp")
    @classmethod
    def _names_tool(cls, mcp: str) -> str:
        if mcp and "{tool}" not in mcp:
            raise ValueError("mcp must contain {tool}")
        return mcp

    @model_validator(mode="after")
    def _has_known_placeholders(self) -> Self:
        arguments = [] if self.headless is None else [*self.headless.argv, *self.headless.again]
        arguments += [] if self.terminal is None else [*self.terminal.argv, *self.terminal.again]
        arguments += [] if self.acp is None else self.acp.argv
        for name, text in ((SECRET, text) for text in arguments if f"{{{SECRET}}}" in text):
            raise ValueError(f"{text!r}: {{{name}}} must not be an argument; put it into environment or a file")
        variables = [*self.environment.values()]
        variables += [] if self.acp is None else [*self.acp.environment.values(), *_texts_in(self.acp.meta)]
        used = {name for text in (*arguments, *variables) for name in _IN_ARGUMENT.findall(text)}
        used |= {name for file in self.files for name in _IN_FILE.findall(file.text)}
        if unknown := sorted(used - VALUES):
            raise ValueError(f"there is no placeholder {unknown[0]}; there are: {', '.join(sorted(VALUES))}")
        return self

    @property
    def checks_edits(self) -> bool:
        """Whether the program asks before each of its edits whether it may be made, by a hook of its own (PART-3).

        True if a configuration file names the command that checks edits.
        """
        return any(f"<<{GUARD}>>" in file.text for file in self.files)

    @property
    def hears_between_calls(self) -> bool:
        """Whether a hook of the program passes waiting messages to it between two of its tool calls (AGENT-6).

        True if a configuration file names the command that brings them.
        """
        return any(f"<<{HEAR}>>" in file.text for file in self.files)

    def is_driven_by_acp(self, mode: str) -> bool:
        """Return whether an instance speaks ACP with its program in this mode of the run.

        In the mode `acp`, each kind that can does; in `headless`, one that has no such mode itself.
        """
        return self.acp is not None and (mode == "acp" or (mode != "terminal" and self.headless is None))

    def can_be(self, role: str) -> bool:
        """Return whether an instance of this kind can take a role.

        If `roles` is not empty, it lists them. Else a kind with MCP can take all, others those that give no verdict and
        propose no design.

        Raises:
            KeyError: There is no such role, `roles` is empty, and the kind has no MCP.
        """
        return role in self.roles if self.roles else bool(self.mcp) or not ROLES[role].is_judge

    def tool_name(self, tool: str) -> str:
        """Return the name under which the program's model sees a tool of our MCP server.

        Empty if the program has no MCP.
        """
        return self.mcp.format(tool=tool)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return an argument or a variable's value with each `{name}` replaced by its value, unquoted.

    A `{name}` without a value stays as it is.
    """
    return _IN_ARGUMENT.sub(lambda match: values.get(match[1], match[0]), text)


def fill_all(value: Any, values: Mapping[str, str]) -> Any:
    """Return a value of a TOML file with `fill` applied to every text in it, but not to the names of a table."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, dict):
        return {name: fill_all(item, values) for name, item in value.items()}
    return [fill_all(item, values) for item in value] if isinstance(value, list) else value


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _texts_in(item)


def fill_file(text: str, values: Mapping[str, str]) -> str:
    """Return the text of a configuration file with each `<<name>>` replaced by the value as a quoted string literal.

    Raises:
        KeyError: There is no value of that name.
    """
    return _IN_FILE.sub(lambda match: _quoted(values[match[1]]), text)


def _quoted(value: str) -> str:
    """Return a value as a string literal of JSON that is one of TOML too: TOML allows no DEL in it (toml.io, 1.0)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def texts_at(value: Any, paths: Sequence[str]) -> list[str]:
    """Return the texts at these paths of a JSON value, path by path, without space at their ends.

    A path such as `message.content[].text` means the field `text` of each item of the list `content`. Empty texts,
    values of other types and paths that do not exist are left out. Never raises.
    """
    return [text.strip() for text in _values_at(value, paths, str) if text.strip()]


def is_true_at(value: Any, paths: Sequence[str]) -> bool:
    """Return whether a JSON value has `true` at one of these paths, such as `message.content[].is_error`.

    Never raises.
    """
    return any(_values_at(value, paths, bool))


def _values_at(value: Any, paths: Sequence[str], kind: type[T]) -> Iterator[T]:
    for path in paths:
        values = [value]
        for step in path.split("."):
            name, is_list = step.removesuffix("[]"), step.endswith("[]")
            inner = [item[name] for item in values if isinstance(item, dict) and name in item]
            values = [part for item in inner if isinstance(item, list) for part in item] if is_list else inner
        yield from (item for item in values if isinstance(item, kind))
