"""Write the tables of docs/checkpoints.md from the families of ``mmvsa.models.conversions``.

The tables stand between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``; run this after a change
of a key table.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmvsa.models.conversions import FAMILIES, WHOLE_MODELS, Row

PAGE = Path(__file__).resolve().parents[2] / 'docs' / 'checkpoints.md'
DOCUMENTED = (*FAMILIES, *WHOLE_MODELS)


def file_table() -> str:
    """Return the table of published files that load as they are."""
    files = [files for family in DOCUMENTED for files in family.files]
    return _markdown(
        ('files of', 'recognized by a key such as', 'load into', 'left out or not in the file'),
        ((f.source, f'`{f.example}`', f.loads_into, f.remark) for f in files),
    )


def key_tables() -> str:
    """Return the key table of every family under a heading."""
    tables = [item for family in DOCUMENTED for item in family.tables.items()]
    return '\n\n'.join(f'### {title}\n\n{key_table(rows)}' for title, rows in tables)


def key_table(rows: Iterable[Row]) -> str:
    """Return a key table."""
    lines = (
        (f'`{row.official}`', '-' if row.mmvsa is None else f'`{row.mmvsa}`', row.note)
        for row in rows
    )
    return _markdown(('official', 'mmvsa', 'what'), lines)


def _markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [header, ['---'] * len(header), *lines]
    return '\n'.join(f'| {" | ".join(row)} |'.replace('|  |', '| |') for row in rows)


def render(page: str) -> str:
    """Return a page with its tables written again.

    Raises:
        ValueError: the page lacks the marks of a table.
    """
    for name, table in (('files', file_table()), ('keys', key_tables())):
        begin, end = f'<!-- begin {name} -->', f'<!-- end {name} -->'
        pattern = re.compile(f'{re.escape(begin)}.*?{re.escape(end)}', re.DOTALL)
        if not pattern.search(page):
            raise ValueError(f'the page has no {begin} ... {end}')
        text = f'{begin}\n{table}\n{end}'
        page = pattern.sub(lambda match, text=text: text, page)  # type: ignore[misc]
    return page


def main() -> int:
    PAGE.write_text(render(PAGE.read_text(encoding='utf-8')), encoding='utf-8')
    print(f'wrote {PAGE}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
