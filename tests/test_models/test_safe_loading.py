"""The door through which checkpoints are read: formats, refusals, MMEngine behind it."""

import functools
import http.server
import os
import sys
import threading
import types

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint

from mmvsa.models import CheckpointError, install_safe_loading, read_checkpoint


class Attack:
    """Unpickling it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


class MethodOfAnotherName:
    """Unpickling it looks up a method, as MMEngine's records do."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, 'max')


def save(path, content):
    torch.save(content, path)
    return path


@pytest.fixture
def safe_mmengine(monkeypatch):
    """MMEngine with the safe door; its own comes back after the test."""
    monkeypatch.setattr(CheckpointLoader, '_schemes', CheckpointLoader._schemes.copy())
    install_safe_loading()


def test_the_whole_content_comes_back(tmp_path):
    content = {
        'state_dict': {'a': torch.ones(2)},
        'optimizer': {'state': {0: {'step': torch.tensor(3.0)}}, 'param_groups': [{'lr': 0.1}]},
        'meta': {'epoch': 2, 'dataset_meta': {'classes': ('a', 'b')}, 'array': np.arange(3)},
        'slice': slice(1, 2),
    }
    read = read_checkpoint(save(tmp_path / 'file.pth', content))
    assert read['optimizer'] == content['optimizer'] and read['slice'] == slice(1, 2)
    assert read['meta']['dataset_meta'] == {'classes': ('a', 'b')}
    assert read['meta']['array'].tolist() == [0, 1, 2]


def test_safetensors_are_read(tmp_path):
    from safetensors.torch import save_file

    save_file({'a': torch.ones(2)}, tmp_path / 'file.safetensors')
    assert read_checkpoint(tmp_path / 'file.safetensors')['a'].tolist() == [1, 1]


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    save(tmp_path / 'file.pth', {'a': torch.ones(1)})
    assert 'a' in read_checkpoint('~/file.pth')


def test_code_is_refused_and_named(tmp_path):
    path = save(tmp_path / 'evil.pth', {'state_dict': Attack(tmp_path / 'made')})
    with pytest.raises(
        CheckpointError, match=r'evil.pth cannot be read .*needs \w+.mkdir.*refused'
    ):
        read_checkpoint(path)
    assert not (tmp_path / 'made').exists()


def test_a_trusted_file_may_run_code(tmp_path):
    content = {'x': Attack(tmp_path / 'made'), 'meta': {'cfg': 'a = 1'}}
    assert read_checkpoint(save(tmp_path / 'file.pth', content), trust=True)['meta']['cfg']
    assert (tmp_path / 'made').exists()


def test_config_texts_are_left_out(tmp_path):
    content = {
        'meta': {'cfg': 'a = 1', 'config': 'a = 1', 'epoch': 1},
        'message_hub': {'runtime_info': {'cfg': 'a = 1', 'iter': 3}, 'log_scalars': {}},
    }
    read = read_checkpoint(save(tmp_path / 'file.pth', content))
    assert read['meta'] == {'epoch': 1} and read['message_hub']['runtime_info'] == {'iter': 3}


def test_settings_of_yacs_come_back_as_plain_dicts(tmp_path, monkeypatch):
    """The official files of Swin's code base and of RSP hold one; yacs need not be there."""
    module = types.ModuleType('yacs.config')
    monkeypatch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
    monkeypatch.setitem(sys.modules, 'yacs.config', module)
    exec('class CfgNode(dict): pass', module.__dict__)
    settings = module.CfgNode(TRAIN=module.CfgNode(EPOCHS=100, BASE=['']))
    settings.__dict__['__immutable__'] = True
    path = save(tmp_path / 'ckpt.pth', {'model': {'a': torch.ones(2)}, 'config': settings})
    monkeypatch.delitem(sys.modules, 'yacs.config')
    read = read_checkpoint(path)
    assert read['config'] == {'TRAIN': {'EPOCHS': 100, 'BASE': ['']}}
    assert 'yacs.config' not in sys.modules


def test_records_come_back_without_the_methods_of_the_file(tmp_path):
    buffer = HistoryBuffer([0.5, 0.25], [1, 1])
    buffer._statistics_methods = {'mean': MethodOfAnotherName()}  # of this instance alone
    read = read_checkpoint(save(tmp_path / 'file.pth', {'log_scalars': {'loss': buffer}}))
    loss = read['log_scalars']['loss']
    assert type(loss) is HistoryBuffer and loss.data[0].tolist() == [0.5, 0.25]
    assert loss.statistics('mean') == 0.375
    assert HistoryBuffer._statistics_methods['mean'] is HistoryBuffer.mean
    loss.update(1.0)
    assert loss.current() == 1


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'it is empty'),
        (b'<!DOCTYPE html>', 'it is a web page'),
        (b'not a checkpoint', 'cannot be read as weights'),
        (None, 'no checkpoint at .*it is missing'),
        ('folder', 'no checkpoint at .*it is a folder'),
        ([1, 2], 'holds no checkpoint but a list'),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, message):
    path = tmp_path / 'bad.pth'
    if content == 'folder':
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        save(path, content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert 'bad.pth' in str(caught.value) and '\n' not in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path):
    path = save(tmp_path / 'half.pth', {'a': torch.ones(1000)})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match='half.pth cannot be read as weights'):
        read_checkpoint(path)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder and the URL under which it is served; downloads go to a folder of the test."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    folder = tmp_path / 'www'
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f'http://127.0.0.1:{served.server_port}'
        served.shutdown()
        thread.join()


