"""What a run needs is looked at in one order, and the first obstacle is the answer (FLOW-2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from aegis_tui.domain.review.lens import ReviewLens
from aegis_tui.domain.run.brief import design_brief
from aegis_tui.domain.run.commands import RunStart
from aegis_tui.domain.run.model import Run
from aegis_tui.domain.workspace import Workspace
from aegis_tui.errors import AegisError, DesignRefused, Refused, UsageError
from aegis_tui.orchestrator.preflight import Preflight
from aegis_tui.ports.repository import RepositoryFacts
from aegis_tui.ports.repository_condition import MissingFilter, RepositoryCondition
from aegis_tui.ports.sandbox import SandboxLevel, SandboxReport

DESIGN = {"goal": "g", "features": [{"id": "a", "title": "A", "brief": "a", "partition": ["a/**"]}]}


@dataclass
class Machine:
    """Repository, sandbox, model server and state in memory; notes what it was asked."""

    condition_is: RepositoryCondition = field(default_factory=RepositoryCondition)
    bytes_is: int = 1000
    rules_are: str = ""
    choice_is: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def list_refs(self, prefix: str) -> tuple[Any, ...]:
        return ()

    async def preflight(self, run: str) -> None:
        self.asked.append("branches")

    async def condition(self) -> RepositoryCondition:
        self.asked.append("condition")
        return self.condition_is

    async def check_rules(self, oid: str) -> None:
        if self.rules_are:
            raise UsageError(self.rules_are)

    async def checkout_bytes(self) -> int:
        return self.bytes_is

    async def facts(self) -> RepositoryFacts:
        self.asked.append("facts")
        return RepositoryFacts(Path("/r"), Path("/r/.git"), "k", "0" * 40, "main", "P", "p@x", False, 0)

    async def probe(self) -> SandboxReport:
        return SandboxReport(SandboxLevel.NONE, {})

    def choose(self, mode: str, report: SandboxReport) -> SandboxLevel:
        return SandboxLevel.NONE

    async def read(self, view: Callable[[Workspace], Any]) -> Any:
        return view(Workspace())

    @property
    def base_url(self) -> str:
        return "http://localhost:1/v1"

    models = ("m",)
    scripted = True

    async def endpoint(self, url: str) -> Machine:
        self.asked.append("model")
        return self

    async def files(self, oid: str) -> dict[str, str]:
        return dict.fromkeys(self.texts, "blob")

    async def read_blob(self, oid: str) -> bytes:
        return next(iter(self.texts.values())).encode()

    async def layout(self, workers: int) -> str:
        return f"divide it by {workers}"

    async def try_model(self, *arguments: Any, **options: Any) -> Any:
        raise AssertionError("a scripted model is not tried")


def find_lens(name: str) -> ReviewLens:
    if name == "nosuch":
        raise UsageError(f"there is no lens {name}")
    return ReviewLens(name=name, blocking=name != "style")


def complete(machine: Machine, folder: Path, **fields: Any) -> RunStart:
    part = cast(Any, machine)
    preflight = Preflight(
        repository=part,
        sandbox=part,
        probe_endpoint=machine.endpoint,
        list_files=machine.files,
        port=part,
        try_model=machine.try_model,
        state_dir=folder,
        find_warnings=lambda: ("the key is readable by all",),
        find_lens=find_lens,
        check_rules=machine.check_rules,
        find_choice=lambda: machine.choice_is,
        describe_layout=machine.layout,
    )
    return asyncio.run(preflight.complete(RunStart.model_validate({"goal": "g", "design": DESIGN, **fields})))


def refused(machine: Machine, folder: Path, **fields: Any) -> AegisError:
    with pytest.raises(AegisError) as caught:
        complete(machine, folder, **fields)
    return caught.value


def test_a_machine_on_which_all_is_well_gives_facts_remarks_and_the_place_of_the_logs(tmp_path: Path) -> None:
    machine = Machine(RepositoryCondition(signs_commits=True, submodules=("lib/x",)))
    done = complete(machine, tmp_path)
    assert done.run == "run1" and done.facts is not None
    assert machine.asked == ["branches", "condition", "facts", "model"]
    assert done.facts.submodules == ("lib/x",)
    assert done.facts.warnings[0] == "the key is readable by all" and "not signed" in done.facts.warnings[1]
    assert done.facts.logs == str(tmp_path / "logs")


def test_merge_rules_that_are_not_valid_are_refused_before_the_model_is_asked(tmp_path: Path) -> None:
    machine = Machine(rules_are=".agents/rules/own.toml, rule x: no pattern")
    assert refused(machine, tmp_path).message == machine.rules_are
    assert machine.asked == ["branches", "condition", "facts"]


@pytest.mark.parametrize(
    ("texts", "choice", "options", "commands", "suggested"),
    [
        ({"Makefile": "test:\n\t./x\n"}, ("mine",), {}, ("make test",), ()),
        ({"Makefile": "ci:\n\t./x\n"}, ("mine",), {}, ("mine",), ()),
        ({"Makefile": "ci:\n\t./x\n"}, (), {}, (), ("make ci",)),
        ({"Makefile": "ci:\n\t./x\n"}, ("mine",), {"checks": ["now"]}, ("now",), ()),
        ({"Makefile": "ci:\n\t./x\n"}, ("mine",), {"unchecked": True}, (), ()),
    ],
)
def test_qa_is_named_detected_remembered_or_suggested(
    tmp_path: Path,
    texts: dict[str, str],
    choice: tuple[str, ...],
    options: dict[str, Any],
    commands: tuple[str, ...],
    suggested: tuple[str, ...],
) -> None:
    done = complete(Machine(choice_is=choice, texts=texts), tmp_path, options=options)
    assert done.facts is not None
    assert (done.facts.qa_commands, done.facts.qa_suggested) == (commands, suggested)


def test_an_obstacle_in_the_repository_is_named_before_git_or_the_model_meets_it(tmp_path: Path) -> None:
    machine = Machine(RepositoryCondition(missing_filters=(MissingFilter("lfs", "git-lfs", "a.bin"),)))
    assert refused(machine, tmp_path).code == "preflight.filter"
    assert machine.asked == ["branches", "condition"]


def test_a_checkout_larger_than_the_disk_is_refused_before_the_model_is_asked(tmp_path: Path) -> None:
    machine = Machine(bytes_is=1 << 60)
    error = refused(machine, tmp_path)
    assert isinstance(error, Refused) and error.code == "preflight.disk" and str(tmp_path) in error.message
    assert "model" not in machine.asked


def test_a_design_that_cannot_be_read_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    machine = Machine()
    error = refused(machine, tmp_path, design={"goal": "g"})
    assert isinstance(error, DesignRefused) and "condition" not in machine.asked


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ([], ["general"]),
        (["security", "style"], ["general", "security", "style"]),
        (["style", "general", "style"], ["general", "style"]),
    ],
)
def test_the_lenses_that_were_chosen_are_read_once_for_the_whole_run(
    chosen: list[str], names: list[str], tmp_path: Path
) -> None:
    done = complete(Machine(), tmp_path, options={"lenses": chosen})
    assert done.facts is not None and [lens.name for lens in done.facts.lenses] == names


def test_a_lens_that_is_not_there_starts_no_run(tmp_path: Path) -> None:
    machine = Machine()
    error = refused(machine, tmp_path, options={"lenses": ["nosuch"]})
    assert isinstance(error, UsageError) and "no lens nosuch" in error.message and "model" not in machine.asked


def test_where_a_team_lets_no_lens_block_no_run_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "find_lens", lambda name: ReviewLens(name=name, blocking=False))
    machine = Machine()
    error = refused(machine, tmp_path, options={"lenses": ["style"]})
    assert "because none of its lenses blocks: general, style" in error.message and "model" not in machine.asked


def test_only_a_run_without_a_design_tells_the_commander_how_the_repository_could_be_divided(tmp_path: Path) -> None:
    facts = complete(Machine(), tmp_path).facts
    assert facts is not None and facts.layout == ""
    done = complete(Machine(), tmp_path, design=None, options={"workers": 3})
    assert done.facts is not None and done.facts.layout == "divide it by 3"
    run = Run(run="run1", goal="g", options=done.options, facts=done.facts, working_oid="0" * 40)
    assert design_brief(run).endswith("can be built at the same time.\n\ndivide it by 3")
