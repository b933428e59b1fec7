"""What the panels ask of the logic, step by step: all of it, and nothing else.

`Logic.MyoPSLogic` satisfies it on a scene; a test may put anything with these names in its place.
Images, labels and results pass through the panels unread, hence `Any`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class CorrectedCase(Protocol):
    """The case that is being corrected, for whoever measures or exports it."""

    @property
    def session(self) -> Any:
        """Its session; None without a case."""

    @property
    def node(self) -> Any:
        """The segmentation node that shows its labels; None without a case."""

    @property
    def currentSlice(self) -> int:
        """The z index that the reader looks at."""


@runtime_checkable
class PatientSteps(Protocol):
    """Step 1, see `PatientLogic`."""

    volumes: Mapping[str, Any]
    files: Any
    case: Any
    caseName: str
    problem: str | None
    referenceNode: Any
    findings: Callable[[], list[Any]]
    loadFolder: Callable[[str], object]
    ready: Callable[[], str | None]
    resolve: Callable[[Any], object]
    revert: Callable[[Any], object]
    setVolumes: Callable[..., object]
    swap: Callable[[str, str], object]


@runtime_checkable
class AutomaticSteps(Protocol):
    """Step 2, see `AutomaticLogic`."""

    task: Any
    isRunning: bool
    cancel: Callable[[], object]
    devices: Callable[[], list[tuple[str, str]]]
    models: Callable[[], list[tuple[str, str]]]
    needsQuestion: Callable[[], str | None]
    resume: Callable[[Any, str, str], object]
    run: Callable[[str, str], object]


@runtime_checkable
class CorrectionSteps(CorrectedCase, Protocol):
    """Step 3, see `CorrectionLogic`."""

    case: Any
    labels: Any
    status: str
    structure: str
    placing: str | None
    rules: Any
    proposal: Any
    clickTimings: Sequence[Any]
    refinerState: str
    refinerProblem: str
    undoName: str | None
    redoName: str | None
    structures: Callable[[], list[tuple[str, str, str | None]]]
    setStructure: Callable[[str], object]
    setCurrentSlice: Callable[[int], object]
    setRules: Callable[[bool, bool], object]
    setOpacity: Callable[[float], object]
    setRefiner: Callable[[str, str], object]
    startPlacing: Callable[[str], object]
    stopPlacing: Callable[[], object]
    threshold: Callable[[float], object]
    expand: Callable[[float], object]
    shrink: Callable[[float], object]
    smooth: Callable[[float], object]
    undo: Callable[[], object]
    redo: Callable[[], object]
    proposeCarry: Callable[[], object]
    acceptProposal: Callable[[], object]
    refuseProposal: Callable[[], object]
    lookHereNext: Callable[[], Any]


@runtime_checkable
class QuantifySteps(Protocol):
    """Step 4, see `QuantifyLogic`."""

    masses: Mapping[str, Any]
    measurements: Any
    problem: str | None
    stale: bool
    doubts: Sequence[str]
    sector: Any
    bullsEyeQuantity: str
    shownMethods: Collection[str]
    methods: Callable[[], Mapping[str, str]]
    showMethod: Callable[[str, bool], object]
    showRemote: Callable[[bool], object]
    setRemoteSector: Callable[[float, float], object]
    clearRemote: Callable[[], object]
    setBullsEye: Callable[[Any], object]


@runtime_checkable
class StudySteps(Protocol):
    """Step 5, see `StudyLogic`."""

    entries: Sequence[tuple[str, str]]
    index: int | None
    status: str | None
    clock: Any
    csvPath: Path | None
    lastSaved: str | None
    activity: Callable[[], object]
    approve: Callable[[], object]
    next: Callable[[], object]
    open: Callable[[int], object]
    openFolder: Callable[[str, str, str], object]
    previous: Callable[[], object]


@runtime_checkable
class PanelLogic(Protocol):
    """The whole logic: the steps, what they tell each other, and the background."""

    scene: Any
    events: Any
    work: Any
    patient: PatientSteps
    automatic: AutomaticSteps
    correction: CorrectionSteps
    quantify: QuantifySteps
    study: StudySteps
    poll: Callable[..., object]
    export: Callable[..., Any]
