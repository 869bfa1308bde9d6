"""Kinds of other packages are found by their entry points, without an import; their faults end an instance only."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aegis_tui.adapters.agents import installed
from aegis_tui.adapters.agents.hosted import HostedAgent
from aegis_tui.adapters.agents.installed import check_kind, describe_kinds, find_kind, installed_kinds
from aegis_tui.adapters.agents.native import NativeAgent
from aegis_tui.domain.hosting.kind_file import KindFile
from aegis_tui.errors import Unavailable, UsageError
from aegis_tui.ports.agent_kind import KindFacts, Launch

KIND = """
class Parrot:
    def argv(self, launch):
        return ["parrot", "--say", launch.instance_id]

    def environment(self, launch):
        return {"PARROT_GATEWAY": launch.gateway_url}

class Broken:
    def __init__(self):
        raise RuntimeError("no beak")
"""
ENTRIES = """
[aegis_tui.agent_kinds]
parrot = parrot_kind:Parrot
broken = parrot_kind:Broken
exiting = parrot_exit:Kind
absent = no_such_module_anywhere:Kind
native = parrot_kind:Parrot
needy = parrot_needy:Kind
deep = parrots.deep.kind:Kind
untold = parrot_untold:Kind
odd = parrot_odd:Kind
Two-Words = parrot_kind:Parrot
plain = parrot_plain
"""
TOML = {
    "parrot_exit": 'title = "leaves"\n',
    "parrot_needy": 'title = "needs much"\nprograms = ["sh", "no-such-parrot"]\ninstall = "npm i parrot"\n',
}
PLACE = Path("/nowhere")
LAUNCH = Launch(
    instance_id="w01",
    role="worker",
    worktree=PLACE / "w",
    home=PLACE / "h",
    hub_url="unix:/s/hub.sock",
    gateway_url="http+unix:/s/gateway.sock",
    token_file=PLACE / "token",
    scope_file=PLACE / "scope.json",
    roles_dir=PLACE / "roles",
    context_file=PLACE / "context.md",
    model="m",
)


SHIPPED = {"aider", "claude-code", "codex", "gemini-cli", "mini-swe-agent", "opencode", "qwen-code"}
FILES = Path(installed.__file__).with_name("kinds")
OWN = 'title = "my own"\nprograms = ["sh"]\n[headless]\nargv = ["sh", "{prompt}"]\n'


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package that is installed."""
    (tmp_path / "config" / "agents").mkdir(parents=True)
    (tmp_path / "config" / "agents" / "own.toml").write_text(OWN)
    monkeypatch.setenv("AEGIS_CONFIG", str(tmp_path / "config" / "config.toml"))
    (tmp_path / "parrot_plain.py").write_text("")
    (tmp_path / "parrot_plain.toml").write_text(OWN.replace("my own", "a plain parrot"))
    (tmp_path / "parrot_kind.py").write_text(KIND)
    (tmp_path / "parrot_kind.toml").write_text('title = "a parrot"\n')
    for name in ("parrot_exit", "parrot_needy"):
        (tmp_path / f"{name}.toml").write_text(TOML[name])
    folder = tmp_path / "parrots" / "deep"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise SystemExit('imported')\n")
    (folder / "kind.toml").write_text('title = "a parrot in a package"\n')
    (tmp_path / "parrot_exit.py").write_text("import sys\nsys.exit(7)\n")
    (tmp_path / "parrot_untold.py").write_text("")
    (tmp_path / "parrot_needy.py").write_text("")
    (tmp_path / "parrot_odd.py").write_text("")
    (tmp_path / "parrot_odd.toml").write_text('title = "odd"\nlegs = 2\n')
    info = tmp_path / "parrot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "parrot_kind", raising=False)


def test_kinds_are_listed_without_an_import_and_only_by_names_that_an_agent_id_can_hold() -> None:
    added = {"absent", "broken", "deep", "exiting", "needy", "odd", "own", "parrot", "plain", "untold"}
    assert installed_kinds() == ("native", *sorted(added | SHIPPED))
    assert "parrot_kind" not in sys.modules


def test_what_a_kind_is_and_needs_is_read_from_its_file_without_an_import() -> None:
    facts = {item.name: item for item in describe_kinds()}
    assert list(facts) == list(installed_kinds())
    abilities = "every role; writes are checked before each edit"
    assert facts["native"] == KindFacts(
        "native", "the built-in agent", abilities=abilities, checks_edits=True, takes_mcp=True
    )
    assert facts["claude-code"].abilities == f"{abilities}; speaks ACP through claude-agent-acp"
    assert facts["codex"].abilities == "every role; writes are checked at the commit; speaks ACP through codex-acp"
    assert facts["claude-code"].checks_edits and not facts["codex"].checks_edits
    assert facts["parrot"].title == "a parrot" and facts["deep"].title == "a parrot in a package"
    needy = facts["needy"]
    assert (needy.title, needy.fault, needy.remedy) == (
        "needs much",
        "needs no-such-parrot, which is not on PATH",
        "npm i parrot",
    )
    assert needy.missing == ("no-such-parrot",)
    assert facts["odd"].fault.endswith("parrot_odd.toml is not valid: legs: Extra inputs are not permitted")
    assert facts["odd"].fault and facts["untold"].fault and not facts["parrot"].fault
    assert {"parrot_kind", "parrots"}.isdisjoint(sys.modules)


