#!/usr/bin/env bash
# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
# Build the documentation as a site, into docs/_build/html unless a folder is given. A warning, such
# as of a broken link or a page that no index lists, is an error. Nothing is downloaded.
#   tools/build_docs.sh [FOLDER]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python}" -m sphinx -b html -c docs --fail-on-warning --keep-going --quiet \
    . "${1:-docs/_build/html}"
