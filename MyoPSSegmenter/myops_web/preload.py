"""Imported once by the process that all readings are forked from: they begin without waiting."""

import torch  # noqa: F401

from myops.cascade import segment  # noqa: F401
from myops.output import results  # noqa: F401
from myops.quantify import measure  # noqa: F401
from myops.refine import refiner  # noqa: F401
from myops_web import desk  # noqa: F401
from MyoPSSegmenterLib import ModuleLogic  # noqa: F401
