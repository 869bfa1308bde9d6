"""Reads and writes spec files: YAML or JSON in the present form, or in the older short one (SPEC-2, SPEC-9).

`domain/spec/document.py` decides which specs are allowed; this module knows their form in a file. An error names file,
line and field.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from aegis_tui.application.yaml_edit import Edit, edited
from aegis_tui.application.yaml_text import (
    NodeReader,
    NotYaml,
    YamlIssue,
    compose,
    decoded,
    read_file,
    without_nulls,
)
from aegis_tui.domain.run.design import nearest, render_location
from aegis_tui.domain.spec.document import (
    MOST_CHANGES,
    Metadata,
    Place,
    Requirement,
    Spec,
    SpecChange,
    SpecContext,
    SpecProgress,
    SpecTask,
    check_spec,
)
from aegis_tui.domain.spec.short_form import is_short, upgraded
from aegis_tui.errors import Refused

_MODELS: Final[Mapping[Place, type[BaseModel]]] = {
    (): Spec,
    ("metadata",): Metadata,
    ("requirements",): Requirement,
    ("tasks",): SpecTask,
    ("progress",): SpecProgress,
    ("context",): SpecContext,
    ("changeLog",): SpecChange,
}
_MESSAGES: Final = {
    "missing": "is required",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping of fields",
    "mapping_type": "must be a mapping of fields",
    "string_too_short": "must not be empty",
}
_PATTERN: Final = "must be a version such as 1.0.0 (SemVer)"
_FIX_HINT: Final = "correct each line named and save the file; aegis-tui spec schema prints every field"


class SpecFile(NamedTuple):
    """A spec with the text that it was read from."""

    spec: Spec
    text: str
    """In the present form; that of an upgraded short file was made from it."""
    was_short: bool = False


def load_spec(path: Path) -> SpecFile:
    """Read a spec file of at most 1 MiB and check it.

    Raises:
        UsageError: The file does not exist, or the system refuses to read it.
        Refused: It is no valid spec (code `spec.invalid`); `data["issues"]` has {file, line, field, message} for each.
    """
    return read_spec(read_file(path, kind="spec file"), name=path.name)


def read_spec(content: bytes, *, name: str) -> SpecFile:
    """Read a spec from the content of a file, as `parse_spec` does from text.

    Raises:
        Refused: It is over 1 MiB, not UTF-8, or no valid spec, as `parse_spec` says.
    """
    try:
        text = decoded(content)
    except NotYaml as error:
        raise _refused(name, [(error.line, (), error.message)]) from error
    return parse_spec(text, name=name)


def parse_spec(text: str, *, name: str) -> SpecFile:
    """Read a spec from the text of a file. Its id must be that of the file.

    Args:
        text: YAML or JSON.
        name: The file name, for its id and for error messages.

    Raises:
        Refused: It is no valid spec (code `spec.invalid`); `data["issues"]` has {file, line, field, message} for each,
            in line order.
    """
    reader = NodeReader()
    try:
        data = reader.read(compose(text))
    except NotYaml as error:
        raise _refused(name, [(error.line, (), error.message)], error.hint or _FIX_HINT) from error
    issues: Sequence[YamlIssue] = reader.issues
    short = not issues and is_short(data)
    spec = None
    if not issues:
        spec, issues = _validated(upgraded(cast("Mapping[str, Any]", data)) if short else data)
    if spec is not None and spec.id != Path(name).stem:
        issues = [YamlIssue(("id",), f"must be {Path(name).stem}, the name of the file")]
    if spec is None or issues:
        places = [(_in_file(issue.path, short), issue.message) for issue in issues]
        raise _refused(name, [(reader.line_of(place), place, text) for place, text in dict.fromkeys(places)])
    return SpecFile(spec, dump_spec(spec, was=text) if short else text, short)


def change_spec(file: SpecFile, changes: Sequence[Edit], *, entry: SpecChange) -> SpecFile:
    """Return the spec with these changes and one more entry in its change log; nothing else of its text is changed.

    Args:
        file: The spec as it is.
        changes: What to set.
        entry: What is said of it in `changeLog`; its time becomes `metadata.updatedAt`.

    Raises:
        Refused: A change breaks a rule (code `spec.invalid`), or cannot be made without changing another value (code
            `spec.edit`).
    """
    log = Edit(("changeLog",), entry.model_dump(exclude_defaults=True), is_entry=True)
    if len(file.spec.changeLog) >= MOST_CHANGES:
        newest = [*file.spec.changeLog[1 - MOST_CHANGES :], entry]
        log = Edit(("changeLog",), [item.model_dump(exclude_defaults=True) for item in newest])
    text = edited(file.text, [*changes, Edit(("metadata", "updatedAt"), entry.timestamp), log])
    return parse_spec(text, name=f"{file.spec.id}.yaml")


def dump_spec(spec: Spec, *, was: str = "") -> str:
    """Return a spec as YAML that `parse_spec` reads back to an equal spec; fields with no value are left out.

    Args:
        spec: The spec.
        was: The text of the short file that it was upgraded from; if it has comments, it follows as a comment.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    head = {"id": spec.id, "version": spec.version, "priority": spec.priority, "status": spec.status}
    yaml.dump(_styled(head | spec.model_dump(mode="json", exclude_defaults=True)), stream)
    if "#" in was:
        stream.write("\n# This file was upgraded from the short form. It was:\n")
        stream.writelines(f"#   {line}".rstrip() + "\n" for line in was.splitlines())
    return stream.getvalue()


