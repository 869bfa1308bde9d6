#!/usr/bin/env bash
# Serves a model with vLLM the way that agents need it: tool calls, prefix cache figures, priorities, no usage report.
#
#   start-vllm.sh [MODEL] [-- VLLM_OPTIONS...]
#   start-vllm.sh --print [MODEL] [-- VLLM_OPTIONS...]     show the command, start nothing
#
# MODEL            a name or a folder; else AEGIS_MODEL, else Qwen/Qwen3-Coder-Next-FP8
# AEGIS_BATCH      sequences at once (--max-num-seqs); vLLM's own choice when unset
# AEGIS_MAX_LEN    longest conversation in tokens (--max-model-len); the model's own when unset
# AEGIS_VLLM_PORT  port on 127.0.0.1; 8001, where aegis-tui looks first
# AEGIS_TOOL_PARSER  how the model writes tool calls; chosen by its name when unset
# AEGIS_VENV       an environment whose vllm goes before the one on PATH
# HF_HUB_OFFLINE   1: nothing is downloaded; set by itself when MODEL is a folder
#
# Exit codes: 2 wrong usage, 5 vLLM is not installed; else vLLM's own.
set -euo pipefail

talk() { printf '%s\n' "$*" >&2; }
usage() { sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
wrong() { talk "start-vllm.sh: $1"; usage >&2; exit 2; }

# number NAME VALUE: ends the script unless VALUE is a whole number over 0.
number() {
  case $2 in '' | *[!0-9]* | 0*) wrong "$1=$2 is not a whole number over 0" ;; esac
}

# parser_for MODEL: the tool call parser for a family of models, by vLLM's names.
parser_for() {
  case $(printf '%s' "$1" | tr '[:upper:]' '[:lower:]') in
    *qwen3-coder* | *qwen3_coder* | *qwen3.5* | *qwen3-next*coder*) echo qwen3_coder ;;
    *gpt-oss*) echo openai ;;
    *glm-4.5* | *glm-4.6*) echo glm45 ;;
    *glm-4.7* | *glm-5*) echo glm47 ;;
    *kimi-k2*) echo kimi_k2 ;;
    *minimax-m2*) echo minimax_m2 ;;
    *deepseek-v3.1*) echo deepseek_v31 ;;
    *deepseek-v3*) echo deepseek_v3 ;;
    *mistral* | *devstral* | *codestral*) echo mistral ;;
    *llama-4* | *llama4*) echo llama4_pythonic ;;
    *llama*) echo llama3_json ;;
    *) echo hermes ;;
  esac
}

find_vllm() {
  local path
  for path in "${AEGIS_VENV:-}/bin/vllm" "$(command -v vllm || true)"; do
    if [ -n "$path" ] && [ -x "$path" ]; then echo "$path"; return 0; fi
  done
  return 1
}

print=no model=
while [ $# -gt 0 ]; do
  case $1 in
    --print) print=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    -*) wrong "unknown option $1 (options for vLLM go after --)" ;;
    *) [ -z "$model" ] || wrong "two models: $model and $1"; model=$1; shift ;;
  esac
done
model=${model:-${AEGIS_MODEL:-Qwen/Qwen3-Coder-Next-FP8}}
port=${AEGIS_VLLM_PORT:-8001}
number AEGIS_VLLM_PORT "$port"

command=(serve "$model" --host 127.0.0.1 --port "$port"
  --enable-auto-tool-choice --tool-call-parser "${AEGIS_TOOL_PARSER:-$(parser_for "$model")}"
  --scheduling-policy priority
  --enable-prompt-tokens-details --enable-force-include-usage --enable-server-load-tracking
  --structured-outputs-config '{"backend":"xgrammar","disable_any_whitespace":true}')
if [ -n "${AEGIS_BATCH:-}" ]; then number AEGIS_BATCH "$AEGIS_BATCH"; command+=(--max-num-seqs "$AEGIS_BATCH"); fi
if [ -n "${AEGIS_MAX_LEN:-}" ]; then number AEGIS_MAX_LEN "$AEGIS_MAX_LEN"; command+=(--max-model-len "$AEGIS_MAX_LEN"); fi
command+=("$@")

# No report to stats.vllm.ai; none of the routes without authentication that the development mode adds.
environment=(VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1)
if [ -n "${VLLM_SERVER_DEV_MODE:-}" ]; then talk "VLLM_SERVER_DEV_MODE is not passed on: anybody could pause the server"; fi
unset VLLM_SERVER_DEV_MODE
if [ -d "$model" ] || [ "${HF_HUB_OFFLINE:-0}" = 1 ]; then environment+=(HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1); fi

if ! vllm=$(find_vllm); then
  vllm=vllm
  if [ "$print" = no ]; then
    talk "vLLM is not installed; it needs Linux and a suitable accelerator"
    talk "install it:  ${AEGIS_VENV:+$AEGIS_VENV/bin/}python -m pip install 'vllm>=0.30'"
    talk "or use a server that runs elsewhere:  aegis-tui run GOAL --base-url http://HOST:8001"
    exit 5
  fi
fi
if [ "$print" = yes ]; then
  printf '%s ' "${environment[@]}"
  printf '%q ' "$vllm" "${command[@]}"
  echo
  exit 0
fi
talk "serving $model on http://127.0.0.1:$port; look at it with: aegis-tui doctor"
exec env "${environment[@]}" "$vllm" "${command[@]}"
