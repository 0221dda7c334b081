"""Which images a path means, and what their outputs are called."""

from pathlib import Path

import pytest

from mmvsa.utils import UsageError
from mmvsa.utils.images import check_outputs, find_images, output_stems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ('a/cat.jpg', 'a/dog.PNG', 'b/cat.png', 'b/cat.jpg', 'b/notes.txt', 'b/.hid.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(inputs, folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in find_images(inputs)]


def test_find_images(folder: Path) -> None:
    assert names(folder, folder) == ['a/cat.jpg', 'a/dog.PNG', 'b/cat.jpg', 'b/cat.png']
    assert names(str(folder / 'b/notes.txt'), folder) == ['b/notes.txt'], 'a named file is tried'
    assert names(str(folder / '*/cat.*'), folder) == ['a/cat.jpg', 'b/cat.jpg', 'b/cat.png']
    assert names(str(folder / '**/*.txt'), folder) == ['b/notes.txt']
    assert names([folder / 'a', folder / 'b/cat.png'], folder)[-1] == 'b/cat.png'


def test_a_name_with_brackets_is_a_file_first(tmp_path: Path) -> None:
    (tmp_path / 'cat[1].png').touch()
    assert names(tmp_path / 'cat[1].png', tmp_path) == ['cat[1].png']


@pytest.mark.parametrize('name', ['none.png', 'none/*.png', 'empty'])
def test_nothing_there(name: str, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UsageError, match='has no images' if name == 'empty' else 'check the path'):
        find_images(tmp_path / name)


def test_output_stems(folder: Path) -> None:
    stems = output_stems(find_images(folder))
    assert [str(stem) for stem in stems] == ['a/cat', 'a/dog', 'b/cat.jpg', 'b/cat.png']
    assert output_stems([folder / 'a/cat.jpg']) == [Path('cat')]


def test_check_outputs(folder: Path) -> None:
    image, other = folder / 'b/cat.jpg', folder / 'b/cat.png'
    check_outputs([image, image], [other, folder / 'none.png'])
    with pytest.raises(UsageError, match='cat.jpg would be overwritten; name another --out-dir'):
        check_outputs([other, image], [image, folder / 'a/../b/cat.jpg'])
