"""Scores of the changed pixels, pooled and as means over batches."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmvsa.evaluation.change_detection import ChangeMetric, change_scores
from mmvsa.registry import METRICS


def maps(count=5, size=8, seed=0):
    """Truths and predictions (count, H, W); the second pair has no change."""
    generator = torch.Generator().manual_seed(seed)
    true = (torch.rand(count, size, size, generator=generator) > 0.7).long()
    flips = torch.rand(count, size, size, generator=generator) > 0.8
    predicted = torch.where(flips, 1 - true, true)
    true[1] = predicted[1] = 0
    return true, predicted


def evaluate(true, predicted, batch=5, **options):
    """Scores when the dataloader gives ``batch`` pairs at a time."""
    evaluator = Evaluator(dict(type='mmvsa.ChangeMetric', **options))
    evaluator.dataset_meta = dict(classes=('unchanged', 'changed'))
    samples = [
        dict(gt_sem_seg=dict(data=t[None]), pred_sem_seg=dict(data=p[None]))
        for t, p in zip(true, predicted, strict=True)
    ]
    for start in range(0, len(samples), batch):
        evaluator.process([_Sample(s) for s in samples[start : start + batch]])
    return evaluator.evaluate(len(samples))


class _Sample(dict):
    """What the evaluator takes for a data element."""

    def to_dict(self):
        return self


def by_sklearn(true, predicted):
    """Precision, recall, F1 and IoU of one batch, as the official train.py computes them."""
    from sklearn.metrics import jaccard_score, precision_recall_fscore_support

    true, predicted = true.flatten().numpy(), predicted.flatten().numpy()
    scores = precision_recall_fscore_support(true, predicted, average='binary', zero_division=0)
    return 100 * np.array([*scores[:3], jaccard_score(true, predicted, zero_division=0)])


NAMES = ('precision', 'recall', 'F1', 'IoU')


def test_pooled_scores_are_those_of_all_pixels():
    true, predicted = maps()
    scores = evaluate(true, predicted)
    expected = by_sklearn(true, predicted)
    assert [scores[f'change/{name}'] for name in NAMES] == pytest.approx(expected)


@pytest.mark.parametrize('batch_size', [1, 2, 8])
def test_batch_scores_are_means_of_batches(batch_size):
    true, predicted = maps()
    scores = evaluate(true, predicted, batch_size=batch_size)
    starts = range(0, len(true), batch_size)
    batches = [(true[i : i + batch_size], predicted[i : i + batch_size]) for i in starts]
    expected = np.mean([by_sklearn(*batch) for batch in batches], axis=0)
    assert [scores[f'change/batch_{name}'] for name in NAMES] == pytest.approx(expected)


def test_batches_of_the_dataloader_do_not_matter():
    true, predicted = maps()
    assert evaluate(true, predicted, batch=1) == evaluate(true, predicted, batch=3)


def test_by_hand():
    """2 pixels right, 1 too many, 3 missing."""
    true = torch.tensor([[[1, 1, 1, 1, 1, 0, 0, 0]]])
    predicted = torch.tensor([[[1, 1, 0, 0, 0, 1, 0, 0]]])
    scores = evaluate(true, predicted)
    assert scores['change/precision'] == pytest.approx(100 * 2 / 3)
    assert scores['change/recall'] == pytest.approx(40)
    assert scores['change/F1'] == pytest.approx(50)
    assert scores['change/IoU'] == pytest.approx(100 / 3)


def test_ignored_pixels_do_not_count():
    true = torch.tensor([[[1, 255, 0, 255]]])
    predicted = torch.tensor([[[1, 1, 0, 0]]])
    assert evaluate(true, predicted)['change/F1'] == 100


def test_without_any_change_all_scores_are_zero():
    nothing = torch.zeros(2, 4, 4, dtype=torch.long)
    assert set(evaluate(nothing, nothing).values()) == {0.0}
    assert set(change_scores(np.zeros(4)).values()) == {0.0}


def test_options():
    with pytest.raises(ValueError, match='batch_size must be at least 1, got 0'):
        ChangeMetric(batch_size=0)
    with pytest.raises(TypeError, match='batchsize'):
        ChangeMetric(batchsize=4)  # type: ignore[call-arg]
    assert METRICS.build(dict(type='ChangeMetric', prefix='mine')).prefix == 'mine'
