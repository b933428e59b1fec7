"""What a study's analysis finds: plain numbers, ready for tables and plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from myops.study.reading import Study
from myops.study.statistics import BlandAltman, Estimate, PairedTest

MassByCase = Mapping[str, float | None]


@dataclass(frozen=True)
class PairAgreement:
    """Two columns of readings of the same cases.

    Attributes:
        first: name of the first column, such as a reader.
        second: name of the second.
        ccc: Lin's concordance correlation coefficient.
        difference: first minus second, in g.
        variation: coefficient of variation in percent.
        masses: case to its two masses in g; the cases that were used.
        left_out: the other cases, with what they lack.
    """

    first: str
    second: str
    ccc: Estimate
    difference: BlandAltman
    variation: Estimate
    masses: Mapping[str, tuple[float, float]]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class GroupAgreement:
    """All columns of one comparison.

    Attributes:
        kind: "inter-observer", "intra-observer", "reference" or "method".
        method: how the scar was measured.
        of: the reader of an intra-observer comparison; else empty.
        columns: names of what is compared.
        icc: ICC(2,1) over all columns.
        variation: coefficient of variation over all columns, in percent.
        left_out: cases that lack a column, with what they lack.
        pairs: every two columns.
    """

    kind: str
    method: str
    of: str
    columns: tuple[str, ...]
    icc: Estimate
    variation: Estimate
    left_out: tuple[str, ...]
    pairs: tuple[PairAgreement, ...]


@dataclass(frozen=True)
class MethodTest:
    """Paired tests of the interactive method against another one, over cases.

    Attributes:
        quantity: "mass", "time", "spread between readers" or "absolute error".
        unit: "g" or "s".
        first: the interactive method.
        second: the other method.
        mean_first: mean over the cases of the test; None without any.
        mean_second: the same for the other method.
        test: first minus second.
    """

    quantity: str
    unit: str
    first: str
    second: str
    mean_first: float | None
    mean_second: float | None
    test: PairedTest


@dataclass(frozen=True)
class Times:
    """Time per patient: one reading by one reader with one method, or one stage of it.

    Attributes:
        method: how the scar was measured.
        stage: "total" or the name of a stage.
        count: readings with a time.
        without: readings without one.
        mean_s: mean; None without any time.
        sd_s: sample standard deviation; None below two times.
        median_s: median.
    """

    method: str
    stage: str
    count: int
    without: int
    mean_s: float | None
    sd_s: float | None
    median_s: float | None


@dataclass(frozen=True)
class Analysis:
    """Every comparison of one set of cases."""

    cases: tuple[str, ...]
    groups: tuple[GroupAgreement, ...]
    tests: tuple[MethodTest, ...]
    times: tuple[Times, ...]


@dataclass(frozen=True)
class Results:
    """A study with its analysis: of all cases, and of each image quality (empty without any)."""

    study: Study
    methods: tuple[str, ...]
    overall: Analysis
    by_quality: Mapping[str, Analysis]
