from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields

import pytest

from sslbench import BuildContext, Dataset, Executor, Progress, Split


@dataclass(frozen=True)
class ThirdPartyDataset:
    classes: tuple[str, ...] = ()
    image_size: int = 8
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.2, 0.2, 0.2)

    def split(self, name: str) -> Split:
        raise KeyError(name)


@dataclass(frozen=True)
class ThirdPartyExecutor:
    slots: int = 2

    def devices(self):
        return ("cpu",)

    def submit(self, work, emit):
        raise NotImplementedError

    def close(self):
        raise NotImplementedError


@pytest.mark.parametrize(("protocol", "instance"), [(Dataset, ThirdPartyDataset()), (Executor, ThirdPartyExecutor())])
def test_a_frozen_dataclass_fulfils_a_protocol(protocol, instance):
    assert isinstance(instance, protocol)
    assert all(isinstance(vars(protocol)[field.name], property) for field in fields(instance)), "read-only"


def test_a_plugin_can_be_built_without_a_context_of_its_own():
    context = BuildContext()
    assert (context.image_size, context.classes, context.seed, context.device) == (224, 0, 0, "cpu")
    assert (context.download, context.backbone, context.mask_ratio) == (False, None, None)
    with pytest.raises(FrozenInstanceError):
        context.seed = 1


def test_progress_runs_from_zero_towards_one():
    assert [Progress(step, 4, 0, 1).fraction for step in (0, 2, 4)] == [0, 0.5, 1]
