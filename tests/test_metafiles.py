"""model-index.yml and the metafiles: complete, and their numbers recomputed."""

import pytest
import torch
import yaml
from cli import ROOT
from hosts import require_host_of
from mmengine.registry import MODELS, init_default_scope

from mmvsa.apis import load_config

INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
MODELS_LISTED = [
    model for metafile in INDEX for model in yaml.safe_load((ROOT / metafile).read_text())['Models']
]


def test_every_metafile_is_imported() -> None:
    metafiles = {str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/metafile.yml')}
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


@pytest.mark.parametrize('model', MODELS_LISTED, ids=lambda model: model['Name'])
def test_parameters(model: dict) -> None:
    assert model['Config'].endswith(f'/{model["Name"]}.py')
    require_host_of(ROOT / model['Config'])
    cfg = load_config(ROOT / model['Config'])
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        built = MODELS.build(cfg.model)
    count = sum(parameter.numel() for parameter in built.parameters())
    assert count == model['Metadata']['Parameters']


@pytest.mark.parametrize('metafile', INDEX)
def test_collections_have_their_readme(metafile: str) -> None:
    content = yaml.safe_load((ROOT / metafile).read_text())
    names = {collection['Name'] for collection in content['Collections']}
    for collection in content['Collections']:
        assert (ROOT / collection['README']).is_file()
    assert {model['In Collection'] for model in content['Models']} <= names


def test_accuracies_say_whose_they_are() -> None:
    """No accuracy of the large data sets is listed as ours."""
    for model in MODELS_LISTED:
        for result in model.get('Results') or []:
            if result['Dataset'].startswith(('ImageNet', 'DOTA', 'AP-10K')):
                assert all('(authors)' in name for name in result['Metrics']), model['Name']


def test_mmpretrain_finds_the_models() -> None:
    """Importing mmvsa is enough, so that mmpretrain.get_model knows the names."""
    import mmpretrain

    names = {model['Name'] for model in MODELS_LISTED if 'in1k' in model['Name']}
    assert names <= set(mmpretrain.list_models('*in1k*'))
    model = mmpretrain.get_model('vitaev2-s-vsa_8xb128_in1k')
    assert model.backbone.arch_settings['depths'] == (2, 2, 8, 2)
    assert 'mask-rcnn_vitaev2-s_fpn_ms-1x_coco' not in mmpretrain.list_models('*vitaev2*')
