#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Install what is missing, then run the tests. Arguments go to pytest; unless they say otherwise,
# all tests run, on all cores:
#   tools/run_tests.sh
#   tools/run_tests.sh -m 'not slow'
#   tools/run_tests.sh tests/test_ops -n 0 -x
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/installer/env.sh
tools/install.sh --dev --quiet
mmvsa_activate

paths=(tests)
workers=(-n "$(python -c 'import os; print(len(os.sched_getaffinity(0)))' 2>/dev/null || echo 2)")
for argument in "$@"; do
  case "$argument" in
    -n* | --numprocesses* | --pdb | --trace) workers=() ;;
    *) if [[ -e "${argument%%::*}" ]]; then paths=(); fi ;;
  esac
done
# Each worker with threads on every core would be slower than one worker alone.
if ((${#workers[@]})); then export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1; fi
exec python -m pytest ${workers[@]+"${workers[@]}"} ${paths[@]+"${paths[@]}"} "$@"
