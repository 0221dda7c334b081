"""The documents: links lead somewhere, code runs, counted figures are right."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.cli import load_tool
from helpers.hosts import require_host
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData

from mmvsa.apis.model import collect_models, model_config
from mmvsa.models import SampledWindowAttention, WindowAttention
from mmvsa.models.layers import Attention
from mmvsa.models.layers.attention import PRESETS
from mmvsa.registry import ATTENTIONS, MODELS, WINDOW_TRANSFORMS

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    *sorted(ROOT.glob('docs/**/*.md')),
    *sorted(ROOT.glob('tools/**/*.md')),
]


def page_id(path):
    return str(path.relative_to(ROOT))


def code_blocks(path, language):
    """Fenced blocks of a language, in order."""
    pattern = rf'^```{language}\n(.*?)^```$'
    return re.findall(pattern, path.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE)


def find_block(path, language, part):
    """The one block that has ``part``."""
    (block,) = [block for block in code_blocks(path, language) if part in block]
    return block


def anchors(path):
    """GitHub's anchors of the headings of a page."""
    headings = re.findall(r'^#+ +(.+)$', path.read_text(encoding='utf-8'), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.fixture
def default_scope(request):
    """Build as a config of the host package does: with its default scope."""
    with DefaultScope.overwrite_default_scope(request.param):
        yield request.param


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_relative_links_lead_somewhere(page):
    text = re.sub(r'^```.*?^```$', '', page.read_text(encoding='utf-8'), flags=re.DOTALL | re.M)
    for target in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'[a-z]+:', target):
            continue
        name, _, anchor = target.partition('#')
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f'{page_id(page)} links to {target}'
        if anchor:
            assert anchor in anchors(path), f'{page_id(page)} links to {target}'


def test_every_page_of_docs_is_in_the_index():
    index = (ROOT / 'docs' / 'README.md').read_text(encoding='utf-8')
    pages = {path.name for path in ROOT.glob('docs/*.md')} - {'README.md'}
    assert len(pages) > 5
    assert {name for name in pages if f']({name})' not in index} == set()


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_named_files_exist(page):
    """Paths in code font and in shell commands."""
    text = page.read_text(encoding='utf-8')
    names = r'(?<![\w./])((?:mmvsa|tools|configs|tests|docs)/[\w./-]+)'
    missing = [name for name in re.findall(names, text) if not (ROOT / name.rstrip('.')).exists()]
    assert not missing


@pytest.mark.parametrize('page', PAGES, ids=page_id)
def test_python_blocks_compile(page):
    for number, block in enumerate(code_blocks(page, 'python'), 1):
        compile(block, f'{page_id(page)}, block {number}', 'exec')


def test_readme_models_in_python(capsys):
    names = {}
    exec(find_block(README, 'python', 'get_model'), names)
    assert 'vitaev2-s-vsa' in capsys.readouterr().out
    assert names['logits'].shape == (1, 10)
    assert [m.shape[1] for m in names['maps']] == [64, 128, 256, 512]
    assert [tuple(m.shape[2:]) for m in names['maps']][0] == (50, 84)


def test_readme_table_counts_parameters_right():
    rows = re.findall(r'^\| `(\S+)` \| [^|]+ \| ([\d.]+) \| ([\d.]+) \|', README.read_text(), re.M)
    assert {name for name, _, _ in rows} == set(collect_models()), 'every classifier is listed'
    for name, whole, backbone in rows:
        config = model_config(name)
        with torch.device('meta'):
            counted = count(MODELS.build(config['backbone']))
        head = config['head']['in_channels'] * 1000 + 1000
        assert (whole, backbone) == (f'{(counted + head) / 1e6:.2f}', f'{counted / 1e6:.2f}'), name


def test_readme_table_states_the_accuracies_of_the_metafiles():
    rows = re.findall(r'^\| `(\S+)` \|(?: [^|]+ \|){3} ([^|]+) \|$', README.read_text(), re.M)
    zoo = load_tool('analysis_tools/model_zoo')
    _, _, imagenet = zoo.sections(zoo.read_entries(ROOT))[0]
    entries = {entry.model: entry for entry in imagenet}
    assert {name for name, _ in rows} == set(collect_models())
    for name, stated in rows:
        figures = []
        if name in entries:
            plain, pretrained = (
                zoo.accuracy(entries[name], d) for d in (zoo.IMAGENET, zoo.PRETRAINED)
            )
            figures = [plain, f'{pretrained} (22K)'] if pretrained != '-' else [plain]
        assert stated == ('; '.join(f for f in figures if f != '-') or '-'), name


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize('default_scope', ['mmdet'], indirect=True)
def test_readme_mmdet_snippet_trains(default_scope, tmp_path):
    from mmdet.registry import MODELS as DETECTORS

    path = tmp_path / 'mask-rcnn_vitaev2-s-vsa.py'
    path.write_text(find_block(README, 'python', "'mmdet::"))
    config = Config.fromfile(path)
    assert config.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-4, weight_decay=0.05)
    config.model.train_cfg.rpn_proposal.update(nms_pre=50, max_per_img=20)
    config.model.train_cfg.rcnn.sampler.num = 16
    model = DETECTORS.build(config.model)
    losses = model.loss(torch.randn(1, 3, 64, 96), [detection_sample(64, 96)])
    loss = sum(v if torch.is_tensor(v) else sum(v) for k, v in losses.items() if 'loss' in k)
    assert {'loss_rpn_cls', 'loss_cls', 'loss_bbox', 'loss_mask'} <= losses.keys()
    loss.backward()
    gradients = [p.grad for p in model.backbone.parameters()]
    assert loss.isfinite() and all(g is not None and g.isfinite().all() for g in gradients)


