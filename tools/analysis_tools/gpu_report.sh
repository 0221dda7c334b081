#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Build mmcv's CUDA ops, run the GPU tests and every GPU benchmark, and write one report, all in
# less than 8 minutes. What fails or runs out of time is reported, and the rest goes on.
#   tools/analysis_tools/gpu_report.sh [--out FILE] [--official PATH] [--budget SECONDS] [--dry-run]
# --official is a checkout of the authors' repository, to compare with. The ops are built for this
# GPU alone and installed beside the environment, which stays as it is.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=gpu_report.md official='' budget=470 dry_run=0
while (($#)); do
  case "$1" in
    --out) out="${2:?--out needs a file}" && shift ;;
    --official) official="${2:?--official needs a path}" && shift ;;
    --budget) budget="${2:?--budget needs seconds}" && shift ;;
    --dry-run) dry_run=1 ;;
    -h | --help) sed -n '3,7p' "$0" | cut -c3- && exit ;;
    *) echo "gpu_report: unknown option $1, see --help" >&2 && exit 2 ;;
  esac
  shift
done

python="${PYTHON:-python}"
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
work="$(mktemp -d "${TMPDIR:-/tmp}/mmvsa-gpu-report.XXXXXX")"
trap 'rm -rf "$work"' EXIT
failures=0

has_gpu() { "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; }

# section TITLE LIMIT COMMAND...: run a command for at most LIMIT seconds, and no longer than the
# budget, and append what it prints to the report.
section() {
  local title="$1" limit="$2" left=$((budget - SECONDS)) start=$SECONDS status=0
  shift 2
  if ((dry_run)); then
    printf '%4ss  %s: %s\n' "$limit" "$title" "$*"
    return
  fi
  echo "gpu_report: $title ..." >&2
  if ((left < 10)); then
    status='not run, the budget is spent'
  else
    timeout --kill-after=5 "$((limit < left ? limit : left))" "$@" >"$work/output" 2>&1 || status=$?
  fi
  if [[ "$status" != 0 ]]; then failures=$((failures + 1)); fi
  {
    printf '## %s\n\n`%s`\n\nstatus %s, %s s\n\n```\n' "$title" "$*" "$status" "$((SECONDS - start))"
    if [[ -f "$work/output" ]]; then tail -n 80 "$work/output" && rm -f "$work/output"; fi
    printf '```\n\n'
  } >>"$out"
}

build_ops() {
  local archs
  if "$python" - <<'PYTHON'; then
import sys
from mmvsa.ops.backends import backend_table
sys.exit(('mmcv', True, '') not in backend_table('cuda'))
PYTHON
    echo 'mmcv has its CUDA ops already'
    return
  fi
  archs="$("$python" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())')"
  FORCE_CUDA=1 TORCH_CUDA_ARCH_LIST="$archs" "$python" tools/installer/mmcv_ops.py "$work/wheels" &&
    "$python" -m pip install --quiet --no-deps --target "$work/site" "$work"/wheels/*/*.whl
}

machine() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit --format=csv
  "$python" -c 'import torch, triton; print("torch", torch.__version__, "triton", triton.__version__)'
  "$python" -c 'from mmvsa.ops.backends import backend_table; print(*backend_table(), sep="\n")'
}

benchmark() { "$python" tools/analysis_tools/benchmark.py --device cuda "$@"; }
# `timeout` runs programs, not functions.
export python work
export -f build_ops machine benchmark

models=(vitaev2-s-vsa@bf16,backend=torch vitaev2-s-vsa@bf16,backend=mmcv
  vitaev2-s-vsa@bf16,backend=triton timm:swin_tiny_patch4_window7_224@bf16)
baseline=vitaev2-s-vsa@bf16,backend=torch
compare=()
if [[ -n "$official" ]]; then
  compare=(--official "$official")
  models+=(official:ViTAEv2_VSA_S@bf16)
  baseline=official:ViTAEv2_VSA_S@bf16
fi

if ((!dry_run)); then
  if ! has_gpu; then
    echo 'gpu_report: torch finds no CUDA GPU here, so there is nothing to measure' >&2
    exit 1
  fi
  mkdir -p "$(dirname "$out")"
  printf '# GPU report\n\n' >"$out"
fi

section 'Build of the CUDA ops of mmcv' 200 bash -c build_ops
export PYTHONPATH="$work/site:$PYTHONPATH"
section 'Machine' 20 bash -c machine
section 'GPU tests' 90 "$python" -m pytest -q -m gpu tests
attention=(--mode attention --backends torch mmcv triton --batch-size 64 --rounds 9 --iterations 10)
for dtype in bfloat16 float32; do
  section "Attention, $dtype" 90 bash -c 'benchmark "$@"' _ "${attention[@]}" --dtype "$dtype" \
    ${compare[@]+"${compare[@]}"}
done
section 'Models, bfloat16' 120 bash -c 'benchmark "$@"' _ "${models[@]}" --baseline "$baseline" \
  --batch-size 64 --rounds 7 --iterations 3 --tasks forward backward train \
  ${compare[@]+"${compare[@]}"}
section 'Inference, compiled' 90 bash -c 'benchmark "$@"' _ vitaev2-s-vsa@bf16 \
  vitaev2-s-vsa@bf16,compile timm:swin_tiny_patch4_window7_224@bf16,compile \
  --batch-size 64 --rounds 7 --iterations 3 --tasks forward --no-memory

if ((!dry_run)); then
  printf 'Total: %s s, %s sections failed.\n' "$SECONDS" "$failures" >>"$out"
  echo "gpu_report: wrote $out ($failures sections failed)" >&2
fi
((failures == 0))
