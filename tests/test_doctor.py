# Copyright (c) mmvsa contributors. Licensed under the Apache License 2.0.
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmvsa import doctor

ROOT = Path(__file__).resolve().parents[1]


def test_every_check_passes_in_this_environment():
    checks = {check.name: check for check in doctor.run_checks()}
    for name in ('python', 'torch', 'mmengine', 'mmcv', 'devices', 'mmcv ops', 'backbone'):
        assert checks[name].status == doctor.OK, checks[name]
    assert 'torch' in checks['backends'].detail.split(', ')


def test_command_line():
    command = [sys.executable, '-m', 'mmvsa.doctor']
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert 'everything works' in run.stdout


def test_file_runs_without_any_package():
    """The report of an empty environment, where mmvsa does not even import."""
    command = [sys.executable, '-S', str(ROOT / 'mmvsa' / 'doctor.py'), '--json']
    run = subprocess.run(command, capture_output=True, text=True, env={})
    assert run.returncode == 1, run.stderr
    checks = {check['name']: check for check in json.loads(run.stdout)['checks']}
    assert checks['python']['status'] == doctor.OK
    assert checks['mmdet']['status'] == doctor.WARNING
    for name in ('torch', 'mmengine', 'mmcv', 'devices', 'mmcv ops', 'backbone'):
        assert checks[name]['status'] == doctor.BROKEN and 'install.sh' in checks[name]['fix']


def test_json_report_holds_no_noise(monkeypatch, capsys):
    def noisy():
        print('noise of an import')
        return [doctor.Check('python', doctor.OK, '3.11')]

    monkeypatch.setattr(doctor, 'run_checks', noisy)
    assert doctor.main(['--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['ok']
    assert report['checks'] == [dict(name='python', status='ok', detail='3.11', fix='')]


def test_a_failure_gives_status_1_and_a_fix(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mmcv.ops', None)
    monkeypatch.setattr(doctor, 'run_checks', lambda: list(doctor.check_ops()))
    assert doctor.main([]) == 1
    out = capsys.readouterr().out
    assert 'mmcv.ops' in out and doctor.REBUILD in out


def test_wrong_op_is_reported(monkeypatch):
    ops = pytest.importorskip('mmcv.ops')
    monkeypatch.setattr(ops, 'nms', lambda boxes, scores, iou_threshold: (boxes, scores.long()))
    (check, *_) = doctor.check_ops()
    assert check.status == doctor.BROKEN and '[0, 0, 0]' in check.detail


def test_backends_that_cannot_run_say_why(monkeypatch):
    from mmvsa.ops import backends

    table = [('torch', True, ''), ('triton', False, 'no GPU')]
    monkeypatch.setattr(backends, 'backend_table', lambda: table)
    assert doctor.describe_backends() == 'torch, not triton (no GPU)'


def test_package_that_does_not_import_is_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmdet', None)
    check = doctor.check_package('mmdet')
    assert check.status == doctor.BROKEN and 'install.sh' in check.fix


def test_version_other_than_the_tested_one_is_named(monkeypatch):
    assert doctor.tested_versions()['torch'] and 'setuptools' not in doctor.tested_versions()
    monkeypatch.setattr(doctor, 'tested_versions', lambda: {'torch': '1.0'})
    assert 'tested with 1.0' in doctor.check_package('torch').detail
    assert 'tested with' not in doctor.check_package('torchvision').detail
