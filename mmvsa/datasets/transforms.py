"""Steps of data pipelines."""

from typing import Any

from mmcv.transforms import LoadImageFromFile

from mmvsa.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """Read the image from its file unless the dataset gives it in memory (``img``)."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Read ``img_path`` unless ``img`` is there."""
        if 'img' in results:
            return results
        return super().transform(results)
