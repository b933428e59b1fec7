"""How a table is reproduced: split, budget and size, the same for all of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field

# MyoPS 2020: 25 patients to train on, 20 to test on.
TRAINED, TESTED = 25, 20
# Patients of the phantom cohort: held out from every training of ours.
COHORT_SEED = 960_000
# Out-of-distribution patients, for the second test.
OUTSIDE_SEED = 965_000


@dataclass(frozen=True)
class Protocol:
    """What all rows of a table share.

    Attributes:
        name: "paper" or "quick".
        seeds: trainings per row; each has its own weights, batches and augmentation.
        settings: of every training (`training.config`), as texts.
        sizes: pixels per side: "heart" for squares around the heart, "tissue" for those around the
            left ventricle, "refiner" for the refiner's, which is the shipped one's.
        stage_settings: of the trainings of one stage, in place of the common ones.
        nnunet_mm: side of the square around the heart that nnU-Net sees; None = whole images.
        nnunet_trainer: nnU-Net's; "" = its own, for as many slices as the other rows.
    """

    name: str
    seeds: int
    settings: dict[str, str]
    sizes: dict[str, int] = field(default_factory=dict)
    stage_settings: dict[str, dict[str, str]] = field(default_factory=dict)
    nnunet_mm: float | None = None
    nnunet_trainer: str = ""

    def settings_for(self, stage: str) -> dict[str, str]:
        """Settings of a stage's training: the common ones, or its own in their place."""
        return self.settings | self.stage_settings.get(stage, {})


COMMON = {
    "workers": "1",
    "pool_start": "8",
    # Cutting patients out again and again must not take the cores from the networks.
    "steps_per_patient": "5",
    "curve_patients": "0",
    "curve_minutes": "0",
    "dropout": "0",
    "warmup": "0.03",
}
NARROW = "8,16,32,64"
PROTOCOLS = {
    # The paper's 128x128 squares and Adam; it names no number of steps: long enough to converge.
    "paper": Protocol(
        "paper",
        seeds=3,
        settings=COMMON | {"steps": "8000", "batch_size": "16", "learning_rate": "1e-3"},
        sizes={"heart": 128, "tissue": 128, "refiner": 80},
        # As its authors run it.
        nnunet_trainer="nnUNetTrainer",
    ),
    # About two minutes a row on two cores, for networks of half the width: the rows can be compared
    # with each other, not with a paper.
    "quick": Protocol(
        "quick",
        seeds=1,
        settings=COMMON
        | {
            "steps": "700",
            "batch_size": "8",
            "learning_rate": "2e-3",
            "ema_decay": "0.99",
            "checkpoint_minutes": "0.5",
            "device": "cpu",
        },
        sizes={"heart": 80, "tissue": 64, "refiner": 80},
        stage_settings={
            "assn": {"widths": "8,16,32,48,64"},
            "unet": {"widths": NARROW},
            "prsn": {"widths": NARROW},
            "dssnet": {"widths": NARROW},
            # The shipped click head is trained on: a patient takes seconds, for every one runs
            # through the cascade first, and a step makes the planes of all open dialogues.
            "clickhead": {
                "steps": "300",
                "batch_size": "4",
                "learning_rate": "1e-3",
                "steps_per_patient": "20",
            },
        },
        nnunet_mm=120.0,
    ),
}
