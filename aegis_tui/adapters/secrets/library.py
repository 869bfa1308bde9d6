"""Finds secrets with the library detect-secrets, in this process (FLOW-9).

Only its patterns are used. What looks for a secret's owner over the network, and the comments by which a file excuses
itself, are left out: the author of the lines must not have a say.

Source: https://github.com/Yelp/detect-secrets
"""

from __future__ import annotations

import importlib
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from types import ModuleType
from typing import Protocol

from aegis_tui.domain.rule.judge import WINDOW, SecretHit, windows
from aegis_tui.ports.secret_scanner import ScannedText

_MODULES = (
    "artifactory",
    "aws",
    "azure_storage_key",
    "basic_auth",
    "cloudant",
    "discord",
    "github_token",
    "gitlab_token",
    "ibm_cloud_iam",
    "ibm_cos_hmac",
    "jwt",
    "keyword",
    "mailchimp",
    "npm",
    "openai",
    "private_key",
    "pypi_token",
    "sendgrid",
    "slack",
    "softlayer",
    "square_oauth",
    "stripe",
    "telegram_token",
    "twilio",
)
"""All its detectors but three: those of strings of high entropy, which checksums have, and that of addresses."""

_GUESSING = frozenset({"Secret Keyword", "Basic Auth Credentials"})
"""Detectors that go by a name before the value; the value has to look like a secret too."""

_LEAST_CHARACTERS, _LEAST_ENTROPY = 8, 2.5
_CLIENT = "requests"
_KEYWORDS = ("key", "pass", "pwd", "secret", "contrase")
"""One of these is in each line that the slowest detector finds something in."""


class _Detector(Protocol):
    @property
    def secret_type(self) -> str: ...

    def analyze_string(self, string: str) -> Iterator[str]: ...


def library_name() -> str:
    """Return the name and version of the library.

    Raises:
        PackageNotFoundError: It is not installed.
    """
    return f"detect-secrets {version('detect-secrets')}"


def scan_with_library(texts: Sequence[ScannedText]) -> tuple[SecretHit, ...]:
    """Return path, line number and kind of the secrets in the added lines of the texts, each once, in their order.

    Empty if there are none. Blocking.

    Raises:
        ImportError: The library is not installed.
    """
    detectors = load_detectors()
    return tuple(dict.fromkeys(hit for text in texts for hit in _scan(detectors, text)))


@cache
def load_detectors() -> tuple[_Detector, ...]:
    """Import the library without its HTTP client and return its detectors; later calls return the same ones.

    Raises:
        ImportError: It is not installed.
    """
    with _without_http_client():
        from detect_secrets.plugins.base import BasePlugin

        modules = [importlib.import_module(f"detect_secrets.plugins.{name}") for name in _MODULES]
    detectors: list[_Detector] = []
    for module in modules:
        classes = (item for item in vars(module).values() if isinstance(item, type))
        detectors += [item() for item in classes if issubclass(item, BasePlugin) and item.__module__ == module.__name__]
    return tuple(detectors)


@contextmanager
def _without_http_client() -> Iterator[None]:
    """Let the library import an empty module in place of `requests`, unless this process has it already.

    It asks the owners of secrets with it, which is never done here, and it takes most of the import.
    """
    if _CLIENT in sys.modules:
        yield
        return
    stub = ModuleType(_CLIENT)
    vars(stub)["__getattr__"] = lambda name: object  # types in annotations
    sys.modules[_CLIENT] = stub
    try:
        yield
    finally:
        del sys.modules[_CLIENT]


def _scan(detectors: Sequence[_Detector], text: ScannedText) -> Iterator[SecretHit]:
    for group in _groups(text.lines):
        joined = "\n".join(line for _, line in group)
        near = [item for item in detectors if _may_find(item, joined)]
        for number, line in group if near else ():
            for detector in near:
                if _is_worth_it(detector, line) and any(_finds(detector, part) for part in windows(line)):
                    yield SecretHit(text.path, number, detector.secret_type)


def _groups(lines: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield the lines in groups of at most `WINDOW` characters, in order; a longer line is a group of its own.

    Most groups contain nothing, and one search through a group is faster than one for each line.
    """
    group: list[tuple[int, str]] = []
    size = 0
    for number, line in lines:
        if group and size + len(line) > WINDOW:
            yield group
            group, size = [], 0
        group.append((number, line))
        size += len(line) + 1
    if group:
        yield group


def _may_find(detector: _Detector, joined: str) -> bool:
    if len(joined) > WINDOW or detector.secret_type in _GUESSING:
        return _is_worth_it(detector, joined)
    return next(iter(detector.analyze_string(joined)), None) is not None


def _is_worth_it(detector: _Detector, text: str) -> bool:
    """Return whether a detector may find anything in a text.

    False only for the slowest one, which goes by the names of values, if none of `_KEYWORDS` is in it, in any case of
    letters.
    """
    if detector.secret_type != "Secret Keyword":
        return True
    folded = text.casefold()
    return any(word in folded for word in _KEYWORDS)


def _finds(detector: _Detector, text: str) -> bool:
    return any(_is_secret(detector, value) for value in detector.analyze_string(text))


def _is_secret(detector: _Detector, value: str) -> bool:
    if detector.secret_type not in _GUESSING:
        return True
    has_both = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    if len(value) < _LEAST_CHARACTERS or not has_both or any(char in value for char in " ${}<>()"):
        return False
    return _entropy(value) >= _LEAST_ENTROPY


def _entropy(value: str) -> float:
    """Return the Shannon entropy of the characters of a text, in bits per character; 0 for an empty text."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)
