"""What stands on a file that several pieces changed: who merged it, and what is known about that (GIT-3)."""

from __future__ import annotations

from aegis_tui.domain.composition.commands import MergeApply, MergeMarkRebuilt
from aegis_tui.domain.core import THE_PERSON
from aegis_tui.domain.merge.label import FileLabel, Strategy
from aegis_tui.domain.merge.merged_file import MergedFile
from aegis_tui.domain.piece.commands import ConflictsObserved, MergeMarkApplied
from aegis_tui.domain.piece.events import Overlapping
from aegis_tui.domain.qa.check import QaCheck
from aegis_tui.domain.qa.commands import QaMarkFinished
from aegis_tui.domain.run.commands import CompositionMarkChecked
from aegis_tui.domain.run.pull_request import pull_request_text
from aegis_tui.domain.run.report import fold_report
from tests.domain.composition.test_leaving import Partial

SHARED = "src/routes.py"
TREE = "QA passed on tree T"


def file(label: FileLabel, strategy: Strategy = "structure", path: str = SHARED) -> MergedFile:
    return MergedFile(path=path, label=label, strategy=strategy)


def overlap(kind: str = "hot", **fields: object) -> Overlapping:
    return Overlapping.model_validate({"a": "alpha", "b": "beta", "path": SHARED, "kind": kind} | fields)


class Merged(Partial):
    """Three pieces, of which beta and alpha changed one file; `files` are the merged files of beta."""

    def __init__(self, *files: MergedFile, conflict: Overlapping | None = None) -> None:
        super().__init__()
        for piece in ("alpha", "beta", "gamma"):
            (worker,) = self.begin(piece)
            if piece == "beta" and conflict is not None:
                self.send(ConflictsObserved(run="run1", overlaps=(conflict,)))
            self.submit(worker, f"{piece}1")
            self.check(piece, f"{piece}1", (f"src/{piece[0].replace('g', 'c')}/x.py",))
            self.approve()
            merged = files if piece == "beta" else ()
            self.send(MergeMarkApplied(run="run1", piece=piece, head_oid=f"{piece}1", oid=f"m{piece}", merged=merged))
        self.send(CompositionMarkChecked(run="run1", oid="mgamma", files=()))
        self.approve()

    def labels(self) -> list[tuple[str, str | None, str]]:
        report = fold_report(self.log, "run1")
        return [(item["label"], item["strategy"], item["reason"]) for item in report["merged"]]

    def conflict(self) -> tuple[str, str | None, str | None, str]:
        (item,) = fold_report(self.log, "run1")["conflicts"]
        return item["resolution"], item["label"], item["strategy"], item["reason"]


def test_what_is_proven_stays_so_and_what_is_not_is_verified_by_qa_on_that_tree() -> None:
    hub = Merged(file("proven"), file("unproven", "text", "notes.txt"))
    assert hub.labels() == [("proven", "structure", ""), ("unproven", "text", "")]
    hub.qa(ok=True)
    assert hub.labels() == [("proven", "structure", ""), ("verified", "text", TREE)]


def test_qa_that_fails_verifies_nothing() -> None:
    hub = Merged(file("unproven"))
    hub.qa(ok=False)
    assert hub.labels() == [("unproven", "structure", "")]


def test_qa_that_did_not_really_run_verifies_nothing() -> None:
    for status in ("not_run", "empty"):
        hub = Merged(file("unproven"))
        check = QaCheck.model_validate({"check": "1 pytest", "command": "pytest", "status": status, "ok": True})
        hub.send(QaMarkFinished(run="run1", round=0, tree="T", oid="mgamma", checks=(check,)))
        assert hub.labels() == [("unproven", "structure", "")], status


def test_a_tree_that_is_composed_anew_is_not_verified_until_qa_ran_on_it() -> None:
    hub = Merged(file("unproven"))
    hub.qa(ok=False)
    hub.send(MergeApply(leave_out=("alpha",)), THE_PERSON)
    merged = {"beta": (file("unproven", "lines"),)}
    hub.send(MergeMarkRebuilt(run="run1", instead_of="mgamma", oid="r1", merged=merged))
    assert hub.labels() == [("unproven", "lines", "")], "the files are those of the new composition"


def test_a_conflict_says_what_resolved_it_and_whether_that_was_verified() -> None:
    hot = overlap(label="refused", reason="both sides change function f")
    hub = Merged(conflict=hot)
    assert hub.conflict() == ("merged", "unproven", "agent", "")
    hub.qa(ok=True)
    assert hub.conflict() == ("merged", "verified", "agent", TREE)


def test_a_conflict_that_structure_merged_has_the_label_of_the_merge() -> None:
    soft = overlap("soft", label="proven", strategy="structure")
    assert Merged(file("proven"), conflict=soft).conflict() == ("merged", "proven", "structure", "")


def test_a_conflict_says_whether_it_was_seen_before_the_pieces_were_submitted() -> None:
    hub = Partial()
    (alpha, beta) = hub.begin("alpha", "beta")
    hub.send(ConflictsObserved(run="run1", overlaps=(overlap(),)))
    hub.submit(alpha, "alpha1")
    hub.send(ConflictsObserved(run="run1", overlaps=(overlap(path="src/late.py"),)))
    seen = {item["path"]: item["predicted"] for item in fold_report(hub.log, "run1")["conflicts"]}
    assert seen == {SHARED: True, "src/late.py": False}, beta


def test_an_open_conflict_says_why_it_cannot_be_merged() -> None:
    hub = Partial()
    list(hub.begin("alpha"))
    hot = overlap(label="refused", reason="both sides change function f")
    hub.send(ConflictsObserved(run="run1", overlaps=(hot,)))
    (item,) = fold_report(hub.log, "run1")["conflicts"]
    assert (item["resolution"], item["label"], item["reason"]) == ("none", "refused", "both sides change function f")


def test_a_pull_request_names_the_merged_files_with_their_labels() -> None:
    hub = Merged(file("unproven"), file("proven", "text", "`odd`.py"))
    hub.qa(ok=True)
    hub.finish()
    body = pull_request_text(fold_report(hub.log, "run1")).body
    assert f"- `{SHARED}` of `beta`: by structure, verified" in body
    assert "- `` `odd`.py `` of `beta`: by git, proven" in body
