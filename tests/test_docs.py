"""The documents: links lead somewhere, code runs, quoted messages and options exist."""

import ast
import importlib
import importlib.util
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.hosts import require_host
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.structures import InstanceData

from mmvsa import registry
from mmvsa.models import SampledWindowAttention, WindowAttention
from mmvsa.models.layers import Attention
from mmvsa.models.layers.attention import PRESETS
from mmvsa.registry import ATTENTIONS, HOOKS, MODELS, WINDOW_TRANSFORMS

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
DOCS = ROOT / 'docs'
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')),
    *sorted(DOCS.glob('*.md')),
    *sorted(ROOT.glob('configs/*/README.md')),
    *sorted(ROOT.glob('tools/**/*.md')),
]


def load_docs_module(name):
    """The module of ``docs/<name>.py``."""
    spec = importlib.util.spec_from_file_location(f'docs_{name}', DOCS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page_id(path):
    return str(path.relative_to(ROOT))


def code_blocks(path, language):
    """Fenced blocks of a language, in order; those of lists are indented."""
    pattern = rf'^( *)```{language}\n(.*?)^\1```$'
    found = re.findall(pattern, path.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


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


def test_pages_that_the_index_does_not_name_become_guides():
    conf = load_docs_module('conf')
    text = (DOCS / 'index.md').read_text(encoding='utf-8')
    found = {'docs/index', 'docs/new_guide', 'docs/training', 'configs/vitae/README'}
    app = SimpleNamespace(
        config=SimpleNamespace(root_doc='docs/index'), env=SimpleNamespace(found_docs=found)
    )
    source, other = [text], [text]
    conf.add_unlisted_guides(app, 'docs/index', source)
    conf.add_unlisted_guides(app, 'docs/training', other)
    assert source == [text.replace('% unlisted guides', 'new_guide')] != [text]
    assert other == [text]


def test_api_has_every_class_that_a_config_can_name():
    names = re.findall(r'automodule:: (\S+)', (DOCS / 'api.md').read_text(encoding='utf-8'))
    modules = [importlib.import_module(name) for name in names]
    shown = {value for module in modules for value in public_classes(module)}
    registries = [r for r in vars(registry).values() if isinstance(r, registry.Registry)]
    for each in registries:
        each.get('mmvsa.NoSuchClass')  # a name found nowhere imports every location
    registered = {kind for each in registries for kind in each.module_dict.values()}
    own = {kind for kind in registered if kind.__module__.startswith('mmvsa.')}
    assert {'ChangeMetric', 'ViTAEv2', 'PhotoPairs'} <= {kind.__name__ for kind in own}
    assert {kind.__name__ for kind in own - shown} == set()


def public_classes(module):
    """The classes and functions that autodoc shows: those of ``__all__``, or else its own."""
    values = vars(module)
    names = getattr(module, '__all__', [name for name in values if not name.startswith('_')])
    kinds = {getattr(module, name) for name in names if callable(getattr(module, name))}
    return {kind for kind in kinds if '__all__' in values or kind.__module__ == module.__name__}


def test_figures_are_drawn_from_the_code(tmp_path):
    from PIL import Image

    figures = load_docs_module('draw_figures')
    fixed = figures.transformed_windows('Quadrangle', [[0.0] * 9] * 4)
    np.testing.assert_array_equal(fixed.points, fixed.fixed)
    for path in figures.main(tmp_path):
        committed = figures.IMAGES / path.name
        with Image.open(path) as drawn, Image.open(committed) as kept:
            assert drawn.size == kept.size and drawn.size[0] > 1000
            assert len(set(drawn.convert('L').getdata())) > 10


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


def test_readme_models_in_python():
    names = {}
    exec(find_block(README, 'python', 'get_model'), names)
    assert names['logits'].shape == (1, 10)
    assert [m.shape[1:] for m in names['maps']] == [
        (96, 50, 84),
        (192, 25, 42),
        (384, 13, 21),
        (768, 7, 11),
    ]


def test_get_started_models_in_python(capsys):
    names = {}
    exec(find_block(DOCS / 'get_started.md', 'python', 'get_model'), names)
    assert 'vitaev2-s-vsa' in capsys.readouterr().out
    assert names['logits'].shape == (1, 10)
    assert [m.shape[1] for m in names['maps']] == [64, 128, 256, 512]
    assert next(tuple(m.shape[2:]) for m in names['maps']) == (50, 84)


@pytest.mark.parametrize('default_scope', ['mmdet'], indirect=True)
def test_get_started_mmdet_snippet_trains(default_scope, tmp_path):
    from mmdet.registry import MODELS as DETECTORS

    path = tmp_path / 'mask-rcnn_vitaev2-s-vsa.py'
    path.write_text(find_block(DOCS / 'get_started.md', 'python', "'mmdet::"))
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
def test_training_config_for_own_images(default_scope, tmp_path):
    from mmpretrain.registry import DATASETS
    from PIL import Image

    for name in 'abcde':
        (tmp_path / 'images' / name).mkdir(parents=True)
        for number in range(5):
            Image.new('RGB', (40, 30)).save(tmp_path / 'images' / name / f'{number}.png')
    text = find_block(DOCS / 'training.md', 'python', 'mmvsa.FolderSplit')
    text = text.replace('./configs', f'{ROOT}/configs')
    path = tmp_path / 'mine.py'
    path.write_text(text.replace("'FOLDER'", repr(str(tmp_path / 'images'))))
    config = Config.fromfile(path)
    sizes = [len(DATASETS.build(config[f'{x}_dataloader'].dataset)) for x in ('train', 'val')]
    assert sizes == [20, 5]
    sample = DATASETS.build(config.train_dataloader.dataset)[0]
    assert sample['inputs'].shape == (3, 224, 224)
    assert config.model.head.num_classes == config.data_preprocessor.num_classes == 5
    assert config.model.backbone.init_cfg == dict(type='Pretrained', checkpoint='FILE')


def test_training_example_of_few_images(tmp_path):
    text = find_block(DOCS / 'training.md', 'python', 'mmvsa.FewShot')
    path = tmp_path / 'few.py'
    path.write_text(text.replace('./configs', f'{ROOT}/configs'))
    few = Config.fromfile(path).train_dataloader.dataset
    assert (few.type, few.fraction, few.seed) == ('mmvsa.FewShot', 0.05, 0)
    assert few.dataset.type == 'ImageNet' and few.dataset.split == 'train'


def test_windows_example_of_the_hook(tmp_path):
    text = find_block(ROOT / 'docs' / 'windows.md', 'python', 'interval=1')
    path = tmp_path / 'windows.py'
    path.write_text(text.replace('./configs', f'{ROOT}/configs'))
    config = Config.fromfile(path)
    (hook,) = config.custom_hooks
    assert HOOKS.build(hook).interval == 1
    names = [backend.type for backend in config.visualizer.vis_backends]
    assert names == ['LocalVisBackend', 'TensorboardVisBackend']


def test_testing_example_of_real_labels(tmp_path):
    from mmpretrain.registry import METRICS

    labels = tmp_path / 'real.json'
    labels.write_text('[' + ','.join(['[0]'] * 50_000) + ']')
    text = find_block(DOCS / 'testing.md', 'python', 'ReaLAccuracy')
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


def test_fine_tuning_config_gives_deep_layers_the_higher_rate(tmp_path):
    from mmengine.optim import build_optim_wrapper

    text = find_block(DOCS / 'finetuning.md', 'python', 'layer_decay_rate')
    path = tmp_path / 'fine.py'
    path.write_text(text.replace('./configs', f'{ROOT}/configs'))
    config = Config.fromfile(path)
    assert [scheduler.type for scheduler in config.param_scheduler] == [
        'LinearLR',
        'CosineAnnealingLR',
    ]
    assert config.train_cfg.max_epochs == config.param_scheduler[-1].end == 30
    config.model.backbone.init_cfg = None
    init_default_scope('mmpretrain')
    model = MODELS.build(config.model)
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    rates = {id(group['params'][0]): group['lr'] for group in optimizer.param_groups}
    named = dict(model.named_parameters())
    first = named['backbone.stages.0.reduction.norm1.weight']
    assert rates[id(first)] < 0.5e-4 < rates[id(named['head.fc.weight'])] <= 1e-4


# The flags of main.py of ViTAE-VSA.
FLAGS = """
--config --dataDividePath --model --pretrained --initial-checkpoint --resume --eval_checkpoint
--no-resume-opt --num-classes --gp --img-size --crop-pct --mean --std --interpolation --batch-size
--validation-batch-size-multiplier --opt --opt-eps --opt-betas --momentum --weight-decay --clip-grad
--sched --lr --lr-noise --lr-noise-pct --lr-noise-std --lr-cycle-mul --lr-cycle-limit --warmup-lr
--min-lr --epochs --start-epoch --decay-epochs --warmup-epochs --cooldown-epochs --patience-epochs
--decay-rate --no-aug --scale --ratio --hflip --vflip --color-jitter --aa --aug-splits --jsd
--reprob --remode --recount --resplit --mixup --cutmix --cutmix-minmax --mixup-prob
--mixup-switch-prob
--mixup-mode --mixup-off-epoch --smoothing --train-interpolation --drop --drop-connect --drop-path
--drop-block --bn-tf --bn-momentum --bn-eps --sync-bn --dist-bn --split-bn --model-ema
--model-ema-force-cpu --model-ema-decay --seed --log-interval --recovery-interval --workers
--num-gpu --save-images --amp --apex-amp --native-amp --channels-last --pin-mem --no-prefetcher
--output
--eval-metric --tta --local_rank --use-multi-epochs-loader --RA --ZIP
""".split()


def test_migration_names_every_flag_and_keys_that_a_config_has():
    table = (DOCS / 'migration.md').read_text().split('| flag | mmvsa |')[1].split('\n\n')[0]
    rows = re.findall(r'^\| (`.*?) \| (.*) \|$', table, re.M)
    named = [flag for flags, _ in rows for flag in re.findall(r'`(-[\w-]+)`', flags)]
    assert len(named) == len(set(named))
    assert set(FLAGS) - set(named) == set()
    family = ROOT / 'configs/vitaev2'
    configs = [Config.fromfile(family / f'vitaev2-{s}_8xb128_in1k.py') for s in 'sb']
    keys = {key for _, cell in rows for key in re.findall(r'(?<![\w(.])([a-z_]+(?:\.\w+)*)=', cell)}
    keys -= {'load_from', 'sync_bn', 'data_root'}
    assert len(keys) > 30
    assert {key for key in keys if not any(has_key(config, key) for config in configs)} == set()


def has_key(config, key):
    for part in key.split('.'):
        try:
            config = config[int(part)] if part.isdigit() else config[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def test_migration_from_timm_loads_swin():
    names = {}
    exec(find_block(DOCS / 'migration.md', 'python', 'import timm'), names)
    weight = names['swin'].state_dict()['layers.2.blocks.3.attn.qkv.weight']
    assert torch.equal(names['model'].backbone.stages[2].blocks[3].attn.qkv.weight, weight)


def test_migration_from_mmpretrain_builds(tmp_path):
    path = tmp_path / 'swin.py'
    path.write_text(find_block(DOCS / 'migration.md', 'python', 'mmpretrain::swin'))
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):
        model = MODELS.build(config.model)
    assert type(model.backbone).__name__ == 'SwinVSA'
    assert model.backbone.out_channels[-1] == config.model.head.in_channels


def test_errors_quotes_messages_of_the_code():
    """In every section but the first and the last, whose messages are other packages'."""
    sources = [*ROOT.glob('mmvsa/**/*.py'), *ROOT.glob('tools/*.py')]
    texts = [text for path in sources for text in messages(path)]
    page = (DOCS / 'errors.md').read_text(encoding='utf-8')
    sections = page.split('\n## ')[2:5]
    assert [section.split('\n')[0] for section in sections] == [
        'Configs and options',
        'Data',
        'Checkpoints',
    ]
    quoted = [m for s in sections for m in re.findall(r'^\| `(.*?)` \|', s, re.M)]
    assert len(quoted) > 15
    for message in quoted:
        parts = [re.escape(part) for part in message.split('...') if part]
        pattern = '.*'.join(parts)
        assert any(re.search(pattern, text) for text in texts), message


def messages(path):
    """The strings of a module, with a mark for each value of an f-string."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.JoinedStr):
            values = (v.value if isinstance(v, ast.Constant) else '<>' for v in node.values)
            yield ''.join(map(str, values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_quickstarts_page_is_short():
    text = (ROOT / 'configs/quickstart/README.md').read_text(encoding='utf-8')
    assert 100 < len(text.split()) <= 300
    for config in ROOT.glob('configs/quickstart/*.py'):
        assert f'configs/quickstart/{config.name}' in text
