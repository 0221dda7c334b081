"""Write DigitScenes: handwritten digits from 12 to 128 pixels on photographs, no download."""

import argparse
import sys

from mmvsa.datasets.digit_scenes import DIGIT_SCENES, SceneSettings


def parse_args() -> argparse.Namespace:
    defaults = SceneSettings()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--num', type=int, default=defaults.num, help='training scenes')
    parser.add_argument('--num-val', type=int, default=defaults.num_val, help='validation scenes')
    parser.add_argument('--size', type=int, default=defaults.size, help='side of a scene, pixels')
    parser.add_argument('--seed', type=int, default=defaults.seed)
    parser.add_argument('--out', default='data/digit_scenes', help='folder to write')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        settings = SceneSettings(args.num, args.num_val, args.size, args.seed)
        root = DIGIT_SCENES.ensure(args.out, settings)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f'error: {error}')
    print(f'{settings.num} + {settings.num_val} scenes in {root}')


if __name__ == '__main__':
    main()
