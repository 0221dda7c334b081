"""What the metafiles of the configs list."""

from pathlib import Path

import yaml
from torch import nn

from .cli import ROOT, load_tool

INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
MODELS_LISTED = [
    model for metafile in INDEX for model in yaml.safe_load((ROOT / metafile).read_text())['Models']
]

_count_parts = load_tool('analysis_tools/get_flops').count_parts


def check_counts(path: Path, built: nn.Module) -> None:
    """Compare the parameters and multiply-adds of a config's model with those of its metafile."""
    (model,) = [model for model in MODELS_LISTED if ROOT / model['Config'] == path]
    assert path.stem == model['Name']
    count = sum(parameter.numel() for parameter in built.parameters())
    assert count == model['Metadata']['Parameters']
    if 'FLOPs' in model['Metadata']:
        size = 384 if path.stem.endswith('384px') else 224
        assert _count_parts(built, (size, size))[-1].multiply_adds == model['Metadata']['FLOPs']
