"""Measure masks that another program or a person has drawn. Needs no network and no torch.

    python Docs/examples/measure_foreign_masks.py                            synthetic patients
    python Docs/examples/measure_foreign_masks.py --lge a.nii.gz --mask b.nii.gz --convention emidec

A mask lies on the grid of the LGE that it was drawn on. Its values are those of MyoPS unless a
convention is named: "emidec", "acdc" or "mnms".
"""

import argparse
from pathlib import Path

import myops

# Conventional rules, measured inside the mask's own wall; myops quantify --help lists more.
RULES = ("fwhm_half_of_maximum", "sd5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lge", type=Path)
    parser.add_argument("--mask", type=Path)
    parser.add_argument("--convention", default="myops")
    parser.add_argument("--output", type=Path, default=Path("measure-foreign-masks"))
    options = parser.parse_args()
    pairs = [(options.lge, options.mask)] if options.lge else phantoms(options.output)
    for lge, mask in pairs:
        case = myops.load_case(lge=lge)
        drawn = myops.read_label_map(mask, case, options.convention)
        settings = myops.ConventionalSettings(methods=RULES)
        print_numbers(mask.name, myops.measure(case, drawn, settings))


def print_numbers(name: str, numbers: myops.Measurements) -> None:
    """The drawn scar, and what each rule finds in the same wall."""
    print(name)
    print_mass("as drawn", numbers.tissues["scar"], None)
    for rule, found in {**numbers.fwhm, **numbers.conventional}.items():
        print_mass(rule, found.mass, found.dice_with_scar)
    for warning in numbers.all_warnings:
        print(f"    Warning: {warning}")


def print_mass(title: str, mass: myops.TissueMass, dice: float | None) -> None:
    """One line: g and % of LV mass, or the reason why there are none; Dice with the drawn scar."""
    if mass.mass_g is None:
        print(f"    {title:<30}{mass.reason}")
        return
    overlap = "" if dice is None else f"   Dice {dice:.2f}"
    print(f"    {title:<30}{mass.mass_g:6.1f} g {mass.percent_of_lv_mass or 0:5.1f} %{overlap}")


def phantoms(folder: Path) -> list[tuple[Path, Path]]:
    """The LGE of two synthetic patients with their true labels, as if an expert had drawn them."""
    made = [myops.write_phantom(folder / str(seed), seed) for seed in (950_000, 950_038)]
    return [(next(p.glob("*_DE.nii.gz")), next(p.glob("*_gd.nii.gz"))) for p in made]


if __name__ == "__main__":
    main()
