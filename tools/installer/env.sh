# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Sourced by the scripts of tools/: which environment and which cache they use.
#
# The environment is the first of: MMVSA_ENV (a folder), the active virtual environment, the active
# conda environment, .venv at the root of the checkout.

MMVSA_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)"

# A folder outside the checkout that can be written even where HOME is not set or read-only.
mmvsa_cache_dir() {
  local base="${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}"
  if [[ -n "$base" ]] && mkdir -p "$base/mmvsa" 2>/dev/null && [[ -w "$base/mmvsa" ]]; then
    echo "$base/mmvsa"
  else
    echo "${TMPDIR:-/tmp}/mmvsa-cache-$(id -u)"
  fi
}

MMVSA_CACHE="${MMVSA_CACHE:-$(mmvsa_cache_dir)}"

mmvsa_env_dir() { echo "${MMVSA_ENV:-${VIRTUAL_ENV:-${CONDA_PREFIX:-$MMVSA_ROOT/.venv}}}"; }

mmvsa_activate() {
  local folder
  folder="$(mmvsa_env_dir)"
  if [[ "$folder" != "${CONDA_PREFIX:-}" ]]; then export VIRTUAL_ENV="$folder"; fi
  unset PYTHONHOME
  export PATH="$folder/bin:$PATH"
}
