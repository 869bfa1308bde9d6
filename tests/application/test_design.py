from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_tui.application.design import build_design, dump_design, load_design, parse_design
from aegis_tui.domain.run.design import Design, Feature, Foundation, Qa
from aegis_tui.errors import DesignRefused, UsageError

GOOD = """\
goal: 회의실 예약  # what the person asked for
foundation:
  brief: models first
  partition: ["src/core/**"]
features:
  - id: api
    title: REST API
    brief: |
      Two endpoints.
      With tests.
    partition: ["src/api/**"]
  - id: ui
    title: 화면
    brief: A page
    partition:
      - "src/ui/**"
      - "문서/**"
    depends_on: [api]
    kind: codex
shared:
joint: [CHANGELOG.md]
qa: {commands: ["pytest -q"]}
"""


def refusal(text: str, *, kinds: list[str] | None = None) -> DesignRefused:
    with pytest.raises(DesignRefused) as caught:
        parse_design(text, kinds=kinds)
    return caught.value


def test_a_design_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "design.yaml"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")
    design = load_design(path, kinds=["native", "codex"])
    assert design.goal == "회의실 예약"
    assert [feature.id for feature in design.features] == ["api", "ui"]
    assert design.features[0].brief == "Two endpoints.\nWith tests.\n"
    assert (design.features[0].kind, design.features[1].kind) == ("native", "codex")
    assert (design.shared, design.joint) == ((), ("CHANGELOG.md",))
    assert design.qa == Qa(commands=("pytest -q",))


def test_json_is_a_design_file_too() -> None:
    design = parse_design(GOOD)
    assert parse_design(json.dumps(design.model_dump(mode="json"), ensure_ascii=False)) == design


def test_plain_numbers_and_words_are_text() -> None:
    text = "goal: 42\nfeatures: [{id: 007, title: yes, brief: 2026-01-01, partition: [1.0]}]\n"
    feature = parse_design(text).features[0]
    assert (feature.id, feature.title, feature.brief, feature.partition) == ("007", "yes", "2026-01-01", ("1.0",))


def test_an_overlap_is_told_with_file_line_field_and_example_path(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD.replace('"문서/**"', '"**/*.py"'), encoding="utf-8")
    with pytest.raises(DesignRefused) as caught:
        load_design(path)
    first, second = caught.value.message.splitlines()
    assert first == (
        "plan.yaml:17: features[1].partition[1]: "
        "'**/*.py' of ui overlaps 'src/core/**' of foundation, example path src/core/a.py"
    )
    assert second.endswith("example path src/api/a.py")
    assert caught.value.data["issues"][0] == {
        "file": "plan.yaml",
        "line": 17,
        "field": "features[1].partition[1]",
        "message": "'**/*.py' of ui overlaps 'src/core/**' of foundation, example path src/core/a.py",
        "witness": "src/core/a.py",
    }
    assert caught.value.data["overlaps"][0]["owners"] == ["foundation", "ui"]
    assert json.loads(json.dumps(caught.value.to_wire()))["code"] == "design"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    title: REST API\n",
            "    titel: REST API\n",
            "design.yaml:7: features[0].titel: unknown field; did you mean title?",
        ),
        ("    title: REST API\n", "", "design.yaml:6: features[0].title: is required"),
        ("goal:", "gaol:", "design.yaml:1: gaol: unknown field; did you mean goal?"),
        ("commands:", "comands:", "design.yaml:22: qa.comands: unknown field; did you mean commands?"),
        (
            "  partition: [",
            "  partitions: [",
            "design.yaml:4: foundation.partitions: unknown field; did you mean partition?",
        ),
        ("kind: codex", "kind: codec", "design.yaml:19: features[1].kind: unknown kind 'codec'; did you mean codex?"),
        ("[api]", "[apii]", "design.yaml:18: features[1].depends_on[0]: there is no feature 'apii'; did you mean api?"),
        ("[api]", "[ui]", "design.yaml:18: features[1].depends_on: the dependencies form a cycle: ui -> ui"),
        ("id: ui", "id: U I", "design.yaml:12: features[1].id: must be a name"),
        ("joint: [CHANGELOG.md]", "joint: CHANGELOG.md", "design.yaml:21: joint: must be a list"),
        ("brief: A page", "brief: [a]", "design.yaml:14: features[1].brief: must be text"),
        ("brief: A page", "brief: ''", "design.yaml:14: features[1].brief: must not be empty"),
        ('["pytest -q"]', "[]", "design.yaml:22: qa.commands: needs at least one entry"),
        ('"src/ui/**"', '"/src"', "design.yaml:16: features[1].partition[0]: glob '/src': it is absolute"),
        ("joint:", "goal: x\njoint:", "design.yaml:21: goal: the field is given twice, first in line 1"),
        ('"src/ui/**"', "*.py", "design.yaml:16: this is not YAML"),
        ('"src/ui/**"', "!x", "design.yaml:16: features[1].partition[0]: tags like !x are not allowed"),
        ("brief: A page", "brief: 'A page", "design.yaml:"),
        ("goal:", "? [a]\n: x\ngoal:", "a field name must be text"),
        ("goal: 회의실 예약", "goal: \x07", "characters that YAML does not allow"),
        ("qa:", "---\nqa:", "this is not YAML"),
    ],
)
def test_each_mistake_is_told_with_its_line(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    error = refusal(GOOD.replace(old, new, 1), kinds=["native", "codex"])
    assert expected in error.message
    assert error.hint
    assert set(error.data["issues"][0]) == {"file", "line", "field", "message", "witness"}


def test_a_glob_without_quotes_is_answered_with_the_remedy() -> None:
    assert "quotes" in refusal("features: [{partition: [\n  **/*.py]}]").hint


def test_all_issues_come_at_once_and_in_line_order() -> None:
    error = refusal(
        GOOD.replace("[api]", "[nope]").replace("src/api", "/api").replace("codex", "what"), kinds=["native"]
    )
    assert [issue["line"] for issue in error.data["issues"]] == [11, 18, 19]


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "text", "goal: x\nfeatures: []"])
def test_a_file_without_a_design_is_refused(text: str) -> None:
    assert "design.yaml:" in refusal(text).message


