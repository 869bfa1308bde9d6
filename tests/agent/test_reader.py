"""What `read` shows: signatures of what the instance may not write, one symbol, and where to read on (MAP-3)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aegis_tui.testing.canned_llm import calls

Play = Callable[..., None]
BLOCKED = calls(("report", {"status": "blocked", "summary": "x"}))

STORE = '''"""Keeps things."""

from b import other


class Store:
    """A store."""

    def put(self, key: str) -> None:
        """Put one."""
        self.check(key)
        other.send(key)

    def check(self, key: str) -> bool:
        return bool(key)


def load(path: str) -> Store:
    store = Store()
    store.put(path)
    return store
'''
FILLING = "".join(f"\n\ndef filling_{number}(value):\n    return value + {number}\n" for number in range(20))


def write(worktree: Path, folder: str = "src/b") -> str:
    package = worktree / folder
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "other.py").write_text("def send(key):\n    return key\n")
    (package / "store.py").write_text(STORE + FILLING)
    return f"{folder}/store.py"


def answers(play: Play, *steps: dict[str, Any], role: str = "worker", place: str = "src/b") -> list[str]:
    """What the model gets for these calls of `read`."""
    results: list[str] = []

    async def scenario(bench: Any) -> None:
        write(bench.worktree, place)
        for step in steps:
            bench.server.will(calls(("read", step)))
        bench.server.will(BLOCKED if role != "reviewer" else calls(("bash", {"command": "true"})))
        await bench.work()
        await bench.until(lambda: len(bench.results()) >= len(steps))
        results.extend(bench.results()[: len(steps)])

    play(scenario, role=role)
    return results


def test_a_long_file_of_another_instance_is_shown_as_its_signatures(play: Play) -> None:
    first, again, body, lines = answers(
        play,
        {"path": "src/b/store.py"},
        {"path": "src/b/store.py"},
        {"path": "src/b/store.py", "body": True},
        {"path": "src/b/store.py", "start": 1, "end": 3},
    )
    assert first.startswith("(signatures only, because src/b/store.py has")
    assert "class Store" in first and "put(key: str)  # Put one." in first and "self.check(key)" not in first
    assert again == "(the signatures of src/b/store.py: unchanged since you read them)"
    assert "self.check(key)" in body
    assert lines.startswith('    1\t"""Keeps things."""') or "unchanged" in lines


def test_the_own_files_and_those_that_a_reviewer_judges_are_shown_whole(play: Play) -> None:
    assert "self.check(key)" in answers(play, {"path": "src/a/store.py"}, place="src/a")[0]
    assert "self.check(key)" in answers(play, {"path": "src/b/store.py"}, role="reviewer")[0]


def test_a_scout_that_writes_nothing_gets_signatures(play: Play) -> None:
    assert answers(play, {"path": "src/b/store.py"}, role="scout")[0].startswith("(signatures only")


def test_a_symbol_is_shown_with_what_it_calls(play: Play) -> None:
    put, check, load, missing, wrong = answers(
        play,
        {"path": "src/b/store.py:Store.put"},
        {"path": "src/b/store.py:check"},
        {"path": "src/b/store.py:load"},
        {"path": "src/b/store.py:Store.putt"},
        {"path": "src/b/none.py:load"},
    )
    assert put.splitlines()[0].strip().startswith("9\t")
    assert put.endswith("(calls src/b/store.py:Store.check, src/b/other.py:send)")
    assert "return bool(key)" in check and "calls" not in check
    assert load.endswith("(calls src/b/store.py:Store, src/b/store.py:Store.put)")
    assert "defines no Store.putt" in missing and "Store.put" in missing
    assert "there is no file src/b/none.py" in wrong


def test_a_changed_file_comes_back_as_a_diff_and_whole_after_an_edit_that_did_not_fit(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        write(bench.worktree, "src/a")
        read = calls(("read", {"path": "src/a/store.py"}))
        bench.server.will(read, calls(("edit", {"path": "src/a/store.py", "old": "bool(key)", "new": "True"})), read)
        bench.server.will(calls(("edit", {"path": "src/a/store.py", "old": "bool(key)", "new": "1"})), read, BLOCKED)
        await bench.work()
        await bench.ends("blocked")
        whole, _, diff, refused, after = bench.results()[:5]
        assert "-        return bool(key)\n+        return True" in diff and len(diff) < len(whole) / 4
        assert refused.startswith("Error: old does not occur")
        assert after.startswith('    1\t"""Keeps things."""') and "return True" in after

    play(scenario)


def test_an_edit_of_a_symbol_looks_only_in_its_definition(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        path = write(bench.worktree, "src/a")
        twice = {"old": "(key)", "new": "(key, 1)"}
        edits = [
            {"path": path, **twice},
            {"path": f"{path}:Store.check", **twice},
            {"path": f"{path}:Store.put", **twice},
            {"path": f"{path}:load", "old": "bool(key, 1)", "new": "1"},
            {"path": f"{path}:lod", "old": "bool(key, 1)", "new": "1"},
            {"path": "src/a/none.py:load", "old": "a", "new": "b"},
            {"path": "src/b/other.py:send", "old": "a", "new": "b"},
        ]
        for edit in edits:
            bench.server.will(calls(("edit", edit)))
        bench.server.will(BLOCKED)
        await bench.work()
        await bench.ends("blocked")
        everywhere, done, twice_there, elsewhere, unknown, missing, foreign = bench.results()[:7]
        lines = (bench.worktree / path).read_text().splitlines()
        assert lines == STORE.replace("bool(key)", "bool(key, 1)").splitlines() + FILLING.splitlines()
        assert everywhere.startswith("Error: old occurs 3 times, at lines 11, 12, 15")
        assert done.startswith(f"changed {path}")
        assert twice_there.startswith("Error: old occurs 2 times, at lines 11, 12")
        assert elsewhere.startswith("Error: old does not occur in the definition")
        assert unknown.startswith(f"Error: {path} defines no lod") and "load" in unknown
        assert missing.startswith("Error: there is no file src/a/none.py")
        assert foreign.startswith("Error: ")

    play(scenario)


def test_a_name_with_a_colon_is_a_file_if_there_is_one(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        (bench.worktree / "src/a/odd:name.txt").write_text("odd\n")
        bench.server.will(calls(("read", {"path": "src/a/odd:name.txt"})), BLOCKED)
        await bench.work()
        await bench.ends("blocked")
        assert bench.results()[0].endswith("odd")

    play(scenario)
