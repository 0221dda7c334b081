"""Changes of tensors that several families need."""

import torch

from mmvsa.models.conversions.tensors import as_matrix, join_heads


def test_rows_of_two_regressors_interleave_by_head():
    first, second = torch.arange(4.0), 10 + torch.arange(2.0)
    joined = join_heads(2, 1)([first, second])
    assert joined.tolist() == [0, 1, 10, 2, 3, 11]


def test_weights_of_1x1_convolutions_are_joined_as_matrices():
    first, second = torch.randn(4, 3, 1, 1), torch.randn(2, 3)
    joined = join_heads(2, 1)([first, second])
    assert torch.equal(joined[:2], first[:2, :, 0, 0]) and torch.equal(joined[5], second[1])


def test_biases_and_matrices_stay():
    bias, matrix = torch.randn(3), torch.randn(3, 2)
    assert as_matrix(bias) is bias and torch.equal(as_matrix(matrix), matrix)
