#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Install what is missing, then train a small model on the handwritten digits that scikit-learn
# carries. Arguments go to tools/train.py.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/installer/env.sh
tools/install.sh --quiet
mmvsa_activate
# One waiting thread that spins on a shared core halves the speed of the others.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
exec python tools/train.py configs/quickstart/vitaev2-vsa-nano_digits.py "$@"
