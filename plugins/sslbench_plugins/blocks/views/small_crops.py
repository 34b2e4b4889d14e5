"""The size of multi-crop's small crops, which a backbone of patches must be able to cut up."""

from __future__ import annotations

from sslbench import Backbone, TokenBackbone, UserError


def small_crop(method: str, crops: int, given: int, backbone: Backbone, image_size: int) -> int:
    """Side of ``method``'s small crops, pixels: the ``given`` one, or three sevenths of the image where that is 0, a
    multiple of the patch for a backbone that has one. Raises UserError where there are such crops and it is none."""
    patch = backbone.patch_size if isinstance(backbone, TokenBackbone) else 1
    size = given or max(patch, image_size * 3 // 7 // patch * patch)
    if crops and (size < patch or size % patch):
        raise UserError(
            f"method {method!r}: local_size = {size} px does not hold whole patches of {patch} px;"
            f" allowed: a multiple of {patch}"
        )
    return size
