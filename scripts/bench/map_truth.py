"""How right the callers of the code map are: `python scripts/bench/map_truth.py TREE SOURCE [PYTEST ARGUMENT...]`.

TREE is an unpacked source distribution, SOURCE the folder in it that holds its package. The tests of TREE run under a
profile function, which notes which line called which function. The map's answers are compared with that.

What is compared are calls from SOURCE to SOURCE on lines that ran. Left out are functions that are decorated, async, or
generators: there the interpreter enters the wrapper, or enters the function later and from elsewhere. Calls that no
call expression names, such as those of properties, operators and variables that hold functions, are counted apart.

Where jedi is importable, its answers for the same calls are compared in the same way (`jedi_truth.py`).
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from aegis_tui.adapters.code_map.python import python_facts
from aegis_tui.domain.code_map.facts import FileFacts, MapSymbol
from aegis_tui.domain.code_map.relations import Relations
from aegis_tui.domain.code_map.resolve import SymbolPlace
from scripts.bench.jedi_truth import has_jedi, jedi_answers

PLUGIN = """
import atexit, json, os, sys, threading
ROOT, OUT = os.environ["MAP_TRUTH_ROOT"] + os.sep, os.environ["MAP_TRUTH_OUT"]
edges, lines = set(), set()
def note(frame, event, arg):
    if event == "call":
        back = frame.f_back
        if back is not None and back.f_code.co_filename.startswith(ROOT):
            lines.add((back.f_code.co_filename, back.f_lineno))
            code = frame.f_code
            if code.co_filename.startswith(ROOT):
                edges.add((back.f_code.co_filename, back.f_lineno, code.co_filename, code.co_firstlineno))
    elif event == "c_call" and frame.f_code.co_filename.startswith(ROOT):
        lines.add((frame.f_code.co_filename, frame.f_lineno))
def save():
    sys.setprofile(None)
    with open(OUT, "w") as file:
        json.dump([sorted(edges), sorted(lines)], file)
atexit.register(save)
threading.setprofile(note)
sys.setprofile(note)
"""

SHOWN = 40
"""How many wrong and missing answers are printed at most."""

Line = tuple[str, int]
"""A path and a line."""


class Scores(NamedTuple):
    """What a comparison counted."""

    right: int
    """Answers that the run confirmed: the definition, or a method that overrides it."""
    strict: int
    """Of these, the definition itself."""
    wrong: int
    seen: int
    """Calls that the run saw, and that a call expression names."""
    answered: int
    """Of these, the map had the definition."""
    unnamed: int
    """Calls that the run saw, and that no call expression names."""


class TreeView:
    """The files of a folder, in memory."""

    def __init__(self, root: Path) -> None:
        self._facts = {
            file.relative_to(root).as_posix(): python_facts(file.read_bytes()) for file in sorted(root.rglob("*.py"))
        }

    def paths(self) -> list[str]:
        """Return the paths of all files."""
        return sorted(self._facts)

    def facts(self, path: str) -> FileFacts | None:
        """Return the facts of a file."""
        return self._facts.get(path)

    def mentioning(self, name: str) -> list[str]:
        """Return the paths whose file mentions a name."""
        return [path for path, facts in self._facts.items() if name in facts.mentions()]

    def places(self, name: str) -> list[SymbolPlace]:
        """Return the definitions with that last name."""
        return [
            SymbolPlace(path, at)
            for path, facts in self._facts.items()
            for at, symbol in enumerate(facts.symbols)
            if symbol.name.rpartition(".")[2] == name
        ]


def observe(tree: Path, source: Path, arguments: list[str]) -> tuple[set[tuple[Line, Line]], set[Line]]:
    """Run the tests; return the calls between lines of the source, and the lines that called anything."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch), Path(scratch) / "out.json"
        (folder / "map_truth_plugin.py").write_text(PLUGIN)
        paths = os.pathsep.join([scratch, str(source), str(tree)])
        environ = {**os.environ, "PYTHONPATH": paths, "MAP_TRUTH_ROOT": str(source), "MAP_TRUTH_OUT": str(out)}
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "map_truth_plugin", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(argv, cwd=tree, env=environ, capture_output=True, text=True, check=False)
        sys.stdout.write(f"{(done.stdout.strip().splitlines() or ['no output'])[-1]}\n")
        edges, lines = json.loads(out.read_text())
    short = {file: Path(file).relative_to(source).as_posix() for file in {edge[at] for edge in edges for at in (0, 2)}}
    short |= {file: Path(file).relative_to(source).as_posix() for file, _ in lines}
    return {((short[a], b), (short[c], d)) for a, b, c, d in edges}, {(short[file], line) for file, line in lines}


