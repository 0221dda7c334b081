"""mmpretrain's hub is filled from the metafiles."""

from pathlib import Path

import pytest
import yaml

from mmvsa import hub


def test_the_metafiles_of_classifiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def metafile(name: str, task: str) -> None:
        model = dict(Name=name, Results=[dict(Task=task)])
        (tmp_path / f'{name}.yml').write_text(yaml.safe_dump(dict(Models=[model])))

    metafile('one', 'Image Classification')
    metafile('two', 'Object Detection')
    index = dict(Import=['one.yml', 'two.yml', 'missing.yml'])
    (tmp_path / 'model-index.yml').write_text(yaml.safe_dump(index))
    assert hub.classification_metafiles(tmp_path) == {tmp_path / 'one.yml': ['one']}
    monkeypatch.setattr(hub, '_PACKAGE', tmp_path / 'mmvsa')
    assert hub.metafile_root() == tmp_path
    monkeypatch.setattr(hub, '_PACKAGE', tmp_path / 'elsewhere' / 'mmvsa')
    assert hub.metafile_root() is None


def test_registering_twice_adds_nothing() -> None:
    from mmpretrain.apis import ModelHub

    hub.register_models()
    before = dict(ModelHub._models_dict)
    assert 'vitaev2-s-vsa_8xb128_in1k' in before
    hub.register_models()
    assert ModelHub._models_dict == before
