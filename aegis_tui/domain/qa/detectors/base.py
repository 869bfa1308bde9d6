"""What a detector of one ecosystem is, and which folders of a repository detectors look into. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Protocol, runtime_checkable

Read = Callable[[str], str]
"""The text of a tracked file; empty for one that is not at hand."""

_ASIDE = frozenset({"node_modules", "vendor", "third_party", "testdata", "fixtures", "examples", "example", "docs"})


@runtime_checkable
class QaDetector(Protocol):
    """Finds the QA commands of one ecosystem by its build files. It guesses nothing."""

    @property
    def name(self) -> str:
        """The ecosystem; no other detector has the same."""
        ...

    def wants(self, path: str) -> bool:
        """Return whether a tracked file is one whose text `commands` may ask for."""
        ...

    def commands(self, files: Collection[str], read: Read) -> Iterator[str]:
        """Yield the commands that run the tests, in the order in which all are to be run; none when it is not sure.

        Args:
            files: All tracked paths.
            read: Returns the text of a file; empty for one that is not at hand.
        """
        ...


@runtime_checkable
class SamplesTests(Protocol):
    """A detector that also looks into test files. A repository may have thousands, so it gets only some of them."""

    def is_test(self, path: str) -> bool:
        """Return whether a path is a test file that the detector wants and of which a sample is enough."""
        ...


def folders_of(files: Collection[str], manifest: str) -> list[str]:
    """Return the first four folders of a manifest, sorted, each with a slash at its end; the root is an empty text.

    Left out are folders more than two levels down, of examples or the code of others, and with unusual characters.

    Args:
        files: All tracked paths.
        manifest: The file name that makes a folder count.
    """
    folders = [path.removesuffix(manifest) for path in files if path == manifest or path.endswith(f"/{manifest}")]
    near = [folder for folder in folders if folder.count("/") <= 2 and not is_aside(folder)]
    return sorted(folder for folder in near if re.fullmatch(r"[\w./@+-]*", folder))[:4]


def is_aside(path: str) -> bool:
    """True for a file in or below a folder that holds examples, documentation, test data or the code of others."""
    return any(part in _ASIDE for part in path.split("/")[:-1])
