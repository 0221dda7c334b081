import pytest
from PIL import Image

from mmvsa.analysis.pipeline_speed import (
    IMAGE_SIZE,
    PHOTOGRAPHS,
    PipelineSpeed,
    measure_pipelines,
    with_option,
    workers_needed,
    write_photographs,
)

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmpretrain.RandomResizedCrop', scale=32),
]


def test_photographs_have_the_size_of_imagenet(tmp_path):
    paths = write_photographs(tmp_path)
    assert [path.stem for path in paths] == list(PHOTOGRAPHS)
    for path in paths:
        with Image.open(path) as image:
            assert (image.size, image.format, image.mode) == (IMAGE_SIZE, 'JPEG', 'RGB')


def test_option_of_a_transform():
    changed = with_option(PIPELINE, 'RandomResizedCrop', 'backend', 'cv2')
    assert changed[1] == dict(type='mmpretrain.RandomResizedCrop', scale=32, backend='cv2')
    assert 'backend' not in PIPELINE[1]
    with pytest.raises(ValueError, match='no Resize whose scale'):
        with_option(PIPELINE, 'Resize', 'scale', 2)


def test_every_transform_is_timed(tmp_path):
    slow = with_option(PIPELINE, 'RandomResizedCrop', 'scale', 1024)
    pipelines = {'quick': PIPELINE, 'slow': slow}
    speeds = measure_pipelines(pipelines, write_photographs(tmp_path), rounds=3, repeats=1)
    assert list(speeds['quick'].ms) == ['LoadImageFromFile', 'RandomResizedCrop']
    quick, slow = (speeds[name].ms['RandomResizedCrop'] for name in ('quick', 'slow'))
    assert 0 < quick < slow
    assert len(speeds['quick'].rounds) == 3


def test_speed_by_hand():
    speed = PipelineSpeed({}, (4.0, 5.0, 10.0))
    assert speed.images_per_s == 200
    assert speed.spread == pytest.approx(6 / 5)


def test_workers_by_hand():
    assert workers_needed(images_per_s=200, batch=128, step_ms=160) == 4  # 800 images/s
    assert workers_needed(images_per_s=199, batch=128, step_ms=160) == 5
    with pytest.raises(ValueError, match='positive'):
        workers_needed(200, 128, 0)
