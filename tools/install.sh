#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
set -euo pipefail

# Versions that are installed where the environment has none. Each can be set from outside.
TORCH_VERSION="${TORCH_VERSION:-2.14.1}"
TORCHVISION_VERSION="${TORCHVISION_VERSION:-0.29.1}"
MMCV_VERSION="${MMCV_VERSION:-2.3.6}"
MMENGINE_VERSION="${MMENGINE_VERSION:-0.10.12}"
MMPRETRAIN_VERSION="${MMPRETRAIN_VERSION:-1.3.6}"
MMDET_VERSION="${MMDET_VERSION:-3.5.1}"
MMSEG_VERSION="${MMSEG_VERSION:-1.4.2}"
MMROTATE_VERSION="${MMROTATE_VERSION:-1.2.1}"
MMPOSE_VERSION="${MMPOSE_VERSION:-1.3.2}"
XTCOCOTOOLS_VERSION="${XTCOCOTOOLS_VERSION:-1.14.3}"
TORCH_MIN=2.4

STACK=("onedl-mmengine>=$MMENGINE_VERSION" "onedl-mmpretrain>=$MMPRETRAIN_VERSION"
  "onedl-mmdetection>=$MMDET_VERSION" "onedl-mmsegmentation>=$MMSEG_VERSION" scikit-learn)
ROTATE=("onedl-mmrotate>=$MMROTATE_VERSION")
# In the order of installing: where mmpose is there, so is what it needs.
POSE=(json_tricks munkres "xtcocotools>=$XTCOCOTOOLS_VERSION" "mmpose>=$MMPOSE_VERSION")
DEV=(pytest pytest-xdist ruff mypy timm scikit-image matplotlib)
# setuptools 81 dropped pkg_resources, which older releases of the stack still import.
BUILD_TOOLS=('setuptools>=77,<81' wheel ninja packaging)

usage() {
  cat <<'HELP'
Usage: tools/install.sh [--rotate] [--pose] [--dev] [--quiet] [--check] [--help]

Installs PyTorch, onedl-mmcv with its compiled ops, onedl-mmengine, onedl-mmpretrain,
onedl-mmdetection, onedl-mmsegmentation and this checkout of mmvsa (editable).

The active virtual or conda environment is used, and its torch (>= 2.4) is kept. Without one, .venv
is created at the root of the checkout. What is there already is left alone: running the script
again takes about a second, and after an interruption it goes on where it stopped.

  --rotate  also onedl-mmrotate, for oriented detection
  --pose    also mmpose, for keypoints
  --dev     also what the tests and the linters need, with the two above
  --quiet   say nothing when there is nothing to do
  --check   only list what is missing; exit status 1 if there is anything
  --help    this text

Environment variables:
  PYTHON             interpreter for a new environment (default: python3.11, else any >= 3.10)
  MMVSA_ENV          environment to use, created if missing, rather than the active one or .venv
  MMVSA_CACHE        where built wheels are kept (default: ~/.cache/mmvsa)
  FORCE_CUDA         1: build mmcv's CUDA ops; 0: only CPU ops. By default they are built where a
                     GPU and an nvcc of torch's CUDA version are found. TORCH_CUDA_ARCH_LIST applies.
  MAX_JOBS           compilers run at once
  TORCH_INDEX_URL    index to install torch and torchvision from, such as one of CPU-only wheels
  TORCH_VERSION, TORCHVISION_VERSION, MMCV_VERSION, MMENGINE_VERSION, MMPRETRAIN_VERSION,
  MMDET_VERSION, MMSEG_VERSION, MMROTATE_VERSION, MMPOSE_VERSION, XTCOCOTOOLS_VERSION
                     versions to install
  MMVSA_MIN_FREE_GB  free disk space asked for, in GB (default: 8, or 2 where torch is there)
HELP
}