def test_downstream_snippet_of_mmrotate_builds(tmp_path):
    require_host('mmrotate')
    path = tmp_path / 'rotated-retinanet_rvsa.py'
    path.write_text(find_block(ROOT / 'docs/downstream.md', 'python', "'mmrotate::"))
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope(config.default_scope), torch.device('meta'):
        model = MODELS.build(config.model)
    assert type(model.backbone).__name__ == 'RVSA'
    assert list(model.backbone.out_channels) == config.model.neck.in_channels


def detection_sample(height, width):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    size = (height, width)
    info = dict(img_shape=size, pad_shape=size, ori_shape=size, scale_factor=(1, 1))
    sample = DetDataSample(metainfo=info)
    masks = np.zeros((1, *size), dtype=np.uint8)
    masks[0, 10:50, 20:70] = 1
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[20.0, 10.0, 70.0, 50.0]]),
        labels=torch.tensor([3]),
        masks=BitmapMasks(masks, *size),
    )
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
    return sample


@pytest.mark.parametrize('default_scope', ['mmpretrain'], indirect=True)
def test_readme_config_for_own_images(default_scope, tmp_path):
    from mmpretrain.registry import DATASETS
    from PIL import Image

    for name in 'abcde':
        (tmp_path / 'images' / name).mkdir(parents=True)
        for number in range(5):
            Image.new('RGB', (40, 30)).save(tmp_path / 'images' / name / f'{number}.png')
    text = find_block(README, 'python', 'mmvsa.FolderSplit').replace('./configs', f'{ROOT}/configs')
    path = tmp_path / 'mine.py'
    path.write_text(text.replace("'FOLDER'", repr(str(tmp_path / 'images'))))
    config = Config.fromfile(path)
    sizes = [len(DATASETS.build(config[f'{x}_dataloader'].dataset)) for x in ('train', 'val')]
    assert sizes == [20, 5]
    sample = DATASETS.build(config.train_dataloader.dataset)[0]
    assert sample['inputs'].shape == (3, 224, 224)
    assert config.model.head.num_classes == config.data_preprocessor.num_classes == 5
    assert config.model.backbone.init_cfg == dict(type='Pretrained', checkpoint='FILE')


def test_training_example_of_real_labels(tmp_path):
    from mmpretrain.registry import METRICS

    labels = tmp_path / 'real.json'
    labels.write_text('[' + ','.join(['[0]'] * 50_000) + ']')
    text = find_block(ROOT / 'docs' / 'training.md', 'python', 'ReaLAccuracy')
    path = tmp_path / 'real.py'
    path.write_text(
        text.replace('./configs', f'{ROOT}/configs').replace('data/imagenet/real.json', str(labels))
    )
    init_default_scope('mmpretrain')
    metrics = [METRICS.build(metric) for metric in Config.fromfile(path).test_evaluator]
    assert [metric.prefix for metric in metrics] == ['accuracy', 'real']
    assert all(metric.topk == (1, 5) for metric in metrics)


def test_architecture_example_of_a_transform():
    page = ROOT / 'docs' / 'architecture.md'
    before = dict(WINDOW_TRANSFORMS.module_dict)
    try:
        exec(find_block(page, 'python', 'class UniformWindow'), {'__name__': 'example'})
        torch.manual_seed(0)
        own = SampledWindowAttention(8, 2, window_size=4, transform='UniformWindow').double()
        fixed = WindowAttention(8, 2, window_size=4).double()
        fixed.load_state_dict(own.state_dict(), strict=False)
        x = torch.randn(1, 6, 9, 8, dtype=torch.float64)
        torch.testing.assert_close(own(x), fixed(x))
        torch.nn.init.normal_(own.transform.regressor.weight)
        assert not torch.allclose(own(x), fixed(x))
    finally:
        WINDOW_TRANSFORMS.module_dict.clear()
        WINDOW_TRANSFORMS.module_dict.update(before)


def test_architecture_lists_every_transform_and_backend():
    from mmvsa.ops import BACKENDS

    text = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
    for name in [*WINDOW_TRANSFORMS.module_dict, *(backend.name for backend in BACKENDS)]:
        assert f'| `{name}` |' in text, name


def test_architecture_examples_of_the_vocabulary():
    text = find_block(ROOT / 'docs' / 'architecture.md', 'python', 'A preset for all stages')
    examples = re.split(r'^(?=backbone = )', text, flags=re.M)[1:]
    kinds = []
    for example in examples:
        names = {}
        exec(example, names)
        with torch.device('meta'):
            backbone = MODELS.build(names['backbone'])
        layers = [m for m in backbone.modules() if isinstance(m, Attention)]
        kinds.append({type(getattr(m, 'transform', m)).__name__ for m in layers})
    rotated, varied = 'RotatedVariedSizeWindow', 'VariedSizeWindow'
    assert kinds == [
        {rotated},
        {'WindowAttention', 'Quadrangle', rotated, 'FullAttention'},
        {varied},
        {rotated, 'FullAttention'},
    ]


def test_architecture_lists_every_attention_and_preset():
    text = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
    assert all(f'| `{name}` |' in text for name in ATTENTIONS.module_dict)
    assert all(f"`'{name}'`" in text for name in PRESETS)
