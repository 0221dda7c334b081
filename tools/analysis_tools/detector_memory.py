"""Measure what activation checkpointing (`with_cp` of the backbone) saves in training a detector.

    python tools/analysis_tools/detector_memory.py \\
        configs/mask_rcnn/mask-rcnn_vitaev2-s_fpn_ms-1x_coco.py

One forward and backward pass on made images, without an optimizer's state. Memory is what it adds
to a process of its own (CPU) or to the allocator (GPU).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from mmengine.config import DictAction

from mmvsa.analysis.detector_memory import DetectorStep, compare_checkpointing
from mmvsa.analysis.machine import describe_machine
from mmvsa.analysis.report import print_rows, write_record
from mmvsa.analysis.scaling import parse_size
from mmvsa.utils.errors import UsageError


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file of a detector')
    parser.add_argument('--size', default='512', help='512, or 512x1024 (H x W)')
    parser.add_argument('--batch-size', type=int, default=2)
    parser.add_argument('--objects', type=int, default=8, help='on every image')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    parser.add_argument('--out', type=Path, help='JSON file')
    args = parser.parse_args(argv)
    if min(args.batch_size, args.objects) < 1:
        parser.error('--batch-size and --objects must be at least 1')
    try:
        args.size = parse_size(args.size)
    except ValueError as error:
        parser.error(str(error))
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    step = DetectorStep(
        args.config, args.cfg_options, args.size, args.batch_size, args.objects, args.device
    )
    try:
        peaks = compare_checkpointing(step)
    except UsageError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    machine = describe_machine(torch.device(args.device))
    plain, checkpointed = peaks[False].added, peaks[True].added
    rows = [
        ['plain', f'{plain:.0f}', ''],
        ['with_cp', f'{checkpointed:.0f}', f'{1 - checkpointed / plain:.0%}'],
    ]
    height, width = args.size
    images = f'{args.batch_size} images of {height} x {width} with {args.objects} objects each'
    print(f'{args.config}: forward and backward of {images}')
    print_rows(['step', 'peak MiB', 'less'], rows, machine.get('gpu', machine['cpu']))
    if args.out:
        write_record(
            args.out,
            dict(
                **asdict(step),
                plain_mib=plain,
                with_cp_mib=checkpointed,
                machine=machine,
            ),
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