WITH_ROTATE=0 WITH_POSE=0 WITH_DEV=0 QUIET=0 CHECK_ONLY=0
for argument in "$@"; do
  case "$argument" in
    --rotate) WITH_ROTATE=1 ;;
    --pose) WITH_POSE=1 ;;
    --dev) WITH_ROTATE=1 WITH_POSE=1 WITH_DEV=1 ;;
    --quiet) QUIET=1 ;;
    --check) CHECK_ONLY=1 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install.sh: unknown option $argument (see --help)" >&2; exit 2 ;;
  esac
done

source "$(dirname "${BASH_SOURCE[0]}")/installer/env.sh"
INSTALLER="$MMVSA_ROOT/tools/installer"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_USER=0 \
  PIP_PROGRESS_BAR=off

say() { echo "$*"; }

die() {
  printf 'install.sh: %s\n' "$1" >&2
  shift
  [[ $# -eq 0 ]] || printf '  %s\n' "$@" >&2
  exit 1
}

# --------------------------------------------------------------------------------------------------
# Running steps

LOG='' CHILD='' HALF_MADE='' STEP=0 STEPS=0

cleanup() {
  local status=$?
  if [[ -n "$CHILD" ]] && kill "$CHILD" 2>/dev/null; then wait "$CHILD" 2>/dev/null || true; fi
  if [[ -n "$HALF_MADE" ]]; then rm -rf "$HALF_MADE"; fi
  if [[ -n "$LOG" ]]; then rm -f "$LOG.constraints"; fi
  if [[ $status -eq 0 && -n "$LOG" ]]; then rm -f "$LOG"; fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

open_log() {
  mkdir -p "$MMVSA_CACHE/logs" || die "cannot write to the cache $MMVSA_CACHE" 'Set MMVSA_CACHE.'
  LOG="$MMVSA_CACHE/logs/install-$$.log"
  : >"$LOG"
}

last_line() { grep -v '^==' "$LOG" | tail -n 1 | tr -d '\r' | sed 's/^ *//' | cut -c -85; }

# step TITLE COMMAND...: run a program with its output in the log, say every 15 s that it lives.
step() {
  local title="$1" start=$SECONDS next=15 status=0
  shift
  STEP=$((STEP + 1))
  say "[$STEP/$STEPS] $title"
  printf '\n== %s\n' "${*//$'\n'/ }" >>"$LOG"
  "$@" >>"$LOG" 2>&1 </dev/null &
  CHILD=$!
  while kill -0 "$CHILD" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - start >= next)); then
      say "      ... $((SECONDS - start)) s: $(last_line)"
      next=$((next + 15))
    fi
  done
  wait "$CHILD" || status=$?
  CHILD=''
  ((status == 0)) || return "$status"
  say "      done in $((SECONDS - start)) s"
}

# pip_step TITLE ARGUMENTS...: a step that is pip install, with a hint at what went wrong.
pip_step() {
  local title="$1"
  shift
  step "$title" "$ENV_PYTHON" -m pip install "$@" && return
  say '---- end of the log ----' >&2
  grep -v '^WARNING: Location' "$LOG" | tail -n 25 >&2
  if grep -qE 'NewConnectionError|ConnectionError|Name or service|timed out|ProxyError|SSLError' \
    "$LOG"; then
    die "pip could not reach its package index while it did: $title" \
      'Check the network, the proxy and `pip config list`, and run the script again.'
  elif grep -qE 'No space left' "$LOG"; then
    die "the disk is full: $title" 'Free some space and run the script again.'
  elif grep -qE 'No matching distribution|ResolutionImpossible' "$LOG"; then
    die "pip found no fitting version: $title" \
      'See `pip config list` for an index or constraints that hide it; versions can be set from' \
      'outside (see --help).'
  fi
  die "pip failed: $title" "The whole log: $LOG"
}

# --------------------------------------------------------------------------------------------------
# Python and the environment

python_fits() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

refuse_python() {
  local version
  version="$("$1" -c 'import platform; print(platform.python_version())' 2>/dev/null)" ||
    die "$1 does not run" 'Set PYTHON to an interpreter of Python 3.10 or newer (3.11 is tested).'
  die "Python $version ($1) is not supported: mmvsa needs Python 3.10 or newer" \
    'Set PYTHON to another interpreter, or activate another environment.'
}

find_python() {
  local name
  if [[ -n "${PYTHON:-}" ]]; then
    python_fits "$PYTHON" || refuse_python "$PYTHON"
    echo "$PYTHON"
    return
  fi
  for name in python3.11 python3.12 python3.10 python3.13 python3 python; do
    # Debian's own Python cannot make environments before python3-venv is installed.
    if python_fits "$name" && "$name" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  die 'no Python of version 3.10 or newer that has the venv module was found' \
    'Install Python 3.11 (Debian, Ubuntu: apt-get install python3-venv python3-dev), or set PYTHON.'
}

create_env() {
  local python
  python="$(find_python)"
  if [[ -e "$ENV_DIR" && ! -e "$ENV_DIR/pyvenv.cfg" && -n "$(ls -A "$ENV_DIR")" ]]; then
    die "$ENV_DIR is there but is no virtual environment" 'Remove it or set MMVSA_ENV.'
  fi
  say "Creating the environment $ENV_DIR with $("$python" --version 2>&1)"
  mkdir -p "$(dirname "$ENV_DIR")"
  HALF_MADE="$ENV_DIR"
  "$python" -m venv --clear "$ENV_DIR" >>"$LOG" 2>&1 || {
    tail -n 15 "$LOG" >&2
    die "$python -m venv failed" 'On Debian and Ubuntu the package python3-venv may be missing.'
  }
  HALF_MADE=''
}

# --------------------------------------------------------------------------------------------------
# Refusals before anything is downloaded

free_gb() {
  local folder="$1"
  while [[ ! -d "$folder" ]]; do folder="$(dirname "$folder")"; done
  df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1048576) }'
}

