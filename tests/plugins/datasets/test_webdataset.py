from __future__ import annotations

import io
import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from PIL import Image

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

SPEC = Registry().get("dataset", "webdataset")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def params(path, **given):
    return SPEC.params(path=str(path), **{"size": 0, **given})


def build(path, **given):
    return SPEC.build(params(path, **given), BuildContext())


def png(value, mode="L", size=(8, 8)):
    file = io.BytesIO()
    Image.new(mode, size, value).save(file, "png")
    return file.getvalue()


def write(path, *members):
    """A tar of (name, content) pairs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(greys, labels, start=0):
    """``0000.png`` and ``0000.cls``, ..."""
    for number, (grey, label) in enumerate(zip(greys, labels, strict=True), start=start):
        yield f"{number:04}.png", png(grey)
        yield f"{number:04}.cls", str(label).encode()


def greys(split):
    return split.images[torch.arange(len(split))][:, 0, 0, 0].tolist()


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "pets" / "train-0000.tar", *samples([10, 20, 30], [0, 1, 2]))
    write(tmp_path / "pets" / "train-0001.tar", *samples([40], [1]))
    write(tmp_path / "pets" / "test-0000.tar", *samples([50, 60], [1, 0]))
    return tmp_path / "pets"


@pytest.mark.parametrize("reading", ["auto", "resident", "mapped", "streaming"])
def test_splits_shards_labels_and_paths(folder, reading):
    data = build(folder, reading=reading)
    assert data.classes == ["0", "1", "2"]
    assert greys(data.split("train")) == [10, 20, 30, 40]
    assert data.split("train").labels.tolist() == [0, 1, 2, 1]
    assert data.split("train").paths[2:] == ["train-0000.tar/0002.png", "train-0001.tar/0000.png"]
    assert greys(data.split("test")) == [50, 60]
    assert (len(set(data.split("train").digests)), data.split("train").sides) == (4, (8, 8))
    assert data.split("train").left_out == {}


def test_it_conforms_with_labels_and_without(folder):
    assert problems(SPEC, path=str(folder), size=0) == []
    assert problems(SPEC, path=str(folder), size=0, label="none") == []


def test_nothing_is_unpacked_and_auto_writes_no_images(folder, cache):
    data = build(folder, memory_limit=0, size=8)
    assert not isinstance(data.split("train").images, torch.Tensor)
    assert greys(data.split("train")) == [10, 20, 30, 40]
    kinds = {path.suffix for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert kinds == {".index", ".checked"}


def test_a_share_is_held_out_by_the_name_of_the_member_however_tars_are_cut(tmp_path):
    pairs = [*samples(range(1, 21), [0, 1] * 10)]
    write(tmp_path / "one" / "a.tar", *pairs)
    for number in range(4):
        write(tmp_path / "four" / f"{number}.tar", *pairs[10 * number : 10 * number + 10])
    one, four = build(tmp_path / "one"), build(tmp_path / "four")
    assert one.split("test").held_out
    assert (len(one.split("train")), len(one.split("test"))) == (16, 4)
    assert greys(one.split("test")) == greys(four.split("test"))


def test_a_pattern_names_tars(folder):
    data = build(f"{folder}/train-{{0000..0001}}.tar")
    assert sorted(greys(data.split("train")) + greys(data.split("test"))) == [10, 20, 30, 40]
    assert data.split("train").left_out == {}
    data = build(f"{folder}/{{train-0000,test-0000}}.tar")
    assert (greys(data.split("train")), greys(data.split("test"))) == ([10, 20, 30], [50, 60])
    with pytest.raises(UserError, match=r"1 of 3 tars of .* are not there, such as .*train-0002.tar"):
        build(f"{folder}/train-{{0000..0002}}.tar")
    with pytest.raises(UserError, match=r"\{0002\.\.0001\} is no range of numbers, the smaller first"):
        build(f"{folder}/train-{{0002..0001}}.tar")


def test_labels_from_json_and_names_from_a_file(tmp_path):
    document = {"label": 1, "info": {"kind": "owl", "tags": []}}
    pairs = [
        (f"{n}.{ending}", content)
        for n in range(4)
        for ending, content in (("png", png(n)), ("json", json.dumps({**document, "label": n % 2}).encode()))
    ]
    where = write(tmp_path / "a.tar", *pairs)
    assert build(where).classes == ["0", "1"]
    assert build(where, label="json.info.kind").classes == ["owl"]
    (tmp_path / "names.txt").write_text("cat\ndog\nowl\n")
    data = build(where, classes=str(tmp_path / "names.txt"))
    assert (data.classes, data.split("train").labels.tolist()) == (["cat", "dog", "owl"], [0, 1])
    with pytest.raises(UserError, match=r"mistakes in its tars \(4\); on_error=skip") as caught:
        build(where, label="json.info.tags")
    assert "a.tar: 0.json: its info.tags holds several values, not a label" in caught.value.messages[1]
    (tmp_path / "few.txt").write_text("cat\ndog")
    with pytest.raises(UserError, match=r"json.info.kind holds 'owl', which is no class of .*few.txt"):
        build(where, label="json.info.kind", classes=str(tmp_path / "few.txt"))
    for text, words in (("cat\n\ndog", "line 2 is empty; each names a class"), (None, "No such file")):
        path = tmp_path / "bad.txt"
        path.unlink(missing_ok=True) if text is None else path.write_text(text)
        with pytest.raises(UserError, match=rf"classes=.*bad.txt.*{words}"):
            build(where, classes=str(path))


def test_words_are_labels_and_numbers_with_zeros_in_front_are_words(tmp_path):
    where = write(tmp_path / "a.tar", *samples(range(8), ["n01", "n02", "007", "7x"] * 2))
    assert build(where).classes == ["007", "7x", "n01", "n02"]


def test_samples_without_labels_are_a_data_set_without(tmp_path):
    where = write(tmp_path / "a.tar", *((f"{n}.{end}", png(n)) for n in range(10) for end in ("png", "txt")))
    data = build(where)
    assert (data.classes, data.split("train").labels) == ([], None)
    assert SPEC.provided(params(where)) == frozenset()
    assert (len(data.split("train")), len(data.split("test"))) == (8, 2)
    late = [*((f"a{n}.png", png(n)) for n in range(64)), ("b.png", png(1)), ("b.cls", b"1")]
    with pytest.raises(UserError, match=r"the first 64 samples have no label and others do; label=cls reads them"):
        build(write(tmp_path / "b.tar", *late))
    assert len(build(tmp_path / "b.tar", label="none").split("train")) == 52


def test_the_ending_of_the_images_can_be_named(tmp_path):
    pairs = [(f"{n}.{end}", png(value + n)) for n in range(4) for end, value in (("left.png", 0), ("right.png", 100))]
    where = write(tmp_path / "a.tar", *pairs, *((f"{n}.cls", b"0") for n in range(4)))
    with pytest.raises(UserError, match=r"0 of a.tar has several images: left.png, right.png; image=ENDING names one"):
        build(where)
    data = build(where, image="right.png")
    assert sorted(greys(data.split("train")) + greys(data.split("test"))) == [100, 101, 102, 103]
    with pytest.raises(UserError, match=r"no sample has an image; image=ENDING names that of the images"):
        build(where, image="webp")
    beside = write(
        tmp_path / "b.tar", *((f"{n}.{end}", png(n)) for n in range(4) for end in ("png", "mask.png", "cls"))
    )
    assert len(build(beside, label="none").split("train")) == 3


def test_what_is_left_out_is_counted_and_named(tmp_path):
    where = write(
        tmp_path / "train.tar",
        *samples([1, 2, 3, 4], [0, 1, 0, 1]),
        ("5.png", png(5)),
        ("6.cls", b"1"),
        ("7.png", b"junk"),
        ("7.cls", b"1"),
        ("0000.png", png(9)),
        ("__MACOSX/._0000.png", b"x"),
        ("8.png", png(8)),
        ("8.cls", b"-1"),
    )
    with pytest.raises(UserError, match=r"mistakes in its tars \(1\); on_error=skip takes what can be read") as caught:
        build(where)
    assert caught.value.messages[1].endswith("train.tar: 0000.png is there twice; the first one is read")
    data = build(where, on_error="skip")
    assert sorted(greys(data.split("train")) + greys(data.split("test"))) == [1, 2, 3, 4]
    lost = {key: value for name in ("train", "test") for key, value in data.split(name).left_out.items()}
    assert lost == {
        "cannot be read": 1,
        "hidden, or left by a system": 1,
        "members of a name that came before": 1,
        "samples without an image": 1,
        "without a label": 2,
    }
    named = [*data.split("train").unreadable, *data.split("test").unreadable]
    assert any(line.startswith("train.tar/7.png: not an image") for line in named)


def cut_at(path, size):
    path.write_bytes(path.read_bytes()[:size])


DAMAGES = {
    "in an image": (lambda path: cut_at(path, 4096 + 512 + 30), r"damaged or cut short, after 4,096", 2),
    "in a header": (lambda path: cut_at(path, 4096 + 100), r"cut short, after 4,096 bytes", 2),
    "between members": (lambda path: cut_at(path, 4096), r"cut short, after 4,096 bytes", 2),
    "a header": (lambda path: path.write_bytes(path.read_bytes()[:4096] + b"x" * 512 + path.read_bytes()[4608:]),
                 r"damaged or cut short, after 4,096 of ", 2),
    "two in one": (lambda path: path.write_bytes(2 * path.read_bytes()), r"goes on after its end, at 8,192 of", 4),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_tar_that_is_cut_short_or_damaged_is_named_and_gives_what_comes_before(tmp_path, name):
    damage, words, left = DAMAGES[name]
    where = write(tmp_path / "a.tar", *samples([1, 2, 3, 4], [0, 0, 0, 0]))
    damage(where)
    with pytest.raises(UserError, match=r"mistakes in its tars \(1\)") as caught:
        build(where)
    assert len(caught.value.messages) == 2
    assert re.search(words, caught.value.messages[1]), caught.value.messages
    data = build(where, on_error="skip")
    assert len(data.split("train")) + len(data.split("test")) == left
    assert data.split("train").left_out["tars that are cut short or damaged"] == 1
    assert any("a.tar: " in line for line in data.split("train").unreadable)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"is no tar that can be read: empty file"),
        (b"no tar" * 1000, r"is no tar that can be read: "),
        (b"\x1f\x8b" + bytes(2000), r"is compressed \(gzip\); images are read at any place of a tar: decompress it"),
    ],
)
def test_what_is_no_tar_is_one_line(tmp_path, content, words):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        build(tmp_path / "a.tar")
    assert len(caught.value.messages) == 1


def test_any_bit_of_a_tar_may_be_wrong(tmp_path, flipped):
    where = write(tmp_path / "a.tar", *samples([1, 2, 3, 4], ["a", "b", "a", "b"]))
    kinds = set()
    for content in flipped(where, places=60):
        where.write_bytes(content)
        messages = mistakes_of(lambda: build(where, on_error="skip", label="cls"))
        assert all("\n" not in line for line in messages)
        kinds.add(bool(messages))
    assert kinds == {True, False}


def mistakes_of(function):
    try:
        function()
    except UserError as error:
        return error.messages
    return ()


def test_labels_in_two_places_are_refused(tmp_path):
    write(tmp_path / "x" / "train-0.tar", *samples([1, 2], [0, 1]))
    write(tmp_path / "x" / "train-1.tar", ("a.png", png(3)), ("a.json", b'{"label": 1}'))
    with pytest.raises(UserError, match=r"labels are in cls and json.label; label=NAME says which are meant"):
        build(tmp_path / "x")


def test_a_killed_indexing_goes_on_at_the_next_tar(folder, monkeypatch):
    from sslbench_plugins.datasets.webdataset import kept

    read, tars = kept.TarReader.read, []

    def killed(self, most=None):
        if len(tars) == 2:
            raise KeyboardInterrupt
        tars.append(self._file.name)
        return read(self, most)

    monkeypatch.setattr(kept.TarReader, "read", killed)
    with pytest.raises(KeyboardInterrupt):
        build(folder, label="cls")
    assert tars == ["train-0000.tar", "train-0001.tar"]

    def seen(self, most=None):
        tars.append(self._file.name)
        return read(self, most)

    monkeypatch.setattr(kept.TarReader, "read", seen)
    assert len(build(folder, label="cls").split("train")) == 4
    assert [name for name in tars[2:] if name.startswith("test")] == ["test-0000.tar"]
    assert tars.count("train-0001.tar") == 1


def test_a_changed_tar_is_indexed_again_and_changes_the_fingerprint(folder):
    before = SPEC.fingerprint(params(folder))
    assert greys(build(folder).split("train")) == [10, 20, 30, 40]
    write(folder / "train-0001.tar", *samples([41, 42], [1, 0]))
    assert greys(build(folder).split("train")) == [10, 20, 30, 41, 42]
    assert SPEC.fingerprint(params(folder)) != before


def test_a_damaged_index_is_made_again(folder, cache, flipped, capsys):
    build(folder)
    for path in sorted(cache.rglob("*.index")):
        for content in flipped(path, places=3):
            path.write_bytes(content)
            assert greys(build(folder).split("train")) == [10, 20, 30, 40]
    assert "damaged or of another version" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_costs_the_index_alone(folder, cache, capsys):
    cache.write_text("a file in the place of the folder")
    assert greys(build(folder, reading="resident").split("train")) == [10, 20, 30, 40]
    assert capsys.readouterr().err.count("indices of tars are made again each time") == 1


def test_many_threads_read_the_same_images(tmp_path):
    count = 64
    where = write(tmp_path / "a.tar", *samples(range(count), [0] * count))
    images = build(where, reading="streaming", memory_limit=0).split("train").images
    wanted = images[torch.arange(len(images))]
    orders = [torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)) for seed in range(32)]
    with ThreadPoolExecutor(8) as pool:
        for order, found in zip(orders, pool.map(images.__getitem__, orders), strict=True):
            assert torch.equal(found, wanted[order])


def test_a_tar_that_is_gone_while_it_is_read_is_one_line(folder):
    images = build(folder, reading="streaming").split("train").images
    cut_at(folder / "train-0001.tar", 100)
    with pytest.raises(UserError, match=r"train-0001.tar/0000.png: train-0001.tar ends before it does \(it could be"):
        images[torch.tensor([3])]
    (folder / "train-0001.tar").unlink()
    with pytest.raises(UserError, match=r"train-0001.tar/0000.png: \[Errno 2\]"):
        images[torch.tensor([3])]


def test_deep_grey_of_all_tars_has_one_scale(tmp_path):
    def deep(value):
        file = io.BytesIO()
        Image.new("I;16", (8, 8), value).save(file, "png")
        return file.getvalue()

    write(tmp_path / "x" / "train-0.tar", ("a.png", deep(1000)), ("a.cls", b"0"))
    write(tmp_path / "x" / "test-0.tar", ("b.png", deep(4095)), ("b.cls", b"0"))
    data = build(tmp_path / "x")
    assert (greys(data.split("train")), greys(data.split("test"))) == ([62], [255])
    assert data.split("train").white == {"integer": 4095.0}


def test_a_test_split_without_labels_gives_way_to_the_validation_split(tmp_path):
    write(tmp_path / "x" / "train" / "0.tar", *samples([1, 2], [0, 1]))
    write(tmp_path / "x" / "val" / "0.tar", *samples([3], [1]))
    write(tmp_path / "x" / "test" / "0.tar", ("a.png", png(4)))
    data = build(tmp_path / "x")
    assert greys(data.split("test")) == [3]
    assert data.split("train").left_out == {"split test, without labels": 1}
