"""ReaL accuracy: hand-worked cases, timm's implementation, two processes, errors."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.dist import get_rank
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS
from mmpretrain.structures import DataSample
from timm.data.real_labels import RealLabelsImagenet
from torch import Tensor
from torch.multiprocessing import start_processes

from mmvsa.evaluation import ReaLAccuracy

# Labels of six images: several, one, none.
LABELS = [[2], [0, 1], [], [3], [1, 4], []]
# One row an image; the highest score first named in the comment.
SCORES = torch.tensor(
    [
        [0.1, 0.2, 0.5, 0.1, 0.1],  # 2: right
        [0.1, 0.3, 0.4, 0.1, 0.1],  # 2, then 1: right among two
        [0.9, 0.1, 0.0, 0.0, 0.0],  # no label
        [0.4, 0.3, 0.2, 0.0, 0.1],  # 0, 1: wrong
        [0.0, 0.1, 0.2, 0.3, 0.4],  # 4: right, though not the first label
        [0.2, 0.2, 0.2, 0.2, 0.2],  # no label
    ]
)


def write(folder: Path, labels: object) -> Path:
    path = folder / 'real.json'
    path.write_text(json.dumps(labels))
    return path


def sample(number: int, scores: Tensor, folder: str = 'val/n01440764') -> DataSample:
    path = f'{folder}/ILSVRC2012_val_{number:08d}.JPEG'
    return DataSample(metainfo=dict(img_path=path)).set_pred_score(scores).set_gt_label(0)


def evaluate(metric: ReaLAccuracy, scores: Tensor) -> dict[str, float]:
    evaluator = Evaluator(metric)
    for number, row in enumerate(scores, 1):
        evaluator.process([sample(number, row)])
    return evaluator.evaluate(len(scores))


def test_by_hand(tmp_path: Path) -> None:
    """Four images have labels; 2 of them are right at once, 3 within two places."""
    cfg = dict(
        type='mmvsa.ReaLAccuracy', real_json=write(tmp_path, LABELS), topk=(1, 2), num_images=6
    )
    metrics = evaluate(METRICS.build(cfg), SCORES)
    assert metrics == {'real/top1': 50.0, 'real/top2': 75.0}


def test_as_timm(tmp_path: Path) -> None:
    count, classes = 60, 12
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(0, 4, (count,), generator=generator).tolist()
    labels = [torch.randperm(classes, generator=generator)[:size].tolist() for size in sizes]
    scores = torch.randn(count, classes, generator=generator)
    path = write(tmp_path, labels)
    names = [f'ILSVRC2012_val_{number + 1:08d}.JPEG' for number in range(count)]
    timm = RealLabelsImagenet(names, real_json=path, topk=(1, 5))
    timm.add_result(scores)
    expected = timm.get_accuracy()
    metrics = evaluate(ReaLAccuracy(path, num_images=count), scores)
    assert 0 < expected[1] < expected[5] < 100
    assert metrics == pytest.approx({'real/top1': expected[1], 'real/top5': expected[5]})


def test_order_of_images_does_not_matter(tmp_path: Path) -> None:
    metric = ReaLAccuracy(write(tmp_path, LABELS), topk=1, num_images=6)
    evaluator = Evaluator(metric)
    for index in (4, 0, 3):
        evaluator.process([sample(index + 1, SCORES[index])])
    assert evaluator.evaluate(3)['real/top1'] == pytest.approx(200 / 3)


def test_no_image_with_labels(tmp_path: Path) -> None:
    metrics = evaluate(ReaLAccuracy(write(tmp_path, [[]]), topk=1, num_images=1), SCORES[:1])
    assert metrics['real/top1'] != metrics['real/top1']


def _evaluate_half(rank: int, init: str, path: Path) -> None:
    """Images as MMEngine's sampler deals them to two processes, the first one twice at the end."""
    torch.distributed.init_process_group('gloo', init_method=init, rank=rank, world_size=2)
    evaluator = Evaluator(ReaLAccuracy(path, topk=(1, 2), num_images=5))
    for index in [(0, 2, 4), (1, 3, 0)][get_rank()]:
        evaluator.process([sample(index + 1, SCORES[index])])
    assert evaluator.evaluate(5) == {'real/top1': 50.0, 'real/top2': 75.0}
    torch.distributed.destroy_process_group()


def test_two_processes(tmp_path: Path) -> None:
    """Results of both are counted, the image that fills the last batch once."""
    path = write(tmp_path, LABELS[:5])
    args = (f'file://{tmp_path}/rendezvous', path)
    start_processes(_evaluate_half, args, nprocs=2, start_method='fork')


class TestErrors:
    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match='reassessed-imagenet'):
            ReaLAccuracy(tmp_path / 'real.json')

    @pytest.mark.parametrize('content', [{'0': [1]}, [1, 2, 3]])
    def test_other_file(self, tmp_path: Path, content: object) -> None:
        with pytest.raises(ValueError, match='no list of lists'):
            ReaLAccuracy(write(tmp_path, content), num_images=3)

    def test_other_length(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match='labels of 6 images, expected 50000'):
            ReaLAccuracy(write(tmp_path, LABELS))

    @pytest.mark.parametrize('name', ['cat.png', 'ILSVRC2012_val_00000007.JPEG'])
    def test_other_image(self, tmp_path: Path, name: str) -> None:
        metric = ReaLAccuracy(write(tmp_path, LABELS), num_images=6)
        data = dict(img_path=f'val/{name}', pred_score=SCORES[0])
        with pytest.raises(ValueError, match=f'00000006.JPEG, not for val/{name}'):
            metric.process(None, [data])

    def test_too_few_classes(self, tmp_path: Path) -> None:
        metric = ReaLAccuracy(write(tmp_path, LABELS), topk=6, num_images=6)
        with pytest.raises(ValueError, match='top-6'):
            metric.process(None, [sample(1, SCORES[0]).to_dict()])
