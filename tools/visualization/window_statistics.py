"""Measure learned windows over images: size, offset, angle, samples off the map, distance."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS
from rich.progress import track

from mmvsa.apis.windows import WindowView, WindowViewer
from mmvsa.datasets import DatasetError
from mmvsa.datasets.images import read_image
from mmvsa.utils import UsageError, check_datasets, usage_errors
from mmvsa.utils.images import find_images
from mmvsa.visualization.window_statistics import WindowStatistics, draw_statistics


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('model', help='config file, or a name such as vitaev2-s-vsa')
    parser.add_argument('checkpoint', help='checkpoint of the model or its backbone')
    parser.add_argument(
        '--images', help='file, folder or glob; default: the validation set of the config'
    )
    parser.add_argument('--num-images', type=int, default=100, help='at most; default: 100')
    parser.add_argument('--out-dir', type=Path, default=Path('windows'))
    parser.add_argument('--device', help='default: cuda where there is one, else cpu')
    return parser.parse_args()


def views_of_files(viewer: WindowViewer, images: str, limit: int) -> Iterator[WindowView]:
    """Yield the windows of image files; files that are no images are passed by."""
    for path in track(find_images(images)[:limit], description='images'):
        try:
            image = read_image(path)
        except DatasetError as error:
            print(f'skipped: {error}')
        else:
            yield viewer.look(image)


def views_of_dataset(viewer: WindowViewer, limit: int) -> Iterator[WindowView]:
    """Yield the windows of the images of the config's validation set.

    Raises:
        UsageError: The model is given by its name, or its config has no validation set.
    """
    cfg, model = viewer.predictor.cfg, viewer.predictor.model
    if not cfg.get('val_dataloader'):
        raise UsageError('the model has no validation set: add --images FOLDER')
    check_datasets(cfg, ('val_dataloader',))
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    for index in track(range(min(limit, len(dataset))), description='images'):
        data = model.data_preprocessor(pseudo_collate([dataset[index]]), False)
        yield viewer.look_at_input(data['inputs'])


def main() -> None:
    args = parse_args()
    with usage_errors():
        if args.num_images < 1:
            raise UsageError(f'--num-images must be at least 1, got {args.num_images}')
        viewer = WindowViewer(args.model, args.checkpoint, args.device)
        if args.images:
            views = views_of_files(viewer, args.images, args.num_images)
        else:
            views = views_of_dataset(viewer, args.num_images)
        statistics = WindowStatistics()
        for view in views:
            statistics.update(view.layers, view.image.shape[:2])
        if not statistics.num_images:
            raise UsageError(f'none of the files of {args.images} is an image')
        summary = statistics.summary()
        title = f'{Path(args.model).stem}: windows over {statistics.num_images} images'
        picture = draw_statistics(args.out_dir / 'window_statistics.png', summary, title)
        results = args.out_dir / 'window_statistics.json'
        results.write_text(json.dumps(summary, indent=1) + '\n', encoding='utf-8')
    print(f'picture  {picture}\nresults  {results}')


if __name__ == '__main__':
    main()
