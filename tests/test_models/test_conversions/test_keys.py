"""Renaming by a table: placeholders, order, joins, refusals."""

import pytest
import torch

from mmvsa.models.conversions import CheckpointError, Row, rename_keys


def named(*keys):
    return {key: torch.full((2,), float(n)) for n, key in enumerate(keys)}


@pytest.mark.parametrize(
    ('row', 'key', 'expected'),
    [
        (Row('layers.{i}.RC.*', 'stages.{i}.r.*'), 'layers.12.RC.a.b', 'stages.12.r.a.b'),
        (Row('layers.{i+1}.down.*', 'stages.{i}.down.*'), 'layers.3.down.w', 'stages.2.down.w'),
        (Row('layers.{i+1}.down.*', 'stages.{i}.down.*'), 'layers.0.down.w', 'layers.0.down.w'),
        (Row('*.mlp.{0,2}.*', '*.mlp.{fc1,fc2}.*'), 'a.mlp.2.bias', 'a.mlp.fc2.bias'),
        (Row('*.attn.{attn,norm}.*', '*.{attn,norm}.*'), 'x.attn.attn.w', 'x.attn.w'),
        (Row('norm.*', 'norm{last}.*'), 'norm.weight', 'norm3.weight'),
        (Row('norm.*', 'norm{last}.*'), 'normal.weight', 'normal.weight'),
        (Row('head.{weight,bias}', 'head.fc.{weight,bias}'), 'head.fc.bias', 'head.fc.bias'),
        (Row('a.b', 'c'), 'axb', 'axb'),
    ],
)  # fmt: skip
def test_placeholders(row, key, expected):
    assert list(rename_keys(named(key), [row], last=3)) == [expected]


def test_rows_apply_in_order_to_what_the_rows_before_have_made():
    table = (Row('a.*', 'b.*'), Row('b.{x,y}', 'c.{y,x}'))
    assert list(rename_keys(named('a.x', 'a.z'), table)) == ['c.y', 'b.z']


def test_left_out_and_changed():
    table = (Row('*.index', None), Row('*.w', '*.w', change=lambda value: value[:1]))
    ((key, value),) = rename_keys(named('a.index', 'a.w'), table).items()
    assert key == 'a.w' and value.tolist() == [1]


def test_parts_are_joined_in_the_order_of_the_words():
    table = (Row('*.{q,k}_bias.{i}', '*.bias.{i}', join=lambda values: torch.cat(list(values))),)
    renamed = rename_keys(named('a.k_bias.0', 'a.q_bias.0', 'b.q_bias.1', 'b.k_bias.1'), table)
    assert renamed['a.bias.0'].tolist() == [1, 1, 0, 0]
    assert renamed['b.bias.1'].tolist() == [2, 2, 3, 3]
    assert len(renamed) == 2


@pytest.mark.parametrize(('present', 'absent'), [('q', 'k'), ('k', 'q')])
def test_a_missing_part_is_named(present, absent):
    table = (Row('{q,k}_bias', 'bias', join=lambda values: torch.cat(list(values))),)
    with pytest.raises(CheckpointError, match=f"incomplete.*'{present}_bias' but not '{absent}_"):
        rename_keys(named(f'{present}_bias'), table)


@pytest.mark.parametrize(
    'table',
    [
        (Row('*.attn.norm.*', '*.norm.*'),),
        (Row('0.attn.norm.w', '0.norm.w'), Row('x', 'y')),
    ],
)
@pytest.mark.parametrize('keys', [('0.attn.norm.w', '0.norm.w'), ('0.norm.w', '0.attn.norm.w')])
def test_two_keys_that_would_become_one_are_refused(table, keys):
    with pytest.raises(CheckpointError) as caught:
        rename_keys(named(*keys), table)
    assert "'0.attn.norm.w'" in str(caught.value) and "become '0.norm.w'" in str(caught.value)


def test_keys_may_swap():
    renamed = rename_keys(named('a', 'b'), (Row('{a,b}', '{b,a}'),))
    assert {key: value[0].item() for key, value in renamed.items()} == {'b': 0, 'a': 1}


def test_a_shape_that_a_row_cannot_take_names_the_key():
    table = (Row('*.w', '*.w', change=lambda value: value.unflatten(0, (-1, 3))),)
    with pytest.raises(CheckpointError, match=r"'a.w' has an unexpected shape: \(2,\)"):
        rename_keys(named('a.w'), table)


def test_the_input_stays_as_it_is():
    source = named('a', 'b')
    rename_keys(source, (Row('{a,b}', 'c', join=lambda values: torch.cat(list(values))),))
    assert list(source) == ['a', 'b'] and source['a'].tolist() == [0, 0]
