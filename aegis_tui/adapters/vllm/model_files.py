"""Finds the files of a model on this machine: its `config.json`, and how large its weights are. Downloads nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aegis_tui.errors import UsageError

_INDEX = "model.safetensors.index.json"
_MOST_BYTES = 16 * 1024 * 1024


class ModelFiles(NamedTuple):
    """What the files of a model on this machine say about it; nothing is loaded or checked beyond that.

    Its `config.json` is always there. Its weights need not be: `vllm plan` then computes their size from the config.
    """

    name: str
    """As the caller gave it: a folder, or a name such as `Qwen/Qwen3-8B`."""
    config: Mapping[str, Any]
    """The fields of its `config.json`, as they are in the file."""
    weight_bytes: int | None
    """The size of its weights; None if neither they nor their index are here."""


def find_model(model: str, environ: Mapping[str, str], *, config: Path | None = None) -> ModelFiles:
    """Return what the files of a model on this machine say: its config and the size of its weights. Downloads nothing.

    Args:
        model: A folder, or a name: then the cache of Hugging Face is searched (HF_HUB_CACHE, HF_HOME).
        environ: The environment.
        config: Its `config.json`, if it is elsewhere; the size of the weights is then not known.

    Raises:
        UsageError: The model is not on this machine, or its `config.json`, or the index of its weights, cannot be read,
            has over 16 MiB or is no JSON object.
        OSError: A folder or the size of a file cannot be read.
    """
    if config is not None:
        return ModelFiles(model, _load(config), None)
    folder = Path(model) if Path(model).is_dir() else _cached(model, environ)
    if folder is None:
        raise UsageError(
            f"the config.json of {model} is not on this machine",
            "name the file with --config FILE, or download the model: aegis-tui vllm start MODEL",
        )
    return ModelFiles(model, _load(folder / "config.json"), _weight_bytes(folder))


def _cached(model: str, environ: Mapping[str, str]) -> Path | None:
    """Return the folder of the newest snapshot of a model in the cache of Hugging Face; None if there is none.

    None also for a name without a slash. A snapshot without a `config.json` does not count.

    Raises:
        OSError: The folder of the snapshots cannot be read.
    """
    home = environ.get("HF_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".cache" / "huggingface")
    hub = Path(environ.get("HF_HUB_CACHE") or Path(home) / "hub")
    snapshots = hub / f"models--{model.replace('/', '--')}" / "snapshots"
    if "/" not in model or not snapshots.is_dir():
        return None
    downloaded = [folder for folder in snapshots.iterdir() if (folder / "config.json").exists()]
    return max(downloaded, key=lambda folder: folder.stat().st_mtime, default=None)


def _weight_bytes(folder: Path) -> int | None:
    """Return the size of a model's weights in bytes: what their index says, or else that of the files; None if unknown.

    The index goes first: the files of a download that was broken off are incomplete, and some models have them twice.

    Raises:
        UsageError: The index cannot be read, or is no JSON object.
        OSError: The size of a file cannot be read, for example of a link to nothing.
    """
    sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    index = folder / _INDEX
    if not index.exists():
        return sum(sizes) or None
    metadata = _load(index).get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return total if isinstance(total, int) else sum(sizes) or None


def _load(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            fields = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "name the model's own config.json") from error
    if not isinstance(fields, dict):
        raise UsageError(f"{path} is not a JSON object", "name the model's own config.json")
    return fields
