"""Read the table of a reader study, and print who agrees with whom. Needs no network and no torch.

python Docs/examples/read_reader_study.py                 a made-up study
python Docs/examples/read_reader_study.py readings.csv    your own, or a folder of sessions
"""

import argparse
from pathlib import Path

import numpy as np

import myops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?")
    parser.add_argument("--output", type=Path, default=Path("reader-study"))
    options = parser.parse_args()
    study = myops.read_study(options.source or made_up_table(options.output))
    print(f"{len(study.readings)} readings. {study.simulated}")
    overall = myops.analyze_study(study).overall
    for group in overall.groups:
        of = f" of {group.of}" if group.of else ""
        print(f"{group.kind}{of}, {group.method}: ICC(2,1) {words(group.icc.value)}")
        for pair in group.pairs:
            difference = pair.difference
            print(
                f"    {pair.first} - {pair.second}: CCC {words(pair.ccc.value)}, "
                f"bias {words(difference.bias.value)} g, limits of agreement "
                f"{words(difference.lower.value)} to {words(difference.upper.value)} g"
            )
    for time in overall.times:
        print(f"{time.method}, {time.stage}: {words(time.median_s)} s (median)")


def words(value: float | None) -> str:
    """A number of three digits; a dash where the readings do not determine it."""
    return "-" if value is None else f"{value:.3g}"


def made_up_table(folder: Path) -> Path:
    """Eight cases, two readers, two sessions each; reader B draws larger scars than A."""
    rng = np.random.default_rng(0)
    rows = ["case,reader,session,method,mass_g,seconds,data"]
    for case, true_g in enumerate(rng.uniform(5, 40, 8), start=1):
        for reader, bias_g in (("A", 0.0), ("B", 1.5)):
            for session in (1, 2):
                mass_g = true_g + bias_g + rng.normal(0, 0.8)
                seconds = rng.uniform(60, 180)
                names = f"case {case},{reader},{session},interactive"
                rows.append(f"{names},{mass_g:.1f},{seconds:.0f},simulated")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "readings.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