def _styled(value: Any) -> Any:
    """Return plain values for the dumper, with text of several lines as a block."""
    if isinstance(value, dict):
        return {key: _styled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_styled(item) for item in value]
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value.strip("\n") else value


def _validated(data: object) -> tuple[Spec | None, Sequence[YamlIssue]]:
    """Return the spec and no issues, or None and the issues."""
    try:
        spec = Spec.model_validate(without_nulls(data))
    except ValidationError as error:
        return None, [_shape_issue(details) for details in error.errors(include_url=False)]
    return spec, [YamlIssue(*issue) for issue in check_spec(spec)]


def _shape_issue(details: ErrorDetails) -> YamlIssue:
    path = details["loc"]
    message = _MESSAGES.get(details["type"], details["msg"])
    if details["type"] == "string_pattern_mismatch":
        message = _PATTERN
    if details["type"] == "literal_error":
        message = f"must be one of {details['ctx']['expected']}"
    if details["type"] == "extra_forbidden":
        model = _MODELS.get(tuple(key for key in path[:-1] if isinstance(key, str)))
        meant = nearest(str(path[-1]), model.model_fields) if model else None
        message = "unknown field" + (f"; did you mean {meant}?" if meant else "")
    return YamlIssue(path, message)


def _in_file(path: Place, short: bool) -> Place:
    """Return where a value of the upgraded spec stands in the short file."""
    if not short:
        return path
    if path[:1] == ("metadata",):
        return path[1:]
    if "acceptanceCriteria" in path:
        return ("acceptance",)
    return ("title",) if path[:1] in (("requirements",), ("tasks",)) else path


def refused_at(file: SpecFile, issues: Sequence[tuple[Place, str]], *, hint: str, code: str) -> Refused:
    """Return an error that names file, line and field of each issue of a valid spec, as those of `parse_spec` do.

    Args:
        file: The spec.
        issues: Where, and what is wrong there.
        hint: What to do about it.
        code: The code of the error.
    """
    reader = NodeReader()
    reader.read(compose(file.text))
    places = [(reader.line_of(place), place, message) for place, message in issues]
    return _refused(f"{file.spec.id}.yaml", places, hint, code=code)


def _refused(
    name: str, issues: Iterable[tuple[int | None, Place, str]], hint: str = _FIX_HINT, *, code: str = "spec.invalid"
) -> Refused:
    ordered = sorted(issues, key=lambda issue: issue[0] or 0)
    lines, rows = [], []
    for line, path, message in ordered:
        field = render_location(path)
        place = name if line is None else f"{name}:{line}"
        lines.append(": ".join(part for part in (place, field, message) if part))
        rows.append({"file": name, "line": line, "field": field, "message": message})
    return Refused("\n".join(lines), hint, code=code, issues=rows)
