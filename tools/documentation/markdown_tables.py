"""What the writers of the documentation's tables share."""

import re
from collections.abc import Iterable, Sequence


def format_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, right_from: int | None = None
) -> str:
    """Format a table in Markdown.

    Args:
        titles: Of the columns.
        rows: Cells of every row.
        right_from: The columns from this one on are aligned to the right.
    """
    rule = ['---' if right_from is None or i < right_from else '---:' for i in range(len(titles))]
    lines = [titles, rule, *rows]
    return ''.join(f'| {" | ".join(line)} |\n'.replace('|  |', '| |') for line in lines)


def replace_block(page: str, name: str, block: str) -> str:
    """Put a block between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` of a page.

    Raises:
        ValueError: The page lacks these marks.
    """
    begin, end = f'<!-- begin {name} -->\n', f'<!-- end {name} -->'
    pattern = re.compile(f'{re.escape(begin)}.*?{re.escape(end)}', re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f'the page has no {begin.strip()} ... {end}')
    return pattern.sub(lambda match: f'{begin}{block}{end}', page)
