"""The rows of the papers' tables: which network, trained how, measured on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from myops.errors import InputError
from myops.sequences import NETWORK_SEQUENCES
from myops.structures import SHOWN_BY


@dataclass(frozen=True)
class Row:
    """One method.

    Attributes:
        name: as in the paper.
        stage: the training stage that makes its network, or "nnunet".
        size: "heart" or "tissue", the square its network sees (`Protocol.sizes`).
        settings: of its training beside the protocol's, as texts.
        uses: setting to the row whose checkpoint it takes ({"dae": "DAE"}).
        region: the row whose LV region it looks inside; "" = the whole square.
        measures: the structures of `compare` that it is measured on; none = not shown.
        published: structure to what the paper prints, as text.
        fuses: whether it is about bringing sequences together: of no meaning with one alone.
    """

    name: str
    stage: str
    size: str = "heart"
    settings: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    measures: tuple[str, ...] = ()
    published: Mapping[str, str] = field(default_factory=dict)
    fuses: bool = False

    @property
    def folder(self) -> str:
        """The row's name as the name of a folder."""
        kept = (c.lower() if c.isalnum() else "_" for c in self.name)
        return "_".join(part for part in "".join(kept).split("_") if part)


@dataclass(frozen=True)
class Claim:
    """What a paper says about two of its rows.

    Attributes:
        words: the claim.
        better, worse: names of rows.
        structure, measure: what is compared, as in `compare`; the difference is better - worse.
        lower: whether less is better (distances).
    """

    words: str
    better: str
    worse: str
    structure: str
    measure: str
    lower: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A paper's rows, in the order in which they are trained, and its claims.

    `outside` tells that the rows are also tested on out-of-distribution patients.
    """

    title: str
    source: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    outside: bool = False


LV, SCAR, EDEMA, BOTH = ("lv_region",), ("scar",), ("edema",), "scar_or_edema"
# The external reference: nnU-Net's own commands, on the same patients.
NNUNET = "nnunet"
NNUNET_CLAIM = "the cascade beats nnU-Net (not a claim of the paper)"

# REFERENCE: the cascade paper, tables 1 (validation) and 2 (test).
CASCADE = PaperTable(
    title="ASSN + DAE + PRSN",
    source="the cascade paper, tables 1 and 2, MyoPS 2020 (45 patients)",
    rows=(
        Row(
            "U-Net bSSFP",
            "unet",
            settings={"sequences": "bssfp", "target": "region"},
            measures=LV,
            published={"lv_region": "0.938 ± 0.026, HD 10.7 ± 9.0 mm"},
        ),
        Row("DAE", "dae"),
        Row(
            "ASSN without DAE",
            "assn",
            settings={"dae_weight": "0"},
            measures=LV,
            published={"lv_region": "0.962 ± 0.033, HD 8.3 ± 9.1 mm"},
        ),
        Row(
            "ASSN",
            "assn",
            uses={"dae": "DAE"},
            measures=LV,
            published={"lv_region": "0.970 ± 0.015, HD 3.0 ± 0.8 mm"},
        ),
        Row(
            "U-Net edema (T2)",
            "unet",
            settings={"sequences": "t2", "target": "edema"},
            measures=EDEMA,
            published={"edema": "0.614"},
        ),
        Row(
            "U-Net scar (LGE)",
            "unet",
            settings={"sequences": "lge", "target": "scar"},
            measures=SCAR,
            published={"scar": "0.564"},
        ),
        Row(
            "PRSN branch T2",
            "unet",
            "tissue",
            settings={"sequences": "t2", "target": "edema", "inside": "1"},
            region="ASSN",
            measures=EDEMA,
            published={"edema": "0.644"},
        ),
        Row(
            "PRSN branch LGE",
            "unet",
            "tissue",
            settings={"sequences": "lge", "target": "scar", "inside": "1"},
            region="ASSN",
            measures=SCAR,
            published={"scar": "0.557"},
        ),
        Row(
            "Fusion U-Net",
            "unet",
            "tissue",
            settings={"target": "tissues", "inside": "1"},
            region="ASSN",
            measures=(*SCAR, *EDEMA, BOTH),
            published={"scar": "0.575", BOTH: "0.666"},
            fuses=True,
        ),
        Row(
            "MFB-PRSN",
            "prsn",
            "tissue",
            settings={"fusion": "mfb"},
            region="ASSN",
            measures=(*SCAR, *EDEMA, BOTH),
            published={"scar": "0.596", BOTH: "0.686"},
            fuses=True,
        ),
        Row(
            "PRSN",
            "prsn",
            "tissue",
            region="ASSN",
            measures=(*SCAR, *EDEMA, BOTH),
            published={"scar": "0.641 ± 0.260", BOTH: "0.702 ± 0.130"},
            fuses=True,
        ),
        Row("nnU-Net", NNUNET, measures=(*LV, *SCAR, *EDEMA, BOTH)),
    ),
    claims=(
        Claim("the DAE reduces HD", "ASSN", "ASSN without DAE", "lv_region", "hd_mm", lower=True),
        Claim("three sequences beat bSSFP", "ASSN", "U-Net bSSFP", "lv_region", "dice"),
        Claim("the PRSN beats its LGE branch", "PRSN", "PRSN branch LGE", "scar", "dice"),
        Claim("the PRSN beats a U-Net on LGE", "PRSN", "U-Net scar (LGE)", "scar", "dice"),
        Claim("channel attention beats input fusion", "PRSN", "Fusion U-Net", "scar", "dice"),
        Claim("channel attention beats MFB", "PRSN", "MFB-PRSN", "scar", "dice"),
        Claim("channel attention beats MFB", "PRSN", "MFB-PRSN", BOTH, "dice"),
        Claim(NNUNET_CLAIM, "PRSN", "nnU-Net", "scar", "dice"),
        Claim(NNUNET_CLAIM, "PRSN", "nnU-Net", BOTH, "dice"),
        Claim(NNUNET_CLAIM, "PRSN branch LGE", "nnU-Net", "scar", "dice"),
        Claim(NNUNET_CLAIM, "ASSN", "nnU-Net", "lv_region", "dice"),
    ),
)

TISSUES = ("myocardium", "scar", "edema", BOTH)


def _dssnet(name: str, settings: Mapping[str, str], published: Mapping[str, str]) -> Row:
    return Row(name, "dssnet", settings=settings, measures=TISSUES, published=published, fuses=True)


# The design is ours (Docs/explanation/dssnet.md); we do not have the paper's table of ablations.
DSSNET = PaperTable(
    title="DSS-Net-style network",
    source="doi 10.3390/jimaging12060269, MyoPS 2020; the second figure most likely the union",
    rows=(
        # The loss of the two stages: with Dice alone edema floods the square.
        Row(
            "U-Net",
            "unet",
            settings={"target": "tissues", "cross_entropy_weight": "1"},
            measures=TISSUES,
            fuses=True,
        ),
        _dssnet("without MDFM", {"mdfm": "0"}, {}),
        _dssnet("without SFAM", {"sfam": "0"}, {}),
        _dssnet("without prior", {"prior": "0"}, {}),
        _dssnet("without balance", {"balanced": "0"}, {}),
        _dssnet("DSS-Net-style", {}, {"scar": "0.706", BOTH: "0.753"}),
    ),
    claims=(
        Claim("two stages beat a U-Net", "DSS-Net-style", "U-Net", "scar", "dice"),
        Claim("two stages beat a U-Net", "DSS-Net-style", "U-Net", BOTH, "dice"),
        Claim("MDFM helps", "DSS-Net-style", "without MDFM", BOTH, "dice"),
        Claim("SFAM helps", "DSS-Net-style", "without SFAM", BOTH, "dice"),
        Claim("the prior helps", "DSS-Net-style", "without prior", BOTH, "dice"),
        Claim("the balanced loss helps", "DSS-Net-style", "without balance", BOTH, "dice"),
    ),
)

# Of one size and one augmentation; hard and soft differ in the weights of the loss alone.
HARD = {"dice_weight": "0.6", "cross_entropy_weight": "0.4"}
SOFT = {"dice_weight": "0.6", "cross_entropy_weight": "0.2", "kl_weight": "0.2"}
NOISES = {"no": "", "low": "mixed:low", "medium": "mixed:medium", "high": "mixed:high"}


PLAIN = "soft labels (no noise)"
ARTIFACTS = f"{PLAIN} with MR artifacts"


def _robust(kind: str, level: str, settings: Mapping[str, str]) -> Row:
    noise = {"label_noise": NOISES[level]}
    inside = {"target": "tissues", "inside": "1"}
    return Row(
        f"{kind} labels ({level} noise)",
        "unet",
        "tissue",
        settings={**inside, **settings, **noise},
        region="ASSN",
        measures=(*SCAR, *EDEMA, BOTH),
    )


ROBUST = PaperTable(
    title="Noise-robust training",
    source="the interactive system's pipeline (doi 10.1016/j.jocmr.2026.102720) has no such table",
    rows=(
        Row("DAE", "dae"),
        Row("ASSN", "assn", uses={"dae": "DAE"}, measures=LV),
        *(
            _robust(kind, level, settings)
            for level in NOISES
            for kind, settings in (("hard", HARD), ("soft", SOFT))
        ),
        replace(_robust("soft", "no", SOFT | {"artifacts": "1"}), name=ARTIFACTS),
    ),
    claims=(
        *(
            Claim("MR artifacts in training help", ARTIFACTS, PLAIN, structure, "dice")
            for structure in ("scar", BOTH)
        ),
        *(
            Claim(
                f"soft labels beat hard ones ({level} noise)",
                f"soft labels ({level} noise)",
                f"hard labels ({level} noise)",
                structure,
                "dice",
            )
            for level in NOISES
            for structure in ("scar", BOTH)
        ),
    ),
    outside=True,
)

# Its table is one of clicks: see `interactive`.
INTERACTIVE = PaperTable(
    title="Interactive refinement",
    source="Moafi et al., doi 10.1016/j.jocmr.2026.102720",
    rows=(Row("refiner", "clickhead", "refiner", settings={"start": "default"}),),
    claims=(),
)

TABLES = {"cascade": CASCADE, "dssnet": DSSNET, "robust": ROBUST, "interactive": INTERACTIVE}


def rows_for(table: PaperTable, sequences: frozenset[str]) -> PaperTable:
    """The rows that patients with these sequences allow, measured on what these show.

    Args:
        table: all rows.
        sequences: those that every patient has.

    Returns:
        The table itself where all three are there. Else without the rows that need another
        sequence or that fuse several, and without edema where there is no T2, scar where no LGE.
    """
    if sequences >= set(NETWORK_SEQUENCES):
        return table
    kept = [row for row in table.rows if not row.fuses and _seen_by(row) <= sequences]
    shown = {row.name: tuple(m for m in row.measures if _shown(m, sequences)) for row in kept}
    names = [row.name for row in kept if shown[row.name] or not row.measures]
    fewer = choose_rows(table, names)
    rows = tuple(replace(row, measures=shown[row.name]) for row in fewer.rows)
    claims = tuple(claim for claim in fewer.claims if claim.structure in shown[claim.better])
    return replace(fewer, rows=rows, claims=claims)


def _seen_by(row: Row) -> set[str]:
    """Sequences that a row names as its own; none where it takes what there is."""
    return {name for name in row.settings.get("sequences", "").split(",") if name}


def _shown(structure: str, sequences: frozenset[str]) -> bool:
    """Whether these sequences show a structure; the union of two needs those of both."""
    parts = ("scar", "edema") if structure == BOTH else (structure,)
    return all(SHOWN_BY[part] in sequences for part in parts if part in SHOWN_BY)


def without_nnunet(table: PaperTable) -> PaperTable:
    """The table for a machine on which nnU-Net is not installed."""
    return choose_rows(table, [row.name for row in table.rows if row.stage != NNUNET])


def choose_rows(table: PaperTable, names: list[str]) -> PaperTable:
    """Some rows of a table, with the rows they need and the claims that they can answer.

    Raises:
        InputError: a row that the table does not have.
    """
    by_name = {row.name: row for row in table.rows}
    wanted = [name.strip() for name in names]
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise InputError(
            f"unknown rows {', '.join(unknown)}: expected some of {', '.join(by_name)}"
        )
    for name in wanted:  # grows while it is read
        needs = (*by_name[name].uses.values(), by_name[name].region)
        wanted += [other for other in needs if other and other not in wanted]
    rows = tuple(row for row in table.rows if row.name in wanted)
    claims = tuple(c for c in table.claims if {c.better, c.worse} <= set(wanted))
    return replace(table, rows=rows, claims=claims)
