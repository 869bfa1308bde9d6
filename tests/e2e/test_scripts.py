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
    names = (
        "AEGIS_TOOL_PARSER",
        "AEGIS_REASONING_PARSER",
        "AEGIS_MODEL",
        "AEGIS_BATCH",
        "AEGIS_MAX_LEN",
        "AEGIS_VLLM_PORT",
        "HF_HUB_OFFLINE",
        "AEGIS_VENV",
    )
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


def test_a_parser_that_somebody_names_wins_over_the_name_of_the_model() -> None:
    words = printed("openai/gpt-oss-120b", AEGIS_TOOL_PARSER="mine")
    assert after(words, "--tool-call-parser") == "mine"
    assert "--reasoning-parser" not in words
    words = printed("--tool-parser", "mine", "x", "--", "--reasoning-parser=theirs")
    assert (after(words, "--tool-call-parser"), words[-1]) == ("mine", "--reasoning-parser=theirs")
    words = printed("openai/gpt-oss-120b", "--", "--tool-call-parser", "mine", "--reasoning-parser", "theirs")
    assert words.count("--tool-call-parser") == words.count("--reasoning-parser") == 1


@pytest.mark.parametrize("model", ["x", "org/DeepSeek-R1-Distill-Llama-70B", "llama/some-fine-tune", "gemma-3-27b"])
def test_an_unknown_family_is_said_aloud_with_how_to_name_its_parser(model: str) -> None:
    done = start_vllm("--print", model)
    assert (done.returncode, done.stdout) == (2, "")
    assert model in done.stderr and "--tool-parser NAME" in done.stderr and "qwen3_coder" in done.stderr


def test_a_model_that_does_not_chat_is_refused() -> None:
    done = start_vllm("--print", "Qwen/Qwen3-Embedding-8B")
    assert done.returncode == 2
    assert "not a chat model" in done.stderr


@pytest.mark.parametrize(
    ("name", "template", "parser"),
    [
        ("chat_template.jinja", "<tool_call>{{ call | tojson }}</tool_call>", "hermes"),
        ("tokenizer_config.json", '{"chat_template": "<tool_call><function=x><parameter=y>"}', "qwen3_coder"),
        ("chat_template.jinja", "<tool_call>x<arg_key>y", "glm47"),
        ("chat_template.jinja", "[TOOL_CALLS] [", "mistral"),
    ],
)
def test_the_parser_of_a_folder_follows_its_chat_template(
    tmp_path: Path, name: str, template: str, parser: str
) -> None:
    (tmp_path / name).write_text(template)
    assert after(printed(str(tmp_path)), "--tool-call-parser") == parser


def test_without_a_batch_size_vllm_chooses_and_more_options_go_through() -> None:
    words = printed("--", "--tensor-parallel-size", "2", AEGIS_MODEL="Qwen3 a model")
    assert "--max-num-seqs" not in words
    assert after(words, "serve") == "Qwen3 a model"
    assert words[-2:] == ["--tensor-parallel-size", "2"]


def test_offline_is_kept_and_a_folder_is_offline_by_itself(tmp_path: Path) -> None:
    assert {"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1"} <= set(printed("Qwen3-8B", HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE=1" in printed(str(tmp_path), AEGIS_TOOL_PARSER="hermes")


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
    done = start_vllm("Qwen3-8B", AEGIS_VENV=str(tmp_path), VLLM_SERVER_DEV_MODE="1")
    assert (done.returncode, done.stdout.strip()) == (0, "serve Qwen3-8B off 1")


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
        timeout=160,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "missing: tmux bubblewrap" in done.stderr
    assert (
        "apt-get update && apt-get install -y --no-install-recommends tmux bubblewrap" in done.stderr.splitlines()[-1]
    )
