"""Myocardial scar and edema from bSSFP, LGE and T2 cardiac MR.

Example:
    >>> import myops
    >>> case = myops.load_case(lge="lge.nii.gz", bssfp="bssfp.nii.gz", t2="t2.nii.gz")
    >>> found = myops.segment(case, myops.load_models())
    >>> numbers = myops.measure(case, found)
    >>> numbers.tissues["scar"].mass_g
    16.1
    >>> myops.write_results("out", case, found, numbers)

The way of the data, one module an arrow::

    files -> case -> cascade -> quantify -> output

`import myops` loads none of it. A name's module is imported when the name is first used, so that
torch is loaded only by what needs a network.
"""

from importlib import import_module

__version__ = "0.2.0"

# Public name -> its module, or "module:name" where it has another name there. The imports below
# say the same to type checkers; a test compares the two.
PUBLIC = {
    # Images
    "load_case": "myops.patients.provenance",
    "Case": "myops.case",
    "Geometry": "myops.geometry.grid",
    # Segmentation
    "load_models": "myops.weights.files",
    "Models": "myops.weights.files",
    "segment": "myops.cascade.segment",
    "CascadeConfig": "myops.cascade.segment",
    "Cancelled": "myops.errors",
    "Segmentation": "myops.segmentation",
    "read_label_map": "myops.quantify.label_map",
    # Corrections
    "Refiner": "myops.refine.refiner",
    "Prediction": "myops.refine.refiner",
    "Session": "myops.refine.session",
    "Step": "myops.refine.session",
    "Rules": "myops.refine.rules",
    "write_record": "myops.refine.record",
    "read_record": "myops.refine.record",
    "Record": "myops.refine.record",
    "replay": "myops.refine.replay",
    "Replay": "myops.refine.replay",
    # Numbers
    "measure": "myops.quantify.measure",
    "Measurements": "myops.quantify.measurements",
    "ThresholdedScar": "myops.quantify.measurements",
    "TissueMass": "myops.quantify.mass",
    "ConventionalSettings": "myops.quantify.thresholds.methods",
    "compare": "myops.evaluation.metrics",
    "Agreement": "myops.evaluation.metrics",
    "write_results": "myops.output.results",
    # Reader studies
    "read_study": "myops.study.read",
    "analyze_study": "myops.study.analysis:analyze",
    "Study": "myops.study.reading",
    "Reading": "myops.study.reading",
    "StudyResults": "myops.study.results:Results",
    # Synthetic patients
    "write_phantom": "myops.phantom.files",
    # Errors
    "InputError": "myops.errors",
}
__all__ = ["__version__", *PUBLIC]

# Type checkers take this name for true; `typing` itself would take longer than all the rest here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from myops.cascade.segment import CascadeConfig as CascadeConfig
    from myops.cascade.segment import segment as segment
    from myops.case import Case as Case
    from myops.errors import Cancelled as Cancelled
    from myops.errors import InputError as InputError
    from myops.evaluation.metrics import Agreement as Agreement
    from myops.evaluation.metrics import compare as compare
    from myops.geometry.grid import Geometry as Geometry
    from myops.output.results import write_results as write_results
    from myops.patients.provenance import load_case as load_case
    from myops.phantom.files import write_phantom as write_phantom
    from myops.quantify.label_map import read_label_map as read_label_map
    from myops.quantify.mass import TissueMass as TissueMass
    from myops.quantify.measure import measure as measure
    from myops.quantify.measurements import Measurements as Measurements
    from myops.quantify.measurements import ThresholdedScar as ThresholdedScar
    from myops.quantify.thresholds.methods import ConventionalSettings as ConventionalSettings
    from myops.refine.record import Record as Record
    from myops.refine.record import read_record as read_record
    from myops.refine.record import write_record as write_record
    from myops.refine.refiner import Prediction as Prediction
    from myops.refine.refiner import Refiner as Refiner
    from myops.refine.replay import Replay as Replay
    from myops.refine.replay import replay as replay
    from myops.refine.rules import Rules as Rules
    from myops.refine.session import Session as Session
    from myops.refine.session import Step as Step
    from myops.segmentation import Segmentation as Segmentation
    from myops.study.analysis import analyze as _analyze
    from myops.study.read import read_study as read_study
    from myops.study.reading import Reading as Reading
    from myops.study.reading import Study as Study
    from myops.study.results import Results as _Results
    from myops.weights.files import Models as Models
    from myops.weights.files import load_models as load_models

    analyze_study = _analyze
    StudyResults = _Results
else:

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used (PEP 562)."""
        if name not in PUBLIC:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, own_name = PUBLIC[name].partition(":")
        value = getattr(import_module(module), own_name or name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
