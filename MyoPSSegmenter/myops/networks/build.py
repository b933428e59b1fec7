"""The networks with their literal numbers. A checkpoint may carry other numbers (see weights)."""

from __future__ import annotations

from collections.abc import Sequence

from myops.networks.assn import ASSN
from myops.networks.dae import DAE
from myops.networks.heartfinder import HeartFinder
from myops.networks.prsn import PRSN


def build_heartfinder(widths: Sequence[int] = (16, 32, 64, 96, 128)) -> HeartFinder:
    """Heart finder: 5 levels, 128x128 at 2.5 mm."""
    return HeartFinder(widths)


def build_assn(widths: Sequence[int] = (16, 32, 64, 96, 128), planes: int = 1) -> ASSN:
    """ASSN: 5 levels in each of the three encoders and in the shared decoder."""
    return ASSN(widths, planes)


def build_dae(widths: Sequence[int] = (16, 32, 64, 32)) -> DAE:
    """DAE: 128x128 to a code of 8x8x32."""
    return DAE(widths)


def build_prsn(
    widths: Sequence[int] = (16, 32, 64, 128),
    planes: int = 1,
    margin: int = 0,
    fusion: str = "cafb",
    mvo: int = 0,
) -> PRSN:
    """PRSN: 4 levels in each of the four branches."""
    return PRSN(widths, planes, margin, fusion, mvo)
