"""MAP-3: how many tokens the views of files save, by the tokenizer of a served model (`qwen.tiktoken` of dashscope).

The source trees are those of three PyPI packages that nothing else here measures. They and the tokenizer are
downloaded; `tiktoken` must be installed. A scripted task is done by the built-in agent with the map and without it,
with the same decisions: `tokens_task.py` says which task, `tokens_ways.py` what each way calls.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from aegis_tui.adapters.code_map.reader import SourceReader
from aegis_tui.domain.code_map.brief import render_brief
from scripts.bench.record import Figure
from scripts.bench.tokens_task import run_tasks

SOURCES = ("celery==5.7.0", "scrapy==2.19.0", "sphinx==9.0.4")
TOKENIZER = "dashscope==2.0.2"
FILES, LEAST_BYTES, SEED = 20, 1_500, 7
_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How the tokenizer splits text, as `dashscope/tokenizers/qwen_tokenizer.py` has it."""

Encode = Callable[[str], list[int]]


def run_tokens() -> list[Figure]:
    """Count tokens of whole files and of their views, and of the prompts of a task with and without the map."""
    with tempfile.TemporaryDirectory(prefix="aegis-tokens-") as scratch:
        folder = Path(scratch)
        encode = _tokenizer(folder)
        trees = {name: _unpacked(name, folder) for name in SOURCES}
        figures = []
        pooled = {"signatures": [0, 0], "outline": [0, 0]}
        for name, tree in trees.items():
            for form, sizes in _views(tree, encode).items():
                whole, view = (sum(part) for part in zip(*sizes, strict=True))
                pooled[form][0] += whole
                pooled[form][1] += view
                what = f"tokens that the {form} of {FILES} files of {name} save ({view:,} of {whole:,} left)"
                figures.append(Figure(f"{form}_{name.partition('=')[0]}", what, "%", (_saved(whole, view),)))
        for form, (whole, view) in pooled.items():
            what = f"tokens that the {form} of all {FILES * len(trees)} files save"
            figures.append(Figure(form, what, "%", (_saved(whole, view),)))
        tasks = run_tasks(trees, encode)
        return [*figures, *tasks]


def _saved(whole: int, view: int) -> float:
    return round(100 * (1 - view / whole), 2)


def _tokenizer(folder: Path) -> Encode:
    try:
        tiktoken = import_module("tiktoken")
        load = import_module("tiktoken.load").load_tiktoken_bpe
    except ImportError as error:
        raise SystemExit("pip install tiktoken") from error
    ranks = next(_download(TOKENIZER, folder / "tokenizer").rglob("qwen.tiktoken"))
    encoding = tiktoken.Encoding("qwen", pat_str=_PATTERN, mergeable_ranks=load(str(ranks)), special_tokens={})
    encode: Encode = encoding.encode_ordinary
    return encode


def _download(requirement: str, folder: Path) -> Path:
    """Download a wheel from the package index, unpack it, and return its folder; nothing of it is run."""
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(folder)]
    subprocess.run([*argv, requirement], check=True, timeout=300)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "files")
    return folder / "files"


def _unpacked(requirement: str, folder: Path) -> Path:
    return _download(requirement, folder / requirement.partition("=")[0])


def _views(tree: Path, encode: Encode) -> dict[str, list[tuple[int, int]]]:
    """Return form -> for each file the tokens of the whole text without line numbers, and of its view in that form."""
    sizes: dict[str, list[tuple[int, int]]] = {"signatures": [], "outline": []}
    for text in _texts(tree):
        facts = SourceReader().derive("python", text.encode())
        whole = len(encode(text))
        sizes["signatures"].append((whole, len(encode(render_brief(facts, "signatures")))))
        sizes["outline"].append((whole, len(encode(render_brief(facts, "outline")))))
    return sizes


def _texts(tree: Path) -> Iterator[str]:
    files = sorted(file for file in tree.rglob("*.py") if file.stat().st_size > LEAST_BYTES)
    for file in random.Random(SEED).sample(files, FILES):
        yield file.read_text("utf-8")
