"""The notebooks run from the first cell to the last."""

import json
from pathlib import Path

import matplotlib
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / 'docs' / 'notebooks'


def run_notebook(path: Path) -> dict:
    """Run the code cells one after the other; what they defined."""
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    names: dict = {'__name__': 'notebook'}
    for number, cell in enumerate(cells):
        if cell['cell_type'] == 'code':
            exec(compile(''.join(cell['source']), f'{path.name}, cell {number}', 'exec'), names)
    return names


@pytest.mark.slow
def test_digits(tmp_path, monkeypatch):
    pytest.importorskip('onnxscript')
    onnxruntime = pytest.importorskip('onnxruntime')
    assert onnxruntime
    matplotlib.use('Agg')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('EPOCHS', '2')
    names = run_notebook(NOTEBOOKS / 'digits.ipynb')
    assert names['accuracy']() > 0.5
    assert names['exported_accuracy'] == pytest.approx(names['accuracy'](), abs=0.003)
    assert names['report'].difference < 1e-5
    assert {path.name for path in tmp_path.iterdir()} == {
        'windows.png',
        'digits.pth',
        'digits.onnx',
    }


@pytest.mark.parametrize('path', NOTEBOOKS.glob('*.ipynb'), ids=lambda path: path.stem)
def test_no_outputs_are_committed(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    assert not any(cell.get('outputs') or cell.get('execution_count') for cell in cells)
