"""draft"""
import math, torch
import torch.nn.functional as F
from sslbench import AugmentationSpec, hookimpl
class Affine:
    p=(20,.7,1.0,.1,.3)
    def view(s,i,k,size):
        deg,smin,smax,shift,bright=s.p
        def f(x,g):
            B=len(x); u=lambda a,b: torch.rand(B,generator=g,device=x.device)*(b-a)+a
            t=u(-deg,deg)*math.pi/180; sc=1/u(smin,smax); tx=u(-shift,shift)*2; ty=u(-shift,shift)*2
            th=torch.stack([sc*t.cos(),-sc*t.sin(),tx,sc*t.sin(),sc*t.cos(),ty],1).view(B,2,3)
            y=F.grid_sample(x.float()/255,F.affine_grid(th,(B,3,size,size),align_corners=False),align_corners=False)
            return (y*u(1-bright,1+bright).view(B,1,1,1)).clamp(0,1)
        return f
@hookimpl
def sslbench_augmentations(): return [AugmentationSpec(name="affine",summary="draft",build=lambda p:Affine())]
