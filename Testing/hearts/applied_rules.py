"""A conventional rule as a function of arrays, as the tests call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from myops.quantify.thresholds.base import ThresholdResult
from myops.quantify.thresholds.rule import Rule, RuleInput


def applying(rule: Rule) -> Callable[..., ThresholdResult]:
    """Call it with the fields of `RuleInput`: lge, myocardium, scar, remote, scope and so on."""

    def apply(*given: Any, **more: Any) -> ThresholdResult:
        return rule.apply(RuleInput(*given, **more))

    return apply
