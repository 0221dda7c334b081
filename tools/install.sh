#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: tools/install.sh [--rotate] [--pose] [--dev] [--quiet] [--check] [--help]

Installs PyTorch, onedl-mmcv with its compiled ops, onedl-mmengine, onedl-mmpretrain,
onedl-mmdetection, onedl-mmsegmentation and this checkout of mmvsa (editable), in the versions of
tools/installer/constraints.txt.

The active virtual or conda environment is used. Without one, .venv is created at the root of the
checkout. What the environment has in these or newer versions is kept, and so is any torch >= 2.4:
for CPU-only wheels or another CUDA, install torch and torchvision first. Running the script again
takes a second, and after an interruption it resumes where it stopped.

  --rotate  also onedl-mmrotate, for oriented detection
  --pose    also mmpose, for keypoints
  --dev     also what tests, linters and docs need, with the two above
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
  MMVSA_MIN_FREE_GB  free disk space asked for, in GB (default: 8, or 2 where torch is there)
HELP
}

EXTRAS=(all) BUILD_TOOLS=(setuptools wheel ninja packaging) QUIET=0 CHECK_ONLY=0
for argument in "$@"; do
  case "$argument" in
    --rotate) EXTRAS+=(rotate) ;;
    --pose) EXTRAS+=(pose) ;;
    --dev) EXTRAS+=(rotate pose dev) ;;
    --quiet) QUIET=1 ;;
    --check) CHECK_ONLY=1 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install.sh: unknown option $argument (see --help)" >&2; exit 2 ;;
  esac
done
# xtcocotools, which mmpose needs, is compiled with these and does not say so.
if [[ " ${EXTRAS[*]} " == *' pose '* ]]; then BUILD_TOOLS+=(Cython numpy); fi

source "$(dirname "${BASH_SOURCE[0]}")/installer/env.sh"
ENV_DIR="$(mmvsa_env_dir)"
ENV_PYTHON="$ENV_DIR/bin/python"
UNFINISHED="$ENV_DIR/.mmvsa-unfinished"
INSTALLER="$MMVSA_ROOT/tools/installer"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_USER=0

