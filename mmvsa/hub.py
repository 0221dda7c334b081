"""mmpretrain's model hub: ``mmpretrain.get_model('vitaev2-s-vsa_8xb128_in1k')``."""

from pathlib import Path

import yaml
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
    """Add the models of the metafiles to mmpretrain's hub, where mmpretrain is installed.

    ``import mmvsa`` does so if mmpretrain has been imported before.
    """
    root = metafile_root()
    if root is None or not is_installed('mmpretrain'):
        return
    from mmpretrain.apis import ModelHub

    for metafile, names in classification_metafiles(root).items():
        if not any(ModelHub.has(name.lower()) for name in names):
            ModelHub.register_model_index(metafile, config_prefix=root)