class _Comparison:
    """The map of a source folder, and what a run has seen of it."""

    def __init__(self, source: Path, calls: set[tuple[Line, Line]], ran: set[Line]) -> None:
        self._view = TreeView(source)
        self._relations = Relations(self._view)
        self._ran = ran
        self._plain = {(path, line) for path in self._view.paths() for line in _plain_functions(source / path)}
        self._calls = {(site, callee) for site, callee in calls if callee in self._plain}
        self._places = {
            (path, symbol.first): SymbolPlace(path, at)
            for path in self._view.paths()
            for at, symbol in enumerate(self._symbols(path))
            if symbol.kind in ("function", "method")
        }

    def scores_of_the_map(self) -> Scores:
        """Compare the map's answers; print those that are wrong, and calls that have none."""
        return self._scores(set(self._answers()), shows=True)

    def scores_of_jedi(self, source: Path) -> Scores:
        """Compare jedi's answers; a class counts as its `__init__` or `__new__`, as with the map."""
        return self._scores(set(self._answers_of_jedi(source)), shows=False)

    def _scores(self, answers: set[tuple[Line, Line]], *, shows: bool) -> Scores:
        reached: dict[Line, set[Line]] = {}
        for site, callee in self._calls:
            reached.setdefault(site, set()).add(callee)
        strict = {(site, callee) for site, callee in answers if callee in reached.get(site, ())}
        right = {
            (site, callee)
            for site, callee in answers
            if any(self._is_or_overrides(actual, callee) for actual in reached.get(site, ()))
        }
        names = self._names()
        seen = {(site, callee) for site, callee in self._calls if self._last_name(callee) & names.get(site, set())}
        known: dict[Line, set[Line]] = {}
        for site, callee in answers:
            known.setdefault(site, set()).add(callee)
        answered = [
            1 for site, callee in seen if any(self._is_or_overrides(callee, one) for one in known.get(site, ()))
        ]
        wrong = sorted(answers - right)
        if shows:
            for site, callee in wrong[:SHOWN]:
                sys.stdout.write(f"wrong: {site[0]}:{site[1]} -> {callee[0]}:{callee[1]}\n")
            for site, callee in sorted(item for item in seen if not known.get(item[0]))[:SHOWN]:
                sys.stdout.write(f"no answer: {site[0]}:{site[1]} -> {callee[0]}:{callee[1]}\n")
        return Scores(len(right), len(strict), len(wrong), len(seen), len(answered), len(self._calls) - len(seen))

    def _symbols(self, path: str) -> tuple[MapSymbol, ...]:
        facts = self._view.facts(path)
        return facts.symbols if facts is not None else ()

    def _answers(self) -> Iterator[tuple[Line, Line]]:
        """Yield the map's answers for calls on lines that ran."""
        for path in self._view.paths():
            facts = self._view.facts(path)
            for call in facts.calls if facts is not None else ():
                target = self._relations.target(path, call) if (path, call.line) in self._ran else None
                if target is not None and self._symbol(target).kind == "class":
                    target = self._relations.resolver.constructor(target)
                if target is not None and (target.path, self._symbol(target).first) in self._plain:
                    yield (path, call.line), (target.path, self._symbol(target).first)

    def _answers_of_jedi(self, source: Path) -> Iterator[tuple[Line, Line]]:
        """Yield jedi's answers for calls on lines that ran, for functions that the map's answers may name too."""
        defined = {
            (path, symbol.line): SymbolPlace(path, at)
            for path in self._view.paths()
            for at, symbol in enumerate(self._symbols(path))
            if symbol.kind in ("class", "function", "method")
        }
        for answer in jedi_answers(source, self._ran):
            target = defined.get((answer.defined_in, answer.defined_at))
            if target is not None and self._symbol(target).kind == "class":
                target = self._relations.resolver.constructor(target)
            if target is not None and (target.path, self._symbol(target).first) in self._plain:
                yield (answer.path, answer.line), (target.path, self._symbol(target).first)

    def _symbol(self, place: SymbolPlace) -> MapSymbol:
        return self._symbols(place.path)[place.at]

    def _is_or_overrides(self, actual: Line, base: Line) -> bool:
        """Return whether a function is another, or a method that replaces it in a class derived from its class."""
        if actual == base:
            return True
        one, other = self._places.get(actual), self._places.get(base)
        if one is None or other is None:
            return False
        same = self._symbol(one).name.rpartition(".")[2] == self._symbol(other).name.rpartition(".")[2]
        mine, theirs = self._owner(one), self._owner(other)
        return same and mine is not None and theirs is not None and theirs in self._relations.resolver.lineage(mine)

    def _owner(self, place: SymbolPlace) -> SymbolPlace | None:
        outer = self._symbol(place).name.rpartition(".")[0]
        symbols = enumerate(self._symbols(place.path))
        return next((SymbolPlace(place.path, at) for at, item in symbols if outer and item.name == outer), None)

    def _names(self) -> dict[Line, set[str]]:
        """Return, for each line, the last names that call expressions on it have, here and where they come from."""
        names: dict[Line, set[str]] = {}
        for path in self._view.paths():
            facts = self._view.facts(path)
            if facts is None:
                continue
            aliases = {item.alias: item.name for item in facts.imports}
            for call in facts.calls:
                last = call.target.rpartition(".")[2]
                names.setdefault((path, call.line), set()).update((last, aliases.get(last, last)))
        return names

    def _last_name(self, callee: Line) -> set[str]:
        """Return the names by which a function is called: its own; for `__init__`, also that of its class."""
        place = self._places.get(callee)
        if place is None:
            return set()
        outer, _, last = self._symbol(place).name.rpartition(".")
        owner = self._owner(place)
        derived = self._derived(owner) if last in ("__init__", "__new__") and owner is not None else set()
        return {last, outer.rpartition(".")[2], *derived} - {""} if derived else {last}

    def _derived(self, owner: SymbolPlace) -> set[str]:
        names = {self._symbol(owner).name.rpartition(".")[2], "cls"}
        for path in self._view.paths():
            for at, symbol in enumerate(self._symbols(path)):
                if symbol.kind == "class" and owner in self._relations.resolver.lineage(SymbolPlace(path, at)):
                    names.add(symbol.name.rpartition(".")[2])
        return names


