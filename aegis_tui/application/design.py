"""Reads and writes the design file (contract 4) as YAML; each error names its line.

`domain/run/design.py` decides which designs are allowed; this module only knows their form in a file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from aegis_tui.application.yaml_text import (
    MAX_SIZE_BYTES,
    NodeReader,
    NotYaml,
    compose,
    decoded,
    read_file,
    without_nulls,
)
from aegis_tui.domain.code_map.text import one_line
from aegis_tui.domain.inert import inert
from aegis_tui.domain.run.design import (
    Design,
    DesignIssue,
    Feature,
    Foundation,
    Location,
    Qa,
    check_design,
    nearest,
    render_location,
)
from aegis_tui.domain.wire.run import GivenDesign
from aegis_tui.errors import DesignRefused

_MODELS: Final[dict[Location, type[BaseModel]]] = {
    (): Design,
    ("foundation",): Foundation,
    ("features",): Feature,
    ("qa",): Qa,
}
_MESSAGES: Final = {
    "missing": "is required",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping of fields",
    "string_too_short": "must not be empty",
    "too_short": "needs at least one entry",
    "string_pattern_mismatch": "must be a name of a-z, 0-9, _ and -, 41 characters at most, not starting with _ or -",
}
_FIX_HINT: Final = "correct each line named and try again"


def load_design(path: Path, *, kinds: Collection[str] | None = None, ignore_case: bool = False) -> Design:
    """Read a design file and check that it can be dispatched.

    Args:
        path: A YAML or JSON file, UTF-8, at most 1 MiB.
        kinds: Names of the agent kinds that are installed; None leaves kinds unchecked.
        ignore_case: Compare paths case-folded, as git does where `core.ignorecase` is set.

    Raises:
        UsageError: The file does not exist, or the system refuses to read it.
        DesignRefused: The file is too large, not UTF-8 or not YAML, or breaks another rule. `data["issues"]` has {file,
            line, field, message, witness} for each; `witness` is a path that two globs share, None in other issues.

    Source: contract 4.
    """
    content = read_file(path, kind="design file")
    try:
        text = decoded(content)
    except NotYaml as error:
        raise _refused(path.name, [(error.line, _whole(error.message))]) from error
    return parse_design(text, name=path.name, kinds=kinds, ignore_case=ignore_case)


def parse_design(
    text: str, *, name: str = "design.yaml", kinds: Collection[str] | None = None, ignore_case: bool = False
) -> Design:
    """Read a design from YAML or JSON text. Plain values are read as the text that was written: `id: 007` gives "007".

    Args:
        text: At most 1 MiB as UTF-8.
        name: The file name for error messages.
        kinds: Names of the agent kinds that are installed; None leaves kinds unchecked.
        ignore_case: Compare paths case-folded, as git does where `core.ignorecase` is set.

    Raises:
        DesignRefused: The text is too long or not YAML, or breaks another rule; `data["issues"]` has {file, line,
            field, message, witness} for each issue, all at once, in line order.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SIZE_BYTES:
        raise _refused(name, [(None, _whole("the file is over 1 MiB"))])
    reader = NodeReader()
    try:
        data = reader.read(compose(text))
    except NotYaml as error:
        raise _refused(name, [(error.line, _whole(error.message))], error.hint or _FIX_HINT) from error
    design, issues = (None, _unread(reader)) if reader.issues else _validate(data, kinds, ignore_case)
    if design is None:
        raise _refused(name, [(reader.line_of(issue.path), issue) for issue in issues])
    return design


def wire_fields(design: Design) -> GivenDesign:
    """Return a design as it is sent to the hub: only fields that its author wrote, so that the hub sets the others."""
    return cast(GivenDesign, design.model_dump(mode="json", exclude_unset=True))


def build_design(
    data: object, *, name: str = "design", kinds: Collection[str] | None = None, ignore_case: bool = False
) -> Design:
    """Build a design from JSON values, such as a Commander proposes, with the same rules as for a file.

    Args:
        data: The fields of the design.
        name: What error messages name in place of a file.
        kinds: Names of the agent kinds that are installed; None leaves kinds unchecked.
        ignore_case: Compare paths case-folded, as git does where `core.ignorecase` is set.

    Raises:
        DesignRefused: It breaks a rule; `data["issues"]` has {file, line, field, message, witness} for each issue, with
            `line` None.
    """
    design, issues = _validate(data, kinds, ignore_case)
    if design is None:
        raise _refused(name, [(None, issue) for issue in issues])
    return design


def dump_design(design: Design, *, reasons: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the design as YAML that `parse_design` reads back to an equal design.

    Fields without a value and empty lists are left out, except for `partition`.

    Args:
        design: The design.
        reasons: The id of a feature -> a text that is put above it as a comment, on one line.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    yaml.dump(_styled(design.model_dump(mode="json", exclude_none=True)), stream)
    if not reasons:
        return stream.getvalue()
    above = {f"  - id: {name}\n": f"  # {one_line(inert(reason))}\n" for name, reason in reasons.items()}
    head, features, rest = stream.getvalue().partition("\nfeatures:\n")
    return head + features + "".join(above.get(line, "") + line for line in rest.splitlines(keepends=True))


def _styled(value: Any) -> Any:
    """Return plain values for the dumper: no empty lists but `partition`, and text of several lines as a block."""
    if isinstance(value, dict):
        return {key: _styled(item) for key, item in value.items() if item != [] or key == "partition"}
    if isinstance(value, list):
        return [_styled(item) for item in value]
    return LiteralScalarString(value) if "\n" in value.strip("\n") else value


def _validate(
    data: object, kinds: Collection[str] | None, ignore_case: bool
) -> tuple[Design | None, Sequence[DesignIssue]]:
    """Return the design and no issues, or None and the issues."""
    try:
        design = Design.model_validate(without_nulls(data))
    except ValidationError as error:
        return None, [_shape_issue(details) for details in error.errors(include_url=False)]
    issues = check_design(design, kinds=kinds, ignore_case=ignore_case)
    return (None if issues else design), issues


def _shape_issue(details: ErrorDetails) -> DesignIssue:
    path = details["loc"]
    message = _MESSAGES.get(details["type"], details["msg"])
    if details["type"] == "extra_forbidden":
        model = _MODELS.get(tuple(key for key in path[:-1] if isinstance(key, str)))
        meant = nearest(str(path[-1]), model.model_fields) if model else None
        message = "unknown field" + (f"; did you mean {meant}?" if meant else "")
    return DesignIssue(field=render_location(path), message=message, path=path)


def _unread(reader: NodeReader) -> Sequence[DesignIssue]:
    return [DesignIssue(field=render_location(path), message=text, path=path) for path, text in reader.issues]


def _whole(message: str) -> DesignIssue:
    return DesignIssue(field="", message=message)


def _refused(name: str, issues: Iterable[tuple[int | None, DesignIssue]], hint: str = _FIX_HINT) -> DesignRefused:
    ordered = sorted(issues, key=lambda entry: entry[0] or 0)
    lines = []
    for line, issue in ordered:
        place = name if line is None else f"{name}:{line}"
        lines.append(": ".join(part for part in (place, issue.field, issue.message) if part))
    return DesignRefused(
        "\n".join(lines),
        hint,
        issues=[
            {"file": name, "line": line, "field": issue.field, "message": issue.message, "witness": issue.witness}
            for line, issue in ordered
        ],
        overlaps=[issue.overlap.model_dump(mode="json") for _, issue in ordered if issue.overlap is not None],
    )
