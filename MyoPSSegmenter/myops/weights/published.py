"""The SAM checkpoints that this program can use and does not ship: which file, from whom."""

from __future__ import annotations

from dataclasses import dataclass

META = "Meta AI, github.com/facebookresearch/segment-anything"
MEDSAM = "bowang-lab, github.com/bowang-lab/MedSAM"
LICENSE = "Apache-2.0"


@dataclass(frozen=True)
class KnownModel:
    """A published checkpoint.

    Attributes:
        name: under which it is added and used.
        file: the file's name as published.
        megabytes: the file's size, 1 MB = 10^6 bytes.
        architecture: "vit_b", "vit_l" or "vit_h".
        maker: who publishes it, and where.
        sha256: of the published file; None where no published checksum is known.
    """

    name: str
    file: str
    megabytes: int
    architecture: str
    maker: str
    sha256: str | None = None

    def how_to_get(self) -> str:
        """One line: file, size, license, maker, and the command to run then."""
        return (
            f"get {self.file} ({self.megabytes} MB, {LICENSE}) from {self.maker}, then run "
            f"myops models add {self.file}"
        )


# Checksums of Meta's files are not on its page; these stand alike in many public programs that
# verify the download. None is known to us for MedSAM.
KNOWN_MODELS = (
    KnownModel(
        "sam_vit_b",
        "sam_vit_b_01ec64.pth",
        375,
        "vit_b",
        META,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    KnownModel(
        "sam_vit_l",
        "sam_vit_l_0b3195.pth",
        1250,
        "vit_l",
        META,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    KnownModel(
        "sam_vit_h",
        "sam_vit_h_4b8939.pth",
        2565,
        "vit_h",
        META,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    KnownModel("medsam", "medsam_vit_b.pth", 375, "vit_b", MEDSAM),
)


def recognize(file: str, sha256: str) -> KnownModel | None:
    """The published checkpoint that a file is: by checksum, by name where none is published."""
    for known in KNOWN_MODELS:
        if known.sha256 == sha256 or (known.sha256 is None and known.file == file):
            return known
    return None
