"""Errors of datasets."""

from mmvsa.datasets import DatasetError
from mmvsa.datasets.errors import DatasetError as Defined


def test_is_a_value_error_that_the_tools_print(capsys):
    import pytest

    from mmvsa.utils import usage_errors

    assert Defined is DatasetError and issubclass(DatasetError, ValueError)
    with pytest.raises(SystemExit) as stopped, usage_errors():
        raise DatasetError('map.png is empty')
    assert stopped.value.code == 2
    assert capsys.readouterr().err == 'error: map.png is empty\n'
