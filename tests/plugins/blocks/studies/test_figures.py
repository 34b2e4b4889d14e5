from __future__ import annotations

import numpy as np

from sslbench_plugins.blocks.studies.figures import row_of_pictures


def test_pictures_lie_side_by_side_with_their_names():
    figure = row_of_pictures({"a": np.zeros((4, 5)), "b": np.ones((4, 5))}, (2.0, 3.0), cmap="gray")
    assert figure.get_size_inches().tolist() == [4.0, 3.0]
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert (figure.axes[1].images[0].get_array() == 1).all()
