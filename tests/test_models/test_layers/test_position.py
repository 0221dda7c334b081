"""Position terms: tables, decomposed terms, absolute embeddings."""

import pytest
import torch
import torch.nn.functional as F

from mmvsa.models import FullAttention
from mmvsa.models.layers import DecomposedPosition, resize_position, sincos_position
from mmvsa.models.layers.position import relative_position_index, resize_line, resize_table


def test_decomposed_position_by_hand():
    position = DecomposedPosition((2, 2), 4).double()
    q = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    bias = position(q, (2, 2))
    rows, columns = position.rel_pos_h, position.rel_pos_w
    # query (0, 1), key (1, 0): one row below, one column to the left
    expected = q[0, 2, 1] @ rows[0] + q[0, 2, 1] @ columns[2]
    torch.testing.assert_close(bias[0, 2, 1, 2], expected)


def test_decomposed_position_of_any_map():
    attention = FullAttention(12, 3, position='decomposed', map_size=(4, 6))
    assert attention.position.rel_pos_h.shape == (7, 4)
    assert attention.position.rel_pos_w.shape == (11, 4)
    for size in ((4, 6), (5, 3), (1, 1)):
        assert attention(torch.randn(2, *size, 12)).isfinite().all()


def test_a_position_needs_the_size_of_its_map():
    with pytest.raises(ValueError, match="position='decomposed' and map_size go together"):
        FullAttention(12, 3, position='decomposed')


def test_relative_position_index_by_hand():
    index = relative_position_index(2)
    # pixels (0, 0), (0, 1), (1, 0), (1, 1); rows of a 3 x 3 table of (query - key)
    assert index.tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_resized_tables_keep_their_corners_and_center():
    table = torch.randn(49, 2)
    resized = resize_table(table, 81)
    old, new = table.view(7, 7, 2), resized.view(9, 9, 2)
    for (a, b), (c, d) in (((0, 0), (0, 0)), ((6, 0), (8, 0)), ((3, 3), (4, 4))):
        torch.testing.assert_close(new[c, d], old[a, b])
    assert torch.equal(resize_table(table[:48], 81), table[:48])  # no square


def test_resized_lines_are_linear():
    line = torch.arange(5.0)[:, None].expand(5, 3)
    torch.testing.assert_close(resize_line(line, 9)[:, 0], torch.linspace(0, 4, 9))


def test_fixed_positions():
    """By hand, and those of mmpretrain, which have the row before the column."""
    from mmpretrain.models.utils import build_2d_sincos_position_embedding

    position = sincos_position((2, 3), 8).unflatten(1, (2, 3))[0]
    angles = torch.tensor([2.0, 0.02])  # column 2, at frequencies 1 and 1 / 100
    torch.testing.assert_close(position[1, 2, :4], torch.cat((angles.sin(), angles.cos())))
    torch.testing.assert_close(position[1, 2, 4:], position[0, 1, :4])  # row 1 is as column 1
    theirs = build_2d_sincos_position_embedding(14, 64).unflatten(1, (14, 14))
    own = sincos_position((14, 14), 64).unflatten(1, (14, 14))
    torch.testing.assert_close(own, theirs.transpose(1, 2))
    with pytest.raises(ValueError, match='dims must be a multiple of 4, got 6'):
        sincos_position((2, 2), 6)


def test_absolute_positions_of_another_map():
    embedding = torch.randn(1, 1 + 12, 5)
    assert resize_position(embedding, (3, 4), (3, 4)) is embedding
    resized = resize_position(embedding, (3, 4), (6, 5))
    assert resized.shape == (1, 31, 5) and torch.equal(resized[:, 0], embedding[:, 0])
    image = embedding[:, 1:].view(1, 3, 4, 5).permute(0, 3, 1, 2)
    expected = F.interpolate(image, size=(6, 5), mode='bicubic', align_corners=False)
    torch.testing.assert_close(resized[:, 1:], expected.flatten(2).transpose(1, 2))
