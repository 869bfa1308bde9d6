"""Making shadow tags: each definition is asked about once, within limits, and equal code is not asked about again."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.adapters.code_map.store import SqliteMapStore
from aegis_tui.adapters.code_map.tags import SqliteTags
from aegis_tui.adapters.git.content import WorktreeFiles
from aegis_tui.application.code_map import CodeMap
from aegis_tui.application.map_tags import TagLimits, TagMaker, TagRound
from aegis_tui.errors import ModelUnavailable
from aegis_tui.ports.llm import ChatReply, ChatRequest, Usage
from tests.repository import commit_all

HOUR_S = 3600.0
PLENTY = TagLimits(99, 999_999, 99)


def many(count: int) -> str:
    return "".join(f"def f{number}(a):\n    return a + {number}\n\n" for number in range(count))


class Model:
    """Describes each definition that it is asked about."""

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []
        self.finish = "stop"
        self.fails = False

    def ask(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        if self.fails:
            raise ModelUnavailable("the model gateway does not answer", "")
        numbers = re.findall(r"^Definition (\d+): \w+ (\S+)", request.messages[1]["content"], re.MULTILINE)
        text = "".join(f"{number}: Says what {name} does.\n" for number, name in numbers)
        return ChatReply(text if self.finish == "stop" else "", (), self.finish, Usage(900, 100))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "tests").mkdir(parents=True)
    (folder / "bank.py").write_text(many(10))
    (folder / "tests" / "test_bank.py").write_text("def test_it(): ...\n")
    (folder / "notes.md").write_text("# Notes\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True, timeout=20)
    return folder


@pytest.fixture
def model() -> Model:
    return Model()


Make = Callable[..., TagRound]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteMapStore]:
    opened = SqliteMapStore(tmp_path / "map.db")
    yield opened
    opened.close()


@pytest.fixture
def make(root: Path, model: Model, store: SqliteMapStore) -> Make:
    def run(
        limits: TagLimits = PLENTY, *, at_h: float = 1000.0, change: Callable[[], object] = lambda: None
    ) -> TagRound:
        files = WorktreeFiles(root)
        code_map = CodeMap(files, store, SourceReader())
        code_map.refresh()
        change()
        maker = TagMaker(
            files,
            code_map.listing,
            store,
            SqliteTags(store),
            model.ask,
            name="tiny",
            limits=limits,
            now=lambda: at_h * HOUR_S,
        )
        return maker.run()

    return run


def text_of(root: Path, store: SqliteMapStore, name: str) -> str:
    code_map = CodeMap(WorktreeFiles(root), store, SourceReader())
    code_map.refresh()
    return code_map.find(name)["symbols"][0].get("machine_doc", "")


def test_each_definition_is_asked_about_once(make: Make, model: Model, root: Path, store: SqliteMapStore) -> None:
    assert make() == TagRound(10, 0, 2, 2_000, is_done=True)
    assert text_of(root, store, "f9") == "Says what f9 does."
    assert make() == TagRound(0, 0, 0, 0, is_done=True)
    assert "test_it" not in "".join(request.messages[1]["content"] for request in model.requests)


def test_of_a_changed_file_only_the_changed_code_is_asked_about(make: Make, root: Path, store: SqliteMapStore) -> None:
    make()
    (root / "bank.py").write_text("LIMIT = 1\n\n" + many(10).replace("a + 3", "a - 3"))
    assert make() == TagRound(1, 9, 1, 1_000, is_done=True)
    assert text_of(root, store, "f0") == "Says what f0 does."


@pytest.mark.parametrize(
    ("limits", "requests"),
    [
        (TagLimits(1, 999_999, 99), 1),
        (TagLimits(99, 999_999, 1), 1),
        (TagLimits(99, 2_000, 99), 1),
        (TagLimits(9, 9, 9), 0),
    ],
)
def test_no_limit_is_exceeded(make: Make, model: Model, limits: TagLimits, requests: int) -> None:
    done = make(limits)
    assert (done.requests, done.is_done, done.problem, len(model.requests)) == (requests, False, "", requests)


def test_a_limit_holds_over_several_rounds_and_ends_with_the_hour(make: Make, model: Model) -> None:
    limits = TagLimits(1, 999_999, 99)
    assert [make(limits, at_h=hour).requests for hour in (1000, 1000.9, 1001)] == [1, 0, 1]
    assert len(model.requests) == 2


def test_a_budget_counts_the_last_day(make: Make, root: Path) -> None:
    limits = TagLimits(99, 2_000, 1)
    assert make(limits, at_h=1000).requests == 1
    (root / "more.py").write_text("def more(a):\n" + "    a += 1\n" * 60)
    assert [make(limits, at_h=hour).requests for hour in (1001, 1024)] == [0, 0]
    assert make(limits, at_h=1025).requests == 1


def test_a_request_that_fails_has_used_what_it_may_and_is_a_problem(
    make: Make, model: Model, store: SqliteMapStore
) -> None:
    model.fails = True
    done = make()
    assert (done.made, done.requests, done.problem) == (0, 1, "the model gateway does not answer")
    assert SqliteTags(store).used(0).requests == 1 and SqliteTags(store).used(0).tokens > 1_000


def test_a_reply_that_is_cut_marks_nothing_as_done(make: Make, model: Model) -> None:
    model.finish = "length"
    assert "ended early (length)" in make().problem
    model.finish = "stop"
    assert make().made == 10


def test_a_file_that_changes_meanwhile_is_read_as_it_was(make: Make, root: Path, model: Model) -> None:
    commit_all(root)
    assert make(change=lambda: (root / "bank.py").write_text("def f0(a): pass\n")).made == 10
    assert "return a + 9" in model.requests[-1].messages[1]["content"]
