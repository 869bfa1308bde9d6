"""The joint report of all reviewers as SARIF 2.1.0, which editors and forges show beside the code (REV-2).

Source: Static Analysis Results Interchange Format (SARIF) Version 2.1.0, OASIS Standard.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from aegis_tui.domain.inert import inert
from aegis_tui.domain.wire.review import JointFinding, PieceReview

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "SRCROOT"
_LEVELS: Final = {"error": "error", "warning": "warning", "info": "note"}
_NO_RULE: Final = "review"
_NOT_IN_AN_ID = re.compile(r"[^0-9A-Za-z._-]+")


def sarif_log(run: str, pieces: Sequence[PieceReview], *, version: str) -> dict[str, Any]:
    """Return a SARIF log with one run for each piece; files are relative to the repository's root.

    The rule of a result is its lens and the point of the checklist, such as `security/injection`. A verdict is in the
    properties of the SARIF run, so that a piece without findings says too whether it was approved.

    Args:
        run: The id of the run.
        pieces: Its reviewed pieces, or some of them.
        version: The version of this program.
    """
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(run, item, version) for item in pieces]}


def _run(run: str, item: PieceReview, version: str) -> dict[str, Any]:
    rules = sorted({_rule(finding) for finding in item["findings"]})
    driver = {"name": "aegis-tui", "version": version, "rules": [_described(name) for name in rules]}
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"aegis-tui/{inert(run)}/{inert(item['piece'])}"},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, rules) for finding in item["findings"]],
        "properties": {
            "verdict": item["verdict"],
            "score": item["score"],
            "baseCommit": item["base_oid"],
            "commit": item["head_oid"],
            "lenses": [{name: lens[name] for name in ("lens", "blocking", "verdict")} for lens in item["lenses"]],
        },
    }


def _rule(item: JointFinding) -> str:
    """Return the id of a finding's rule; it holds only letters, digits and `._-/`."""
    lens = item["lenses"][0] if item["lenses"] else _NO_RULE
    point = _NOT_IN_AN_ID.sub("-", item["rule"]).strip("-")[:100]
    return f"{lens}/{point}" if point else lens


def _described(name: str) -> dict[str, Any]:
    lens, _, point = name.partition("/")
    words = f"The rule {point} of the review lens {lens}." if point else f"The review lens {lens}."
    return {"id": name, "shortDescription": {"text": words}}


def _result(item: JointFinding, rules: Sequence[str]) -> dict[str, Any]:
    rule = _rule(item)
    text = inert(item["msg"], keep="\n\t")
    if item["suggestion"]:
        text += f"\n\nSuggestion: {inert(item['suggestion'], keep=chr(10))}"
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": _LEVELS[item["severity"]],
        "message": {"text": text},
        "rank": round(100 * item["confidence"], 1),
        "properties": {name: item[name] for name in ("score", "confidence", "lenses", "reviewers")},
    }
    if item["file"] is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(item["file"]), "uriBaseId": _ROOT}}
        if item["line"] is not None and item["line"] >= 1:
            place["region"] = {"startLine": item["line"], "endLine": item["end_line"]}
        result["locations"] = [{"physicalLocation": place}]
    return result
