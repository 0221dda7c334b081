"""Reading configs."""

from pathlib import Path

import pytest
from helpers.cli import ROOT
from mmengine.config.utils import MODULE2PACKAGE

from mmvsa.utils import UsageError, load_config
from mmvsa.utils.config import OPTIONAL_HOSTS

IMAGENET = ROOT / 'configs/vitaev2_vsa/vitaev2-s-vsa_8xb128_in1k.py'


def test_an_explicit_option_wins(tmp_path: Path) -> None:
    options = {'data_root': str(tmp_path), 'val_dataloader.dataset.data_root': 'elsewhere'}
    cfg = load_config(IMAGENET, options)
    assert cfg.train_dataloader.dataset.data_root == str(tmp_path)
    assert cfg.val_dataloader.dataset.data_root == 'elsewhere'


def test_bases_of_other_packages(tmp_path: Path) -> None:
    child = tmp_path / 'child.py'
    child.write_text("_base_ = ['mmseg::_base_/default_runtime.py']")
    assert load_config(child).default_scope == 'mmseg'


@pytest.mark.parametrize('package', ['mmrotate', 'mmpose', 'mmsomething'])
def test_bases_of_a_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """An optional one is named with the way to install it."""
    monkeypatch.setitem(MODULE2PACKAGE, package, package)
    monkeypatch.setattr('mmengine.config.config.is_installed', lambda _: False)
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = ['{package}::_base_/default_runtime.py']")
    option = OPTIONAL_HOSTS.get(package)
    message = f'install.sh {option}$' if option else f'{package} is not installed'
    with pytest.raises(UsageError, match=message):
        load_config(child)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a = (', 'cannot be read: SyntaxError'),
        ('a = b', 'cannot be read: NameError'),
        ('import nosuch', 'cannot be read: .*nosuch'),
        ("_base_ = ['nowhere.py']", 'cannot be read: FileNotFoundError'),
        ('train_confg = dict(max_epochs=3)', 'nothing reads train_confg; did you mean train_cfg'),
        ('train_cfg = dict(max_epoch=3)', 'train_cfg takes no max_epoch; did you mean max_epochs'),
        ('train_dataloader = dict(batch_siz=3)', 'takes no batch_siz; did you mean batch_size'),
        ('env_cfg = dict(cudnn_benchmrk=True)', 'takes no cudnn_benchmrk; did you mean cudnn'),
    ],
)
def test_damaged_configs(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / 'own.py'
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_config(path)
    assert '\n' not in str(caught.value)


def test_config_folder_and_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='is a folder'):
        load_config(tmp_path)
    # Names are compared without the ending, which all have.
    with pytest.raises(UsageError, match='does not exist$'):
        load_config(tmp_path / 'zzz.py')
    near = 'did you mean .*configs/quickstart/vitaev2-vsa-nano_digits.py'
    with pytest.raises(UsageError, match=near):
        load_config(tmp_path / 'vitaev2-vsa-nano_digit.py')
