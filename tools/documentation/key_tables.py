"""The tables of docs/checkpoints.md, from the families of ``mmvsa.models.conversions``."""

from collections.abc import Iterable

from markdown_tables import format_table, replace_block

from mmvsa.models.conversions import FAMILIES, WHOLE_MODELS, Row

DOCUMENTED = (*FAMILIES, *WHOLE_MODELS)


def file_table() -> str:
    """Return the table of published files that load as they are."""
    files = [files for family in DOCUMENTED for files in family.files]
    return format_table(
        ('files of', 'recognized by a key such as', 'load into', 'left out or not in the file'),
        ((f.source, f'`{f.example}`', f.loads_into, f.remark) for f in files),
    )


def key_tables() -> str:
    """Return the key table of every family under a heading."""
    tables = [item for family in DOCUMENTED for item in family.tables.items()]
    return '\n'.join(f'### {title}\n\n{key_table(rows)}' for title, rows in tables)


def key_table(rows: Iterable[Row]) -> str:
    """Return a key table."""
    lines = (
        (f'`{row.official}`', '-' if row.mmvsa is None else f'`{row.mmvsa}`', row.note)
        for row in rows
    )
    return format_table(('official', 'mmvsa', 'what'), lines)


def render(page: str) -> str:
    """Return the page with its tables written again."""
    page = replace_block(page, 'files', file_table())
    return replace_block(page, 'keys', key_tables())
