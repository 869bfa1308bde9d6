"""The paths of keys in what every command prints with `--json`, run in this process against the frozen logs.

A hub serves from a thread; nothing is started beside it but git. A part that another program or minutes of work would
give (the demo, the doctor's look at the machine, a model server) is stood in for below the place where fields are made.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from pydantic import ValidationError

from aegis_tui.adapters.git.repository import open_repository
from aegis_tui.application import prompt
from aegis_tui.application.check import Check
from aegis_tui.application.demo import Claim
from aegis_tui.bootstrap import checkout, machine
from aegis_tui.cli import demo, main, run
from aegis_tui.domain.qa.check import CheckResult, QaCheck
from aegis_tui.domain.wire.output import ErrorOutput, FailureOutput
from aegis_tui.domain.wire.outputs import OUTPUTS
from aegis_tui.orchestrator.qa_outputs import Kept, QaOutputs
from aegis_tui.ports.prepared_environment import MadeEnvironment
from aegis_tui.ports.repository import Guard, WorktreeSpec
from aegis_tui.sdk.discovery import WorkspacePaths, workspace_key, workspace_paths
from aegis_tui.sdk.environments import EnvironmentFolder
from tests.frozen.gateway_scene import REPLAYED, gateway_answer, log_call
from tests.frozen.logs import recovered, told
from tests.frozen.memory_scene import QUESTIONS, ask_mentor, remember
from tests.frozen.review_scene import comment_on_lines
from tests.frozen.served import served
from tests.frozen.spec_scene import direct_by_hand, ping_specs, write_specs
from tests.frozen.surface import options
from tests.hub.closed import fits

Surface = dict[str, list[str]]
_MODEL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 4224,
    "max_position_embeddings": 4096,
}
_FIELD = re.compile(r"[a-z][A-Za-z0-9_]*\Z")
_BY_NAME = frozenset({"specs", "tasks", "role_notes", "languages", "layers", "trailers"})
"""Maps whose keys are names of things, not of fields."""
PRINTS_THE_CONTRACT = "aegis-tui schema"
"""Held by the frozen contract itself."""


def outputs() -> Surface:
    """By command, as it is typed, the sorted paths of its keys; `(held)` marks a refusal that has others.

    What the events hold is left to the contract.
    """
    found = _Desk().all()
    found["aegis-tui events"] = {path for path in found["aegis-tui events"] if not path.startswith("data.")}
    return {name: sorted(paths) for name, paths in sorted(found.items())}


def paths_of(value: Any, where: str = "") -> set[str]:
    """`a.b[].c` for every field; `*` stands for keys that are names of things."""
    if isinstance(value, list):
        return {path for item in value for path in paths_of(item, f"{where}[]")}
    if not isinstance(value, dict):
        return set()
    by_name = where.rpartition(".")[2] in _BY_NAME
    found = set()
    for name, item in value.items():
        key = "*" if by_name or not _FIELD.match(name) else name
        path = f"{where}.{key}" if where else key
        found |= {path} | paths_of(item, path)
    return found


def check_type(name: str, line: dict[str, Any]) -> None:
    """Compare what a command printed with its types; raise `AssertionError` with all faults if it fits none."""
    kinds = [FailureOutput] if "(" in name else OUTPUTS.get(name.removeprefix("aegis-tui "))
    assert kinds, f"give what {name} prints a type in aegis_tui/domain/wire, and a line in outputs.py there"
    if "error" in line and kinds == [FailureOutput]:  # beside its own fields stand facts about this error
        line = {**line, "error": {key: line["error"][key] for key in ErrorOutput.__annotations__}}
    faults = []
    for kind in kinds:
        around = {"schema_version", "ok"} - kind.__annotations__.keys()
        try:
            fits({key: value for key, value in line.items() if key not in around}, kind)
        except ValidationError as error:
            faults.append(f"{name} is no {kind.__name__}: {error}")
        else:
            return
    raise AssertionError("\n".join(faults))


class _Desk:
    """A repository with a workspace, and what its commands have printed so far."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="af-"))
        self._root = self._folder / "repo"
        self._seen: dict[str, set[str]] = {}
        self._known = {name for name, words in options().items() if "--json" in words}

    @property
    def _paths(self) -> WorkspacePaths:
        return workspace_paths(workspace_key(self._root / ".git"), os.environ)

    def all(self) -> dict[str, set[str]]:
        try:
            for name in ("repo", "run", "state", "home"):
                (self._folder / name).mkdir(mode=0o700)
            with mock.patch.dict(os.environ, self._environment(), clear=True), contextlib.chdir(self._root):
                self._git("init", "-q", "-b", "main")
                self._git("-c", "user.name=P", "-c", "user.email=p@e.org", "commit", "-q", "--allow-empty", "-m", "x")
                self._alone()
                self._mapped()
                with self._served("1"):
                    self._ended()
                with self._served("2-middle"):
                    self._waiting()
                with self._served("1-middle"):
                    self._live()
                self._repaired()
        finally:
            shutil.rmtree(self._folder)
        return self._seen

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        folders = {"XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run", "HOME": "home", "TMUX_TMPDIR": "home"}
        return {**kept, **{name: str(self._folder / folder) for name, folder in folders.items()}}

    def _git(self, *words: str) -> None:
        subprocess.run(["git", *words], check=True, capture_output=True, timeout=60)

    def _ask(self, *words: str, ends: str = "") -> dict[str, Any]:
        """What a command printed; the last line of a stream."""
        names = [" ".join(["aegis-tui", *words[:length]]) for length in (2, 1)]
        name = next(name for name in names if name in self._known)
        return self._note(name + (f" ({ends})" if ends else ""), lambda: main.run([*words, "--json"]))

    def _note(self, name: str, act: Any) -> dict[str, Any]:
        said, complained = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            act()
        lines = [json.loads(line) for line in said.getvalue().splitlines()]
        if not lines:
            raise AssertionError(f"{name} printed no JSON: {complained.getvalue()}")
        if ("(" in name) is not ("error" in lines[-1]):
            raise AssertionError(f"{name}: {lines[-1]}")
        for line in lines:
            check_type(name, line)
        self._seen.setdefault(name, set()).update(path for line in lines for path in paths_of(line))
        return dict(lines[-1])

    @contextlib.contextmanager
    def _served(self, log: str) -> Iterator[None]:
        """A hub over a frozen log."""
        paths = self._paths
        shutil.rmtree(paths.state_dir, ignore_errors=True)
        with served(paths, log):
            yield

    def _alone(self) -> None:
        """What needs no hub and no log."""
        self._ask("hub", "status")
        self._ask("hub", "stop")
        for line in ("init", "uninstall --dry-run", "init --undo", "config list"):
            self._ask(*line.split())
        self._ask("partition", "check", "a/**", "b/**")
        self._ask("partition", "check", "a/**", "a/b", ends="they overlap")
        for words in (("roles", "list"), ("roles", "show", "worker"), ("roles", "check"), ("rules", "list")):
            self._ask(*words)
        self._ask("rules", "test")
        self._set_up()
        self._found()
        write_specs(self._ask)
        self._ask("vllm", "start", "qwen3", "--print")
        self._ask("vllm", "stop")
        self._ask("vllm", "setup", "--print")
        model = self._folder / "model.json"
        model.write_text(json.dumps(_MODEL))
        self._ask("vllm", "plan", "m", "--config", str(model), "--card-gb", "16")
        with (
            mock.patch("aegis_tui.bootstrap.model_server.probe_endpoint", _coming(SimpleNamespace(models=("m",)))),
            mock.patch("aegis_tui.adapters.vllm.server.read_metrics", _coming("")),
            mock.patch("aegis_tui.application.model_server.BETWEEN_READINGS_S", 0.0),
        ):
            record = SimpleNamespace(pid=1, url="http://127.0.0.1:8001/v1", model="m")
            card = {"name": "c", "memory_mib": 1, "used_mib": 1, "busy_percent": 1}
            with (
                mock.patch("aegis_tui.adapters.vllm.server.VllmServer.find", lambda _: record),
                mock.patch("aegis_tui.bootstrap.model_server.find_cards", lambda _: [card]),
            ):
                self._ask("vllm", "status")
            with mock.patch("aegis_tui.adapters.vllm.server.VllmServer.start", _coming(record)):
                self._ask("vllm", "start", "qwen3")
        looked = SimpleNamespace(examine=_coming([Check("git", False, "2", "fix it")]))
        with mock.patch.object(machine, "make_doctor", lambda *_: looked):
            self._ask("doctor")
            self._ask("doctor", "--bundle", str(self._folder / "bundle.tar"))
        with mock.patch("aegis_tui.tui.screenshot.take", _coming("<svg/>")):
            self._ask("screenshot", "dashboard", "-o", str(self._folder / "a.svg"), "--log", str(_TUI_LOG))

    def _set_up(self) -> None:
        """A set-up command that is allowed, and an environment that one made."""
        Path(".agents").mkdir()
        Path(".agents/config.toml").write_text('[environment]\nsetup = "make"\n')
        self._ask("environment", "allow")
        folder = EnvironmentFolder(self._paths.state_dir / "environments")
        made = MadeEnvironment("0" * 16 + "-" + "1" * 12, "make", network=False, duration_s=1.0, finished_unix=1)
        (folder.path / made.name).mkdir()
        folder.record(made)
        folder.log(made.name).write_text("done\n")
        self._ask("environment", "show")
        self._ask("environment", "log")
        self._ask("environment", "forget")
        shutil.rmtree(".agents")

    def _found(self) -> None:
        """A commit that breaks a rule."""
        Path(".env").write_text("A=1\n")
        self._git("add", ".env")
        self._git("-c", "user.name=P", "-c", "user.email=p@e.org", "commit", "-q", "-m", "y")
        self._ask("rules", "check")
        self._git("init", "-q", "--bare", str(self._folder / "remote.git"))
        self._git("remote", "add", "origin", str(self._folder / "remote.git"))
        self._git("push", "-q", "origin", "HEAD~1:refs/heads/main")
        self._ask("push", "HEAD", "--to", "new", "--despite-findings", "--yes")

    def _mapped(self) -> None:
        """Questions to the code map and the memory."""
        Path("a.py").write_text("def one(): pass\n\ndef two(): one()\n")
        Path("sub").mkdir()
        Path("sub/test_b.py").write_text("from a import one, two\n\ndef test_one(): one()\n")
        for words in ("build", "status --check", "find one", "search one", "show .", "show a.py", "callers one"):
            self._ask("map", *words.split())
        for words in ("callees two", "tests one", "impact a.py"):
            self._ask("map", *words.split())
        self._ask("partition", "suggest", "--parts", "2")
        shutil.rmtree("sub")
        Path("a.py").unlink()
        remember(self._paths)
        for asked in QUESTIONS:
            self._ask("memory", *asked)

    def _ended(self) -> None:
        """A run that has ended."""
        self._ask("wait", "run1")
        with mock.patch("aegis_tui.cli.hub_restart.stop_hub"):
            self._ask("hub", "restart")
        describe = checkout.describe_commit_at
        with mock.patch.object(checkout, "describe_commit_at", lambda root, _: describe(root, "HEAD")):
            for words in (("report",), ("review",), ("qa",), ("runs",), ("events",), ("status",), ("replay",)):
                self._ask(*words)
            self._ask("pr")
            ask_mentor(self._ask)
        self._ask("review", "show")
        report = told(self._paths.log_db)["reports"]["run1"]
        self._note("aegis-tui run", lambda: run._conclude(report, as_json=True))
        with mock.patch.object(run, "_start", lambda *_, **__: {"run": "run1"}):
            self._ask("run", "goal", "--yes", "--detach")
        claims = [Claim("c", ok=True, observed="f")]
        with mock.patch.object(demo, "_claims", lambda *_: claims):
            self._note("aegis-tui demo", lambda: demo._conclude(mock.Mock(), report, as_json=True, kept=None))
        self._ask("report", "run9", ends="no such run")
        self._keep_output()
        self._ask("qa", "--output", "1", "run1")
        shown = self._paths.state_dir / "logs" / "w01.log"
        shown.write_text("a\nb\n")
        self._ask("transcript", "w01")

    def _keep_output(self) -> None:
        check = QaCheck(check="1 pytest", command="pytest", status="passed", ok=True)
        kept = {"pytest": Kept(CheckResult(status="passed"), "output\n")}
        QaOutputs(self._paths.state_dir / "qa").keep("run1", 0, [check], merged=kept, base={})

    def _waiting(self) -> None:
        """A piece that waits for the person."""
        ping_specs(self._ask)
        self._ask("rules", "findings")
        self._ask("rules", "allow", "k1")
        self._ask("rules", "refuse", "beta")

    def _live(self) -> None:
        """A run in the middle."""
        for words in (("status",), ("replay",), ("report",), ("review",), ("conflicts",), ("runs",), ("qa",)):
            self._ask(*words)
        self._ask("hub", "status")
        self._ask("hub", "start")
        self._ask("workspaces")
        with mock.patch("aegis_tui.cli.gateway.ask_gateway", gateway_answer):
            self._ask("gateway", "status")
            self._ask("gateway", "prefixes")
        log_call(self._paths.state_dir / "logs")
        self._ask("gateway", "log")
        self._ask("gateway", "log", "1")
        with mock.patch("aegis_tui.cli.gateway_log._replay", _coming(REPLAYED)):
            self._ask("gateway", "replay", "1")
        held = self._ask("lock", "acquire", "doc.md")["locks"][0]
        self._ask("lock", "list")
        self._ask("lock", "acquire", "src/routes.py", ends="held")
        self._ask("lock", "release", "doc.md")
        other = self._ask("lock", "acquire", "other.md")["locks"][0]
        assert other["lock_id"] != held["lock_id"]
        self._ask("lock", "break", other["lock_id"])
        old = self._folder / "_locks.json"
        old.write_text(json.dumps({"new.md": {"holder": "x", "ttl_s": 60}, "src/routes.py": {"holder": "x"}}))
        self._ask("lock", "import", str(old))
        self._ask("explain", self._worker())
        with mock.patch.object(prompt, "DELIVERY_S", 0.0):
            self._ask("send", self._worker(), "hello")
            comment_on_lines(self._ask)
        direct_by_hand(self._ask, self._worker())
        self._ask("worktree", "list")
        self._ask("worktree", "remove", "w99", ends="no such worktree")
        self._ask("qa", "--accept-base-failures")
        self._ask("merge", "plan")
        self._ask("merge", "apply")
        self._ask("halt")
        self._ask("inbox")
        self._ask("inbox", "answer", "run1", "yes")
        self._ask("halt")
        self._ask("resume")
        self._ask("cancel")

    def _worker(self) -> str:
        living = self._ask("status")["instances"]
        return str(next(item["agent_id"] for item in living if item["role"] == "worker" and item["phase"] == "joined"))

    def _repaired(self) -> None:
        """A damaged log, what is left of worktrees and rescued work, and no hub."""
        paths = self._paths
        self._ask("hub", "repair")
        rows = bytearray(paths.log_db.read_bytes())
        place = rows.rfind(b"src/routes.py")
        rows[place : place + 3] = b"SRC"
        paths.log_db.write_bytes(rows)
        assert self._ask("hub", "repair")["repaired"]
        assert recovered(paths.log_db).seq
        asyncio.run(_add_worktree(self._root, paths.worktrees_dir / "w99"))
        self._ask("worktree", "list")
        self._ask("worktree", "remove", "w99")
        self._git("update-ref", "refs/aegis/rescue/run1/w98/1", "HEAD")
        self._ask("rescue", "list")
        self._ask("rescue", "show", "run1/w98/1", "--diff")
        self._ask("rescue", "restore", "run1/w98/1")
        self._ask("rescue", "restore", "run1/w98/1", "--to", str(self._folder / "restored"))
        self._ask("rescue", "prune", "--merged")
        self._ask("worktree", "repair")


async def _add_worktree(root: Path, path: Path) -> None:
    """The worktree of an instance that is gone, with work that nobody saved."""
    repository = await open_repository(root)
    base, branch = str(await repository.resolve("HEAD")), "aegis/run1/w99"
    hooks = path.parent.parent / "instances" / "w99" / "hooks"
    guard = Guard("NATIVE-w99", f"refs/heads/{branch}", "refs/heads/aegis/run1/integration", ("**",), hooks)
    await repository.add_worktree(WorktreeSpec("w99", path, branch, base, guard))
    (path / "new.txt").write_text("not committed\n")


_TUI_LOG = Path(__file__).parent.parent / "tui" / "data" / "proposed.jsonl"


def _coming(value: Any) -> Any:
    """A function that is awaited and gives this."""

    def ask(*_: Any, **__: Any) -> Coroutine[Any, Any, Any]:
        async def give() -> Any:
            return value

        return give()

    return ask
