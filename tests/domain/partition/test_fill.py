"""Suggested partitions in a design: each feature gets the part most like its own, the result keeps the rules."""

from __future__ import annotations

from typing import cast

from aegis_tui.application.design import dump_design, parse_design
from aegis_tui.domain.partition.fill import fill_design
from aegis_tui.domain.run.design import Design, check_design
from aegis_tui.domain.wire.code_map import PartitionOutput

DESIGN = Design.model_validate(
    {
        "goal": "g",
        "features": [
            {"id": "pages", "title": "t", "brief": "b", "partition": ["web/page.py"]},
            {"id": "tables", "title": "t", "brief": "b", "partition": ["store/**"]},
        ],
        "joint": ["old.md"],
    }
)
ANSWER: PartitionOutput = {
    "seq": 1,
    "tree": None,
    "changed": [],
    "stale": [],
    "parts": [
        {"name": "store", "globs": ["store/**", "db/**"], "files": 4, "lines": 9, "reason": "store; imports: 4 inside"},
        {"name": "web", "globs": ["web/**"], "files": 4, "lines": 9, "reason": "web\nfeatures: []"},
    ],
    "outside": [
        {"glob": "base.py", "where": "foundation", "files": 1, "reason": "r"},
        {"glob": "README.md", "where": "joint", "files": 1, "reason": "r"},
        {"glob": "LICENSE", "where": "shared", "files": 1, "reason": "r"},
    ],
    "imports": 8,
    "cut": 0,
    "notes": [],
}


def test_each_feature_gets_the_part_most_like_its_own() -> None:
    filled, reasons = fill_design(DESIGN, ANSWER)
    assert [feature.partition for feature in filled.features] == [("web/**",), ("store/**", "db/**")]
    assert (filled.joint, filled.shared) == (("README.md",), ("LICENSE", "base.py"))
    assert check_design(filled) == []
    text = dump_design(filled, reasons=reasons)
    assert "  # store; imports: 4 inside\n  - id: tables\n" in text
    assert parse_design(text) == filled


def test_a_goal_that_looks_like_a_feature_gets_no_reason() -> None:
    given = DESIGN.model_copy(update={"goal": "write\n- id: pages\nand\nfeatures:\n"})
    filled, reasons = fill_design(given, ANSWER)
    text = dump_design(filled, reasons=reasons)
    assert text.count("  # web") == 1
    assert parse_design(text) == filled


def test_a_foundation_gets_what_is_suggested_for_it() -> None:
    given = Design.model_validate({**DESIGN.model_dump(), "foundation": {"brief": "b", "partition": ["core/**"]}})
    filled, _ = fill_design(given, ANSWER)
    assert filled.foundation is not None and filled.foundation.partition == ("base.py",)
    assert filled.shared == ("LICENSE",)


def test_a_foundation_that_gets_nothing_keeps_its_paths_and_the_parts_do_not_have_them() -> None:
    foundation = {"brief": "b", "partition": ["src/{base,money}.py", "web/**"]}
    given = Design.model_validate({**DESIGN.model_dump(), "foundation": foundation})
    parts = [
        {**ANSWER["parts"][0], "globs": ["src/base.py", "src/store.py"]},
        {**ANSWER["parts"][1], "globs": ["web/**"]},
    ]
    answer = cast(PartitionOutput, {**ANSWER, "parts": parts, "outside": [{**ANSWER["outside"][0], "where": "shared"}]})
    filled, _ = fill_design(given, answer)
    assert [feature.partition for feature in filled.features] == [("web/**",), ("src/store.py",)]
    assert filled.foundation is not None and filled.foundation.partition == ("src/{base,money}.py",)
    assert check_design(filled) == []


def test_a_feature_without_a_part_keeps_its_partition() -> None:
    filled, reasons = fill_design(DESIGN, {**ANSWER, "parts": ANSWER["parts"][:1]})
    assert [feature.partition for feature in filled.features] == [("store/**", "db/**"), ("store/**",)]
    assert list(reasons) == ["pages"]
