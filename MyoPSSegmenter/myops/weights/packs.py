"""The packs of weights that are shipped, their terms, and which of them is used by default.

Two packs differ in what they have learned from, and hence in what may be done with them: see
`Docs/explanation/weights.md`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from myops.errors import InputError
from myops.io.atomic import write_json
from myops.io.text_files import read_json
from myops.sequences import NETWORK_SEQUENCES
from myops.weights.places import models_folder

PACKS_FOLDER = Path(__file__).parent / "shipped"
MANIFEST = "manifest.json"
LICENSE_FILE = "LICENSE.txt"
# Of the manifest: raised when a reader of the old form could take the new one wrongly.
MANIFEST_VERSION = 1
# Has seen no patient: what trainings start from.
FREE_PACK = "synthetic"
# The first is used where nobody has chosen.
PREFERRED = ("public-hearts", FREE_PACK)
VARIABLE = "MYOPS_MODEL"
# What a pack's manifest may say beside its terms.
EXTRA = ("attribution", "measured", "otherwise")


def instead_words(pack: Mapping[str, str]) -> str:
    """Why other weights were used than those asked for, a sentence; "" where none were.

    Args:
        pack: terms of the weights that were used, as a `Segmentation` has them.
    """
    if "instead_of" not in pack:
        return ""
    return (
        f"{pack['instead_of']} was asked for, but is not meant for patients with these sequences; "
        f"it uses {pack['name']} for them."
    )


@dataclass(frozen=True)
class Pack:
    """A folder of weights that belong together, with the terms of their use.

    Attributes:
        name: what the user calls it, such as "synthetic".
        folder: where its manifest is.
        learned_from: what its networks have seen, in a few words.
        license: SPDX identifier, such as "CC-BY-NC-SA-4.0".
        terms: one sentence on what may be done with it.
        attribution: whom the license asks to name; "" for nobody.
        measured: what it reaches on which data, one line; "" where nobody has measured it.
        suited_to: the sets of sequences whose patients its networks are for; empty for all.
        otherwise: the shipped pack for every other patient; "" where there is none.
        reached: sequences, joined as "bssfp+lge", to what the networks reach on such patients and
            on what data, one line each; empty where nobody has measured it.
    """

    name: str
    folder: Path
    learned_from: str
    license: str
    terms: str
    attribution: str = ""
    measured: str = ""
    suited_to: frozenset[frozenset[str]] = frozenset()
    otherwise: str = ""
    reached: Mapping[str, str] = field(default_factory=dict)

    def reached_on(self, sequences: Collection[str]) -> str:
        """What the networks reach on patients with these sequences; "" where nothing is known."""
        if not self.reached:
            return ""
        known = [name for name in NETWORK_SEQUENCES if name in sequences]
        return self.reached.get("+".join(known), "not measured on patients with these sequences")

    def suits(self, sequences: Collection[str]) -> bool:
        """Whether its networks are for a patient who has these sequences, among others."""
        known = frozenset(sequences) & frozenset(NETWORK_SEQUENCES)
        return not self.suited_to or known in self.suited_to

    def to_dict(self) -> dict[str, str]:
        """What results say about the weights that they were made with."""
        return {
            "name": self.name,
            "learned_from": self.learned_from,
            "license": self.license,
            "terms": self.terms,
            "attribution": self.attribution,
        }

    def to_manifest(self) -> dict[str, Any]:
        """The same for a manifest, with the patients that it is for."""
        suited = {
            "suited_to": sorted(sorted(one) for one in self.suited_to),
            "otherwise": self.otherwise,
        }
        return self.to_dict() | (suited if self.suited_to else {})


def shipped_packs(folder: Path | None = None) -> dict[str, Pack]:
    """The packs that came with the program, by name, the preferred one first.

    Args:
        folder: where they are; the program's own if None.

    Raises:
        InputError: see `read_pack`.
    """
    root = folder or PACKS_FOLDER
    there = [name for name in PREFERRED if (root / name / MANIFEST).is_file()]
    return {name: read_pack(root / name) for name in there}


def read_pack(folder: Path) -> Pack:
    """The terms of a pack from its manifest; its license has to lie beside it.

    Raises:
        InputError: no manifest, one of another version or without terms, or no license file.
    """
    path, content = folder / MANIFEST, manifest_content(folder)
    try:
        told = {key: str(content["pack"][key]) for key in ("name", "learned_from", "license")}
        terms = str(content["pack"]["terms"])
        extra = {key: str(content["pack"].get(key, "")) for key in EXTRA}
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path}: expected the terms of the weights under pack, found none; install again"
        ) from None
    suited_to = _suited_to(path, content["pack"].get("suited_to", []), extra["otherwise"])
    if not (folder / LICENSE_FILE).is_file():
        raise InputError(
            f"{folder}: expected the license of these weights in {LICENSE_FILE}, found no such "
            "file; install again"
        )
    reached = _reached(path, content["pack"].get("reached", {}))
    return Pack(folder=folder, terms=terms, suited_to=suited_to, reached=reached, **extra, **told)


def _reached(path: Path, found: Any) -> dict[str, str]:
    """What a manifest says of each set of sequences.

    Raises:
        InputError: anything but lines by known sequences.
    """
    right = isinstance(found, dict) and all(
        isinstance(words, str) and set(str(name).split("+")) <= set(NETWORK_SEQUENCES)
        for name, words in found.items()
    )
    if not right:
        raise InputError(
            f"{path}: expected lines by sequences such as bssfp+lge under reached, found "
            f"{found!r}; install again"
        )
    return dict(found)


def _suited_to(path: Path, found: Any, otherwise: str) -> frozenset[frozenset[str]]:
    """The sets of sequences that a manifest states.

    Raises:
        InputError: no lists of sequences that networks know, or no pack for the other patients.
    """
    lists = isinstance(found, list) and all(isinstance(one, list) and one for one in found)
    if not lists or not all(name in NETWORK_SEQUENCES for one in found for name in one):
        raise InputError(
            f"{path}: expected lists of {', '.join(NETWORK_SEQUENCES)} under suited_to, found "
            f"{found!r}; install again"
        )
    if found and otherwise not in PREFERRED:
        raise InputError(
            f"{path}: expected one of {', '.join(PREFERRED)} under otherwise, for patients with "
            f"other sequences, found {otherwise!r}; install again"
        )
    return frozenset(map(frozenset, found))


def name_adapted_pack(pack: Pack, folder: Path) -> None:
    """Say in a copy of a pack's manifest that it is adapted; the pack's license goes with it.

    Args:
        pack: what was copied.
        folder: the copy; its manifest names the pack itself until now.
    """
    adapted = replace(
        pack,
        name=f"adapted from {pack.name}",
        learned_from=f"{pack.learned_from}, then from the user's own patients",
        terms=f"Started from weights with these terms: {pack.terms}",
        measured="",
        reached={},
    )
    content = read_json(folder / MANIFEST) | {"pack": adapted.to_manifest()}
    shutil.copy2(pack.folder / LICENSE_FILE, folder / LICENSE_FILE)
    write_json(folder / MANIFEST, content)


def manifest_content(folder: Path) -> dict[str, Any]:
    """A folder's manifest as it is written, of a version that is known.

    Raises:
        InputError: no manifest, a damaged one, or one of another version; a manifest without
            "version" is of the first.
    """
    try:
        content = read_json(folder / MANIFEST)
    except FileNotFoundError:
        raise InputError(f"expected weights in {folder}, found no {MANIFEST}") from None
    except ValueError:
        raise damaged_manifest(folder) from None
    if not isinstance(content, dict):
        raise damaged_manifest(folder)
    version = content.get("version", MANIFEST_VERSION)
    if version != MANIFEST_VERSION:
        raise InputError(
            f"{folder / MANIFEST}: expected a manifest of version {MANIFEST_VERSION}, found "
            f"{version!r}; use the weights that belong to this version of the program"
        )
    return content


def damaged_manifest(folder: Path) -> InputError:
    """What is said where a manifest cannot be understood."""
    return InputError(f"{folder / MANIFEST}: expected a manifest of weights, found a damaged file")


def default_pack(folder: Path | None = None) -> Pack:
    """The pack behind the name "default": of `MYOPS_MODEL`, of `myops models use`, or the first.

    Raises:
        InputError: no pack is there, or the one that is asked for is not among them.
    """
    packs = shipped_packs(folder)
    if not packs:
        raise InputError(f"expected weights in {folder or PACKS_FOLDER}, found none; install again")
    for place, name in ((VARIABLE, os.environ.get(VARIABLE, "")), (str(_setting()), chosen_pack())):
        if name and name not in packs:
            raise InputError(
                f"{place} asks for the weights {name!r}: expected one of {', '.join(packs)}"
            )
        if name:
            return packs[name]
    return next(iter(packs.values()))


def chosen_pack() -> str:
    """What `myops models use` has chosen on this computer; "" for nothing.

    Raises:
        InputError: a damaged setting.
    """
    path = _setting()
    try:
        return str(read_json(path)["pack"])
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path}: expected the chosen weights, found a damaged file; choose again: myops "
            "models use NAME"
        ) from None


def choose_pack(name: str) -> Pack:
    """Use a pack from now on, on this computer.

    Raises:
        InputError: no such pack, or a setting that cannot be written.
    """
    packs = shipped_packs()
    if name not in packs:
        raise InputError(f"unknown weights {name!r}: expected one of {', '.join(packs)}")
    path = _setting()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"pack": name})
    return packs[name]


def _setting() -> Path:
    return models_folder() / "use.json"
