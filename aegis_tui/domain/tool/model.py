"""The tools of the built-in agent: names, JSON schemas, and the check of arguments (contract 8, FLOW-11)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.review.finding import Criterion, Finding, checked_findings
from aegis_tui.errors import UsageError

BASH_TIMEOUT_S = 120.0
"""How long a shell command may run when the model gives no limit, in seconds."""

MAX_WAIT_S = 300.0
"""The longest wait for a lock that a model may ask for, in seconds."""


class ToolArguments(FrozenModel):
    """The validated arguments of one tool call."""

    @field_validator("*")
    @classmethod
    def _holds_no_nul(cls, value: Any) -> Any:
        """Return any value unchanged that is no text with a NUL.

        No program accepts a NUL in an argument, and a file with one cannot be read again as text.

        Raises:
            ValueError: It is such a text.
        """
        if isinstance(value, str) and "\0" in value:
            raise ValueError("contains a NUL character, which is not allowed")
        return value


class ReadArguments(ToolArguments):
    """Arguments of `read`: lines `start` to `end` of a file, 1-based and inclusive, or one symbol of it."""

    path: str = Field(min_length=1, description="Relative to the repository root, or PATH:SYMBOL.")
    start: int | None = Field(default=None, ge=1, description="First line, 1-based.")
    end: int | None = Field(default=None, ge=1, description="Last line, included.")
    body: bool = Field(default=False, description="Show the whole text, not the signatures.")


class SignaturesArguments(ToolArguments):
    """Arguments of `signatures`, which shows the outline of a file."""

    path: str = Field(min_length=1)


class MapArguments(ToolArguments):
    """Arguments of `map`, which asks the code map about the worktree."""

    question: Literal["find", "callers", "callees", "tests", "search", "impact"]
    about: str = Field(
        min_length=1, max_length=1000, description="Name, PATH:NAME, for impact also PATH, for search words."
    )


class SearchArguments(ToolArguments):
    """Arguments of `search`, which finds a regular expression in the repository's files."""

    pattern: str = Field(min_length=1, max_length=1000, description="POSIX extended regular expression.")
    glob: str | None = Field(default=None, min_length=1, description="Only files that match, such as src/**/*.py.")


class EditArguments(ToolArguments):
    """Arguments of `edit`, which replaces one exact text in a file, or in one symbol of it."""

    path: str = Field(min_length=1, description="PATH or PATH:SYMBOL.")
    old: str = Field(min_length=1, description="Text that occurs once in the file or symbol.")
    new: str


class WriteArguments(ToolArguments):
    """Arguments of `write`, which writes a whole file."""

    path: str = Field(min_length=1)
    content: str


class DeleteArguments(ToolArguments):
    """Arguments of `delete`, which deletes one file."""

    path: str = Field(min_length=1)


class RenameArguments(ToolArguments):
    """Arguments of `rename`, which gives one file another path."""

    path: str = Field(min_length=1)
    to: str = Field(min_length=1)


class BashArguments(ToolArguments):
    """Arguments of `bash`, which runs one shell command."""

    command: str = Field(min_length=1)
    timeout_s: float | None = Field(default=None, gt=0, le=600, description="At most 600, else 120.")


class LockArguments(ToolArguments):
    """Arguments of `lock`: acquire, release or list locks; ask for a path, or answer such a request (PART-6)."""

    action: Literal["acquire", "release", "list", "request", "grant", "refuse"]
    path: str | None = Field(default=None, min_length=1, description="Not for list.")
    reason: str | None = Field(default=None, max_length=2000, description="For request and refuse.")
    wait_s: float | None = Field(default=None, ge=0, le=MAX_WAIT_S, description="How long to wait for it, at most 300.")
    lines: tuple[int, int] | None = Field(default=None, description="For acquire: only these, [first, last].")
    symbol: str | None = Field(default=None, min_length=1, description="For acquire: only this function or class.")


class ReportArguments(ToolArguments):
    """Arguments of `report`, which ends a task."""

    status: Literal["done", "blocked", "failed"]
    summary: str = Field(
        min_length=1,
        description="What was done, or what prevents it. Its first line is the subject of the commit.",
    )