def _plain_functions(file: Path) -> Iterator[int]:
    """Yield the first line of each function that is entered by a call of its name, at once."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(item).rpartition(".")[2] for item in node.decorator_list}
            is_generator = any(isinstance(item, ast.Yield | ast.YieldFrom) for item in ast.walk(node))
            if not is_generator and decorators <= {"staticmethod", "classmethod", "abstractmethod", "override"}:
                yield min([node.lineno, *(item.lineno for item in node.decorator_list)])


def _print(name: str, scores: Scores) -> None:
    answers = scores.right + scores.wrong
    sys.stdout.write(
        f"{name}: precision {scores.right / max(answers, 1):.3f} of {answers} answers ({scores.strict} name the very "
        f"definition), recall {scores.answered / scores.seen:.3f} of {scores.seen} calls; "
        f"{scores.unnamed} more calls are named by no call expression\n"
    )


def main(arguments: list[str]) -> int:
    """Print how right the map is about one source tree."""
    tree, source = Path(arguments[0]).resolve(), Path(arguments[1]).resolve()
    calls, ran = observe(tree, source, arguments[2:])
    comparison = _Comparison(source, calls, ran)
    _print("the map", comparison.scores_of_the_map())
    if has_jedi():
        _print("jedi", comparison.scores_of_jedi(source))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
