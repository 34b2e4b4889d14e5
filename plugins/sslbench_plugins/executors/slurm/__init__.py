"""Runs each pretraining as a job of SLURM (sbatch, squeue, scancel), which may be preempted and go on."""

from __future__ import annotations

from sslbench import BuildContext, ExecutorSpec, UserError, hookimpl
from sslbench_plugins.executors.slurm.cluster import Cluster
from sslbench_plugins.executors.slurm.executor import Slurm
from sslbench_plugins.executors.slurm.params import SlurmParams, options_of


def build(params: SlurmParams, context: BuildContext) -> Slurm:
    """Raises UserError where there is no SLURM, or where it would refuse such jobs."""
    device = context.device
    if device.startswith("cuda:"):
        allowed = "auto, cpu, cuda"
        raise UserError(
            f"device {device}: SLURM decides which GPU a job gets; allowed with executor 'slurm': {allowed}"
        )
    if device == "cuda" and not params.gpus:
        raise UserError("device cuda: executor 'slurm' asks for no GPU; give it gpus=1 or more")
    cluster = Cluster()
    cluster.check(options_of(params, context.devices))
    return Slurm(params, context.devices, cluster)


@hookimpl
def sslbench_executors() -> list[ExecutorSpec]:
    return [ExecutorSpec(name="slurm", build=build, params=SlurmParams, detaches=True)]
