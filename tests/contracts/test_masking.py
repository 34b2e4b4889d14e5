from __future__ import annotations

import pytest

from sslbench.contracts.masking import masked_count
from sslbench.errors import UserError


@pytest.mark.parametrize(
    ("patches", "ratio", "masked"),
    [(64, 0.75, 48), (196, 0.75, 147), (100, 0.9, 90), (10, 0.9, 9), (7, 0.5, 4)],
)
def test_visible_patches_are_the_whole_part(patches, ratio, masked):
    assert masked_count(patches, ratio) == masked


@pytest.mark.parametrize(("patches", "ratio"), [(4, 0.9), (4, 0.0), (1, 0.5)])
def test_a_ratio_that_leaves_nothing_visible_or_masked_is_an_error(patches, ratio):
    words = f"mask ratio = {ratio:g} leaves . of {patches} patches visible; at least one must be visible and one masked"
    with pytest.raises(UserError, match=words):
        masked_count(patches, ratio)
