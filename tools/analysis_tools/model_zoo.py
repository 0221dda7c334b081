"""Rewrite docs/model_zoo.md from the metafiles of the configs.

python tools/analysis_tools/model_zoo.py
python tools/analysis_tools/model_zoo.py --check   # status 1 if the page is out of date
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmvsa.analysis.model_zoo import format_page, read_entries

ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/model_zoo.md')
    args = parser.parse_args(argv)
    page = format_page(read_entries(ROOT))
    if not args.check:
        args.out.write_text(page, encoding='utf-8')
    elif not args.out.is_file() or args.out.read_text(encoding='utf-8') != page:
        print(f'error: {args.out} is out of date; run {Path(__file__).name}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
