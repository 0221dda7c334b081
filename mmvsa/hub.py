"""mmpretrain's model hub: ``mmpretrain.get_model('vitaev2-s-vsa_8xb128_in1k')``."""

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from mmengine.utils import is_installed

_PACKAGE = Path(__file__).resolve().parent


def metafile_root() -> Path | None:
    """Return the folder that ``model-index.yml`` and its paths are relative to, if there is one.

    It is ``mmvsa/.mim`` of an installed package, or the checkout.
    """
    for root in (_PACKAGE / '.mim', _PACKAGE.parent):
        if (root / 'model-index.yml').is_file():
            return root
    return None


def classification_metafiles(root: Path) -> dict[Path, list[str]]:
    """Return the metafiles of classifiers (mmpretrain builds no others) and their models."""
    import yaml

    index = yaml.safe_load((root / 'model-index.yml').read_text())
    paths = [root / name for name in index['Import'] if (root / name).is_file()]
    contents = {path: yaml.safe_load(path.read_text())['Models'] for path in paths}
    return {
        path: [model['Name'] for model in models]
        for path, models in contents.items()
        if any(_is_classifier(model) for model in models)
    }


def _is_classifier(model: dict) -> bool:
    return any(result['Task'] == 'Image Classification' for result in model.get('Results') or [])


def register_models() -> None:
    """Add the models of the metafiles to mmpretrain's hub, where mmpretrain is installed."""
    root = metafile_root()
    if root is None or not is_installed('mmpretrain'):
        return
    from mmpretrain.apis import ModelHub

    for metafile, names in classification_metafiles(root).items():
        if not any(ModelHub.has(name.lower()) for name in names):
            ModelHub.register_model_index(metafile, config_prefix=root)


def register_with_mmpretrain() -> None:
    """Register the models now if mmpretrain is imported, or as soon as it is.

    mmpretrain reads nothing from outside when it looks a name up, and importing it here would take
    longer than torch.
    """
    if 'mmpretrain' in sys.modules:
        register_models()
    else:
        sys.meta_path.insert(0, _AfterMmpretrain())


class _AfterMmpretrain(importlib.abc.MetaPathFinder):
    """Finds mmpretrain as the other finders do, and registers the models once it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != 'mmpretrain':
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                register_models()

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
