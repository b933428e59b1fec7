"""Agreement of repeated readings: CCC, ICC(2,1), Bland-Altman, coefficient of variation, tests.

A reading that is missing (None or NaN) takes its whole case out of a statistic; `count` says how
many cases are left. What the readings do not determine is None, with the reason, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_CASES = 3
CONFIDENCE = 0.95
# Bland and Altman's limits hold 95 % of normally distributed differences.
LIMIT_SDS = 1.96
# Readings are equal, and ranks tied, where only the rounding of floats differs.
ROUNDING = 1e-12
DECIMALS = 9
# Wilcoxon's exact distribution needs untied ranks and is as good as normal beyond this count.
MOST_FOR_EXACT = 50

Readings = Sequence[float | None] | np.ndarray


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % interval.

    Attributes:
        value: None where the readings do not determine it.
        low: lower end of the interval; None where there is none.
        high: upper end.
        count: cases used.
        reason: why something is None; empty when nothing is.
    """

    value: float | None
    low: float | None
    high: float | None
    count: int
    reason: str = ""


@dataclass(frozen=True)
class BlandAltman:
    """Differences first minus second, in the readings' unit.

    Attributes:
        bias: mean difference, with its t interval.
        sd: sample standard deviation of the differences.
        lower: lower limit of agreement, bias - 1.96 SD, with its interval.
        upper: upper limit of agreement, bias + 1.96 SD, with its interval.
    """

    bias: Estimate
    sd: float | None
    lower: Estimate
    upper: Estimate


@dataclass(frozen=True)
class PairedTest:
    """Paired t test and Wilcoxon signed-rank test, both two-sided.

    Attributes:
        mean_difference: first minus second; None without any pair.
        t: t statistic, `count` - 1 degrees of freedom.
        t_p: its p value.
        w: Wilcoxon's smaller rank sum; pairs without a difference are left out of it.
        wilcoxon_p: exact where no ranks are tied and at most 50 pairs differ, else from the normal
            approximation without continuity correction.
        count: pairs.
        reason: why something is None.
    """

    mean_difference: float | None
    t: float | None
    t_p: float | None
    w: float | None
    wilcoxon_p: float | None
    count: int
    reason: str = ""


def concordance(first: Readings, second: Readings) -> Estimate:
    """Lin's concordance correlation coefficient with its Fisher-z interval.

    CCC = 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), moments with 1/n (Lin, Biometrics 1989;45:255).
    The variance of z is that of the correction (Lin, Biometrics 2000;56:324).

    Args:
        first: one reading per case.
        second: the other reading of the same cases, in the same order.
    """
    x, y = _complete(first, second).T
    count = len(x)
    if count < LEAST_CASES:
        return Estimate(None, None, None, count, _too_few(count))
    (variance_x, covariance), (_, variance_y) = np.cov(x, y, bias=True)
    scatter = variance_x + variance_y + (x.mean() - y.mean()) ** 2
    if _is_constant(np.concatenate([x, y])):
        return Estimate(None, None, None, count, "all readings are equal")
    ccc = float(2 * covariance / scatter)
    if _is_constant(x) or _is_constant(y):
        return Estimate(0.0, None, None, count, "one of the two never varies: no interval")
    if 1 - abs(ccc) < ROUNDING:
        return Estimate(ccc, None, None, count, f"CCC is exactly {ccc:+.0f}: no interval")
    spread = math.sqrt(variance_x * variance_y)
    shift = float((x.mean() - y.mean()) ** 2 / spread)
    error = _ccc_error(ccc, float(covariance / spread), shift, float(2 * spread / scatter), count)
    z, step = math.atanh(ccc), _normal_quantile() * error
    return Estimate(ccc, math.tanh(z - step), math.tanh(z + step), count)


def _ccc_error(ccc: float, correlation: float, shift: float, accuracy: float, count: int) -> float:
    """Standard error of atanh(CCC); shift is u^2, accuracy is C_b = CCC / correlation."""
    rest = 1 - ccc**2
    variance = (
        (1 - correlation**2) * accuracy**2 / rest
        + 2 * ccc**2 * accuracy * (1 - ccc) * shift / rest**2
        - ccc**2 * accuracy**2 * shift**2 / (2 * rest**2)
    )
    return math.sqrt(max(variance, 0.0) / (count - 2))


def intraclass(readings: Sequence[Readings] | np.ndarray) -> Estimate:
    """ICC(2,1): two-way random effects, absolute agreement, single reading, with its F interval.

    Shrout and Fleiss, Psychol Bull 1979;86:420: both the cases and the readers are a sample.
    It can be negative, where readers differ more than cases do.

    Args:
        readings: (cases, readers); cases with a missing reading are left out.
    """
    table = _complete_rows(readings)
    count, readers = table.shape
    if readers < 2:
        return Estimate(None, None, None, count, f"expected 2 readings of a case, found {readers}")
    if count < LEAST_CASES:
        return Estimate(None, None, None, count, _too_few(count))
    if _is_constant(table):
        return Estimate(None, None, None, count, "all readings are equal")
    cases, judges, rest = _mean_squares(table)
    icc = (cases - rest) / (cases + (readers - 1) * rest + readers * (judges - rest) / count)
    if judges + rest < ROUNDING * cases:
        return Estimate(1.0, None, None, count, "the readers never differ: no interval")
    if cases + rest < ROUNDING * judges:
        return Estimate(0.0, None, None, count, "the cases never differ: no interval")
    low, high = _icc_interval(icc, cases, judges, rest, count, readers)
    return Estimate(float(icc), low, high, count)


