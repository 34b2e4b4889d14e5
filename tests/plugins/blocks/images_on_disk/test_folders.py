from __future__ import annotations

from sslbench_plugins.blocks.images_on_disk.folders import digest_of, name_below, stamps, walk


def test_a_stamp_has_name_size_and_time_of_change(tmp_path):
    (tmp_path / "a.png").write_bytes(b"abc")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    first, gone = stamps([tmp_path / "a.png", tmp_path / "gone.png"], tmp_path)
    assert first.split("\0")[:2] == ["a.png", "3"]
    assert gone == "gone.png"
    assert name_below(tmp_path / "a.png", tmp_path / "other") == str(tmp_path / "a.png")


def test_a_digest_changes_with_any_line():
    assert digest_of(["a", "b"]) == digest_of(iter(["a", "b"]))
    assert len({digest_of(lines) for lines in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", ""])}) == 4


def test_a_walk_leaves_out_what_is_hidden(tmp_path):
    for name in ("b/2.png", "a/1.png", ".hidden/3.png", "__MACOSX/4.png", "a/.5.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in walk(tmp_path)] == ["1.png", "2.png"]