def test_a_url_is_downloaded_once(server):
    folder, url = server
    save(folder / 'model.pth', {'a': torch.ones(1)})
    assert read_checkpoint(f'{url}/model.pth')['a'] == 1
    (folder / 'model.pth').unlink()
    assert read_checkpoint(f'{url}/model.pth')['a'] == 1


def test_urls_with_the_same_name_are_two_files(server):
    folder, url = server
    for number in (1, 2):
        (folder / str(number)).mkdir()
        save(folder / str(number) / 'model.pth', {'a': torch.tensor(number)})
    assert [read_checkpoint(f'{url}/{n}/model.pth')['a'].item() for n in (1, 2)] == [1, 2]


def test_a_broken_download_is_not_kept(server):
    folder, url = server
    (folder / 'model.pth').write_bytes(b'<html>')
    with pytest.raises(CheckpointError, match='model.pth cannot be read .*it is a web page'):
        read_checkpoint(f'{url}/model.pth')
    save(folder / 'model.pth', {'a': torch.ones(1)})
    assert read_checkpoint(f'{url}/model.pth')['a'] == 1


def test_a_failing_url_is_one_line(server):
    _, url = server
    with pytest.raises(CheckpointError, match='nowhere.pth cannot be downloaded .*404'):
        read_checkpoint(f'{url}/nowhere.pth')
    with pytest.raises(CheckpointError, match='cannot be downloaded'):
        read_checkpoint('http://127.0.0.1:1/model.pth')


def test_mmengine_refuses_code_behind_the_door(tmp_path, safe_mmengine):
    path = save(tmp_path / 'evil.pth', {'state_dict': {}, 'x': Attack(tmp_path / 'made')})
    with pytest.raises(CheckpointError, match='refused'):
        load_checkpoint(torch.nn.Linear(1, 1), str(path))
    assert not (tmp_path / 'made').exists()


def test_mmengine_refuses_code_from_urls_behind_the_door(server, tmp_path, safe_mmengine):
    folder, url = server
    save(folder / 'evil.pth', {'x': Attack(tmp_path / 'made')})
    with pytest.raises(CheckpointError, match='refused'):
        CheckpointLoader.load_checkpoint(f'{url}/evil.pth')
    assert not (tmp_path / 'made').exists()


def test_every_scheme_of_mmengine_has_a_safe_loader(safe_mmengine):
    for scheme, loader in CheckpointLoader._schemes.items():
        assert loader.__module__ == 'mmvsa.models.safe_loading', scheme
    with pytest.raises(CheckpointError, match='s3://bucket/a.pth is no file'):
        CheckpointLoader.load_checkpoint('s3://bucket/a.pth')
    with pytest.raises(CheckpointError, match='is no name of a model'):
        CheckpointLoader.load_checkpoint('open-mmlab://nobody')


def test_a_model_zoo_name_is_resolved(server, safe_mmengine, monkeypatch):
    folder, url = server
    save(folder / 'a.pth', {'state_dict': {'backbone.a': torch.ones(1), 'head.b': torch.ones(1)}})
    for name in ('get_mmcls_models', 'get_torchvision_models'):
        monkeypatch.setattr(f'mmengine.runner.checkpoint.{name}', lambda: {'a': f'{url}/a.pth'})
    assert 'head.b' in CheckpointLoader.load_checkpoint('torchvision://a')['state_dict']
    assert list(CheckpointLoader.load_checkpoint('mmcls://a')['state_dict']) == ['a']


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)

    def forward(self, x, mode='tensor'):
        return {'loss': self.linear(x).square().mean()} if mode == 'loss' else self.linear(x)


def runner_of(work_dir, name, epochs, **options):
    data = dict(
        dataset=[dict(x=torch.ones(1))] * 4,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        batch_size=2,
    )
    return Runner(
        Line(),
        str(work_dir),
        train_dataloader=data,
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1)),
        param_scheduler=dict(type='MultiStepLR', milestones=[1]),
        experiment_name=name,
        log_level='ERROR',
        default_scope='mmengine',
        **options,
    )


def test_mmengine_resumes_behind_the_door_and_runs_no_config(tmp_path, safe_mmengine):
    first = runner_of(tmp_path, 'first', 1)
    first.train()
    path = tmp_path / 'epoch_1.pth'
    content = torch.load(path, weights_only=False)
    content['meta']['config'] = f'import os\nos.mkdir({str(tmp_path / "made")!r})\n'
    save(path, content)
    second = runner_of(tmp_path, 'second', 2, resume=True, load_from=str(path))
    second.load_or_resume()
    assert not (tmp_path / 'made').exists()
    assert (second.epoch, second.iter) == (1, 2)
    losses = [runner.message_hub.get_scalar('train/loss').data[0] for runner in (first, second)]
    assert np.array_equal(*losses) and len(losses[0]) == 2
    state = second.optim_wrapper.optimizer.state_dict()['state']
    assert state[0]['step'] == 2
    second.train()
    assert second.epoch == 2
    MessageHub._instance_dict.clear()