def _mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Mean squares between cases (rows), between readers (columns), and of the residual."""
    count, readers = table.shape
    grand = table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    residual = table - rows[:, None] - columns[None] + grand
    return (
        float(readers * ((rows - grand) ** 2).sum() / (count - 1)),
        float(count * ((columns - grand) ** 2).sum() / (readers - 1)),
        float((residual**2).sum() / ((count - 1) * (readers - 1))),
    )


def _icc_interval(
    icc: float, cases: float, judges: float, rest: float, n: int, k: int
) -> tuple[float, float]:
    """Interval of ICC(2,1), Shrout and Fleiss 1979; F_J is multiplied out, so `rest` may be 0."""
    from scipy.stats import f

    a = k * icc * judges
    b = (n * (1 + (k - 1) * icc) - k * icc) * rest
    freedom = (k - 1) * (n - 1) * (a + b) ** 2 / ((n - 1) * a**2 + b**2)
    tail = (1 + CONFIDENCE) / 2
    above, below = float(f.ppf(tail, n - 1, freedom)), float(f.ppf(tail, freedom, n - 1))
    others = k * judges + (k * n - k - n) * rest
    low = n * (cases - above * rest) / (above * others + n * cases)
    high = n * (below * cases - rest) / (others + n * below * cases)
    return float(low), float(high)


def bland_altman(first: Readings, second: Readings) -> BlandAltman:
    """Bias and 95 % limits of agreement of first minus second, each with its 95 % interval.

    The standard error of a limit is SD sqrt(1/n + 1.96^2 / (2 (n - 1))) (Bland and Altman, Stat
    Methods Med Res 1999;8:135, section 2.2).

    Args: as `concordance`.
    """
    from scipy.stats import t

    difference = -np.diff(_complete(first, second)).ravel()
    count = len(difference)
    if count < LEAST_CASES:
        none = Estimate(None, None, None, count, _too_few(count))
        return BlandAltman(none, None, none, none)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, count - 1))
    bias_step = quantile * sd / math.sqrt(count)
    limit_step = quantile * sd * math.sqrt(1 / count + LIMIT_SDS**2 / (2 * (count - 1)))

    def around(value: float, step: float) -> Estimate:
        return Estimate(value, value - step, value + step, count)

    return BlandAltman(
        around(bias, bias_step),
        sd,
        around(bias - LIMIT_SDS * sd, limit_step),
        around(bias + LIMIT_SDS * sd, limit_step),
    )


def variation_percent(readings: Sequence[Readings] | np.ndarray) -> Estimate:
    """Coefficient of variation: within-case SD over the mean of all readings, in percent.

    Within-case SD = sqrt(mean over cases of the sample variance of a case's readings); for two
    readings this is sqrt(sum of squared differences / (2 n)) (Bland and Altman, BMJ 1996;313:744).
    It contains the bias between readers. No interval is given.

    Args: as `intraclass`.
    """
    table = _complete_rows(readings)
    count, readers = table.shape
    if readers < 2:
        return Estimate(None, None, None, count, f"expected 2 readings of a case, found {readers}")
    if count < LEAST_CASES:
        return Estimate(None, None, None, count, _too_few(count))
    mean = float(table.mean())
    if mean <= 0:
        return Estimate(None, None, None, count, "the mean of all readings is not above 0")
    within = math.sqrt(float(table.var(axis=1, ddof=1).mean()))
    return Estimate(100 * within / mean, None, None, count)


def paired_test(first: Readings, second: Readings) -> PairedTest:
    """Paired t test and Wilcoxon signed-rank test of first against second.

    Args: as `concordance`.
    """
    from scipy.stats import t as student

    difference = np.round(-np.diff(_complete(first, second)).ravel(), DECIMALS)
    count = len(difference)
    mean = float(difference.mean()) if count else None
    if count < LEAST_CASES or mean is None:
        return PairedTest(mean, None, None, None, None, count, _too_few(count))
    if not difference.any():
        return PairedTest(0.0, None, None, None, None, count, "no pair differs")
    w, wilcoxon_p = _signed_rank(difference[difference != 0])
    if _is_constant(difference):
        return PairedTest(mean, None, None, w, wilcoxon_p, count, "all pairs differ by the same")
    t = mean / (float(difference.std(ddof=1)) / math.sqrt(count))
    t_p = float(2 * student.sf(abs(t), count - 1))
    return PairedTest(mean, float(t), t_p, w, wilcoxon_p, count)


def _signed_rank(difference: np.ndarray) -> tuple[float, float]:
    """Rank sum and p value; the method is named, since scipy's own choice changes by version."""
    from scipy.stats import wilcoxon

    tied = len(np.unique(np.abs(difference))) < len(difference)
    exact = not tied and len(difference) <= MOST_FOR_EXACT
    found = wilcoxon(difference, correction=False, method="exact" if exact else "approx")
    return float(found.statistic), float(found.pvalue)


def _complete(first: Readings, second: Readings) -> np.ndarray:
    """Pairs (cases, 2) without a missing reading."""
    if len(first) != len(second):
        raise ValueError(
            f"expected as many first as second readings, found {len(first)} and {len(second)}"
        )
    return _complete_rows(np.column_stack([_as_floats(first), _as_floats(second)]))


def _complete_rows(readings: Sequence[Readings] | np.ndarray) -> np.ndarray:
    table = _as_floats(readings)
    if table.ndim != 2:
        raise ValueError(f"expected readings (cases, readers), found shape {table.shape}")
    return table[np.isfinite(table).all(axis=1)]


def _as_floats(readings: Sequence[Readings] | Readings) -> np.ndarray:
    return np.asarray(readings, np.float64)


def _is_constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= ROUNDING * max(1.0, float(np.abs(values).max())))


def _too_few(count: int) -> str:
    return f"expected at least {LEAST_CASES} cases, found {count}"


def _normal_quantile() -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + CONFIDENCE) / 2))
