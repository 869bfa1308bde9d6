"""Commit messages of a run: a conventional subject, a body, and trailers that name the run and the instances.

Works on text only. Source: conventionalcommits.org 1.0.0, git-interpret-trailers(1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aegis_tui.domain.ids import instance_id

SUBJECT_LENGTH = 72
"""Longest subject line, in characters."""

_TYPES = "build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test"
_CONVENTIONAL = re.compile(rf"(?:{_TYPES})(?:\([^()\s]+\))?!?: \S")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f]+")


def author_of(agent_id: str) -> tuple[str, str]:
    """Return the author name and address of an instance: `NATIVE-w01`, `w01@aegis.invalid` (RFC 2606: `.invalid`)."""
    return agent_id, f"{instance_id(agent_id)}@aegis.invalid"


def conventional_subject(text: str, *, kind: str = "feat", note: str = "") -> str:
    """Turn a text into one conventional subject line of at most `SUBJECT_LENGTH` characters.

    Args:
        text: A goal or a title; line breaks become spaces. If it already is a conventional subject, its type stays. If
            it is empty, the subject says `change nothing`.
        kind: The commit type for text that has none.
        note: Appended; it is never cut.
    """
    words = _BREAKS.sub(" ", text).strip().rstrip(".") or "change nothing"
    subject = words if _CONVENTIONAL.match(words) else f"{kind}: {_begun_small(words)}"
    room = SUBJECT_LENGTH - len(note)
    if len(subject) <= room:
        return subject + note
    cut = subject[: room - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > room // 2 else cut).rstrip() + "…" + note


def result_words(goal: str, features: Mapping[str, bool]) -> tuple[str, str]:
    """Return subject and body of the commit of a run's result; both say it if something was left out.

    Args:
        goal: The goal.
        features: Name and title of each feature in a line, and whether the commit contains it.
    """
    kept = "\n".join(f"- {line}" for line, is_kept in features.items() if is_kept)
    gone = "\n".join(f"- {line}" for line, is_kept in features.items() if not is_kept)
    subject = conventional_subject(goal, note=" (incomplete)" if gone else "")
    return subject, f"{kept}\n\nNot included:\n{gone}" if gone else kept


def _begun_small(text: str) -> str:
    """Return the text with its first letter in lower case, unless its first word is a name or an abbreviation.

    README, JSON and GitHub are such: they have another capital letter.
    """
    first = text.split(" ", 1)[0]
    letters = "".join(filter(str.isalpha, first))
    is_word = letters[1:] == letters[1:].lower() and (len(letters) > 1 or first == "A")
    return f"{text[0].lower()}{text[1:]}" if is_word else text


def commit_trailers(run: str, agent_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the trailers of a commit, name -> values, in the order in which they are written.

    They are `Aegis-Run`, `Aegis-Instance` and `Co-Authored-By`; each instance is named once, and the last two are left
    out without instances.

    Args:
        run: The run's id.
        agent_ids: The instances, in the order in which they are to be named.
    """
    agents = list(dict.fromkeys(agent_ids))
    trailers = {"Aegis-Run": [run], "Aegis-Instance": agents}
    authors = [f"{name} <{email}>" for name, email in map(author_of, agents)]
    return {name: values for name, values in {**trailers, "Co-Authored-By": authors}.items() if values}


def render_message(subject: str, body: str, trailers: dict[str, list[str]]) -> str:
    """Join subject, body and trailers, as paragraphs, to a commit message that ends with one newline.

    Empty ones are left out. Line breaks in the value of a trailer become spaces.
    """
    lines = [f"{name}: {_BREAKS.sub(' ', value).strip()}" for name, values in trailers.items() for value in values]
    paragraphs = [subject, body.strip(), "\n".join(lines)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"
