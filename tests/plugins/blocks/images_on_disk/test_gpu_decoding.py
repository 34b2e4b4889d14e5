"""Decoding on a GPU, whose decoder is played by Pillow unless there is one."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from sslbench import BuildContext, Split, UserError
from sslbench.hooks.registry import Registry
from sslbench.train.data import Batches, make_splits, pick
from sslbench_plugins.blocks.images_on_disk import gpu_decoding
from sslbench_plugins.blocks.images_on_disk.encoded import Encoded
from sslbench_plugins.blocks.images_on_disk.gpu_decoding import DecodedOnGpu, check_decoder, decode_jpegs
from sslbench_plugins.blocks.images_on_disk.reading import ReadingParams, read
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits
from sslbench_plugins.datasets.webdataset import WebdatasetParams, placed

CPU = torch.device("cpu")
TURNED = Image.Exif()
TURNED[0x0112] = 6


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))


def pixels(number, height=50, width=70):
    """A smooth picture, as photographs are."""
    y, x = np.mgrid[:height, :width] / 40
    waves = [np.sin((number + 1) * x + k) * np.cos(y * (k + 1) + number) for k in range(3)]
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8)


def encoded(number=0, kind="jpeg", mode="RGB", **given):
    file = io.BytesIO()
    Image.fromarray(pixels(number)).convert(mode).save(file, kind, **given)
    return file.getvalue()


ORDINARY = [encoded(number) for number in range(3)]
FOR_CPU = {
    "PNG": encoded(3, "png"),
    "progressive JPEG": encoded(4, progressive=True),
    "JPEG in grey or CMYK": encoded(5, mode="CMYK"),
    "JPEG of red, green and blue": encoded(6, keep_rgb=True),
    "JPEG that is turned by its metadata": encoded(7, exif=TURNED),
}
SOURCES = [*ORDINARY, *FOR_CPU.values()]


class PlayedDecoder:
    """A list is decoded or refused as a whole."""

    def __init__(self):
        self.calls, self.refuses, self.error = [], [], RuntimeError("Unknown chroma subsampling")

    def __call__(self, raws, device):
        self.calls.append(len(raws))
        if any(raw in self.refuses for raw in raws):
            raise self.error
        return [torch.from_numpy(np.array(Image.open(io.BytesIO(raw)))).permute(2, 0, 1) for raw in raws]


@pytest.fixture
def played(monkeypatch):
    decoder = PlayedDecoder()
    monkeypatch.setattr(gpu_decoding, "decode_jpegs", decoder)
    monkeypatch.setattr(gpu_decoding, "check_decoder", lambda device, where: None)
    return decoder


def images(sources=SOURCES, size=24):
    return Encoded(sources, [f"row {index}" for index in range(len(sources))], size, "here")


def test_images_come_in_order_each_by_the_decoder_that_is_for_it(played):
    reader, order = DecodedOnGpu(images()), torch.tensor([7, 0, 3, 2, 1, 4, 0, 5, 6])
    made, expected = reader.read_on(order, CPU), images()[order]
    assert (made.shape, made.dtype) == ((9, 3, 24, 24), torch.uint8)
    by_gpu = order < len(ORDINARY)
    assert torch.equal(made[~by_gpu], expected[~by_gpu])
    difference = (made[by_gpu].int() - expected[by_gpu].int()).abs().float()
    assert 0 < difference.mean() < 1.5
    assert played.calls == [3]
    assert torch.equal(reader[order], expected)


def test_only_such_images_leave_the_gpu_nothing_to_do(played):
    assert torch.equal(DecodedOnGpu(images()).read_on(torch.tensor([3, 4]), CPU), images()[torch.tensor([3, 4])])
    assert played.calls == []


def test_without_a_size_images_stay_as_they_are(played):
    square = io.BytesIO()
    Image.fromarray(pixels(0)[:50, :50]).save(square, "jpeg")
    one = images([square.getvalue()], size=None)
    assert torch.equal(DecodedOnGpu(one).read_on(torch.tensor([0]), CPU), one[torch.tensor([0])])


def test_an_image_that_is_refused_is_named_once_and_decoded_by_the_cpu(played):
    played.refuses = [ORDINARY[1]]
    reader, order = DecodedOnGpu(images()), torch.tensor([0, 1, 2])
    said = "here: row 1: decoded by the CPU, the GPU's decoder refused it .Unknown chroma subsampling."
    with pytest.warns(UserWarning, match=said) as caught:
        first = reader.read_on(order, CPU)
    assert len(caught) == 1
    assert torch.equal(first[1], images()[order][1])
    assert played.calls == [3, 1, 1, 1]
    assert torch.equal(reader.read_on(order, CPU), first)
    assert played.calls[4:] == [2]


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), torch.OutOfMemoryError("no room"), NotImplementedError("gone")]
)
def test_what_is_no_refusal_is_raised(played, error):
    played.refuses, played.error = [ORDINARY[0]], error
    with pytest.raises(type(error), match=str(error)):
        DecodedOnGpu(images()).read_on(torch.tensor([0, 1]), CPU)


def test_an_image_that_can_be_read_no_more_is_named(played, tmp_path):
    gone = tmp_path / "gone.jpg"
    with pytest.raises(UserError, match=r"here: row 1: .*No such file.*\(it could be read at first\)"):
        DecodedOnGpu(images([ORDINARY[0], gone])).read_on(torch.tensor([0, 1]), CPU)


def test_the_check_at_the_start_counts_what_the_cpu_decodes(monkeypatch):
    monkeypatch.setattr("sslbench_plugins.blocks.images_on_disk.checking.PART", 3)
    sources = [*SOURCES, FOR_CPU["PNG"]]
    for _ in range(2):
        done = read(images(sources), ReadingParams(decode="gpu"), ["key"])
        assert isinstance(done.images, DecodedOnGpu)
        assert done.notes == [
            "decode=gpu: the CPU decodes 6 of 9 images (2 PNG, 1 progressive JPEG, 1 JPEG in grey or CMYK,"
            " 1 JPEG of red, green and blue, 1 JPEG that is turned by its metadata)"
        ]
    assert read(images(ORDINARY), ReadingParams(decode="gpu"), ["other"]).notes == []
    assert read(images(sources), ReadingParams(reading="streaming"), ["key"]).notes == []


def test_the_note_is_one_of_the_run(played):
    done = read(images(), ReadingParams(decode="gpu"), ["key"])
    split = Split(done.images, notes=done.notes)
    both = make_splits(TwoSplits(split, lambda: split, []), evaluate_on="test", train_images=None, image_size=None)
    half = make_splits(TwoSplits(split, lambda: split, []), evaluate_on="validation", train_images=4, image_size=None)
    assert both.notes == (*done.notes, *done.notes)
    assert half.notes[0] == done.notes[0]
    assert sum("decode=gpu" in note for note in half.notes) == 1
    assert torch.equal(
        half.train.images.read_on(torch.tensor([0]), CPU), half.train.images.read_on(torch.tensor([0]), CPU)
    )


def test_a_folder_is_streamed_and_trained_on(played, tmp_path):
    for number, source in enumerate(SOURCES):
        path = tmp_path / "photographs" / "ab"[number % 2] / f"{number}.img.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    spec = Registry().get("dataset", "imagefolder")
    folder = spec.params(root=str(tmp_path / "photographs"), size=24, test_share=0.3, decode="gpu")
    data = make_splits(spec.build(folder, BuildContext()), evaluate_on="test", train_images=None, image_size=None)
    assert "of 6 images" in data.notes[0]
    batches = [batch.images for batch in Batches(data.train, 3, 0, CPU).epoch(0)]
    assert [list(batch.shape) for batch in batches] == [[3, 3, 24, 24]] * 2
    assert sum(played.calls) + sum(map(int, re.findall(r"decodes (\d)", data.notes[0]))) == 6


def test_tars_are_streamed_as_well():
    given = WebdatasetParams(path="tars", decode="gpu")
    assert placed(given, 5) == given
    assert placed(WebdatasetParams(path="tars"), 5).reading == "resident"


@pytest.mark.parametrize("way", ["resident", "mapped"])
def test_images_that_are_kept_decoded_are_not_for_a_gpu(way):
    with pytest.raises(
        UserError, match=f"here: decode=gpu is for reading=streaming; reading={way} keeps decoded images"
    ):
        read(images(), ReadingParams(decode="gpu", reading=way), ["key"])


def test_a_training_on_a_cpu_is_refused_and_not_decoded_otherwise():
    split = Split(DecodedOnGpu(images()))
    for part in (split, pick(split, torch.arange(6))):
        said = "here: decode=gpu decodes on the GPU that trains, and this runs on cpu; leave it out"
        with pytest.raises(UserError, match=said):
            next(Batches(part, 2, 0, CPU).epoch(0))


def test_a_torchvision_without_the_decoder_is_named(monkeypatch):
    def without(raws, device):
        raise RuntimeError("decode_jpegs_cuda: torchvision not compiled with nvJPEG support\nand more")

    monkeypatch.setattr(gpu_decoding, "decode_jpegs", without)
    with pytest.raises(UserError) as caught:
        check_decoder(torch.device("cuda", 0), "here")
    assert caught.value.messages == (
        "here: decode=gpu needs a torchvision that decodes JPEG on cuda:0 (decode_jpegs_cuda: torchvision not compiled"
        " with nvJPEG support); leave it out",
    )


def test_torchvision_is_asked_for_rgb_on_that_device_when_its_stream_is_done(monkeypatch):
    asked, device = [], torch.device("cuda", 1)

    class Stream:
        def synchronize(self):
            asked.append("stream")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    io_ = pytest.importorskip("torchvision.io")
    monkeypatch.setattr(io_, "decode_jpeg", lambda inputs, mode, device: asked.append((len(inputs), mode.name, device)))
    with warnings.catch_warnings():
        decode_jpegs(ORDINARY, device)
    assert asked == ["stream", (3, "RGB", device)]


@pytest.mark.gpu
def test_a_gpu_decodes_what_the_cpu_decodes():
    pytest.importorskip("torchvision")
    expected = images()[torch.arange(8)]
    batches = Batches(Split(DecodedOnGpu(images()), torch.arange(8)), 8, 0, torch.device("cuda"), labels=True)
    with warnings.catch_warnings():
        (batch,) = batches.epoch(0)
    made = torch.empty_like(expected)
    made[batch.labels.cpu()] = batch.images.cpu()
    assert torch.equal(made[3:], expected[3:])
    assert (made.int() - expected.int()).abs().float().mean(dim=(1, 2, 3)).max() < 3
