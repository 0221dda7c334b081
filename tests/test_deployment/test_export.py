"""Exported files give what the models give, at sizes that windows divide and at others."""

import pytest
import torch
from helpers.archs import CASES, build, with_regressors
from torch import nn

from mmvsa.deployment import export_model
from mmvsa.deployment.export import Tensors
from mmvsa.models import SampledWindowAttention
from mmvsa.ops import set_backend
from mmvsa.utils import UsageError

# Case -> options that leave every kind of cell and attention, but fewer of them: with open sizes,
# the time of an export grows faster than the number of cells.
FAMILIES = {
    'vitaev2': dict(
        out_indices=(0,),
        arch=dict(reduction_attention=('window',) * 4, attention=('vsa',) * 4),
    ),
    'swin-vsa': dict(out_indices=(0, 1), arch=dict(depths=(1, 1, 1))),
    'qformer': dict(out_indices=(0,)),
    'rvsa': dict(out_indices=(1,), arch=dict(attention=('rvsa', 'full'))),
    'vitae': dict(out_indices=(0, 1)),
    'vitae-patch': {},
}


def family(case):
    return with_regressors(build(case, **FAMILIES[case]))


@pytest.fixture
def attention():
    """Attention to sampled windows on an image, small enough to export in seconds."""

    class Image(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 1)
            self.attn = SampledWindowAttention(8, 2, 4, transform='Quadrangle')

        def forward(self, x):
            return {'maps': [self.attn(self.patches(x).permute(0, 2, 3, 1))], 'count': 1}

    return with_regressors(Image())


def test_tensors_of_nested_outputs(attention):
    (out,) = Tensors(attention)(torch.randn(1, 3, 8, 8))
    assert out.shape == (1, 8, 8, 8)


@pytest.mark.parametrize('size', [(8, 12), (7, 10)])
def test_torch_file(attention, tmp_path, size):
    report = export_model(attention, tmp_path / 'a.pt2', format='torch', size=size, batch=3)
    assert report.difference < 1e-6 and report.compared == [(3, 3, *size)]
    assert report.outputs == {'output': (3, *size, 8)}
    assert any('grid_sampler' in name for name in report.ops)
    assert report.version == f'torch {torch.__version__}'
    assert [path.name for path in tmp_path.iterdir()] == ['a.pt2']


@pytest.mark.slow
def test_open_height_and_width(attention, tmp_path):
    """One file for larger and smaller images; as at the export, windows divide none of them."""
    file = tmp_path / 'a.pt2'
    report = export_model(attention, file, format='torch', size=(10, 13), dynamic='hw')
    assert report.compared == [(2, 3, 10, 13), (1, 3, 13, 21)] and report.difference < 1e-6
    assert all(isinstance(length, str) for length in report.outputs['output'][:3])
    module = torch.export.load(file).module()
    for shape in [(1, 3, 9, 14), (3, 3, 9, 41)]:
        images = torch.randn(shape)
        with torch.no_grad():
            torch.testing.assert_close(module(images)[0], attention.eval()(images)['maps'][0])


def test_the_model_itself_stays_as_it_is(attention, tmp_path):
    set_backend(attention, 'mmcv').train()
    export_model(attention, tmp_path / 'a.pt2', format='torch', size=(8, 8))
    assert attention.training and attention.attn.backend == 'mmcv'


@pytest.mark.slow
@pytest.mark.parametrize('case', FAMILIES)
def test_onnx_of_every_family_at_any_size(case, tmp_path):
    pytest.importorskip('onnxscript')
    onnxruntime = pytest.importorskip('onnxruntime')
    file, backbone = tmp_path / 'a.onnx', family(case)
    report = export_model(backbone, file, size=(72, 88), dynamic='hw')
    assert report.version == 'opset 20' and report.difference < 1e-5
    session = onnxruntime.InferenceSession(file)
    # Whole windows of 4 and 7 pixels at every stride, then of none.
    for shape in [(1, 3, 448, 224), (3, 3, 75, 130)]:
        images = torch.randn(shape)
        with torch.no_grad():
            expected = backbone.eval()(images)
        outputs = session.run(None, {'images': images.numpy()})
        assert len(outputs) == len(expected)
        for out, wanted in zip(outputs, expected, strict=True):
            torch.testing.assert_close(torch.from_numpy(out), wanted, atol=1e-4, rtol=1e-4)
    sampled = case in ('vitaev2', 'swin-vsa', 'qformer', 'rvsa')
    assert ('GridSample' in report.ops) == sampled


@pytest.mark.slow
@pytest.mark.parametrize(('case', 'size'), [('vitaev2', (56, 56)), ('qformer', (50, 61))])
def test_openvino(case, size, tmp_path):
    pytest.importorskip('openvino')
    pytest.importorskip('onnxscript')
    report = export_model(
        family(case), tmp_path / 'a.xml', format='openvino', size=size, dynamic='batch'
    )
    assert report.difference < 1e-5 and report.compared == [(2, 3, *size), (3, 3, *size)]
    assert {path.name for path in tmp_path.iterdir()} == {'a.xml', 'a.bin'}


def test_every_case_has_a_family():
    """Kinds that share all their code with another are left out."""
    assert set(CASES) - set(FAMILIES) == {'pooling-vitae', 'rvsa-vitae'}


class Wrong(nn.Module):
    """Counts its calls, so that what was captured is not what it gives later."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


def test_a_wrong_file_is_not_kept(tmp_path):
    with pytest.raises(UsageError, match=r'a.pt2 is wrong by .* of the largest output'):
        export_model(Wrong(), tmp_path / 'a.pt2', format='torch', size=(4, 4))
    assert not list(tmp_path.iterdir())


class Fixing(nn.Module):
    def forward(self, x):
        return x * len(range(x.shape[2]))


def test_an_axis_that_cannot_stay_open_is_named(tmp_path):
    with pytest.raises(UsageError, match='fixed axis|does not run for images of'):
        export_model(Fixing(), tmp_path / 'a.pt2', format='torch', size=(4, 4), dynamic='hw')


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.rpn_head = nn.Identity()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(format='tensorrt'), "unknown format 'tensorrt'; choose one of"),
        (dict(dynamic='size'), "dynamic must be one of .*, got 'size'"),
        (dict(file='a.onnx'), 'a file of format torch ends with .pt2, got'),
        (dict(model=Detector()), 'a Detector chooses boxes while it runs.*--features'),
    ],
)
def test_bad_input_is_named(tmp_path, options, message):
    options = dict(model=nn.Identity(), file='a.pt2', format='torch') | options
    model, file = options.pop('model'), tmp_path / options.pop('file')
    with pytest.raises(UsageError, match=message):
        export_model(model, file, **options)
    assert not list(tmp_path.iterdir())
