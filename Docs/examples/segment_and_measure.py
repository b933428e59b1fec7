"""Segment one patient automatically, measure the scar, and write the report.

python Docs/examples/segment_and_measure.py                      a synthetic patient
python Docs/examples/segment_and_measure.py PATIENT --output out your own folder of images
"""

import argparse
from pathlib import Path

import myops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("patient", type=Path, nargs="?", help="NIfTI, NRRD, MetaImage or DICOM")
    parser.add_argument("--output", type=Path, default=Path("segment-and-measure"))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args()

    # 1. The sequences of one patient, on the grid of the LGE.
    folder = options.patient or myops.write_phantom(options.output / "patient")
    case = myops.load_case(folder)
    print(f"{', '.join(case.sequences)}: {case.geometry.in_words}")

    # 2. The networks outline the heart, then scar and edema in its wall.
    found = myops.segment(case, myops.load_models(options.device))

    # 3. Grams. A number that cannot be given is None, with its reason.
    numbers = myops.measure(case, found)
    for name in ("lv_myocardium", "scar", "edema"):
        tissue = numbers.tissues[name]
        if tissue.mass_g is None:
            print(f"{name:<32}{tissue.reason}")
        else:
            print(f"{name:<32}{tissue.mass_g:6.1f} g {tissue.percent_of_lv_mass or 0:6.1f} % of LV")
    for name, rule in numbers.fwhm.items():
        mass_g = rule.mass.mass_g
        print(f"{name:<32}" + (rule.mass.reason or "" if mass_g is None else f"{mass_g:6.1f} g"))

    # 4. What is doubtful about the images or the result, in words.
    for warning in numbers.all_warnings:
        print(f"Warning: {warning}")

    # 5. Label maps, tables and the report: all of them, or nothing.
    files = myops.write_results(options.output / "results", case, found, numbers)
    print(f"Report: {files['report.html']}")


if __name__ == "__main__":
    main()
