"""The scripts that a person runs before anything else is there."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def start_vllm(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    names = ("AEGIS_MODEL", "AEGIS_BATCH", "AEGIS_MAX_LEN", "AEGIS_VLLM_PORT", "HF_HUB_OFFLINE", "AEGIS_VENV")
    environ = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [str(ROOT / "scripts" / "start-vllm.sh"), *arguments],
        env={**environ, "AEGIS_VENV": "/nowhere", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def printed(*arguments: str, **variables: str) -> list[str]:
    done = start_vllm("--print", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout)


def after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_the_command_has_what_agents_need_and_tells_nobody() -> None:
    words = printed("org/Qwen3-Coder-Mini", AEGIS_BATCH="17")
    assert {"VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1"} <= set(words)
    assert "HF_HUB_OFFLINE=1" not in words
    assert after(words, "serve") == "org/Qwen3-Coder-Mini"
    assert (after(words, "--host"), after(words, "--port")) == ("127.0.0.1", "8001")
    assert (after(words, "--max-num-seqs"), after(words, "--tool-call-parser")) == ("17", "qwen3_coder")
    assert {"--enable-auto-tool-choice", "--enable-prompt-tokens-details", "--enable-force-include-usage"} <= set(words)
    assert after(words, "--scheduling-policy") == "priority"


@pytest.mark.parametrize(
    ("model", "parser"),
    [("openai/gpt-oss-120b", "openai"), ("org/Devstral-2", "mistral"), ("Qwen/Qwen2.5-7B", "hermes"), ("x", "hermes")],
)
def test_the_tool_call_parser_follows_the_model(model: str, parser: str) -> None:
    assert after(printed(model), "--tool-call-parser") == parser
    assert after(printed(model, AEGIS_TOOL_PARSER="mine"), "--tool-call-parser") == "mine"


def test_without_a_batch_size_vllm_chooses_and_more_options_go_through() -> None:
    words = printed("--", "--tensor-parallel-size", "2", AEGIS_MODEL="a model")
    assert "--max-num-seqs" not in words
    assert after(words, "serve") == "a model"
    assert words[-2:] == ["--tensor-parallel-size", "2"]


def test_offline_is_kept_and_a_folder_is_offline_by_itself(tmp_path: Path) -> None:
    assert {"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1"} <= set(printed("m", HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE=1" in printed(str(tmp_path))


@pytest.mark.parametrize("wrong", ["x", "0", "-1", "1; true"])
def test_a_batch_size_that_is_no_number_is_wrong_usage(wrong: str) -> None:
    done = start_vllm("--print", AEGIS_BATCH=wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert "AEGIS_BATCH" in done.stderr


@pytest.mark.skipif(shutil.which("vllm") is not None, reason="missing: machine-without-vllm")
def test_without_vllm_it_says_how_to_get_it() -> None:
    done = start_vllm()
    assert (done.returncode, done.stdout) == (5, "")
    assert "-m pip install 'vllm" in done.stderr


def test_it_starts_the_vllm_of_the_environment_without_the_development_mode(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "vllm"
    program.write_text('#!/bin/sh\necho "$1 $2 ${VLLM_SERVER_DEV_MODE:-off} $VLLM_NO_USAGE_STATS"\n')
    program.chmod(0o755)
    done = start_vllm("model", AEGIS_VENV=str(tmp_path), VLLM_SERVER_DEV_MODE="1")
    assert (done.returncode, done.stdout.strip()) == (0, "serve model off 1")


@pytest.mark.skipif(sys.platform != "linux", reason="missing: linux")
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="missing: bwrap")
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="missing: apt-get")
def test_where_nothing_can_be_installed_the_demo_ends_with_5_and_the_exact_command() -> None:
    view = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/usr/local"]
    view += ["--tmpfs", str(Path.home())]
    for name in ("tmux", "bwrap"):
        for folder in ("/usr/bin", "/bin"):
            if (path := Path(folder) / name).exists():
                view += ["--ro-bind", "/dev/null", str(path.resolve())]
    view += ["--ro-bind", str(ROOT), "/tmp/repository", "--unshare-all", "--die-with-parent", "--new-session"]
    view += ["--clearenv", "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/tmp"]
    done = subprocess.run(
        ["bwrap", *view, "--setenv", "AEGIS_VENV", "/tmp/venv", "--", "/tmp/repository/scripts/demo", "--headless"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "missing: tmux bubblewrap" in done.stderr
    assert (
        "apt-get update && apt-get install -y --no-install-recommends tmux bubblewrap" in done.stderr.splitlines()[-1]
    )
