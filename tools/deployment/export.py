"""Export a classifier, a segmentor, a pose estimator or a backbone, and check the file.

A model is a name of `mmvsa.list_models()` or a config file:

    python tools/deployment/export.py vitaev2-s-vsa --checkpoint FILE --format onnx --out vsa.onnx
    python tools/deployment/export.py CONFIG --checkpoint FILE --format openvino --out model.xml \\
        --features --size 512 512 --dynamic hw

The file is run on random images afterwards; the tool prints the largest relative difference from
the model, and fails above 1e-4. What goes into the file is the network: images are scaled to its
size and normalized as in training before (the tool prints how, where a config says so), and what
follows the network (softmax, resizing of a segmentor's logits, decoding of heatmaps) is not in it.
"""

import argparse
import sys
from collections.abc import Sequence

from torch import nn

from mmvsa.deployment import FORMATS, ExportReport, export_model
from mmvsa.deployment.export import DYNAMIC
from mmvsa.models import load_complete
from mmvsa.utils import UsageError, build_backbone, build_model, usage_errors
from mmvsa.utils.arguments import add_cfg_options
from mmvsa.utils.options import parse_options


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('model', metavar='MODEL|CONFIG')
    parser.add_argument('--checkpoint', metavar='FILE', help='weights, of mmvsa or official')
    parser.add_argument('--format', choices=list(FORMATS), default='onnx')
    parser.add_argument('--out', required=True, help='.onnx, .xml (OpenVINO) or .pt2 (torch)')
    parser.add_argument(
        '--size', type=int, nargs='+', default=[224], metavar='N', help='side, or height and width'
    )
    parser.add_argument(
        '--dynamic',
        choices=DYNAMIC,
        help='leave open the number of images, or that and their height and width',
    )
    parser.add_argument(
        '--features', action='store_true', help='the maps of the backbone instead of the whole'
    )
    add_cfg_options(parser, 'overrides of the config, such as model.head.num_classes=10')
    args = parser.parse_args(argv)
    if len(args.size) > 2 or min(args.size) < 1:
        parser.error(f'--size takes one or two positive numbers, got {args.size}')
    return args


def prepare(args: argparse.Namespace) -> nn.Module:
    """Build the model or the backbone and load its weights."""
    if not args.checkpoint:
        raise UsageError(
            f'no checkpoint: name one for {args.model} with --checkpoint FILE; tools/train.py '
            'writes them, docs/model_zoo.md says which are published'
        )
    options = parse_options(args.cfg_options)
    if args.features:
        model = build_backbone(args.model, options)
        # Norms of maps that a classifier does not return are not in its file.
        load_complete(model, args.checkpoint, optional=r'^norm\d+\.|\.directions$')
        return model
    model = build_model(args.model, options)
    load_complete(model, args.checkpoint)
    return model


def describe(report: ExportReport, model: nn.Module) -> list[str]:
    """Return the lines that the tool prints."""
    sizes = ', '.join('x'.join(map(str, shape)) for shape in report.compared)
    ops = ', '.join(f'{name} {count}' for name, count in report.ops.most_common())
    lines = [f'{report.file}: {report.version}, {len(report.ops)} operations: {ops}']
    lines += [f'{name}: {" x ".join(map(str, shape))}' for name, shape in report.outputs.items()]
    processor = getattr(model, 'data_preprocessor', None)
    if getattr(processor, 'mean', None) is not None:
        mean, std = (getattr(processor, key).flatten().tolist() for key in ('mean', 'std'))
        lines.append(f'images: RGB of 0 to 255, minus {mean}, divided by {std}')
    lines.append(f'largest relative difference: {report.difference:.1e} ({sizes})')
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    with usage_errors():
        model = prepare(args)
        report = export_model(
            model,
            args.out,
            format=args.format,
            size=(args.size[0], args.size[-1]),
            dynamic=args.dynamic,
        )
    print('\n'.join(describe(report, model)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
