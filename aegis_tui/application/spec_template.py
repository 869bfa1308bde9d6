"""Finds what a spec still has from its template unchanged, so that nobody approves a spec that says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from aegis_tui.application.spec_text import SpecFile, refused_at
from aegis_tui.application.yaml_text import NodeReader, NotYaml, compose
from aegis_tui.domain.spec.document import Place, Spec

BLANKS: Final = frozenset(
    (
        "ACTION",
        "AREA",
        "ATTACK",
        "DO",
        "GOAL",
        "OPERATION",
        "PACKAGE",
        "REASON",
        "RESULT",
        "ROLE",
        "SOMETHING",
        "STATE",
        "VERSION",
    )
)
"""The words of the shipped templates that stand for words of the person's."""

_CAPITALS: Final = re.compile(r"\b[A-Z]{2,}\b")

_HINT: Final = "write what is meant, or remove the field; then approve the spec again"


def check_edited(file: SpecFile, templates: Iterable[str], *, shipped: Iterable[str]) -> None:
    """Return if no field that a person has to fill in still has the text of a template.

    Those are the description, if it is that of a shipped template, and requirements and criteria that are those of any
    template with a word of `BLANKS`. Other texts of a template can be meant as they are.

    Args:
        file: The spec.
        templates: The texts of all templates.
        shipped: The texts of the templates that ship with the program.

    Raises:
        Refused: A field has such a text (code `spec.unedited`); the message names file, line and field of each.
    """
    descriptions = {_description_of(_read(text)) for text in shipped} - {""}
    sentences = {text for template in templates for text in _sentences_of(template)}
    places = [place for place, text in _texts(file.spec) if text in (sentences if len(place) > 2 else descriptions)]
    if places:
        issues = [(place, "still has the text of the template") for place in places]
        raise refused_at(file, issues, hint=_HINT, code="spec.unedited")


def _texts(spec: Spec) -> Iterator[tuple[Place, str]]:
    yield ("metadata", "description"), spec.metadata.description.strip()
    for number, item in enumerate(spec.requirements):
        yield ("requirements", number, "description"), item.description.strip()
        for position, criterion in enumerate(item.acceptanceCriteria):
            yield ("requirements", number, "acceptanceCriteria", position), criterion.strip()


@lru_cache(maxsize=128)
def _read(template: str) -> Mapping[str, object]:
    """Return the plain values of a template; none if it cannot be read."""
    try:
        data = NodeReader().read(compose(template))
    except NotYaml:
        return {}
    return data if isinstance(data, dict) else {}


def _description_of(template: Mapping[str, object]) -> str:
    metadata = template.get("metadata")
    description = metadata.get("description") if isinstance(metadata, Mapping) else None
    return description.strip() if isinstance(description, str) else ""


def _sentences_of(template: str) -> Iterator[str]:
    for text in _all_texts(_read(template).get("requirements")):
        if not BLANKS.isdisjoint(_CAPITALS.findall(text)):
            yield text.strip()


def _all_texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _all_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _all_texts(item)
