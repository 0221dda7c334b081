"""The page docs/model_zoo.md and the table of README.md, from the metafiles of the configs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from markdown_tables import format_table, replace_block

ROOT = Path(__file__).resolve().parents[2]
# Where an official repository offers weights: the page of a task, or by default its front page.
DOWNLOADS = {
    ('ViTAE-VSA', 'vitaev2_vsa'): '#classification-results',
    ('ViTAE-Transformer', 'vitae'): '/tree/main/Image-Classification#results',
    ('ViTAE-Transformer', 'vitaev2'): '/tree/main/Image-Classification#results',
    ('ViTAE-Transformer', 'topdown_heatmap'): '/tree/main/Animal-Pose-Estimation',
    ('QFormer', 'qformer'): '#main-results-on-imagenet-1k',
    ('QFormer', 'mask_rcnn'): '#mask-r-cnn',
    ('QFormer', 'cascade_rcnn'): '#cascade-mask-r-cnn',
    ('RSP', 'rsp'): '/tree/main/Scene%20Recognition',
    ('Remote-Sensing-RVSA', 'mae'): '#pretraining',
    ('RSP', 'upernet'): '/tree/main/Semantic%20Segmentation',
    ('RSP', 'oriented_rcnn'): '/tree/main/Object%20Detection',
    ('RSP', 'change_detection'): '/tree/main/Change%20Detection',
    ('MTP', 'mae'): '#pretrained-models',
    ('MTP', 'mtp'): '#scene-classification',
    ('MTP', 'faster_rcnn'): '#horizontal-object-detection',
    ('MTP', 'retinanet'): '#horizontal-object-detection',
    ('MTP', 'oriented_rcnn'): '#rotated-object-detection-slurm-part',
    ('MTP', 'upernet'): '#semantic-segmentation',
    ('MTP', 'change_detection'): '#change-detection',
}
CLASSIFICATION = 'Image Classification'
IMAGENET = 'ImageNet-1k'
REAL = 'ImageNet-1k (ReaL labels)'
PRETRAINED = 'ImageNet-1k (pretrained on ImageNet-22k)'
PRETRAINED_REAL = 'ImageNet-1k (ReaL labels, pretrained on ImageNet-22k)'
TOP = ('Top 1 Accuracy', 'Top 5 Accuracy')

HEADER = """# Model zoo

<!-- tools/documentation/write_tables.py writes this page from the metafiles: change those. -->

- **Figures in the columns marked "official"** are those that the READMEs of the official
  repositories state, or their training logs: none of these models has been trained at full size
  here. "-" means that none is published.
- Parameters and multiply-adds are counted from this code, and recounted by a test. Multiply-adds
  are of one image of the size in the table, as the papers count them (their "FLOPs"):
  convolutions, matrix products, attention, and sampling; nothing pointwise
  (`tools/analysis_tools/get_flops.py`).
- "weights" links to the official page that offers the weights of that row. They load here as they
  are ([checkpoints](checkpoints.md), [fine-tuning](finetuning.md)); none are shipped.
- `mmvsa.get_model` knows a model by its name, `mmpretrain.get_model` by that of its config, for
  classifiers.
