"""Labeled hearts of public data sets and of the phantom, for measuring; read one at a time.

They are known by their file names, in the folder that is named or up to two folders below it; what
the names are is said in the file of each data set.
"""

from myops.datasets.acdc import read_acdc
from myops.datasets.care import read_care
from myops.datasets.emidec import read_emidec
from myops.datasets.find import case_loaders, find_cases
from myops.datasets.labeled_case import HEART, CaseLoader, LabeledCase
from myops.datasets.mscmrseg import read_mscmrseg
from myops.datasets.myops import read_myops
from myops.datasets.nnunet import read_nnunet
from myops.datasets.phantom import phantom_case, phantom_readers
from myops.datasets.sunnybrook import read_sunnybrook

__all__ = [
    "HEART",
    "CaseLoader",
    "LabeledCase",
    "case_loaders",
    "find_cases",
    "phantom_case",
    "phantom_readers",
    "read_acdc",
    "read_care",
    "read_emidec",
    "read_mscmrseg",
    "read_myops",
    "read_nnunet",
    "read_sunnybrook",
]
