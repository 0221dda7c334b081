# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
import json
import subprocess
import sys

import pytest

from mmvsa import doctor


def test_every_check_passes_in_this_environment():
    checks = {check.name: check for check in doctor.run_checks()}
    for name in ('python', 'torch', 'mmengine', 'mmcv', 'mmcv ops', 'op nms', 'registries'):
        assert checks[name].status == doctor.OK, checks[name]
    assert any(name.startswith('backend ') for name in checks)


def test_json_report(monkeypatch, capsys):
    def noisy():
        print('noise of an import')
        return [doctor.Check('python', doctor.OK, '3.11')]

    monkeypatch.setattr(doctor, 'run_checks', noisy)
    assert doctor.main(['--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['ok']
    assert report['checks'] == [dict(name='python', status='ok', detail='3.11', cure='')]


def test_command_line():
    run = subprocess.run([sys.executable, '-m', 'mmvsa.doctor'], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert 'everything works' in run.stdout


def test_a_failure_gives_status_1_and_a_cure(monkeypatch, capsys):
    def fail():
        raise RuntimeError('no such op')

    monkeypatch.setitem(doctor.OPS, 'op nms', fail)
    monkeypatch.setattr(doctor, 'run_checks', lambda: [doctor.check_op('op nms')])
    assert doctor.main([]) == 1
    out = capsys.readouterr().out
    assert 'no such op' in out and 'tools/install.sh' in out


def test_missing_extension_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmcv._ext', None)
    check = doctor.check_extension()
    assert check.status == doctor.BROKEN
    assert check.cure == doctor.REBUILD


def test_backends_that_do_not_import_are_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmvsa.ops.backends', None)
    (check,) = doctor.check_backends()
    assert check.status == doctor.BROKEN and check.cure


@pytest.mark.parametrize(
    ('module', 'status'), [('mmdet', doctor.WARNING), ('mmengine', doctor.BROKEN)]
)
def test_missing_package(monkeypatch, module, status):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(doctor, 'distribution_of', lambda names: '')
    check = doctor.check_package(module)
    assert (check.status, check.detail.split(',')[0]) == (status, 'not installed')
    assert check.cure


def test_missing_registration_is_reported(monkeypatch):
    from mmengine.registry import MODELS

    monkeypatch.setattr(MODELS.children['mmvsa'], '_module_dict', {})
    monkeypatch.setattr(MODELS, 'get', lambda name: None)
    assert doctor.check_registries().status == doctor.BROKEN
