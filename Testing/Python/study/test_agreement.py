"""Agreement statistics against hand calculation, published examples and pingouin 0.7.0."""

import math

import numpy as np
import pytest

from myops.study.statistics import (
    Estimate,
    bland_altman,
    concordance,
    intraclass,
    paired_test,
    variation_percent,
)

# Shrout and Fleiss, Psychol Bull 1979;86:420, table 2: 6 targets, 4 judges.
TARGETS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Bland and Altman, Lancet 1986;327:307, table 1: first peak expiratory flow readings, L/min.
LARGE_METER = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI_METER = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_concordance_by_hand() -> None:
    # Means 2.5 and 3.5, variances (1/n) 1.25 and 1.25, covariance 1: 2 / (2.5 + 1).
    found = concordance([1, 2, 3, 4], [3, 2, 4, 5])
    assert found.value == pytest.approx(2 / 3.5)
    assert found.count == 4
    # Lin 2000: r = 1 / 1.25 = 0.8, u^2 = 1 / 1.25 = 0.8, on the z scale, n - 2 = 2.
    r, c, u2 = 0.8, 2 / 3.5, 0.8
    variance = (
        (1 - r**2) * c**2 / ((1 - c**2) * r**2)
        + 2 * c**3 * (1 - c) * u2 / (r * (1 - c**2) ** 2)
        - c**4 * u2**2 / (2 * r**2 * (1 - c**2) ** 2)
    ) / 2
    step = 1.959963985 * math.sqrt(variance)
    assert found.low == pytest.approx(math.tanh(math.atanh(c) - step))
    assert found.high == pytest.approx(math.tanh(math.atanh(c) + step))


def test_concordance_of_uncorrelated_readings_is_zero_and_still_has_an_interval() -> None:
    none = concordance([-1, 1, -1, 1], [-1, -1, 1, 1])
    assert none.value == pytest.approx(0)
    assert none.low == pytest.approx(-math.tanh(1.959963985 / math.sqrt(2)))
    assert none.high == pytest.approx(math.tanh(1.959963985 / math.sqrt(2)))


def test_the_interval_of_the_concordance_covers_the_truth_in_95_of_100_studies() -> None:
    # Bivariate normal, r 0.9, a shift of one SD: CCC = 1.8 / (2 + 1) = 0.6. With the factors 4 and
    # 2 of Lin's first paper instead of 2 and 1/2 the intervals cover only 0.89.
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1500):
        x, noise = rng.standard_normal((2, 100))
        y = 0.9 * x + math.sqrt(1 - 0.81) * noise + 1
        found = concordance(x, y)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.6 <= found.high
    assert 0.93 < covered / 1500 < 0.967


def test_icc_of_the_example_of_shrout_and_fleiss() -> None:
    # The paper gives 0.29; pingouin 0.7.0 gives ICC(A,1) 0.289764 with the interval 0.02 to 0.76.
    found = intraclass(TARGETS)
    assert found.value == pytest.approx(0.289764, abs=1e-6)
    assert (found.low, found.high) == (pytest.approx(0.02, abs=5e-3), pytest.approx(0.76, abs=5e-3))
    assert found.count == 6


def test_the_interval_of_the_icc_is_that_of_the_papers_formulas() -> None:
    """Shrout and Fleiss 1979, page 424, with the mean squares of their own table.

    F_J = JMS / EMS = 31.866; v = 3 x 5 (4 r F_J + 6 (1 + 3 r) - 4 r)^2 / (5 x 16 r^2 F_J^2 +
    (6 (1 + 3 r) - 4 r)^2) = 4.785 degrees of freedom with r = 0.28976; then the quantiles of
    F(5, v) and F(v, 5) at 97.5 %, worked out apart from this program.
    """
    found = intraclass(TARGETS)
    assert found.low == pytest.approx(0.0187865, abs=1e-6)
    assert found.high == pytest.approx(0.7610844, abs=1e-6)


