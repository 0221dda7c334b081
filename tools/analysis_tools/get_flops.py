"""Print parameters and multiply-adds of a model, stage by stage.

A model is a name of `mmvsa.list_models()` or a config file of a classifier, a detector (whose
backbone and neck are counted) or a segmentor:

    python tools/analysis_tools/get_flops.py swin-t-vsa
    python tools/analysis_tools/get_flops.py \\
        configs/upernet/upernet_swin-t-vsa_8xb2-160k_ade20k-512x512.py --shape 512 2048

Convolutions, matrix products, attention and bilinear sampling are counted, a multiply and an add
as one; nothing pointwise. No weights are needed and nothing is computed.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmvsa import get_model
from mmvsa.analysis.multiply_adds import count_parts, format_parts
from mmvsa.utils import load_config
from mmvsa.utils.errors import UsageError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', metavar='NAME_OR_CONFIG')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=2,
        default=(224, 224),
        metavar=('H', 'W'),
        help='height and width of the image (default: 224 224)',
    )
    return parser.parse_args(argv)


def build(name: str) -> nn.Module:
    """The model of a name or of a config, without memory for its parameters."""
    with torch.device('meta'):
        if not name.endswith('.py'):
            return get_model(name)
        cfg = load_config(name)
        init_default_scope(cfg.get('default_scope', 'mmpretrain'))
        return MODELS.build(cfg.model)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        model = build(args.model)
    except (UsageError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(format_parts(count_parts(model, tuple(args.shape))))
    return 0


if __name__ == '__main__':
    sys.exit(main())
