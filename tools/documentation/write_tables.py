"""Write the tables of README.md and docs/ from what they come from.

python tools/documentation/write_tables.py
python tools/documentation/write_tables.py --check   # status 1 if a page is out of date

The model zoo comes from the metafiles of the configs, the key tables of docs/checkpoints.md from
``mmvsa.models.conversions``, docs/performance.md and docs/comparison.md from the records in
docs/results.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import comparison
import key_tables
import model_zoo
import performance

ROOT = Path(__file__).resolve().parents[2]
# Page -> what returns it with its tables written again.
PAGES: dict[str, Callable[[str], str]] = {
    'README.md': model_zoo.render_readme,
    'docs/model_zoo.md': model_zoo.render,
    'docs/checkpoints.md': key_tables.render,
    'docs/performance.md': performance.render,
    'docs/comparison.md': comparison.render,
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    args = parser.parse_args(argv)
    status = 0
    for name, render in PAGES.items():
        path = ROOT / name
        page = path.read_text(encoding='utf-8')
        rendered = render(page)
        if page == rendered:
            continue
        if args.check:
            print(f'error: {name} is out of date; run {Path(__file__).name}', file=sys.stderr)
            status = 1
        else:
            path.write_text(rendered, encoding='utf-8')
            print(f'wrote {name}')
    return status


if __name__ == '__main__':
    sys.exit(main())