def test_a_kind_whose_program_is_missing_says_how_to_install_it() -> None:
    with pytest.raises(Unavailable) as caught:
        check_kind("needy")
    assert caught.value.hint == "npm i parrot" and caught.value.exit_code == 5
    assert caught.value.message == "the agent kind needy needs no-such-parrot, which is not on PATH"
    check_kind("parrot")


def test_a_file_of_the_persons_own_is_a_kind_and_so_is_the_file_of_a_package_without_a_class() -> None:
    for name, title in (("own", "my own"), ("plain", "a plain parrot")):
        kind = find_kind(name)
        assert isinstance(kind, HostedAgent)
        environment = kind.environment(LAUNCH)
        assert environment["AEGIS_KIND"] == name and title in environment["AEGIS_KIND_FILE"]
        assert "aegis_tui.agent.hosted" in kind.argv(LAUNCH)
    facts = {item.name: item for item in describe_kinds()}
    assert facts["own"].is_limited and facts["own"].program.endswith("/sh")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('title = "x"\n', "it has no [headless] argv and no [acp] argv"),
        ('title = "x"\n[headless]\nargv = ["sh", "{token}", "{prompt}"]\n', "{token} must not be an argument"),
        ("title = \n", "Invalid value"),
    ],
)
def test_a_wrong_file_of_the_persons_own_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config" / "agents" / "own.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        check_kind("own")
    assert str(file) in caught.value.message and words in caught.value.message
    assert caught.value.hint == "correct the file; docs/agents.md describes it"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_kind_that_ships_is_valid_and_names_its_program_and_how_to_install_it(name: str) -> None:
    kind = KindFile.model_validate(tomllib.loads((FILES / f"{name}.toml").read_text("utf-8")))
    assert kind.headless is not None and kind.headless.argv[0] in kind.programs
    assert kind.install and kind.dialect
    assert {kind.headless.argv[0], *(kind.headless.again[:1] or kind.headless.argv[:1])} == {kind.headless.argv[0]}


def test_no_file_of_the_persons_own_takes_the_place_of_a_kind_that_ships(tmp_path: Path) -> None:
    (tmp_path / "config" / "agents" / "codex.toml").write_text('title = "not codex"\n[headless]\nargv = ["x"]\n')
    assert next(item.title for item in describe_kinds() if item.name == "codex") == "Codex"


def test_a_kind_that_is_misspelt_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError) as caught:
        check_kind("codx")
    assert caught.value.hint.startswith("did you mean codex? There are native, ")


def test_a_kind_of_another_package_says_how_it_is_started() -> None:
    kind = find_kind("parrot")
    assert kind.argv(LAUNCH) == ["parrot", "--say", "w01"]
    assert kind.environment(LAUNCH) == {"PARROT_GATEWAY": "http+unix:/s/gateway.sock"}


def test_nobody_takes_the_place_of_the_kind_that_ships() -> None:
    assert isinstance(find_kind("native"), NativeAgent)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", "the agent kind broken cannot be used: RuntimeError: no beak"),
        ("absent", "the agent kind absent cannot be used: there is no module no_such_module_anywhere"),
        ("exiting", "the agent kind exiting cannot be used: SystemExit: 7"),
        ("untold", "the agent kind untold cannot be used: "),
        ("odd", "the agent kind odd cannot be used: "),
        ("none", "there is no agent kind none"),
        ("Two-Words", "there is no agent kind Two-Words"),
    ],
)
def test_a_kind_that_cannot_be_used_is_a_wrong_usage_that_names_it(name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_kind(name)
    assert caught.value.message.startswith(words)


def test_the_built_in_agent_is_told_the_model_only_where_there_is_one() -> None:
    told = NativeAgent().environment(LAUNCH)
    assert told["AEGIS_MODEL"] == "m" and told["OPENAI_BASE_URL"] == LAUNCH.gateway_url


def test_of_a_kind_that_ships_no_other_file_is_read_and_no_package_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(**_: object) -> None:
        raise AssertionError("the installed packages were looked through")

    read: list[str] = []

    def loads(text: str, parse: Callable[[str], dict[str, Any]] = tomllib.loads) -> dict[str, Any]:
        read.append(text)
        return parse(text)

    monkeypatch.setattr(installed, "entry_points", asked)
    monkeypatch.setattr(tomllib, "loads", loads)
    assert isinstance(find_kind("native"), NativeAgent)
    assert len(read) == 1
