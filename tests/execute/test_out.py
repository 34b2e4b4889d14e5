"""What ``--out`` may be."""

from __future__ import annotations

import pytest

from sslbench import UserError
from sslbench.execute.request import Request
from sslbench.execute.scheduler import plan_only, run


@pytest.mark.parametrize("start", [run, plan_only])
def test_what_can_be_no_folder_is_refused_before_anything_is_computed(tmp_path, start):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, what in (("file", "a file"), ("link", "a link to nothing")):
        with pytest.raises(UserError) as caught:
            start(Request(out=tmp_path / name))
        allowed = "allowed: a folder, or a name that nothing has yet"
        assert caught.value.messages == (f"--out '{tmp_path / name}': {what}; {allowed}",)
