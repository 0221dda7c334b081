"""The tests mirror the package."""

from pathlib import Path

import mmvsa

PACKAGE = Path(mmvsa.__file__).parent
TESTS = Path(__file__).parent


def test_every_module_has_its_mirrored_file() -> None:
    modules = [
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob('*.py')
        if path.name not in ('__init__.py', 'version.py') and '.mim' not in path.parts
    ]
    assert len(modules) > 50
    mirrored = [
        TESTS.joinpath(*(f'test_{part}' for part in module.parts[:-1]), f'test_{module.name}')
        for module in modules
    ]
    assert [str(path.relative_to(TESTS)) for path in mirrored if not path.is_file()] == []
