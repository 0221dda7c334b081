"""One file per image, and drawings that fail."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mmvsa.utils.drawing import UniqueFiles, guard_drawing


def test_names_get_the_folders_of_their_images() -> None:
    files = UniqueFiles()
    chosen = [
        files.choose('out/0.png', source)
        for source in ('d/cat/0.png', 'd/dog/0.png', 'e/dog/0.png', None, 'd/dog/0.png')
    ]
    assert [path.name for path in chosen] == [
        '0.png', 'dog_0.png', 'e_dog_0.png', '0_2.png', 'd_dog_0.png',
    ]  # fmt: skip
    assert {path.parent for path in chosen} == {Path('out')}


def test_visualizers_of_host_packages(capsys: pytest.CaptureFixture) -> None:
    written = []

    class Visualizer:
        def add_datasample(self, name: str, image: int, *, data_sample=None, out_file=None):
            if image < 0:
                raise ValueError('no image')
            written.append(out_file)

    visualizer = Visualizer()
    guard_drawing(visualizer)
    for folder in 'ab':
        sample = SimpleNamespace(img_path=f'{folder}/0.png')
        visualizer.add_datasample('x', 1, data_sample=sample, out_file='out/0.png')
    visualizer.add_datasample('x', 1)
    visualizer.add_datasample('x', -1)
    assert written == ['out/0.png', 'out/b_0.png', None]
