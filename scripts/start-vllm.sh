#!/usr/bin/env bash
# Serves a model with vLLM the way that agents need it; `scripts/start-vllm.sh --help` says how.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export AEGIS_VENV=${AEGIS_VENV:-$ROOT/.venv}
exec bash "$ROOT/aegis_tui/adapters/vllm/start-vllm.sh" "$@"
