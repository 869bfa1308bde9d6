"""JUnit XML, as pytest, ctest, Maven, Gradle and others write it. Hostile input: the code under test can write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from xml.parsers import expat

from junitparser import Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestCase, TestSuite

MAX_BYTES = 16 * 1024 * 1024
"""Larger files are not read: the text of the command decides then."""

MAX_DEPTH = 64
MAX_ELEMENTS = 400_000


class Unreadable(ValueError):
    """This is no JUnit XML that may be read."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a file of results."""

    name: str
    state: str
    """`passed`, `failed`, `error` or `skipped`."""
    message: str
    classname: str
    file: str

    @property
    def ran(self) -> bool:
        """Whether the test ran: it was not skipped."""
        return self.state != "skipped"

    @property
    def is_bad(self) -> bool:
        """Whether the test failed or ended in an error."""
        return self.state in ("failed", "error")


def read_cases(content: bytes) -> list[Case]:
    """Return every test of a file, in order.

    Raises:
        Unreadable: The file is too large, too deep, not well-formed, or declares a document type: entities of one could
            expand without end, or name files.
    """
    _check(content)
    try:
        root = JUnitXml.fromstring(content)
    except (JUnitXmlError, SyntaxError, ValueError) as error:
        raise Unreadable(str(error)) from error
    return [_case(item) for item in _walk(root)]


def _check(content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise Unreadable(f"over {MAX_BYTES} bytes")
    depth = elements = 0

    def opened(name: str, attributes: object) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise Unreadable("too many elements")

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1

    def declared(*parts: object) -> None:
        raise Unreadable("it declares a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.StartDoctypeDeclHandler = declared
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # encodings that Python has and expat has not
        raise Unreadable(str(error)) from error


def _walk(node: JUnitXml | TestSuite) -> Iterator[TestCase]:
    """Yield every test case below a node, in order, also those of suites inside suites, each once."""
    for item in node:
        if isinstance(item, TestSuite):
            yield from _walk(item)
        elif isinstance(item, TestCase):
            yield item


def _case(item: TestCase) -> Case:
    states = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
    state, message = "passed", ""
    for result in item.result:
        result_state = "error" if isinstance(result, Error) else "failed" if isinstance(result, Failure) else "skipped"
        if isinstance(result, Error | Failure | Skipped) and states[result_state] > states[state]:
            state, message = result_state, result.message or ""
    file = item._elem.attrib.get("file", "")
    return Case(item.name or "", state, message, item.classname or "", str(file))


def total(files: Iterable[bytes], name: Callable[[Case], str]) -> tuple[list[Case], list[str]] | None:
    """Return the cases of all files together, and the name that `name` gives each, as two lists in the same order.

    None if a file is unreadable (see `read_cases`).
    """
    cases: list[Case] = []
    try:
        for content in files:
            cases += read_cases(content)
    except Unreadable:
        return None
    return cases, [name(case) for case in cases]
