"""Write a checkpoint with the key names of mmvsa, from an official one, of mmvsa or of Swin.

The result holds a ``state_dict`` and ``meta``. Files are read as weights only: none of their
code is run. mmvsa also loads such files as they are, so converting is optional; it helps
tools that read key names themselves.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mmvsa import __version__
from mmvsa.apis.model import collect_models
from mmvsa.models import CheckpointError, read_state_dict
from mmvsa.models.conversions import StateDict, adapt_state_dict, find_family
from mmvsa.registry import MODELS
from mmvsa.utils.files import whole_file

PARTS = ('classifier', 'backbone')


@dataclass
class Conversion:
    """A converted state dict and what became of the file's tensors.

    Attributes:
        state_dict: with the key names of the chosen part.
        kind: whose key names the file has.
        num_read: tensors of the file.
        dropped: keys that are no part of the result.
    """

    state_dict: StateDict
    kind: str
    num_read: int
    dropped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'recognized  {self.kind}', f'tensors     {self.num_read} read']
        lines[-1] += f', {len(self.state_dict)} written'
        if self.dropped:
            lines.append(f'left out    {len(self.dropped)}: {_sample(self.dropped)}')
        return '\n'.join(lines)


def recognize(state_dict: Mapping[str, Any]) -> str:
    """Return whose key names a backbone's state dict has.

    Raises:
        CheckpointError: the names are of no known model.
    """
    family = find_family(state_dict)
    if family is not None:
        return f'{family.name}, key names of other code'
    if _has_own_names(state_dict):
        return "mmvsa's own key names"
    raise CheckpointError(f'no known model has keys such as {_sample(state_dict)}')


def _has_own_names(state_dict: Mapping[str, Any]) -> bool:
    """Return whether most keys, whatever their shapes, are those of a backbone of mmvsa."""
    keys = {key for key in state_dict if not key.startswith('head.')}
    for config in collect_models().values():
        with torch.device('meta'):
            own = MODELS.build(config).state_dict().keys()
        if 2 * len(keys & own) > len(keys):
            return True
    return False


def convert(state_dict: Mapping[str, torch.Tensor], part: str = 'classifier') -> Conversion:
    """Give a whole model's or a backbone's tensors the key names of mmvsa.

    Args:
        state_dict: of any known code, of a classifier, a detector or a backbone.
        part: ``'classifier'``: keys of mmpretrain's ``ImageClassifier``; ``'backbone'``: keys of
            the backbone alone.

    Raises:
        CheckpointError: unknown key names, an incomplete file, or two keys that would become one.
    """
    inner, rest = _split_backbone(state_dict)
    kind = recognize(inner)
    adapted = adapt_state_dict(inner)
    head = {k: v for k, v in {**adapted, **rest}.items() if k.startswith('head.')}
    body = {k: v for k, v in adapted.items() if not k.startswith('head.')}
    dropped = [key for key in rest if not key.startswith('head.')]
    if part == 'backbone':
        return Conversion(body, kind, len(state_dict), [*dropped, *head])
    whole = {**{f'backbone.{k}': v for k, v in body.items()}, **head}
    return Conversion(whole, kind, len(state_dict), dropped)


def _split_backbone(state_dict: Mapping[str, torch.Tensor]) -> tuple[StateDict, StateDict]:
    """Return the backbone's tensors without their prefix, and the others.

    A file without the prefix is all backbone.
    """
    prefix = 'backbone.'
    inner = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
    if not inner:
        return dict(state_dict), {}
    return inner, {k: v for k, v in state_dict.items() if not k.startswith(prefix)}


def write(conversion: Conversion, source: str, path: Path) -> None:
    """Write the checkpoint; ``path`` is either the whole new file or what it was before."""
    meta = dict(
        mmvsa_version=__version__,
        converted_from=os.path.basename(source),
        recognized=conversion.kind,
    )
    with whole_file(path) as file:
        torch.save(dict(state_dict=conversion.state_dict, meta=meta), file)


def _one_line(error: Exception, source: str) -> str:
    line = (str(error) or type(error).__name__).splitlines()[0]
    return line if source in line else f'{source}: {line}'


def _sample(keys: Iterable[str]) -> str:
    names = sorted(keys)
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('src', help='checkpoint to read: a file or a URL')
    parser.add_argument('dst', type=Path, help='file to write')
    parser.add_argument(
        '--part',
        choices=PARTS,
        default=PARTS[0],
        help='key names of an ImageClassifier (the default), or of the backbone alone',
    )
    parser.add_argument('--force', action='store_true', help='replace DST if it exists')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Convert; 0 if all went well, 1 after an error, which is printed as one line."""
    args = parse_args(argv)
    if args.dst.exists() and not args.force:
        print(f'error: {args.dst} exists; --force replaces it', file=sys.stderr)
        return 1
    try:
        conversion = convert(read_state_dict(args.src), args.part)
        write(conversion, args.src, args.dst)
    except (RuntimeError, OSError) as error:  # CheckpointError is a RuntimeError; so are torch's
        print(f'error: {_one_line(error, args.src)}', file=sys.stderr)
        return 1
    print(f'{conversion}\nwrote       {args.dst}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