def test_icc_of_two_readers_by_hand() -> None:
    table = np.array([[1.0, 2.0], [3.0, 3.0], [5.0, 7.0]])
    # Row means 1.5, 3, 6, grand 3.5: rows 2 (4 + 0.25 + 6.25) / 2 = 10.5; columns 3 and 4:
    # 3 (0.25 + 0.25) / 1 = 1.5; total 23.5 = 21 + 1.5 + residual 1, over 2 degrees: 0.5.
    assert intraclass(table).value == pytest.approx((10.5 - 0.5) / (10.5 + 0.5 + 2 * 1.0 / 3))


def test_icc_of_peak_flow_agrees_with_pingouin() -> None:
    found = intraclass(np.column_stack([LARGE_METER, MINI_METER]))
    assert found.value == pytest.approx(0.945928, abs=1e-6)
    assert (found.low, found.high) == (pytest.approx(0.86, abs=5e-3), pytest.approx(0.98, abs=5e-3))


def test_icc_can_be_negative() -> None:
    assert intraclass([[1, 3], [3, 1], [2, 2.2]]).value < 0


def test_bland_altman_of_the_peak_flow_example() -> None:
    # The paper: mean difference -2.1, SD 38.8; interval of the bias -22.0 to 17.8 (pingouin's t).
    found = bland_altman(LARGE_METER, MINI_METER)
    assert found.bias.value == pytest.approx(-36 / 17)
    assert found.sd == pytest.approx(38.765, abs=1e-3)
    assert found.bias.low == pytest.approx(-22.05, abs=5e-3)
    assert found.bias.high == pytest.approx(17.81, abs=5e-3)
    assert found.lower.value == pytest.approx(-2.1176 - 1.96 * 38.7651, abs=1e-3)
    assert found.upper.value == pytest.approx(-2.1176 + 1.96 * 38.7651, abs=1e-3)
    # t (16 degrees) 2.1199, standard error 38.7651 sqrt(1/17 + 3.8416/32) = 16.395.
    assert found.upper.high - found.upper.value == pytest.approx(2.1199 * 16.395, abs=0.01)


def test_variation_is_the_within_case_sd_over_the_mean() -> None:
    # Differences 1, 0, 2: sqrt(5 / 6) over the mean 3.5.
    found = variation_percent([[1, 2], [3, 3], [5, 7]])
    assert found.value == pytest.approx(100 * math.sqrt(5 / 6) / 3.5)
    # Three readers: variances 1, 0 and 4, mean 5.
    three = variation_percent([[1, 2, 3], [4, 4, 4], [7, 9, 11]])
    assert three.value == pytest.approx(100 * math.sqrt(5 / 3) / 5)


def test_paired_tests_of_peak_flow_agree_with_pingouin() -> None:
    found = paired_test(LARGE_METER, MINI_METER)
    assert found.t == pytest.approx(-0.225235, abs=1e-6)
    assert found.t_p == pytest.approx(0.824648, abs=1e-6)
    assert found.w == pytest.approx(64.0)


def test_wilcoxon_is_exact_without_ties_and_leaves_zeros_out() -> None:
    # Five differences of one sign: 2 of the 2^5 sign patterns are as extreme.
    found = paired_test([1.1, 2.2, 3.3, 4.4, 5.5], [1, 2, 3, 4, 5])
    assert (found.w, found.wilcoxon_p) == (0.0, pytest.approx(2 / 32))
    with_zero = paired_test([1.1, 2.2, 3.3, 4.4, 5.5, 6], [1, 2, 3, 4, 5, 6])
    assert with_zero.wilcoxon_p == pytest.approx(2 / 32)
    assert with_zero.count == 6


def test_wilcoxon_with_ties_is_the_normal_approximation() -> None:
    # |d| 1 1 2 3: ranks 1.5 1.5 3 4; W+ = 8.5, W- = 1.5; mean 5, variance 30/4 - 6/48 = 7.375.
    found = paired_test([1, -1, 2, 3], [0, 0, 0, 0])
    assert found.w == pytest.approx(1.5)
    z = (1.5 - 5) / math.sqrt(7.375)
    assert found.wilcoxon_p == pytest.approx(math.erfc(-z / math.sqrt(2)))