die() {
  printf 'install.sh: %s\n' "$1" >&2
  shift
  [[ $# -eq 0 ]] || printf '  %s\n' "$@" >&2
  exit 1
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
  require_space "$(dirname "$ENV_DIR")" 8
  if [[ -e "$ENV_DIR" && ! -e "$ENV_DIR/pyvenv.cfg" && -n "$(ls -A "$ENV_DIR")" ]]; then
    die "$ENV_DIR is there but is no virtual environment" 'Remove it or set MMVSA_ENV.'
  fi
  echo "Creating the environment $ENV_DIR with $("$python" --version 2>&1)"
  "$python" -m venv --clear "$ENV_DIR" ||
    die "$python -m venv failed" 'On Debian and Ubuntu the package python3-venv may be missing.'
}

# An environment that the user activated is used as it is; another one is created where missing.
prepare_env() {
  if ! "$ENV_PYTHON" -c 'import pip' >/dev/null 2>&1; then
    if [[ -z "${MMVSA_ENV:-}" && -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]]; then
      die "the active environment $ENV_DIR has no bin/python with pip" \
        'Repair it (python -m ensurepip adds pip), or unset VIRTUAL_ENV and CONDA_PREFIX.'
    elif ((CHECK_ONLY)); then
      echo "missing: the environment $ENV_DIR"
      exit 1
    fi
    create_env
  fi
  python_fits "$ENV_PYTHON" || refuse_python "$ENV_PYTHON"
}

# --------------------------------------------------------------------------------------------------
# Refusals before anything is downloaded

require_space() {
  local folder="$1" needed="${MMVSA_MIN_FREE_GB:-$2}" found
  while [[ ! -d "$folder" ]]; do folder="$(dirname "$folder")"; done
  found="$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1048576) }')"
  if ((found < needed)); then
    die "not enough disk space: $found GB are free at $folder, $needed GB are needed" \
      'Free some space, or set MMVSA_ENV and MMVSA_CACHE to another disk.' \
      'MMVSA_MIN_FREE_GB overrides the limit.'
  fi
}

require_compiler() {
  local candidate
  for candidate in c++ g++ clang++; do
    if [[ -z "${CXX:-}" ]] && command -v "$candidate" >/dev/null; then export CXX="$candidate"; fi
  done
  # CXX may hold options besides the compiler.
  if [[ -z "${CXX:-}" ]] || ! command -v "${CXX%% *}" >/dev/null; then
    die "no C++ compiler was found, and mmcv's ops must be compiled for the installed torch" \
      'Install one (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++;' \
      'conda: conda install cxx-compiler), or set CXX.'
  fi
  $CXX -std=c++17 -fsyntax-only -x c++ - <<<'#include <vector>' ||
    die "the C++ compiler $CXX does not compile a C++17 program" 'Repair it or set CXX.'
  "$ENV_PYTHON" -c 'import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").is_file())' ||
    die "the headers of Python are missing, and mmcv's ops must be compiled" \
      'Debian, Ubuntu: apt-get install python3-dev'
}

# --------------------------------------------------------------------------------------------------
# Installing

# pip_install TITLE ARGUMENTS...: pip within the constraints, with a hint at what went wrong.
pip_install() {
  local title="$1" errors="$WORK/errors" constraints="$WORK/constraints.txt"
  shift
  echo "== installing $title"
  # Written afresh for each step, so that each keeps what those before it installed.
  "$ENV_PYTHON" "$INSTALLER/check.py" constraints >"$constraints"
  { "$ENV_PYTHON" -m pip install -c "$constraints" "$@" 2>&1 >&3 | tee "$errors" >&2; } 3>&1 && return
  if grep -qE 'ConnectionError|Name or service|timed out|ProxyError|SSLError' "$errors"; then
    die "pip could not reach its package index while it installed $title" \
      'Check the network, the proxy and `pip config list`, and run the script again.'
  elif grep -q 'No space left' "$errors"; then
    die "the disk is full: pip could not install $title" 'Free some space and run the script again.'
  elif grep -qE 'No matching distribution|ResolutionImpossible' "$errors"; then
    die "pip found no fitting version of $title" \
      'See `pip config list` for an index or constraints that hide it.'
  fi
  die "pip could not install $title" 'Its errors are above.'
}

install_mmcv() {
  local wheel
  wheel="$("$ENV_PYTHON" "$INSTALLER/mmcv_ops.py" "$MMVSA_CACHE/wheels")" ||
    die "mmcv's ops are missing" 'The errors are above.'
  # The same version may be installed for another torch, which pip would take for satisfied.
  pip_install 'onedl-mmcv' --no-deps --force-reinstall "$wheel"
}

# Minimal systems lack the graphics libraries that opencv-python links to; its headless sibling
# holds the same module without them.
ensure_opencv() {
  "$ENV_PYTHON" -c 'import cv2' >/dev/null 2>&1 && return
  pip_install 'headless OpenCV, as this system lacks libraries of the other' --no-deps \
    --force-reinstall "opencv-python-headless==$("$ENV_PYTHON" -c '
from importlib import metadata
print(metadata.version("opencv-python"))')"
}

install_all() {
  pip_install 'torch and build tools' "${BUILD_TOOLS[@]}" torch torchvision
  if [[ "$MISSING" == *torch* || "$MISSING" == *mmcv* ]]; then install_mmcv; fi
  # mmpose asks for xtcocotools, whose wheel is for numpy 1, and chumpy: none builds in isolation.
  pip_install 'mmvsa and the packages it builds on' --no-build-isolation --no-binary xtcocotools \
    --editable "$MMVSA_ROOT[$(IFS=,; echo "${EXTRAS[*]}")]"
  ensure_opencv
  "$ENV_PYTHON" "$MMVSA_ROOT/mmvsa/doctor.py" || die 'the installed packages do not work, see above'
}

find_missing() {
  MISSING="$("$ENV_PYTHON" "$INSTALLER/check.py" missing "${EXTRAS[@]}")" || exit 1
  if [[ -z "$MISSING" && -e "$UNFINISHED" ]]; then MISSING='the end of an interrupted install'; fi
  if [[ -z "$MISSING" ]]; then
    ((QUIET)) || echo "mmvsa is installed in $ENV_DIR: nothing to do."
    exit 0
  fi
}

# Two installs at once would break the environment: the second waits.
lock() {
  mkdir -p "$MMVSA_CACHE" || die "cannot write to the cache $MMVSA_CACHE" 'Set MMVSA_CACHE.'
  exec 9>"$MMVSA_CACHE/install.lock"
  if command -v flock >/dev/null && ! flock -n 9; then
    echo 'Waiting for another install to end ...'
    flock 9
    find_missing
  fi
}

main() {
  local needed=2
  prepare_env
  find_missing
  if ((CHECK_ONLY)); then echo "missing: $MISSING"; exit 1; fi
  lock
  if [[ "$MISSING" == *torch* ]]; then needed=8; fi
  require_space "$ENV_DIR" "$needed"
  require_space "$MMVSA_CACHE" 1
  if [[ "$MISSING" == *mmcv* ]] && ! compgen -G "$MMVSA_CACHE/wheels/*/*.whl" >/dev/null; then
    require_compiler
  fi
  echo "Installing into $ENV_DIR what is missing: $MISSING"
  WORK="$(mktemp -d)"
  trap 'rm -rf "$WORK"' EXIT
  # Stays until the end, so that an install that failed or was killed is never taken for complete.
  : >"$UNFINISHED"
  install_all
  rm "$UNFINISHED"
  echo "mmvsa is installed in $ENV_DIR (${SECONDS} s)."
  [[ "$ENV_DIR" == "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" ]] ||
    echo "Activate it with: source $ENV_DIR/bin/activate"
}

# In one line, so that a `git pull` meanwhile does not change what runs.
main; exit
