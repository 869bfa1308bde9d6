"""Takes what looks like a secret out of texts that are stored or shown to others (MEM-4).

It errs on the side of taking too much: a long random-looking word goes even if it is no secret. Agents write the texts:
each pattern takes a time that grows with their length, not with its square.
"""

from __future__ import annotations

import re
from typing import Final

SECRET: Final = "<secret>"
"""What stands in place of a secret."""

SECRET_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----"
            r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)",
            re.DOTALL,
        ),
        SECRET,
    ),
    (re.compile(r"(?i)\b(bearer)\s+\S+"), rf"\1 {SECRET}"),
    # "A basic test" is no secret: a name and a password in base64 are not all in small letters.
    (re.compile(r"(?i)\b(basic)\s+(?!(?-i:[a-z'-]+)[.,;:!?)]*(?:\s|\Z))\S+"), rf"\1 {SECRET}"),
    (
        re.compile(
            r"""(?ix)(?<![\w-])([\w-]*?(?:key|token|secret|password|passwd|pwd|passphrase|authorization|credentials?))
            (["']?\s*(?:=>|:=|[=:])\s*)("[^"]*"|'[^']*'|"[^"\n]*|'[^'\n]*|[^\s"',}]+)"""
        ),
        rf"\1\2{SECRET}",
    ),
    (
        re.compile(
            r"\b(?:sk|pk|rk|ghp|gho|ghs|ghu|ghr|github_pat|glpat|npm|pypi|xox[abeoprs]|hf|dop_v1)[-_][A-Za-z0-9_-]{8,}"
        ),
        SECRET,
    ),
    (re.compile(r"\b(?:AKIA|ASIA|AIza)[A-Za-z0-9_-]{12,}"), SECRET),
    (re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"), SECRET),
    (re.compile(r"(?<=://)[^/\s@]+@"), f"{SECRET}@"),
    (
        re.compile(r"(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+_-]*\d)(?=[A-Za-z0-9+_-]*[A-Za-z])[A-Za-z0-9+_-]{32,}={0,2}"),
        SECRET,
    ),
)
"""Patterns that are replaced in this order, each with its replacement."""


def without_secrets(text: str) -> str:
    """Return the text with `SECRET` in place of all that looks like a password, token, key or random identifier.

    Names before a value (`password = `) stay, so that the text can still be understood.
    """
    for pattern, word in SECRET_RULES:
        text = pattern.sub(word, text)
    return text
