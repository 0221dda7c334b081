"""Folders of generated files: written once, whole, and over nothing else."""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.dist import barrier

from .errors import DatasetError


@dataclass(frozen=True)
class GeneratedData:
    """Data of one kind, in a folder with a file of their settings, the marker.

    Args:
        name: What messages call the data.
        marker: Name of the file, without folder; it says that the folder is complete.
        version: Version of what ``write`` draws.
        settings: Dataclass of all that the files depend on; its defaults are the usual data.
        write: Function of an empty folder and settings that writes the files.
        any_files: Where no settings are asked for, take a folder without the marker too: what reads
            the files checks them itself.
    """

    name: str
    marker: str
    version: int
    settings: type
    write: Callable[[Path, Any], None]
    any_files: bool = False

    def ensure(self, root: str | os.PathLike, settings: Any = None) -> Path:
        """Write the data to ``root`` unless they are there; several processes may ask at once.

        The folder appears complete: the files are written next to it, and an interrupted run leaves
        nothing at ``root``.

        Args:
            root: The folder.
            settings: Those asked for; None takes any, and writes the usual ones.

        Returns:
            The folder.

        Raises:
            DatasetError: ``root`` holds data of other settings, or something else.
        """
        root = Path(root)
        if not self.are_in(root, settings):
            try:
                self._write(root, settings or self.settings())
            except OSError:
                # Another process may have finished first.
                if not self.are_in(root, settings):
                    raise
        return root

    def ensure_on_machine(self, root: str | os.PathLike, settings: Any = None) -> None:
        """Call :meth:`ensure` in one process of every machine; the others wait.

        Not in one process of all: the folder may be on a local disk.

        Raises:
            DatasetError: As :meth:`ensure`; in another process, the data are not there after it.
        """
        try:
            if int(os.environ.get('LOCAL_RANK', 0)) == 0:
                self.ensure(root, settings)
        finally:
            barrier()
        if not self.are_in(Path(root), settings):
            raise DatasetError(f'{root} was not written by the main process of this machine')

    def are_in(self, root: Path, settings: Any = None) -> bool:
        """Return whether ``root`` holds the data: those of ``settings``, or any.

        Raises:
            DatasetError: ``root`` holds data of other settings, or something else.
        """
        if not root.exists() or (root.is_dir() and not any(root.iterdir())):
            return False
        try:
            found = json.loads((root / self.marker).read_text())
        except (OSError, ValueError):
            found = None
        if settings is None and (found or self.any_files):
            return True
        wanted = settings and self._description(settings)
        if found and found == wanted:
            return True
        raise DatasetError(
            f'{root} does not hold the {self.name} asked for (there: {found or "other files"}, '
            f'asked for: {wanted or "any"}); remove the folder, name another one, or ask for the '
            'settings that are there'
        )

    def _write(self, root: Path, settings: Any) -> None:
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as temporary:
            folder = Path(temporary) / 'data'  # with the permissions of any new folder
            folder.mkdir()
            self.write(folder, settings)
            (folder / self.marker).write_text(json.dumps(self._description(settings)))
            os.replace(folder, root)

    def _description(self, settings: Any) -> dict[str, Any]:
        return {'version': self.version, **asdict(settings)}
