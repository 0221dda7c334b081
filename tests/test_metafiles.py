"""model-index.yml and the metafiles are complete; test_configs.py recomputes their numbers."""

import pytest
import yaml
from helpers.cli import ROOT, load_tool
from helpers.metafiles import INDEX, MODELS_LISTED

from mmvsa import list_models
from mmvsa.apis.model import collect_models
from mmvsa.hub import register_models

zoo = load_tool('documentation/model_zoo')


def test_every_metafile_is_imported() -> None:
    metafiles = {str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/metafile*.yml')}
    assert metafiles == set(INDEX)
    folders = {path.parent for path in ROOT.glob('configs/*/*.py')} - {ROOT / 'configs/_base_'}
    for folder in folders:
        assert (folder / 'metafile.yml').is_file(), folder
        assert (folder / 'README.md').is_file(), folder


def test_every_config_is_listed_once() -> None:
    configs = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob('configs/*/*.py')
        if path.parent.name != '_base_'
    }
    listed = [model['Config'] for model in MODELS_LISTED]
    assert sorted(listed) == sorted(configs)
    names = [model['Name'] for model in MODELS_LISTED]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize('metafile', INDEX)
def test_collections_have_their_readme(metafile: str) -> None:
    content = yaml.safe_load((ROOT / metafile).read_text())
    names = {collection['Name'] for collection in content['Collections']}
    for collection in content['Collections']:
        assert (ROOT / collection['README']).is_file()
    assert {model['In Collection'] for model in content['Models']} <= names


# Datasets that the project makes itself: the only ones on which it has trained.
OWN_DATASETS = ('DigitScenes', 'MatteScenes', 'PhotoPairs', 'scikit-learn digits')


def test_accuracies_say_whose_they_are() -> None:
    """Every figure is measured on a dataset of the project, or marked as official."""
    counts = {True: 0, False: 0}
    for model in MODELS_LISTED:
        for result in model.get('Results') or []:
            own = result['Dataset'].startswith(OWN_DATASETS)
            for name in result.get('Metrics') or {}:
                assert ('official' in name) != own, (model['Name'], name)
                counts[own] += 1
    assert counts[True] and counts[False]


def test_every_model_is_in_one_table_of_the_zoo() -> None:
    entries = zoo.read_entries(ROOT)
    shown = [entry for _, _, rows in zoo.sections(entries) for entry in rows]
    assert sorted(entry.name for entry in shown) == sorted(m['Name'] for m in MODELS_LISTED)
    classifiers = [entry for entry in entries if 'FLOPs' in entry.metadata]
    assert {entry.model for entry in classifiers} == set(collect_models())
    for entry in entries:
        if not entry.measured_here and 'quickstart' not in entry.config:
            assert entry.metadata['Source'].startswith('https://github.com/ViTAE-Transformer/')
            assert isinstance(entry.metadata['Public Weights'], bool)


def test_families_of_the_readme_by_hand() -> None:
    table = zoo.format_families(zoo.read_entries(ROOT))
    (row,) = [line for line in table.splitlines() if 'configs/vitaev2/README.md' in line]
    assert row == (
        '| [ViTAEv2](configs/vitaev2/README.md) | `vitaev2-s`, `vitaev2-s-window`, `vitaev2-48m`, '
        '`vitaev2-b` | 19.4 - 89.7 | 82.2 - 84.6 | [2202.10108](https://arxiv.org/abs/2202.10108) |'
    )
    assert {name for name in collect_models() if f'`{name}`' in table} == set(collect_models())


def test_weights_link_to_the_official_page() -> None:
    by_name = {entry.name: entry for entry in zoo.read_entries(ROOT)}
    official = 'https://github.com/ViTAE-Transformer/ViTAE-Transformer/tree/main'
    pose = by_name['td-hm_vitaev2-s_8xb64-210e_ap10k-256x256']
    assert pose.weights == f'[download]({official}/Animal-Pose-Estimation)'
    assert by_name['vitaev2-b-vsa_8xb128_in1k'].weights == 'not public'
    sources = {
        (e.metadata.get('Source', '').rsplit('/', 1)[-1], e.folder) for e in by_name.values()
    }
    assert set(zoo.DOWNLOADS) <= sources


def test_accuracy_of_the_zoo_by_hand() -> None:
    by_name = {entry.name: entry for entry in zoo.read_entries(ROOT)}
    assert zoo.accuracy(by_name['vitaev2-s-vsa_8xb128_in1k'], 'ImageNet-1k') == '82.7 / 96.3'
    assert zoo.accuracy(by_name['vitae-base_8xb128_in1k'], 'ImageNet-1k') == '83.8'
    assert zoo.accuracy(by_name['swin-b-vsa_8xb128_in1k'], 'ImageNet-1k') == '-'


def test_mmpretrain_lists_the_classifiers_of_the_zoo() -> None:
    import mmpretrain

    register_models()
    names = {entry.name for entry in zoo.read_entries(ROOT) if zoo.is_classifier(entry)}
    assert set(mmpretrain.list_models('*vsa*')) == {name for name in names if 'vsa' in name}
    families = {entry.model for entry in zoo.read_entries(ROOT) if entry.name in names}
    assert set(list_models('*vsa*')) == {n for n in families if 'vsa' in n} - {'vitaev2-vsa-nano'}


def test_mmpretrain_finds_the_models() -> None:
    import mmpretrain

    register_models()
    names = {model['Name'] for model in MODELS_LISTED if 'in1k' in model['Name']}
    assert names <= set(mmpretrain.list_models('*in1k*'))
    model = mmpretrain.get_model('vitaev2-s-vsa_8xb128_in1k')
    assert [len(stage.blocks) for stage in model.backbone.stages] == [2, 2, 8, 2]
    assert 'mask-rcnn_vitaev2-s_fpn_ms-1x_coco' not in mmpretrain.list_models('*vitaev2*')
