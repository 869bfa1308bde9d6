"""The spec files of a checkout: `.agents/specs/{active,archive/YYYY-MM,templates}` (SPEC-1). All methods block."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from aegis_tui.application.setup import SETUP_FILES
from aegis_tui.application.spec_import import Issue, spec_of
from aegis_tui.application.spec_template import check_edited
from aegis_tui.application.spec_text import SpecFile, change_spec, dump_spec, load_spec, parse_spec, read_spec
from aegis_tui.application.yaml_edit import Edit, edited
from aegis_tui.domain.naming import check_spec_id
from aegis_tui.domain.spec.document import PRIORITIES, Spec, SpecChange, SpecMode
from aegis_tui.domain.spec.draft import CONSULTANT
from aegis_tui.domain.spec.model import SpecStatus
from aegis_tui.domain.spec.transition import By, check_transition
from aegis_tui.errors import AegisError, Conflict, Refused, UsageError
from aegis_tui.sdk.exchange import change_file, create_file, replace_file

FOLDER: Final = Path(".agents/specs")
DIFFS: Final = Path(".agents/diffs")
MOST_FILES: Final = 10_000
_ENDINGS: Final = (".yaml", ".yml")
_DAY_ID: Final = re.compile(r"spec-(\d{4}-\d\d-\d\d)-(\d{3,})\Z")
_TITLE_CHARS: Final = 72


Plan = Callable[[Spec], tuple[Sequence[Edit], str]]
"""Takes a spec and returns what to set, and what the change log says of it."""


class SpecEntry(NamedTuple):
    """A spec file of a checkout: the spec, or why it is none."""

    path: Path
    file: SpecFile | None
    error: AegisError | None


class SpecFolder:
    """The specs of one checkout.

    Args:
        root: Its top folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root / FOLDER

    def paths(self) -> list[Path]:
        """Return the files of all active specs, also those that are directly in `specs`, by name.

        Raises:
            UsageError: There are more than 10,000, or two for one id, or a folder is a symbolic link: what a link leads
                to can be files that an agent may write.
        """
        by_id: dict[str, Path] = {}
        for folder in (self._folder, self._folder / "active"):
            self._check_no_link(folder)
            for path in _files(folder):
                if path.stem in by_id:
                    both = f"{by_id[path.stem].relative_to(self.root)} and {path.relative_to(self.root)}"
                    raise UsageError(f"{path.stem} is the id of two files: {both}", "rename one of them")
                by_id[path.stem] = path
        if len(by_id) > MOST_FILES:
            raise UsageError(f"there are more than {MOST_FILES} specs", "move ended ones to .agents/specs/archive")
        return sorted(by_id.values(), key=lambda path: path.name)

    def entries(self) -> list[SpecEntry]:
        """Return all active specs: valid ones by priority, the highest first, then by id; then those that are not.

        Raises:
            UsageError: As `paths` does.
        """
        entries = []
        for path in self.paths():
            try:
                entries.append(SpecEntry(path, load_spec(path), None))
            except (Refused, UsageError) as error:
                entries.append(SpecEntry(path, None, error))
        return sorted(
            entries, key=lambda entry: -PRIORITIES[entry.file.spec.priority] if entry.file else len(PRIORITIES)
        )

    def entries_by_id(self) -> list[Spec]:
        """Return all active specs that are valid, by id; the ids that `create` gives are in the order of their making.

        Raises:
            UsageError: As `paths` does.
        """
        specs = (entry.file.spec for entry in self.entries() if entry.file)
        return sorted(specs, key=lambda spec: spec.id)

    def find(self, spec_id: str) -> Path:
        """Return the file of a spec: an active one, or one in the archive.

        Raises:
            UsageError: There is none of that id, or a folder is a symbolic link, as for `paths`.
        """
        name = check_spec_id(spec_id)
        folders = [self._folder / "active", self._folder, *self._archive()]
        self._check_no_link(folders[0])
        for path in (folder / f"{name}{ending}" for folder in folders for ending in _ENDINGS):
            if path.is_file() and not path.is_symlink():
                return path
        raise UsageError(f"there is no spec {name}", "aegis-tui spec list names them")

    def templates(self) -> dict[str, str]:
        """Return the text of each template by name: those that ship, and the project's, which replace them."""
        own = (path for path in _files(self._folder / "templates"))
        return dict(sorted({**_shipped(), **{path.stem: path.read_text("utf-8", "replace") for path in own}}.items()))

    def create(
        self,
        text: str,
        *,
        template: str,
        author: str,
        now: datetime,
        is_consulted: bool = False,
        mode: SpecMode = "",
    ) -> Path:
        """Write a new draft from a template, and return its file; the first free id of the day becomes its own.

        Args:
            text: What is wanted, in words; its first line becomes the title, the whole text the description.
            template: The name of a template.
            author: Who writes it.
            now: The present time, with its time zone.
            is_consulted: Whether a hub is to have the draft filled in by a consultant.
            mode: How agents are to work on it.

        Raises:
            UsageError: The text is empty, or there is no such template, or a folder is a symbolic link.
            Refused: The template is no valid spec.
            OSError: The file cannot be written.
        """
        templates = self.templates()
        if template not in templates:
            raise UsageError(f"there is no spec template {template}", f"one of {', '.join(templates)}")
        if not text.strip():
            raise UsageError("the spec has no text", "say in words what is wanted")
        body = edited(templates[template], [Edit(("mode",), mode)]) if mode else templates[template]
        return self._add(lambda name: _filled(body, name, text.strip(), author, now, is_consulted=is_consulted), now)

    def add_issue(self, issue: Issue, *, author: str, now: datetime) -> Path:
        """Write a new draft for an issue, and return its file.

        Args:
            issue: The issue.
            author: Who imports it.
            now: The present time, with its time zone.

        Raises:
            UsageError: A folder is a symbolic link.
            Refused: An active spec was made from the same address (code `spec.exists`).
            OSError: The file cannot be written.
        """
        for entry in self.entries() if issue.url else ():
            if entry.file and entry.file.spec.metadata.extra.get("url") == issue.url:
                name = entry.file.spec.id
                hint = f"change that one, or remove it first: {entry.path.relative_to(self.root)}"
                raise Refused(f"{name} was made from {issue.url} already", hint, code="spec.exists")
        return self._add(lambda name: dump_spec(spec_of(issue, name, author=author, now=now)), now)

    def _add(self, make: Callable[[str], str], now: datetime) -> Path:
        """Write a new active spec under the first free id of the day; `make` returns its text for an id."""
        folder = self._folder / "active"
        self._check_no_link(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(self._last_of(f"{now:%Y-%m-%d}") + 1, 10**6):
            name = f"spec-{now:%Y-%m-%d}-{number:03d}"
            if create_file(folder / f"{name}.yaml", make(name).encode()):
                return folder / f"{name}.yaml"
        raise Conflict("all ids of this day are in use", "try again tomorrow", code="spec.exists")

    def change(self, spec_id: str, plan: Plan, *, author: str, now: datetime) -> SpecFile:
        """Change an active spec in its file and note it in its change log; what others write meanwhile is kept.

        A short file gets the present form.

        Args:
            spec_id: The spec.
            plan: What to set, decided from the spec as it is; called again if the file changes meanwhile. May raise. If
                there is nothing to set, the file stays as it is.
            author: Who changes it.
            now: The present time, with its time zone.

        Raises:
            UsageError: There is no such spec.
            Refused: The file or the change breaks a rule.
            Conflict: The file is written by another program all the time.
            OSError: The file cannot be written.
        """
        path = self.find(spec_id)
        at = now.isoformat(timespec="seconds")

        def make(content: bytes) -> bytes:
            file = read_spec(content, name=path.name)
            edits, said = plan(file.spec)
            if not edits:
                return content
            return change_spec(file, edits, entry=SpecChange(timestamp=at, author=author, change=said)).text.encode()

        return read_spec(change_file(path, make), name=path.name)

    def move(self, spec_id: str, status: SpecStatus, *, by: By, author: str, now: datetime) -> SpecFile:
        """Set the status of an active spec, if the published table allows it (SPEC-10).

        Raises:
            Refused: That status may not follow (code `spec.transition`), as `change` does, or the spec is to be
                approved and still has blanks of a template (code `spec.unedited`).
            UsageError: There is no such spec.
            Conflict: As `change` does.
            OSError: The file cannot be written.
        """

        def plan(spec: Spec) -> tuple[Sequence[Edit], str]:
            check_transition(spec.id, spec.status, status, by=by)
            if status == "approved":
                self.check_edited(load_spec(self.find(spec_id)))
            edits = [Edit(("status",), status)] if status != spec.status else []
            return edits, f"status {spec.status} -> {status}"

        return self.change(spec_id, plan, author=author, now=now)

    def archive(self, spec_id: str, now: datetime) -> Path:
        """Move the file of a spec to the archive of the month of `now`, and return its new place.

        Raises:
            UsageError: There is no such spec, or a folder is a symbolic link.
            Conflict: The archive has a file of that name already.
            OSError: The file cannot be moved.
        """
        path, into = self.find(spec_id), self._folder / "archive" / f"{now:%Y-%m}"
        if path.parent.parent == self._folder / "archive":
            return path
        self._check_no_link(into)
        into.mkdir(parents=True, exist_ok=True)
        try:
            (into / path.name).hardlink_to(path)  # unlike a rename, it never replaces a file
        except FileExistsError as error:
            raise Conflict(
                f"{into / path.name} exists already", "rename one of the two files", code="spec.exists"
            ) from error
        path.unlink()
        return into / path.name

    def put_diff(self, name: str, patch: bytes) -> str:
        """Write a patch for the person to `.agents/diffs/<name>.diff`, and return that path (SPEC-7, ROLE-11).

        Raises:
            Conflict: One of the folders is a symbolic link.
            OSError: The file cannot be written.
        """
        folder = self.root / DIFFS
        if folder.is_symlink() or folder.parent.is_symlink():
            raise Conflict(f"{DIFFS} is a symbolic link", "replace it by a folder", code="spec.link")
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{name}.diff", patch)
        return (DIFFS / f"{name}.diff").as_posix()

    def is_archived(self, spec_id: str) -> bool:
        """Return whether the file of a spec is in the archive, where only specs that ended are."""
        return any((folder / f"{spec_id}{ending}").is_file() for folder in self._archive() for ending in _ENDINGS)

    def check_edited(self, file: SpecFile) -> None:
        """Return if a spec has no blanks of a template any more.

        Raises:
            Refused: It has (code `spec.unedited`).
        """
        check_edited(file, self.templates().values(), shipped=_shipped().values())

    def _check_no_link(self, folder: Path) -> None:
        """Return if neither this folder nor one above it inside the checkout is a symbolic link.

        Raises:
            UsageError: One is.
        """
        for part in (folder, *folder.parents):
            if part == self.root:
                return
            if part.is_symlink():
                raise UsageError(f"{part.relative_to(self.root)} is a symbolic link", "replace it by a folder")

    def _archive(self) -> Iterator[Path]:
        try:
            months = sorted(path for path in (self._folder / "archive").iterdir() if path.is_dir())
            yield from (path for path in months if not path.is_symlink())
        except OSError:
            return

    def _last_of(self, day: str) -> int:
        """Return the highest number among the ids of a day, archived ones included; 0 if there is none."""
        folders = (self._folder / "active", self._folder, *self._archive())
        names = (path.stem for folder in folders for path in _files(folder))
        matches = (match for match in map(_DAY_ID.match, names) if match and match[1] == day)
        return max((int(match[2]) for match in matches), default=0)


@cache
def _shipped() -> Mapping[str, str]:
    """Return the text of each shipped template by name."""
    return {path.stem: path.read_text("utf-8") for path in sorted((SETUP_FILES / "specs").glob("*.yaml"))}


def _files(folder: Path) -> list[Path]:
    """Return the YAML files in a folder, without links and hidden files; empty if it cannot be read."""
    try:
        with os.scandir(folder) as rows:
            names = [row.name for row in rows if not row.name.startswith(".") and row.is_file(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(_ENDINGS)]


def _filled(template: str, name: str, text: str, author: str, now: datetime, *, is_consulted: bool) -> str:
    """Return the text of a template with id, title, description, author and times; its first comment is left out."""
    at = now.isoformat(timespec="seconds")
    title = " ".join(text.split("\n", 1)[0].split())
    short = title if len(title) <= _TITLE_CHARS else f"{title[: _TITLE_CHARS - 1].rstrip()}…"
    body = re.sub(r"\A(#[^\n]*\n)+", "", template)
    changes = [Edit(("id",), name), Edit(("status",), "draft"), Edit(("metadata", "title"), short)]
    if text != short or is_consulted:
        changes.append(Edit(("metadata", "description"), text))
    changes += [
        Edit(("metadata", key), value) for key, value in (("author", author), ("createdAt", at), ("updatedAt", at))
    ]
    if is_consulted:
        changes.append(Edit(("assignedAgent",), CONSULTANT))
    filled = edited(body, changes)
    return parse_spec(filled, name=f"{name}.yaml").text
