"""Which tested images the hook writes; tests/test_matting.py has it in a training."""

from pathlib import Path

import cv2
import pytest
import torch
from mmengine.structures import BaseDataElement

from mmvsa.engine import MatteVisualizationHook


@pytest.mark.parametrize(('options', 'written'), [({}, 0), (dict(interval=2), 2)])
def test_interval(options: dict, written: int, tmp_path: Path) -> None:
    draw = bool(options)
    hook = MatteVisualizationHook(draw=draw, test_out_dir=str(tmp_path / 'out'), **options)
    for index in range(3):
        sample = BaseDataElement(metainfo=dict(img_path=f'images/{index}.jpg'))
        sample.pred_alpha = torch.ones(1, 4, 6)
        image = torch.full((3, 4, 6), 9, dtype=torch.uint8)
        hook.after_test_iter(None, index, dict(inputs=[image]), [sample])
    files = sorted((tmp_path / 'out').glob('*.png'))
    assert [file.name for file in files] == ['0.png', '2.png'][:written]
    if files:
        drawn = cv2.imread(str(files[0]))
        assert (
            drawn.shape == (4, 18, 3) and (drawn[:, :6] == 9).all() and drawn[:, 6:12].min() == 255
        )
