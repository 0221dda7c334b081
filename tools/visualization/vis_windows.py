"""Draw where a pixel of an image looks: a picture, and a page to explore in a browser."""

import argparse
from pathlib import Path
from typing import Any

from mmvsa.apis.windows import WindowViewer
from mmvsa.datasets.images import read_image
from mmvsa.utils import UsageError, usage_errors
from mmvsa.visualization import AttentionWindows, draw_query
from mmvsa.visualization.window_page import write_page
from mmvsa.visualization.windows import by_stage, representative_layers


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('image', help='image file')
    parser.add_argument('model', help='config file, or a name such as vitaev2-s-vsa')
    parser.add_argument(
        '--checkpoint', help='of the model or its backbone; without it weights are random'
    )
    parser.add_argument('--stage', type=int, help='default: the last with several windows')
    parser.add_argument(
        '--block', type=int, help='number among the sampled attentions of the stage; default: last'
    )
    parser.add_argument('--head', type=int, help='draw this head only; default: all')
    parser.add_argument(
        '--query',
        metavar='X,Y',
        help='pixel of the image as the network sees it, after the test pipeline; default: center',
    )
    parser.add_argument('--out-dir', type=Path, default=Path('windows'))
    parser.add_argument('--device', help='default: cuda where there is one, else cpu')
    return parser.parse_args()


def choose(
    layers: list[AttentionWindows], stage: int | None, block: int | None, head: int | None
) -> tuple[int, int]:
    """Return the stage and the block that are asked for, or the defaults."""
    stages = by_stage(layers)
    if stage is None:
        stage = representative_layers(layers)[-1].stage
    if stage not in stages:
        raise UsageError(f'--stage {stage} has no sampled windows; stages are {list(stages)}')
    blocks = stages[stage]
    if block is None:
        block = len(blocks) - 1
    if not 0 <= block < len(blocks):
        names = ', '.join(f'{number} ({layer.title})' for number, layer in enumerate(blocks))
        raise UsageError(f'--block {block} is not in stage {stage}; its blocks are {names}')
    if head is not None and not 0 <= head < blocks[block].num_heads:
        raise UsageError(
            f'--head {head} is not in {blocks[block].title}; '
            f'its heads are 0 to {blocks[block].num_heads - 1}'
        )
    return stage, block


def parse_query(text: str | None, size: tuple[int, int]) -> tuple[int, int]:
    """Return the pixel (x, y) of an image of (height, width); its center by default."""
    height, width = size
    if text is None:
        return width // 2, height // 2
    try:
        x, y = (int(value) for value in text.split(','))
    except ValueError as error:
        raise UsageError(f'--query must be X,Y in whole pixels, got {text}') from error
    if not (0 <= x < width and 0 <= y < height):
        raise UsageError(
            f'--query {x},{y} is outside the image, which the network sees with '
            f'{width} x {height} pixels'
        )
    return x, y


def main() -> None:
    args = parse_args()
    with usage_errors():
        image = read_image(args.image)
        if args.checkpoint is None:
            print('no --checkpoint: weights are random, the learned windows are the default ones')
        view = WindowViewer(args.model, args.checkpoint, args.device).look(image)
        stage, block = choose(view.layers, args.stage, args.block, args.head)
        query = parse_query(args.query, view.image.shape[:2])
        layer = by_stage(view.layers)[stage][block]
        heads = None if args.head is None else [args.head]
        stem = Path(args.image).stem
        picture = draw_query(args.out_dir / f'{stem}.png', view.image, layer, query, heads)
        title = f'{Path(args.model).stem} on {Path(args.image).name}'
        start: dict[str, Any] = dict(query=query, stage=stage, block=block, head=args.head or 0)
        page = write_page(
            args.out_dir / f'{stem}.html', view.image, view.layers, **start, title=title
        )
    print(f'picture  {picture}\npage     {page}')


if __name__ == '__main__':
    main()