def test_rounding_of_floats_makes_no_difference_and_no_rank() -> None:
    found = paired_test([0.1 + 0.2, 2.3, 1.3, 7.0], [0.3, 2.2, 1.2, 5.0])
    # Differences 0, 0.1, 0.1, 2: one zero left out, two tied.
    assert found.w == 0.0
    assert found.wilcoxon_p == pytest.approx(math.erfc(3 / math.sqrt(3.5 - 6 / 48) / math.sqrt(2)))


@pytest.mark.parametrize("readings", [[], [1.0], [1.0, 2.0]])
def test_fewer_than_three_cases_determine_nothing_and_say_so(readings) -> None:
    reason = f"expected at least 3 cases, found {len(readings)}"
    nothing = Estimate(None, None, None, len(readings), reason)
    table = np.column_stack([readings, readings])
    assert concordance(readings, readings) == nothing
    assert intraclass(table) == nothing
    assert variation_percent(table) == nothing
    assert bland_altman(readings, readings).bias == nothing
    assert paired_test(readings, readings).reason == reason


def test_missing_readings_take_out_their_case() -> None:
    x, y = [1, 2, 3, 4, None, math.nan], [3, 2, 4, 5, 9, 9]
    assert concordance(x, y) == concordance(x[:4], y[:4])
    assert intraclass(np.array([x, y], float).T) == intraclass(np.array([x[:4], y[:4]], float).T)
    assert bland_altman(x, y).bias.count == 4
    assert paired_test(x, y).count == 4


def test_constant_readings_have_defined_results() -> None:
    assert concordance([2, 2, 2], [2, 2, 2]).reason == "all readings are equal"
    assert intraclass([[0, 0]] * 4).reason == "all readings are equal"
    one_varies = concordance([1, 1, 1], [1, 2, 3])
    assert (one_varies.value, one_varies.low) == (0.0, None)
    assert "never varies" in one_varies.reason
    same_cases = intraclass([[1, 2], [1, 2], [1, 2]])
    assert (same_cases.value, same_cases.low) == (0.0, None)
    assert variation_percent([[0, 0]] * 3).reason == "the mean of all readings is not above 0"
    shifted = paired_test([2, 3, 4], [1, 2, 3])
    assert (shifted.mean_difference, shifted.t, shifted.t_p) == (1.0, None, None)
    assert shifted.wilcoxon_p == pytest.approx(math.erfc(3 / math.sqrt(3.5 - 24 / 48) / 2**0.5))
    assert paired_test([1, 2, 3], [1, 2, 3]).reason == "no pair differs"


def test_exact_agreement_is_one_without_an_interval() -> None:
    assert concordance([1, 2, 3], [1, 2, 3]) == Estimate(
        1.0, None, None, 3, "CCC is exactly +1: no interval"
    )
    same = intraclass([[1, 1], [2, 2], [3, 3]])
    assert (same.value, same.low, same.high) == (1.0, None, None)
    assert bland_altman([1, 2, 3], [1, 2, 3]).sd == 0.0


def test_a_constant_shift_between_readers_keeps_an_interval_of_the_icc() -> None:
    # No residual: rows 2, columns 1.5, ICC = 2 / (2 + 2 * 1.5 / 3).
    found = intraclass([[1, 2], [2, 3], [3, 4]])
    assert found.value == pytest.approx(2 / 3)
    assert found.low is not None and 0 < found.low < 2 / 3 < found.high < 1


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="found 3 and 2"):
        concordance([1, 2, 3], [1, 2])


@pytest.mark.parametrize("seed", range(20))
def test_no_hostile_readings_give_nan_or_a_value_outside_its_interval(seed) -> None:
    rng = np.random.default_rng(seed)
    table = rng.choice([0.0, 1.0, 1.0 + 1e-15, 5.0, 1e6, math.nan], size=(rng.integers(0, 8), 2))
    x, y = table.T
    difference = bland_altman(x, y)
    estimates = [concordance(x, y), intraclass(table), variation_percent(table)]
    estimates += [difference.bias, difference.lower, difference.upper]
    for found in estimates:
        assert (found.value is not None and math.isfinite(found.value)) or found.reason
        if found.low is not None and found.high is not None:
            assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    test = paired_test(x, y)
    assert test.t_p is None or 0 <= test.t_p <= 1
    assert test.wilcoxon_p is None or 0 <= test.wilcoxon_p <= 1
