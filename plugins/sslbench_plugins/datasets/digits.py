"""scikit-learn's real handwritten digits: 1,797 grey images of 8 x 8 pixels, offline."""

from __future__ import annotations
import hashlib
from dataclasses import dataclass
from functools import cached_property
import torch
from sslbench import DatasetSpec, Params, Split, hookimpl

@dataclass
class DS:
    classes=tuple("0123456789"); image_size=8
    def __post_init__(s):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
        d=load_digits(); tr,te=train_test_split(range(len(d.target)),test_size=.2,stratify=d.target,random_state=0)
        s.x=(torch.tensor(d.images)*255/16).round().to(torch.uint8)[:,None].expand(-1,3,-1,-1).contiguous(); s.y=torch.tensor(d.target).long()
        s.idx={"train":torch.tensor(tr),"test":torch.tensor(te)}
        f=s.x[s.idx["train"]].float()/255; s.mean=(f.mean().item(),)*3; s.std=(f.std().item(),)*3
    def split(s,n): return Split(s.x[s.idx[n]],s.y[s.idx[n]])

@hookimpl
def sslbench_datasets():
    return [DatasetSpec(name="digits",summary=__doc__.partition("\n")[0],build=lambda p,download: DS(),fingerprint=lambda p:"digits-draft",recommends={"augmentation":"affine"})]
