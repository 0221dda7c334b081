"""The table of docs/comparison.md, from the record that compare_attention.py writes."""

from collections.abc import Sequence

from markdown_tables import format_table, replace_block
from performance import Row, read_rows

RECORD = 'attention_digit-scenes'
METRICS = {
    'accuracy/top1': 'top-1',
    'coco/bbox_mAP': 'box mAP',
    'coco/bbox_mAP_s': 'box mAP, small',
    'coco/bbox_mAP_m': 'box mAP, medium',
    'coco/segm_mAP': 'mask mAP',
    'coco/segm_mAP_s': 'mask mAP, small',
    'coco/segm_mAP_m': 'mask mAP, medium',
    'mIoU': 'mIoU',
}


def scores(rows: Sequence[Row]) -> str:
    """Return the table: a row for each metric and size, columns of scores and of differences."""
    table: dict[tuple[int, str], dict[str, Row]] = {}
    for row in rows:
        table.setdefault((row['size'], row['metric']), {})[row['attention']] = row
    attentions = list(dict.fromkeys(row['attention'] for row in rows))
    others = [name for name in attentions if name != 'window']
    cells = [
        [
            f'{METRICS[metric]}, {size} px' if metric != 'accuracy/top1' else METRICS[metric],
            *(score(found.get(attention)) for attention in attentions),
            *(difference(found.get(attention)) for attention in others),
        ]
        for size, metric in sorted(table, key=lambda key: (key[0], list(METRICS).index(key[1])))
        for found in [table[size, metric]]
    ]
    titles = ['metric', *(f'`{name}`' for name in attentions)]
    titles += [f'`{name}` - `window`' for name in others]
    return format_table(titles, cells, right_from=1)


def score(row: Row | None) -> str:
    """Return mean and deviation, or a dash where there is no run."""
    if row is None:
        return '-'
    if row['deviation'] is None:
        return f'{row["mean"]:.1f}'
    return f'{row["mean"]:.1f} ± {row["deviation"]:.1f}'


def difference(row: Row | None) -> str:
    """Return the difference to fixed windows with its interval, or a dash where there is none."""
    if row is None or row['difference'] is None:
        return '-'
    mean = f'{round(row["difference"], 1) + 0.0:+.1f}'  # no minus before zero
    return mean if row['interval'] is None else f'{mean} ± {row["interval"]:.1f}'


def render(page: str) -> str:
    """Return the page with its table written again."""
    return replace_block(page, 'scores', scores(read_rows(RECORD)))