def test_an_alias_is_followed_but_not_a_bomb_or_a_loop() -> None:
    aliased = GOOD.replace("brief: models first", "brief: &b models first").replace("brief: A page", "brief: *b")
    assert parse_design(aliased).features[1].brief == "models first"
    layers = "".join(f"l{n}: &l{n} [{','.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    assert "too many values" in refusal(f"l0: &l0 [a]\n{layers}").message
    assert "too many" in refusal("goal: &g [*g]").message
    assert "nested too deeply" in refusal("[" * 500).message


def test_an_anchor_used_twice_is_quiet() -> None:
    assert "unknown field" in refusal("a: &x 1\nb: &x 2\n").message


def test_a_file_that_is_too_large_not_utf8_or_missing_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"goal: ok\ntitle: caf\xe9\n")
    with pytest.raises(DesignRefused, match=r"large.yaml: the file is over 1 MiB"):
        load_design(large)
    with pytest.raises(DesignRefused, match=r"latin.yaml:2: the file is not UTF-8"):
        load_design(latin)
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UsageError) as caught:
            load_design(path)
        assert str(path) in caught.value.message


def test_a_proposed_design_is_judged_by_the_same_rules() -> None:
    data = parse_design(GOOD).model_dump(mode="json")
    assert build_design(data) == parse_design(GOOD)
    data["features"][1]["partition"] = ["src/**"]
    with pytest.raises(DesignRefused, match=r"design: features\[1\]\.partition\[0\]: 'src/\*\*' of ui overlaps"):
        build_design(data)


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0xFFFD, blacklist_categories=("Cc", "Cs", "Cn", "Co")))
LINES = st.lists(WORDS, min_size=1, max_size=4).map("\n".join).filter(bool)
TEXTS = st.one_of(
    LINES, st.sampled_from(["null", "~", "007", "yes", "- a", "*x", "#", "a: b", "두 줄\n입니다\n", "\n", " a\n b"])
)


@given(TEXTS, TEXTS, st.booleans())
@pytest.mark.thorough
@settings(derandomize=True, deadline=None, max_examples=150)
def test_a_dumped_design_reads_back_equal(goal: str, brief: str, has_more: bool) -> None:
    features = (
        Feature(id="api", title=goal, brief=brief, partition=("src/[a-z]*/**", "{a,b}.py")),
        Feature(id="ui", title=brief, brief=goal, partition=("*.md", "문서/**"), depends_on=("api",), kind=brief),
    )
    extra = Foundation(brief=brief, partition=("core/**",)) if has_more else None
    design = Design(goal=goal, foundation=extra, features=features, qa=Qa(commands=(goal,)) if has_more else None)
    assert parse_design(dump_design(design)) == design


def test_a_dumped_design_is_pleasant_to_read() -> None:
    text = dump_design(parse_design(GOOD))
    assert "goal: 회의실 예약\n" in text
    assert "brief: |\n" in text
    assert "shared" not in text
