"""The four panels of a pair."""

import cv2
import numpy as np
import torch
from helpers.pairs import sample

from mmvsa.datasets.images import write_image
from mmvsa.visualization.change_detection import _GAP, draw_panels

MAPS = ['gt_sem_seg', 'pred_sem_seg']


def pair(tmp_path, size=(8, 12)):
    rng = np.random.default_rng(0)
    before, after = (rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2))
    write_image(tmp_path / 'after.png', after[..., ::-1])
    true, predicted = torch.zeros(size), torch.zeros(size)
    true[:3], predicted[2:5] = 1, 1
    return before, after, sample(true, predicted, img_path2=str(tmp_path / 'after.png'))


def test_panels_stand_in_order(tmp_path):
    before, after, data = pair(tmp_path)
    drawn = draw_panels(before, data, MAPS)
    assert drawn.shape == (8, 4 * 12 + 3 * _GAP, 3)
    panels = [drawn[:, i * (12 + _GAP) :][:, :12] for i in range(4)]
    np.testing.assert_array_equal(panels[0], before)
    np.testing.assert_array_equal(panels[1], after)
    for panel, name in zip(panels[2:], MAPS, strict=True):
        changed = data.get(name).data[0].numpy() == 1
        np.testing.assert_array_equal(panel, np.repeat(changed[..., None] * 255, 3, 2))


def test_what_is_missing_is_left_out(tmp_path):
    before, _, data = pair(tmp_path)
    del data.gt_sem_seg
    assert draw_panels(before, data, MAPS).shape[1] == 3 * 12 + 2 * _GAP
    assert draw_panels(before, None, MAPS).shape == before.shape


def test_visualizer_writes_a_file(tmp_path):
    from mmvsa.registry import VISUALIZERS

    before, _, data = pair(tmp_path)
    visualizer = VISUALIZERS.build(dict(type='ChangeVisualizer', name='panels'))
    visualizer.add_datasample('pair', before, data, out_file=str(tmp_path / 'drawn.png'))
    drawn = cv2.imread(str(tmp_path / 'drawn.png'))[..., ::-1]
    np.testing.assert_array_equal(drawn, draw_panels(before, data, MAPS))
    visualizer.add_datasample(
        'pair', before, data, draw_gt=False, out_file=str(tmp_path / 'drawn.png')
    )
    assert cv2.imread(str(tmp_path / 'drawn.png')).shape[1] == 3 * 12 + 2 * _GAP
