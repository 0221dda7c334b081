"""Lists of scenes with two and three columns."""

from pathlib import Path

import pytest
from PIL import Image

from mmvsa.datasets import DatasetError, SceneList

OFFICIAL = 'airport_1.jpg airport 0\nbeach_7.jpg beach 1\nairport_2.jpg airport 0\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / 'all_img').mkdir()
    for name in ('airport_1', 'airport_2', 'beach_7'):
        Image.new('RGB', (6, 4)).save(tmp_path / f'all_img/{name}.jpg')
    return tmp_path


def read(root: Path, text: str, **options) -> SceneList:
    (root / 'list.txt').write_text(text)
    return SceneList('list.txt', data_root=str(root), data_prefix='all_img', **options)


def test_three_columns(root: Path) -> None:
    """The file is the first column alone, the class the last one."""
    scenes = read(root, OFFICIAL, num_classes=2)
    names = [Path(scene['img_path']).relative_to(root / 'all_img').name for scene in scenes]
    assert names == ['airport_1.jpg', 'beach_7.jpg', 'airport_2.jpg']
    assert [scene['gt_label'] for scene in scenes] == [0, 1, 0]
    assert scenes.metainfo['classes'] == ('airport', 'beach')


def test_two_columns(root: Path) -> None:
    scenes = read(root, 'airport_1.jpg 0\n\nbeach_7.jpg 1\n')
    assert [scene['gt_label'] for scene in scenes] == [0, 1]
    assert 'classes' not in scenes.metainfo


def test_classes_of_the_config_win(root: Path) -> None:
    scenes = read(root, OFFICIAL, metainfo=dict(classes=('Airport', 'Beach')))
    assert scenes.metainfo['classes'] == ('Airport', 'Beach')


def test_without_all_classes_there_are_no_names(root: Path) -> None:
    assert 'classes' not in read(root, OFFICIAL, num_classes=3).metainfo


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            'airport_1.jpg airport 0\nbeach_7.jpg beach 2\n',
            r'line 2: there is no class 2',
        ),
        ('airport_1.jpg airport -1\n', r"list.txt, line 1: '-1' is no index"),
        ('airport_1.jpg airport\n', r"list.txt, line 1: 'airport' is no index"),
        ('airport_1.jpg\n', r'list.txt, line 1 has 1 columns'),
        ('a b.jpg airport 0\n', r'list.txt, line 1 has 4 columns'),
        (
            'airport_1.jpg airport 0\nairport_2.jpg beach 0\n',
            r"line 2: class 0 is 'beach', before it",
        ),
        ('airport_3.jpg airport 0\n', r'line 1: there is no image .*all_img/airport_3.jpg'),
        ('\n', 'list.txt lists no images'),
    ],
)
def test_bad_lists(root: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(root, text, num_classes=2)


def test_missing_list(root: Path) -> None:
    with pytest.raises(DatasetError, match=r'cannot read the list .*no.txt'):
        SceneList('no.txt', data_root=str(root), data_prefix='all_img')
