"""draft"""
from sslbench import MaskingSpec, hidden_count, hookimpl
import torch
class R:
    def sample(self,batch,grid,ratio,generator):
        n=grid[0]*grid[1]
        return torch.rand(batch,n,generator=generator,device=generator.device).argsort(1).argsort(1)<hidden_count(n,ratio)
@hookimpl
def sslbench_maskings(): return [MaskingSpec(name="block",summary="draft",build=lambda p:R())]
