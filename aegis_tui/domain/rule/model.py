"""Merge rules as data: what they look at, how severe a finding is, and examples that prove them (FLOW-9)."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from aegis_tui.domain.glob.pattern import Glob, compile_glob
from aegis_tui.domain.model import FrozenModel
from aegis_tui.domain.rule.finding import Severity
from aegis_tui.errors import Refused

Kind = Literal["line", "path", "binary", "size", "header", "secret"]
"""`line`: a pattern in an added line. `path`: a changed path. `binary`: a file that is no text. `size`: a large file.
`header`: the first lines of a file. `secret`: what the secret scanner finds in added lines."""

HEADER_LINES = 20
"""In how many lines at the beginning of a file a header is looked for."""

_Text = Annotated[str, Field(max_length=2000)]


class MergeRule(FrozenModel):
    """One rule that every piece has to follow before it may be merged."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, populate_by_name=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")
    kind: Kind = "line"
    pattern: _Text = ""
    """A Python regular expression: what must not be in an added line, or what the header of a file must contain."""
    unless: _Text = ""
    """A Python regular expression: a line that it matches is no finding."""
    paths: tuple[_Text, ...] = ()
    """Globs of the paths that it applies to; all when empty. Letter case is ignored."""
    not_paths: tuple[_Text, ...] = ()
    """Globs of paths that it does not apply to."""
    message: _Text = ""
    remedy: _Text = ""
    severity: Severity = "error"
    max_bytes: int = Field(0, ge=0)
    """For `size`: the largest file that needs no one's leave."""
    deletions: bool = False
    """For `path`: whether a deleted file counts as well."""
    like_neighbours: bool = False
    """For `header`: only where similar files of the base have it."""
    hits: tuple[_Text, ...] = ()
    """Examples that it finds: lines, or paths for `path`."""
    misses: tuple[_Text, ...] = ()
    """Examples that it does not find."""

    @field_validator("pattern", "unless")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return text

    @field_validator("paths", "not_paths")
    @classmethod
    def _are_globs(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for glob in globs:
            try:
                compile_glob(glob, ignore_case=True)
            except Refused as error:
                raise ValueError(error.message) from error
        return globs

    @model_validator(mode="after")
    def _is_complete(self) -> MergeRule:
        if self.severity == "off":
            return self
        if self.kind in ("line", "header") and not self.pattern:
            raise ValueError(f"a rule of the kind {self.kind} needs a pattern")
        if self.kind == "path" and not self.paths:
            raise ValueError("a rule of the kind path needs paths")
        if self.kind == "size" and not self.max_bytes:
            raise ValueError("a rule of the kind size needs max_bytes")
        if not self.message:
            raise ValueError("it needs a message")
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to pickle the rule: by its fields alone, as compiled globs are compared by identity."""
        return MergeRule.model_validate, (self.model_dump(),)

    def applies_to(self, path: str) -> bool:
        """Return whether the rule looks at a path, given in its written form; letter case is ignored.

        It does if one of `paths` matches, or there are none, and none of `not_paths` does.
        """
        if self._paths and not any(glob.matches(path) for glob in self._paths):
            return False
        return not any(glob.matches(path) for glob in self._not_paths)

    def finds(self, line: str) -> bool:
        """Return whether `pattern` matches anywhere in a line and `unless` does not, so that the line is a finding.

        For rules of the kind `line`.
        """
        return self._pattern.search(line) is not None and not self.excuses(line)

    def excuses(self, line: str) -> bool:
        """Return whether `unless` matches a line, which the rule then does not find; False without `unless`."""
        return bool(self.unless) and self._unless.search(line) is not None

    def has_header(self, head: str) -> bool:
        """Return whether `pattern` matches anywhere in the beginning of a file; for rules of the kind `header`."""
        return self._pattern.search(head) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def _unless(self) -> re.Pattern[str]:
        return re.compile(self.unless)

    @cached_property
    def _paths(self) -> tuple[Glob, ...]:
        return tuple(compile_glob(glob, ignore_case=True) for glob in self.paths)

    @cached_property
    def _not_paths(self) -> tuple[Glob, ...]:
        return tuple(compile_glob(glob, ignore_case=True) for glob in self.not_paths)


def wrong_examples(rule: MergeRule) -> list[str]:
    """Return what is wrong with the examples of a rule, one line each; empty if it finds all `hits` and no `misses`.

    Always empty for the kinds `binary`, `size` and `secret`.
    """
    if rule.kind not in ("line", "path", "header"):
        return []
    check = {"line": rule.finds, "path": rule.applies_to, "header": rule.has_header}[rule.kind]
    missed = [f"{rule.name} does not find its example {text!r}" for text in rule.hits if not check(text)]
    return missed + [f"{rule.name} finds {text!r}, which it should not" for text in rule.misses if check(text)]
