#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Run the tests of the ops and the benchmarks on a GPU and write one report, in less than 8 minutes.
# What fails or runs out of time is reported, and the rest continues.
#   tools/benchmarks/gpu_report.sh [REPORT.md [CHECKOUT_OF_ViTAE-VSA]]
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
case "${1-}" in -*) sed -n '3,5p' "$0" | cut -c3- && exit 2 ;; esac
out="${1:-gpu_report.md}"
official=(${2:+--official "$2"})
budget=470 failures=0
python="${PYTHON:-python}"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# section TITLE LIMIT COMMAND...: run a command for at most LIMIT seconds, and no longer than the
# budget, and append what it prints to the report.
section() {
  local title="$1" limit="$2" left=$((budget - SECONDS)) start=$SECONDS status=0
  shift 2
  echo "gpu_report: $title ..." >&2
  if ((left < 10)); then
    status='not run, the budget is spent'
    : >"$log"
  else
    timeout --kill-after=5 "$((limit < left ? limit : left))" "$@" >"$log" 2>&1 || status=$?
  fi
  [[ "$status" == 0 ]] || failures=$((failures + 1))
  printf '## %s\n\n`%s`\n\nstatus %s, %s s\n\n```\n%s\n```\n\n' "$title" "$*" "$status" \
    "$((SECONDS - start))" "$(tail -n 80 "$log")" >>"$out"
}

if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo 'gpu_report: torch finds no CUDA GPU here, so there is nothing to measure' >&2
  exit 1
fi
mkdir -p "$(dirname "$out")"
printf '# GPU report\n\n' >"$out"

vsa=vitaev2-s-vsa@bf16 swin=timm:swin_tiny_patch4_window7_224@bf16
models=("$vsa,backend=torch" "$vsa,backend=mmcv" "$vsa,backend=triton" "$swin")
if ((${#official[@]})); then models+=(official:ViTAEv2_VSA_S@bf16); fi
benchmark=("$python" tools/benchmarks/benchmark.py --batch-size 64 --iterations 3)
attention=("$python" tools/benchmarks/benchmark_attention.py --batch-size 64 --rounds 9
  --iterations 10 --backends torch mmcv triton)

section Machine 20 nvidia-smi --query-gpu=name,driver_version,memory.total,power.limit --format=csv
section Backends 20 "$python" -c \
  'from mmvsa.ops.backends import backend_table; print(*backend_table(), sep="\n")'
section 'GPU tests' 90 "$python" -m pytest -q -m gpu tests/test_ops
for dtype in bfloat16 float32; do
  section "Attention, $dtype" 90 "${attention[@]}" --dtype "$dtype" ${official[@]+"${official[@]}"}
done
section Models 120 "${benchmark[@]}" "${models[@]}" --tasks forward backward train \
  ${official[@]+"${official[@]}"}
section 'Compiled inference' 90 "${benchmark[@]}" "$vsa" "$vsa,compile" "$swin,compile" \
  --tasks forward --no-memory

printf 'Total: %s s, %s sections failed.\n' "$SECONDS" "$failures" >>"$out"
echo "gpu_report: wrote $out ($failures sections failed)" >&2
((failures == 0))
