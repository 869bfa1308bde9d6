#!/usr/bin/env bash
# Serves a model with vLLM the way that agents need it: tool calls, prefix cache figures, priorities, no usage report.
#
#   start-vllm.sh [--tool-parser NAME] [MODEL] [-- VLLM_OPTIONS...]
#   start-vllm.sh --print [--tool-parser NAME] [MODEL] [-- VLLM_OPTIONS...]     show the command, start nothing
#
# MODEL            a name or a folder; else AEGIS_MODEL, else Qwen/Qwen3-Coder-Next-FP8
# --tool-parser    vLLM's tool call parser; when not given, that of families.txt or of the folder's chat template
# AEGIS_BATCH      sequences at once (--max-num-seqs); vLLM's own choice when unset
# AEGIS_MAX_LEN    longest conversation in tokens (--max-model-len); the model's own when unset
# AEGIS_VLLM_PORT  port on 127.0.0.1; 8001, where aegis-tui looks first
# AEGIS_TOOL_PARSER, AEGIS_REASONING_PARSER  the parsers of vLLM to use, whatever the model is called
# AEGIS_VENV       an environment whose vllm is preferred to that of `aegis-tui vllm setup` and to the one on PATH
# HF_HUB_OFFLINE   1: nothing is downloaded; set automatically when MODEL is a folder
#
# Exit codes: 2 wrong usage or a model without a known tool call parser, 5 vLLM is not installed; else vLLM's own.
set -euo pipefail

talk() { printf '%s\n' "$*" >&2; }
usage() { sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
wrong() { talk "start-vllm.sh: $1"; usage >&2; exit 2; }

# number NAME VALUE: ends the script unless VALUE is a whole number over 0.
number() {
  case $2 in '' | *[!0-9]* | 0*) wrong "$1=$2 is not a whole number over 0" ;; esac
}

# parsers_for MODEL: prints the tool call parser and the reasoning parser of its family; nothing for an unknown one.
parsers_for() {
  local name pattern tool reasoning
  name=$(basename -- "$1" | tr '[:upper:]_' '[:lower:]-')
  while read -r pattern tool reasoning; do
    case $pattern in '' | '#'*) continue ;; esac
    # shellcheck disable=SC2254 - the pattern is meant to be one
    case $name in $pattern) echo "$tool $reasoning"; return ;; esac
  done <"$here/families.txt"
  if [ -d "$1" ]; then parser_of_template "$1"; fi
}

# parser_of_template FOLDER: the tool call parser for the form that the chat template of a model shows.
parser_of_template() {
  local template
  template=$(head -c 1000000 -- "$1/chat_template.jinja" 2>/dev/null || head -c 1000000 -- "$1/tokenizer_config.json" 2>/dev/null) || return 0
  case $template in
    *'<arg_key>'*) echo "glm47 -" ;;
    *'<function='*'<parameter='*) echo "qwen3_coder -" ;;
    *'[TOOL_CALLS]'*) echo "mistral -" ;;
    *'<tool_call>'*) echo "hermes -" ;;
  esac
}

# given OPTION OPTIONS...: whether the option is among those for vLLM.
given() {
  local wanted=$1 word
  shift
  for word in "$@"; do
    case $word in "$wanted" | "$wanted="*) return 0 ;; esac
  done
  return 1
}

find_vllm() {
  local path
  local own="${XDG_DATA_HOME:-${HOME:-}/.local/share}/aegis-tui/vllm/bin/vllm"
  for path in "${AEGIS_VENV:-}/bin/vllm" "$own" "$(command -v vllm || true)"; do
    if [ -n "$path" ] && [ -x "$path" ]; then echo "$path"; return 0; fi
  done
  return 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
print=no model= tool=${AEGIS_TOOL_PARSER:-} reasoning=${AEGIS_REASONING_PARSER:-}
while [ $# -gt 0 ]; do
  case $1 in
    --print) print=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    --tool-parser) [ $# -gt 1 ] || wrong "--tool-parser needs a name"; tool=$2; shift 2 ;;
    --tool-parser=*) tool=${1#*=}; shift ;;
    --) shift; break ;;
    -*) wrong "unknown option $1 (options for vLLM go after --)" ;;
    *) [ -z "$model" ] || wrong "two models: $model and $1"; model=$1; shift ;;
  esac
done
model=${model:-${AEGIS_MODEL:-Qwen/Qwen3-Coder-Next-FP8}}
port=${AEGIS_VLLM_PORT:-8001}
number AEGIS_VLLM_PORT "$port"

read -r family_tool family_reasoning <<<"$(parsers_for "$model")"
tool=${tool:-$family_tool}
if [ "$tool" = none ]; then wrong "$model is not a chat model: choose another"; fi
if [ -z "$tool" ] && ! given --tool-call-parser "$@"; then
  talk "start-vllm.sh: agents need tool calls, and how $model writes them is not known; name vLLM's parser for it:"
  talk "  --tool-parser NAME (or AEGIS_TOOL_PARSER=NAME). Names that the known families use:"
  talk "  $(sed '/^#/d; /^$/d' "$here/families.txt" | while read -r _ name _; do echo "$name"; done | sort -u | grep -vx none | tr '\n' ' ')"
  exit 2
fi
# A parser that somebody named may be for another family: its thoughts are not guessed then.
if [ "$tool" = "$family_tool" ] && [ "$family_reasoning" != - ]; then reasoning=${reasoning:-$family_reasoning}; fi

command=(serve "$model" --host 127.0.0.1 --port "$port" --enable-auto-tool-choice)
if ! given --tool-call-parser "$@"; then command+=(--tool-call-parser "$tool"); fi
if [ -n "$reasoning" ] && ! given --reasoning-parser "$@"; then command+=(--reasoning-parser "$reasoning"); fi
command+=(
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
    talk "install it:  ${AEGIS_VENV:+$AEGIS_VENV/bin/python -m pip install 'vllm>=0.30', or }aegis-tui vllm setup"
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
talk "serving $model on http://127.0.0.1:$port; check it with: aegis-tui doctor"
exec env "${environment[@]}" "$vllm" "${command[@]}"