require_space() {
  local folder="$1" needed="$2" found
  found="$(free_gb "$folder")"
  if ((found < needed)); then
    die "not enough disk space: $found GB are free at $folder, $needed GB are needed" \
      'Free some space, or set MMVSA_ENV and MMVSA_CACHE to another disk.' \
      'MMVSA_MIN_FREE_GB overrides the limit.'
  fi
}

require_compiler() {
  local candidate standard='c++17'
  if [[ -z "${CXX:-}" ]]; then
    for candidate in c++ g++ clang++; do
      if command -v "$candidate" >/dev/null; then
        export CXX="$candidate"
        break
      fi
    done
  fi
  # CXX may hold options besides the compiler.
  if [[ -z "${CXX:-}" ]] || ! command -v "${CXX%% *}" >/dev/null; then
    die "no C++ compiler was found, and mmcv's ops must be compiled for the installed torch" \
      'Install one (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++;' \
      'conda: conda install cxx-compiler), or set CXX.'
  fi
  if ! $CXX -std="$standard" -fsyntax-only -x c++ - <<<'#include <vector>' >>"$LOG" 2>&1; then
    die "the C++ compiler $CXX does not compile a $standard program" "See $LOG"
  fi
  "$ENV_PYTHON" -c '
import os, sys, sysconfig
sys.exit(not os.path.isfile(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' ||
    die "the headers of Python are missing, and mmcv's ops must be compiled" \
      'Debian, Ubuntu: apt-get install python3-dev'
}

# --------------------------------------------------------------------------------------------------
# mmcv

nvcc_path() {
  local home="${CUDA_HOME:-${CUDA_PATH:-}}"
  if [[ -n "$home" && -x "$home/bin/nvcc" ]]; then
    echo "$home/bin/nvcc"
  elif command -v nvcc >/dev/null; then
    command -v nvcc
  elif [[ -x /usr/local/cuda/bin/nvcc ]]; then
    echo /usr/local/cuda/bin/nvcc
  fi
}

# Whether to build CUDA ops. $1: the CUDA version of torch, empty for a CPU-only one.
want_cuda() {
  local nvcc release
  case "${FORCE_CUDA:-}" in 1) return 0 ;; 0) return 1 ;; esac
  [[ -n "$1" ]] || return 1
  nvcc="$(nvcc_path)"
  [[ -n "$nvcc" ]] && nvidia-smi -L >/dev/null 2>&1 || return 1
  release="$("$nvcc" --version | sed -n 's/.*release \([0-9]*\).*/\1/p')"
  # torch refuses an nvcc of another major version.
  [[ "$release" == "${1%%.*}" ]]
}

