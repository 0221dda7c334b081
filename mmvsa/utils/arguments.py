"""Arguments that several command-line tools have."""

import argparse
import os
from collections.abc import Sequence

from .distributed import LAUNCHERS


def add_cfg_options(
    parser: argparse.ArgumentParser,
    description: str = 'override the config; data_root=PATH reaches every dataset',
) -> None:
    """Add ``--cfg-options``, which can be given several times."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY=VALUE',
        help=description,
    )


def parse_run(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Add what training and testing share, and parse the command line.

    The rank that older launchers give by option is put into the environment, where torchrun has
    it and MMEngine looks for it.
    """
    add_cfg_options(parser)
    parser.add_argument(
        '--skip-bad-images',
        action='store_true',
        help='leave out images of class folders that cannot be read, and name them',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read checkpoints with pickle, which runs the code in them',
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
