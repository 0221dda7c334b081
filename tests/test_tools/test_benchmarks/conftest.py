"""The benchmarks import each other as modules of their folder, where Python runs a script."""

import sys

from helpers.cli import ROOT

sys.path.insert(0, str(ROOT / 'tools/benchmarks'))