# The GPU architectures CUDA ops are built for, which are part of the cache's key.
cuda_archs() {
  if [[ -n "${TORCH_CUDA_ARCH_LIST:-}" ]]; then
    echo "$TORCH_CUDA_ARCH_LIST"
  else
    nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -u | paste -sd ';' -
  fi
}

ops_import() {
  "$ENV_PYTHON" -c 'import mmcv._ext' >>"${LOG:-/dev/null}" 2>&1
}

install_mmcv() {
  local archs='' key wheels mode='CPU ops: about a minute'
  local build=("$ENV_PYTHON" "$INSTALLER/mmcv_ops.py" --version "$MMCV_VERSION")
  if ((CUDA)); then
    archs="$(cuda_archs)"
    archs="${archs:-default}"
    if [[ "$archs" != default ]]; then export TORCH_CUDA_ARCH_LIST="$archs"; fi
    if [[ -z "${CUDA_HOME:-}" && -n "$(nvcc_path)" ]]; then
      CUDA_HOME="$(dirname "$(dirname "$(nvcc_path)")")"
      export CUDA_HOME
    fi
    build+=(--cuda)
    mode='CUDA ops: several minutes'
  fi
  key="$("$ENV_PYTHON" "$INSTALLER/check.py" key --mmcv "$MMCV_VERSION" --cuda "$archs")"
  wheels="$MMVSA_CACHE/wheels/$key"
  if ! compgen -G "$wheels/*.whl" >/dev/null; then
    require_compiler
    step "compiling onedl-mmcv $MMCV_VERSION for torch $TORCH_FULL ($mode)" \
      "${build[@]}" --out "$wheels" || {
      tail -n 40 "$LOG" >&2
      die "onedl-mmcv $MMCV_VERSION could not be compiled" "The whole log: $LOG"
    }
  else
    STEP=$((STEP + 1))
    say "[$STEP/$STEPS] onedl-mmcv $MMCV_VERSION was compiled before: taken from the cache"
  fi
  # The same version may be installed for another torch, which pip would take for satisfied.
  pip_step "installing onedl-mmcv $MMCV_VERSION" --no-deps --force-reinstall "$wheels"/*.whl
  if ! ops_import; then
    tail -n 5 "$LOG" >&2
    if "$ENV_PYTHON" -c 'import mmcv' >>"$LOG" 2>&1; then rm -rf "$wheels"; fi
    die "the compiled ops of mmcv do not import" \
      'Run the script again, which rebuilds them unless something else is at fault.'
  fi
}

# --------------------------------------------------------------------------------------------------
# The other steps

# Written to a file, as pip takes constraints from nothing else: later steps must keep torch.
write_constraints() {
  "$ENV_PYTHON" -c '
from importlib import metadata
for name in "torch", "torchvision":
    try:
        print(f"{name}=={metadata.version(name)}")
    except metadata.PackageNotFoundError:
        pass' >"$CONSTRAINTS"
}

install_torch() {
  local index=()
  if [[ -n "${TORCH_INDEX_URL:-}" ]]; then index=(--index-url "$TORCH_INDEX_URL"); fi
  if has torch; then
    pip_step "installing torch $TORCH_VERSION and torchvision $TORCHVISION_VERSION (1 - 3 GB)" \
      ${index[@]+"${index[@]}"} "torch==$TORCH_VERSION" "torchvision==$TORCHVISION_VERSION"
  else
    write_constraints
    pip_step 'installing the torchvision of the installed torch' ${index[@]+"${index[@]}"} \
      -c "$CONSTRAINTS" torchvision
  fi
}

install_stack() {
  pip_step 'installing onedl-mmengine, -mmpretrain, -mmdetection and -mmsegmentation' \
    -c "$CONSTRAINTS" "${STACK[@]/>=/==}" addict pyyaml yapf Pillow opencv-python
}

install_rotate() {
  pip_step 'installing onedl-mmrotate' -c "$CONSTRAINTS" "${ROTATE[@]/>=/==}"
}

# mmpose asks for chumpy, which it never imports and pip cannot build in isolation. The wheel of
# xtcocotools is for numpy 1: it is compiled for the numpy here.
install_pose() {
  pip_step "installing mmpose's requirements" -c "$CONSTRAINTS" json_tricks munkres Cython
  pip_step 'compiling xtcocotools (10 s)' --no-deps --no-build-isolation \
    --no-binary xtcocotools "xtcocotools==$XTCOCOTOOLS_VERSION"
  pip_step 'installing mmpose' --no-deps "mmpose==$MMPOSE_VERSION"
}

# Minimal systems lack the graphics libraries that opencv-python links to; its headless sibling
# holds the same module without them.
ensure_opencv() {
  local version
  "$ENV_PYTHON" -c 'import cv2' >>"$LOG" 2>&1 && return
  version="$("$ENV_PYTHON" -c 'from importlib import metadata as m
print(m.version("opencv-python"))')"
  STEPS=$((STEPS + 1))
  pip_step 'replacing OpenCV by its headless build, as this system lacks libraries it needs' \
    --no-deps --force-reinstall "opencv-python-headless==$version"
}

verify() {
  local modules='mmcv._ext, mmcv.ops, mmengine, mmpretrain, mmdet, mmseg, torchvision'
  if ((WITH_ROTATE)); then modules+=', mmrotate.models'; fi
  if ((WITH_POSE)); then modules+=', mmpose.datasets'; fi
  step 'checking that everything imports' "$ENV_PYTHON" -c "import $modules" || {
    tail -n 15 "$LOG" >&2
    die 'the installed packages do not import' "The whole log: $LOG"
  }
}

# --------------------------------------------------------------------------------------------------

find_missing() {
  local arguments=(--root "$MMVSA_ROOT" --torch-min "$TORCH_MIN" --mmcv "$MMCV_VERSION")
  if ((CUDA)); then arguments+=(--cuda); fi
  if ((WITH_ROTATE)); then arguments+=(--extra rotate "${ROTATE[@]}"); fi
  if ((WITH_POSE)); then arguments+=(--extra pose "${POSE[@]}"); fi
  if ((WITH_DEV)); then arguments+=(--extra dev "${DEV[@]}"); fi
  "$ENV_PYTHON" "$INSTALLER/check.py" todo "${arguments[@]}" --stack "${STACK[@]}"
}

# has STEP: whether it is among what is to do, which lists "step" and "step:why".
has() { [[ " $MISSING" == *" $1"[\ :]* ]]; }

torch_info() {
  read -r TORCH_FULL TORCH_CUDA <<<"$("$ENV_PYTHON" "$INSTALLER/check.py" torch)" || true
  CUDA=0
  if want_cuda "$TORCH_CUDA"; then CUDA=1; fi
}

refuse_upstream() {
  local found="${MISSING#*upstream:}"
  die "the environment holds packages of upstream OpenMMLab: ${found%% *}" \
    'They own the same modules as the onedl-* packages. Either keep them and add only mmvsa:' \
    '  pip install --no-deps --no-build-isolation -e .' \
    'or use another environment: MMVSA_ENV=.venv tools/install.sh'
}

prepare_env() {
  ENV_DIR="$(mmvsa_env_dir)"
  ENV_PYTHON="$ENV_DIR/bin/python"
  UNFINISHED="$ENV_DIR/.mmvsa-unfinished"
  if mmvsa_env_is_own; then
    if ! "$ENV_PYTHON" -c 'import pip' >/dev/null 2>&1; then
      if ((CHECK_ONLY)); then say "missing: the environment $ENV_DIR"; exit 1; fi
      find_python >/dev/null
      require_space "$(dirname "$ENV_DIR")" "${MMVSA_MIN_FREE_GB:-8}"
      open_log
      create_env
    fi
  elif [[ ! -x "$ENV_PYTHON" ]]; then
    die "the active environment $ENV_DIR has no bin/python" \
      'Deactivate it (unset VIRTUAL_ENV CONDA_PREFIX) or repair it.'
  fi
  python_fits "$ENV_PYTHON" || refuse_python "$ENV_PYTHON"
}

count_steps() {
  local name
  STEPS=1
  for name in torch torchvision tools stack rotate dev mmvsa; do
    if has "$name"; then STEPS=$((STEPS + 1)); fi
  done
  if has pose; then STEPS=$((STEPS + 3)); fi
  if has mmcv; then STEPS=$((STEPS + 2)); fi
}

# The state "unknown-build": somebody else's build of mmcv, which is good if its ops import.
accept_foreign_mmcv() {
  if [[ "$MISSING" == *mmcv:unknown-build* ]] && ! has torch && ops_import; then
    MISSING=" ${MISSING} "
    MISSING="${MISSING/ mmcv:unknown-build / }"
    MISSING="${MISSING# }"
  fi
}

main() {
  local start=$SECONDS
  prepare_env
  torch_info
  MISSING="$(find_missing) "
  if has upstream; then refuse_upstream; fi
  accept_foreign_mmcv
  if [[ -z "${MISSING// /}" && -e "$UNFINISHED" ]]; then MISSING='verification '; fi
  if [[ -z "${MISSING// /}" ]]; then
    ((QUIET)) || say "mmvsa is installed in $ENV_DIR: nothing to do."
    return
  fi
  if ((CHECK_ONLY)); then say "missing: $MISSING"; exit 1; fi

  [[ -n "$LOG" ]] || open_log
  lock
  local needed=2
  if has torch; then needed=8; fi
  require_space "$ENV_DIR" "${MMVSA_MIN_FREE_GB:-$needed}"
  require_space "$MMVSA_CACHE" "${MMVSA_MIN_FREE_GB:-1}"
  if has mmcv && ! compgen -G "$MMVSA_CACHE/wheels/mmcv$MMCV_VERSION-torch*/*.whl" >/dev/null; then
    require_compiler
  fi
  say "Installing mmvsa into $ENV_DIR"
  # Stays until the end, so that an install that failed or was killed is never taken for complete.
  : >"$UNFINISHED"
  "$ENV_PYTHON" "$INSTALLER/check.py" purge >>"$LOG"
  count_steps
  CONSTRAINTS="$LOG.constraints"
  if has torch || has torchvision; then install_torch; fi
  torch_info
  write_constraints
  if has tools; then pip_step 'installing build tools' "${BUILD_TOOLS[@]}"; fi
  if has stack; then install_stack; fi
  ensure_opencv
  if has mmcv; then install_mmcv; fi
  if has rotate; then install_rotate; fi
  if has pose; then install_pose; fi
  if has dev; then pip_step 'installing development tools' -c "$CONSTRAINTS" "${DEV[@]}"; fi
  if has mmvsa; then
    pip_step 'installing mmvsa from this checkout' --no-deps --no-build-isolation -e "$MMVSA_ROOT"
  fi
  verify
  rm -f "$UNFINISHED"
  say "mmvsa is installed in $ENV_DIR ($((SECONDS - start)) s)."
  if mmvsa_env_is_own; then say "Activate it with: source $ENV_DIR/bin/activate"; fi
}

# Two installs into one environment would break it: the second waits.
lock() {
  command -v flock >/dev/null || return 0
  exec 9>"$MMVSA_CACHE/install.lock"
  flock -n 9 && return
  say 'Waiting for another install to end ...'
  flock 9
  MISSING="$(find_missing) "
}

main