"""


@dataclass(frozen=True)
class Entry:
    """A model of a metafile.

    Attributes:
        name: of the config.
        config: its path in the repository.
        metadata: ``Parameters``, ``FLOPs`` (multiply-adds), ``Source``, ``Public Weights``.
        metrics: (dataset, metric) -> value, without "(official)".
        tasks, datasets: of the results.
        measured_here: whether no figure is an official one.
    """

    name: str
    config: str
    metadata: dict[str, Any]
    metrics: dict[tuple[str, str], float] = field(default_factory=dict)
    tasks: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()
    measured_here: bool = False

    @property
    def model(self) -> str:
        """Name of the model, of a classifier the one that ``get_model`` knows."""
        return self.name.split('_')[0]

    @property
    def folder(self) -> str:
        """Return the folder of the config, which is that of its family."""
        return self.config.split('/')[1]

    @property
    def weights(self) -> str:
        """Return a link to the official page of the weights, or ``'not public'``."""
        if not self.metadata['Public Weights']:
            return 'not public'
        source = self.metadata['Source']
        page = DOWNLOADS.get((source.rsplit('/', 1)[1], self.folder), '')
        return f'[download]({source}{page})'

    @property
    def size(self) -> int:
        """Height and width of the image, of a classifier."""
        return 384 if self.name.endswith('384px') else 224


def read_entries(root: Path) -> list[Entry]:
    """The models of all metafiles that ``model-index.yml`` lists, in their order."""
    index = yaml.safe_load((root / 'model-index.yml').read_text())['Import']
    files = [yaml.safe_load((root / name).read_text()) for name in index]
    return [_entry(model) for content in files for model in content['Models']]


def _entry(model: dict[str, Any]) -> Entry:
    results = model['Results'] or []
    raw = {(r['Dataset'], name): value for r in results for name, value in r['Metrics'].items()}
    return Entry(
        model['Name'],
        model['Config'],
        model['Metadata'],
        {
            (data, name.replace(' (official)', '').replace(', official', '')): value
            for (data, name), value in raw.items()
        },
        frozenset(result['Task'] for result in results),
        frozenset(result['Dataset'] for result in results),
        bool(raw) and not any('official' in name for _, name in raw),
    )


def accuracy(entry: Entry, dataset: str) -> str:
    """Top-1 / top-5 as far as they are known, ``'-'`` if neither is."""
    values = [entry.metrics.get((dataset, name)) for name in TOP]
    return ' / '.join(f'{value}' for value in values if value is not None) or '-'


def _metric(entry: Entry, name: str, dataset: str | None = None) -> str:
    found = [
        value
        for (data, metric), value in entry.metrics.items()
        if metric == name and dataset in (None, data)
    ]
    return f'{found[0]}' if found else '-'


# Header of a column, and its cell.
Column = tuple[str, Callable[[Entry], str]]

_CONFIG: Column = ('config', lambda entry: f'[{entry.name}](../{entry.config})')
_PARAMETERS: Column = (
    'parameters (M)',
    lambda entry: f'{entry.metadata["Parameters"] / 1e6:.2f}',
)
_WORK: Column = ('multiply-adds (G)', lambda entry: f'{entry.metadata["FLOPs"] / 1e9:.2f}')
_WEIGHTS: Column = ('weights', lambda entry: entry.weights)
_SOURCE: Column = (
    'source',
    lambda e: f'[{e.metadata["Source"].rsplit("/", 1)[1]}]({e.metadata["Source"]})',
)
_MODEL: Column = ('model', lambda entry: f'`{entry.model}`')
_DATA: Column = ('data', lambda entry: ', '.join(sorted(entry.datasets)) or '-')


def _dense(*figures: Column) -> Sequence[Column]:
    """Columns of a model that has its own head after the backbone."""
    return (_CONFIG, _PARAMETERS, *figures, _WEIGHTS, _SOURCE)


_IMAGENET: Sequence[Column] = (
    _MODEL,
    _CONFIG,
    _PARAMETERS,
    _WORK,
    ('size', lambda entry: f'{entry.size}'),
    ('top-1 / top-5, official', lambda entry: accuracy(entry, IMAGENET)),
    ('ReaL top-1, official', lambda entry: accuracy(entry, REAL)),
    ('pretrained on 22K, official', lambda entry: accuracy(entry, PRETRAINED)),
    ('that, ReaL, official', lambda entry: accuracy(entry, PRETRAINED_REAL)),
    _WEIGHTS,
    _SOURCE,
)
_SCENES: Sequence[Column] = (
    _MODEL,
    _CONFIG,
    _PARAMETERS,
    _WORK,
    (
        'top-1, official',
        lambda e: '; '.join(f'{v} {d}' for (d, name), v in e.metrics.items() if name == TOP[0]),
    ),
    _WEIGHTS,
    _SOURCE,
)
_DETECTION = _dense(
    ('box AP, official', lambda entry: _metric(entry, 'box AP')),
    ('mask AP, official', lambda entry: _metric(entry, 'mask AP')),
)
_AERIAL = _dense(
    _DATA,
    ('AP50, official', lambda entry: _metric(entry, 'box AP50')),
    ('AP, official', lambda entry: _metric(entry, 'box AP')),
)
_SEGMENTATION = _dense(
    ('mIoU, official', lambda entry: _metric(entry, 'mIoU')),
    ('with scales and flip, official', lambda entry: _metric(entry, 'mIoU (ms+flip)')),
    ('pixel accuracy, official', lambda entry: _metric(entry, 'aAcc')),
    ('mean F1, official', lambda entry: _metric(entry, 'mF1')),
)
_RECIPES: Sequence[Column] = (
    _MODEL,
    _CONFIG,
    _PARAMETERS,
    _DATA,
)
_ORIENTED = _dense(
    _DATA,
    ('mAP, official', lambda entry: _metric(entry, 'mAP')),
)
_CHANGE = _dense(
    _DATA,
    ('F1 (pooled), official', lambda entry: _metric(entry, 'F1')),
    ('F1 (mean of batches), official', lambda entry: _metric(entry, 'batch F1')),
)
_POSE = _dense(
    ('AP, official', lambda entry: _metric(entry, 'AP')),
)
_PRETRAINING = _dense(_DATA)
_QUICKSTART: Sequence[Column] = (
    _CONFIG,
    _PARAMETERS,
    ('measured here', lambda e: '; '.join(f'{name} {v}' for (_, name), v in e.metrics.items())),
)


def is_classifier(entry: Entry) -> bool:
    """True for what mmpretrain builds: the folders of model families, and the digits."""
    return 'FLOPs' in entry.metadata or CLASSIFICATION in entry.tasks


def sections(entries: Sequence[Entry]) -> list[tuple[str, Sequence[Column], list[Entry]]]:
    """(title, columns, models) of every table."""

    def folder(*names: str) -> list[Entry]:
        return [entry for entry in entries if entry.folder in names]

    few = [entry for entry in entries if 'percent' in entry.name]
    others = [e for e in entries if 'in21k' in e.name] + folder('fsdp') + few
    imagenet = [e for e in entries if '_in1k' in e.name and e not in others]
    upright = folder('mask_rcnn', 'cascade_rcnn', 'retinanet', 'faster_rcnn')
    coco = [entry for entry in upright if entry.name.endswith('_coco')]
    aerial = [entry for entry in upright if entry not in coco]
    return [
        ('ImageNet classification', _IMAGENET, imagenet),
        ('Training on ImageNet-22K, sharded, and on few images', _RECIPES, others),
        ('Scene classification from the air', _SCENES, folder('rsp', 'rvsa', 'mtp')),
        ('Pretraining without labels, and linear probes', _PRETRAINING, folder('mae')),
        ('Detection on COCO', _DETECTION, coco),
        ('Detection from the air', _AERIAL, aerial),
        ('Oriented detection', _ORIENTED, folder('oriented_rcnn', 's2anet')),
        ('Segmentation', _SEGMENTATION, folder('upernet', 'sem_fpn')),
        ('Change detection', _CHANGE, folder('change_detection')),
        ('Pose', _POSE, folder('topdown_heatmap')),
        ('Matting', _dense(), folder('matting')),
        ('Quickstart', _QUICKSTART, folder('quickstart')),
    ]


def format_page(entries: Sequence[Entry]) -> str:
    """The page in Markdown."""
    tables = [f'## {title}\n\n{_table(c, rows)}' for title, c, rows in sections(entries)]
    return '\n'.join([HEADER, *tables])


def _table(columns: Sequence[Column], entries: Sequence[Entry]) -> str:
    cells = [[cell(entry) for _, cell in columns] for entry in entries]
    return format_table([title for title, _ in columns], cells)


def format_families(entries: Sequence[Entry], root: Path = ROOT) -> str:
    """Return the table of README.md: one row for each family that ``get_model`` knows."""
    families: dict[str, list[Entry]] = {}
    for entry in entries:
        if 'FLOPs' in entry.metadata:
            families.setdefault(entry.folder, []).append(entry)
    titles = ('family', 'models', 'parameters (M)', 'ImageNet top-1, official', 'paper')
    return format_table(titles, [_family(name, rows, root) for name, rows in families.items()])


def _family(folder: str, entries: Sequence[Entry], root: Path) -> list[str]:
    metafile = yaml.safe_load((root / 'configs' / folder / 'metafile.yml').read_text())
    collection = metafile['Collections'][0]
    url = collection['Paper']['URL']
    models = dict.fromkeys(f'`{entry.model}`' for entry in entries)
    figures = (entry.metrics.get((IMAGENET, TOP[0])) for entry in entries)
    top = [figure for figure in figures if figure is not None]
    return [
        f'[{collection["Name"]}](configs/{folder}/README.md)',
        ', '.join(models),
        _span([entry.metadata['Parameters'] / 1e6 for entry in entries]),
        _span(top) if top else '-',
        f'[{url.rsplit("/", 1)[1]}]({url})',
    ]


def _span(values: Sequence[float]) -> str:
    """``'19.4 - 93.8'``, or one number where all are equal."""
    return ' - '.join(dict.fromkeys(f'{value:.1f}' for value in (min(values), max(values))))


def render(page: str) -> str:
    """Return docs/model_zoo.md; all of it is written."""
    return format_page(read_entries(ROOT))


def render_readme(page: str) -> str:
    """Return README.md with its table of families."""
    return replace_block(page, 'families', format_families(read_entries(ROOT)))
