#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Install what is missing, then train a small model on the handwritten digits that scikit-learn
# carries. Arguments go to tools/train.py.
set -euo pipefail

export MMVSA_START_DIR="$PWD"  # the commands that are printed at the end are for this folder
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/installer/env.sh
tools/install.sh --quiet
mmvsa_activate
exec python tools/train.py configs/quickstart/vitaev2-vsa-nano_digits.py "$@"
