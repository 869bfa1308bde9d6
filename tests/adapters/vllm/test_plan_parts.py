"""A model's files, the machine's cards, and an environment for vLLM (LLM-1)."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from aegis_tui.adapters.vllm.cards import find_cards
from aegis_tui.adapters.vllm.environment import environment_folder, set_up
from aegis_tui.adapters.vllm.model_files import find_model
from aegis_tui.adapters.vllm.server import SCRIPT
from aegis_tui.errors import Unavailable, UsageError


def write_model(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in {"config.json": "{}", **files}.items():
        (folder / name).write_text(text)
    return folder


def test_a_folder_and_a_name_in_the_cache_are_found_with_their_size(tmp_path: Path) -> None:
    weights = {"a.safetensors": "x" * 10, "b.safetensors": "x" * 5}
    folder = write_model(tmp_path / "model", **weights)
    assert find_model(str(folder), {}).weight_bytes == 15
    hub = tmp_path / "hub" / "models--org--model" / "snapshots"
    index = json.dumps({"metadata": {"total_size": 123}})
    write_model(hub / "abc", **{"model.safetensors.index.json": index, "config.json": '{"a": 1}'})
    for environ in ({"HF_HUB_CACHE": str(tmp_path / "hub")}, {"HF_HOME": str(tmp_path)}):
        found = find_model("org/model", environ)
        assert (found.name, found.config, found.weight_bytes) == ("org/model", {"a": 1}, 123)


def test_a_named_config_needs_no_model_here(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"b": 2}')
    found = find_model("org/other", {}, config=tmp_path / "c.json")
    assert (found.config, found.weight_bytes) == ({"b": 2}, None)


def test_an_index_goes_before_the_files_unless_it_names_no_size(tmp_path: Path) -> None:
    weights = {"a.safetensors": "x" * 10, "consolidated.safetensors": "x" * 10}
    for number, (index, size) in enumerate([('{"metadata": {"total_size": 9}}', 9), ('{"metadata": [1]}', 20)]):
        folder = write_model(tmp_path / str(number), **weights, **{"model.safetensors.index.json": index})
        assert find_model(str(folder), {}).weight_bytes == size


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_what_is_no_config_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UsageError, match=r"c\.json"):
        find_model("m", {}, config=tmp_path / "c.json")
    with pytest.raises(UsageError, match="is not on this machine"):
        find_model("org/none", {"HF_HOME": str(tmp_path)})


def nvidia_smi(folder: Path, said: str, code: int = 0) -> dict[str, str]:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit {code}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_cards_are_read_and_a_figure_that_is_not_known_is_left_out(tmp_path: Path) -> None:
    said = "NVIDIA H200, 143771, 81234, 97\nNVIDIA GB10, 124610, [N/A], [N/A]\nodd line\nno, [N/A], 1, 2"
    assert find_cards(nvidia_smi(tmp_path, said)) == [
        {"name": "NVIDIA H200", "memory_mib": 143771, "used_mib": 81234, "busy_percent": 97},
        {"name": "NVIDIA GB10", "memory_mib": 124610, "used_mib": None, "busy_percent": None},
    ]
    assert find_cards(nvidia_smi(tmp_path, "No devices were found", 6)) == []
    assert find_cards({"PATH": str(tmp_path / "nowhere")}) == []


def wheel(folder: Path, program: str, version: str = "1.0") -> Path:
    """A package that brings one program."""
    path = folder / f"fakevllm-{version}-py3-none-any.whl"
    info = f"fakevllm-{version}.dist-info"
    files = {
        "fakevllm.py": "def main() -> None:\n    print('serving')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: fakevllm\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{program} = fakevllm:main\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.thorough
def test_an_environment_is_made_used_again_and_found_by_the_start(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    folder = environment_folder(environ)
    assert folder == tmp_path / ".local" / "share" / "aegis-tui" / "vllm"
    with pytest.raises(Unavailable, match="ended with exit code 1"):
        set_up(folder, "vllm>=0.30", environ)
    with pytest.raises(Unavailable, match="contains no program vllm"):
        set_up(folder, str(wheel(tmp_path, "other")), environ)
    program = set_up(folder, str(wheel(tmp_path, "vllm", "2.0")), environ)
    assert subprocess.run([program], capture_output=True, text=True, timeout=30, check=True).stdout == "serving\n"
    command = ["bash", str(SCRIPT), "--print", "--tool-parser", "hermes", "some-model"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=True)
    assert f" {program} serve some-model" in done.stdout


def test_the_environment_lies_where_data_lies() -> None:
    assert environment_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/aegis-tui/vllm")
