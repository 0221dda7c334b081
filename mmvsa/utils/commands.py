"""Commands that a user can copy: quoted, with the interpreter that runs now."""

import os
import shlex
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def tool_command(tool: str, *args: object, processes: int = 1) -> str:
    """Return the command line of a tool, as it runs in a shell where nothing is activated.

    Args:
        tool: ``'train'`` or ``'test'``.
        args: Its arguments; paths are shown by :func:`shown_path`.
        processes: On this machine, by torchrun if there are several.
    """
    words = [sys.executable]
    if processes > 1:
        words += ['-m', 'torch.distributed.run', '--standalone', f'--nproc-per-node={processes}']
    words += [shown_path(TOOLS / f'{tool}.py')]
    words += [shown_path(arg) if isinstance(arg, Path) else str(arg) for arg in args]
    if processes > 1:
        words += ['--launcher', 'pytorch']
    return shlex.join(words)


def shown_path(path: str | os.PathLike) -> str:
    """Return a path relative to the folder of the shell where it lies inside, else absolute.

    That is ``MMVSA_START_DIR`` for a script that has changed the folder, else the current one.
    """
    relative = os.path.relpath(path, os.environ.get('MMVSA_START_DIR'))
    return os.path.abspath(path) if relative.split(os.sep)[0] == '..' else relative