class RequestReviewArguments(ToolArguments):
    """Arguments of `request_review`: none, because it is about the caller's own piece."""


class VerdictArguments(ToolArguments):
    """Arguments of `verdict`, which ends a review."""

    decision: Literal["approve", "reject"] = Field(description="Whether the change may be merged.")
    criteria: tuple[Criterion, ...] = Field(min_length=1, description="Every acceptance criterion, each with evidence.")
    findings: tuple[Finding, ...] = Field(
        default=(),
        description="Remarks; a rejection needs at least one. Each with file and lines where it has a place, the rule "
        "of the checklist that is not met, a suggestion of what to write instead, and your confidence (0 to 1).",
    )

    _check = field_validator("findings")(checked_findings)


class ProposeDesignArguments(ToolArguments):
    """Arguments of `propose_design`, which ends the design. The hub checks the rules of a design."""

    design: dict[str, Any] = Field(
        min_length=1,
        description=(
            "The design: goal; features, a list of {id, title, brief, partition: [glob], depends_on: [id]}; optional "
            "foundation {brief, partition}, shared: [glob], joint: [glob], qa {commands: [text]}. "
            "Partitions must not overlap."
        ),
    )


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the model sees it."""

    name: str
    description: str
    arguments: type[ToolArguments]

    def schema(self) -> dict[str, Any]:
        """Return the tool as an entry of `tools` in a chat completions request: {type, function}.

        The same on every call.
        """
        raw = self.arguments.model_json_schema(by_alias=True)
        parameters = _tidy(raw, raw.get("$defs", {}))
        parameters.pop("description", None)
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


def _tool(name: str, description: str, arguments: type[ToolArguments]) -> tuple[str, Tool]:
    return name, Tool(name, description, arguments)


TOOLS: Mapping[str, Tool] = dict(
    (
        _tool(
            "bash",
            "Run a shell command at the repository root and return its output and exit code. It has no terminal; what "
            "it leaves running in the background ends with it.",
            BashArguments,
        ),
        _tool("delete", "Delete one file.", DeleteArguments),
        _tool("edit", "Replace one exact, unique piece of text in a file.", EditArguments),
        _tool(
            "lock",
            "Acquire or release the exclusive lock on a joint file, or list the locks you hold. Edits acquire it "
            "automatically: use this only to keep it over several edits, or before a bash command that changes the "
            "file. request asks for the right to write a path outside your scope; the answer comes later. grant and "
            "refuse answer another instance's request.",
            LockArguments,
        ),
        _tool(
            "propose_design",
            "Propose the design and end the task. If it breaks a rule, you get the problems and can propose again.",
            ProposeDesignArguments,
        ),
        _tool(
            "map",
            "Ask where a function or class is defined (find), what calls it, with the code to edit (callers), what it "
            "calls, which tests cover it, what a change affects (impact), or which definitions fit words (search).",
            MapArguments,
        ),
        _tool(
            "read",
            "Show a text file, some lines of it, or with PATH:SYMBOL one function or class and what it calls. Of a "
            "long file that you may not write you get the signatures, of text that you have read only a diff.",
            ReadArguments,
        ),
        _tool(
            "report",
            "End the task. Status done submits your work, so run the tests first; "
            "with blocked, say what you wait for; with failed, say why it cannot be done.",
            ReportArguments,
        ),
        _tool("rename", "Give one file another path, where there is none yet.", RenameArguments),
        _tool(
            "request_review",
            "Have your work so far reviewed while you go on. What is found reaches you between two turns.",
            RequestReviewArguments,
        ),
        _tool("search", "Find lines that match a pattern in all files that git does not ignore.", SearchArguments),
        _tool(
            "signatures",
            "Show only the classes, functions and variables of a file.",
            SignaturesArguments,
        ),
        _tool("verdict", "End the review: approve or reject, with evidence for every criterion.", VerdictArguments),
        _tool("write", "Create a file or replace its whole content.", WriteArguments),
    )
)
"""Every tool, by name, sorted."""


_ORDER = (
    "read",
    "search",
    "signatures",
    "map",
    "bash",
    "report",
    "edit",
    "lock",
    "write",
    "delete",
    "rename",
    "request_review",
    "propose_design",
    "verdict",
)
"""The order of the tools in a request: those of most roles first, so that the lists of two roles begin alike."""


def tool_schemas(names: Collection[str]) -> list[dict[str, Any]]:
    """Return the `tools` field for a role that may call `names`, in a fixed order, so that prompts share a prefix.

    Each tool is listed once. Chat templates put the tools before or right after the system message. Offering every tool
    to every role would let all roles share the whole list, but measured with a prefix cache it saves nothing: the
    longer prompts of all calls cost as much as the few tools that each role computes once (LLM-3).

    Raises:
        KeyError: There is no such tool.
    """
    wanted = set(names)
    if unknown := wanted - set(TOOLS):
        raise KeyError(min(unknown))
    return [TOOLS[name].schema() for name in _ORDER if name in wanted]


def parse_arguments(
    name: str, text: str, *, allowed: Collection[str], tools: Mapping[str, Tool] = TOOLS
) -> ToolArguments:
    """Validate and return the arguments of a call that a model wrote.

    Args:
        name: The tool's name as the model wrote it.
        text: The arguments as the model wrote them; empty counts as no arguments.
        allowed: Names that the caller's role may call.
        tools: The tools that there are, by name.

    Raises:
        UsageError: Unknown or forbidden tool (code ``tool.unknown``), not JSON (``tool.json``) or arguments that do
            not fit (``tool.arguments``). The message tells the model what to change (FLOW-11).
    """
    if name not in tools or name not in allowed:
        known = ", ".join(sorted(set(allowed)))
        raise UsageError(f"there is no tool {name!r} here; your tools are {known}", code="tool.unknown")
    try:
        fields = json.loads(text) if text.strip() else {}
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        problem = f"the arguments of {name} contain an unpaired surrogate, which is not valid Unicode"
        raise UsageError(problem, code="tool.json") from error
    except RecursionError as error:
        raise UsageError(f"the arguments of {name} are not valid JSON: nested too deeply", code="tool.json") from error
    except ValueError as error:
        raise UsageError(f"the arguments of {name} are not valid JSON: {error}", code="tool.json") from error
    if not isinstance(fields, dict):
        raise UsageError(f"the arguments of {name} must be one JSON object", code="tool.json")
    try:
        return tools[name].arguments.model_validate(fields)
    except ValidationError as error:
        raise UsageError(_explain(name, error), code="tool.arguments") from error


def _explain(name: str, error: ValidationError) -> str:
    problems = [
        f"{'.'.join(str(part) for part in issue['loc']) or 'arguments'}: {issue['msg']}"
        for issue in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return f"the arguments of {name} are not valid: {'; '.join(problems)}"


_LEFT_OUT = frozenset(
    {"title", "$defs", "properties", "default", "minLength", "maxLength", "minimum", "exclusiveMinimum", "maximum"}
    | {"additionalProperties", "prefixItems", "minItems", "maxItems"}
)
"""Keys that a model does not see. `parse_arguments` checks what they demand, and refuses other arguments."""


def _tidy(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a part of a JSON Schema without titles, references, defaults, null variants and keys of `_LEFT_OUT`.

    Some confuse small models; the others cost tokens in every request and say nothing that a model needs. References
    are replaced by what they name, and keys are sorted.
    """
    if isinstance(node, list):
        return [_tidy(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _tidy(definitions[str(node["$ref"]).rpartition("/")[2]], definitions)
    if "anyOf" in node and len(rest := [one for one in node["anyOf"] if one != {"type": "null"}]) == 1:
        node = {**{key: value for key, value in node.items() if key != "anyOf"}, **rest[0]}
    kept = {key: _tidy(value, definitions) for key, value in node.items() if key not in _LEFT_OUT}
    if pair := node.get("prefixItems"):
        kept["items"] = _tidy(pair[0], definitions)
    if "properties" in node:
        kept["properties"] = {name: _tidy(value, definitions) for name, value in node["properties"].items()}
    return dict(sorted(kept.items()))
