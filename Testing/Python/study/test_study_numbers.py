"""Marks for decimals and thousands: told by the column, then by the table, else refused."""

from __future__ import annotations

import pytest

from myops.errors import InputError
from myops.study.numbers import NumberColumn, is_number, read_numbers
from myops.study.readings import read_table


def numbers(decimal=None, **columns: list[str]) -> dict[str, list[float]]:
    """Columns called "mass" have no thousands."""
    made = [
        NumberColumn(name, dict(enumerate(cells, start=2)), thousands=name != "mass")
        for name, cells in columns.items()
    ]
    found = read_numbers(made, "t.csv", decimal)
    return {name: list(values.values()) for name, values in found.items()}


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["12", "3.5", "1010.25"], [12, 3.5, 1010.25]),
        (["12", "3,5", "1010,25"], [12, 3.5, 1010.25]),
        (["1,010.5", "950"], [1010.5, 950]),
        (["1.010,5", "950"], [1010.5, 950]),
        (["1,010", "12.5"], [1010, 12.5]),
        (["1,010", "12,5"], [1.01, 12.5]),
        (["1,010", "1,234,567"], [1010, 1234567]),
        (["1.010", "1.234.567"], [1010, 1234567]),
        (["1 010", "2\u00a0020", "3\u202f030,5", "4\u2009040"], [1010, 2020, 3030.5, 4040]),
        (["1'010", "2\u2019020.5"], [1010, 2020.5]),
        (["0,125", "0,250"], [0.125, 0.25]),  # no thousands begin with 0
        (["1,0101"], [1.0101]),  # nor have they four digits
        (["1,010", "10,10"], [1.01, 10.1]),
        (["1e3", "-2.5", "+4", ".5", "5."], [1000, -2.5, 4, 0.5, 5]),
    ],
)
def test_a_column_tells_its_marks_by_itself(cells, values):
    assert numbers(s=cells)["s"] == pytest.approx(values)


@pytest.mark.parametrize(
    ("other", "cell", "value"),
    [
        ("10.5", "1,010", 1010),
        ("10,5", "1,010", 1.01),
        ("10,5", "1.010", 1010),
        ("10.5", "1.010", 1.01),
        ("1,234,567", "1.010", 1.01),  # commas part thousands: the point is the decimal mark
    ],
)
def test_what_a_column_does_not_tell_the_others_do(other, cell, value):
    assert numbers(other=[other], s=[cell])["s"] == [value]


def test_a_table_with_commas_between_cells_has_points_unless_its_numbers_say_otherwise():
    assert numbers(".", s=["60.125"])["s"] == [60.125]
    assert numbers(".", s=["1,010"])["s"] == [1010]
    assert numbers(".", mass=["12,5"], s=["1,010"])["s"] == [1.01]


def test_no_scar_weighs_a_thousand_grams():
    assert numbers(mass=["10.123", "12.345"]) == {"mass": [10.123, 12.345]}
    assert numbers(mass=["10,123"], s=["1.010"]) == {"mass": [10.123], "s": [1010]}
    with pytest.raises(InputError, match="row 2: expected mass as a number below 1000, found '1,0"):
        numbers(mass=["1,010", "12.5"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"s": ["950", "1,010"]}, "column s: .* found '1,010' in row 3, which may be 1.01 or 1010"),
        ({"s": ["60.125"]}, r"as 60125 without a mark between thousands, or as 60\.1250"),
        ({"a": ["12,5"], "b": ["80.5"], "s": ["1,010"]}, "column s: .*may be 1.01 or 1010"),
        ({"s": ["12,5", "12.5"]}, "column s: .* found '12,5' in row 2 and '12.5' in row 3"),
        ({"s": ["1,010.5", "1.010,5"]}, "found '1,010.5' in row 2 and '1.010,5' in row 3"),
        ({"s": ["1 010", "1,010.5"]}, "written in one way"),
        ({"s": ["5", "12,34,567"]}, "row 3: expected s as a number not below 0, found '12,34,567'"),
        ({"s": ["1,01,0"]}, "row 2: expected s as a number"),
        ({"s": ["12 g"]}, "row 2: expected s as a number"),
        ({"s": ["1 01"]}, "row 2: expected s as a number"),
        ({"s": ["1_000"]}, "row 2: expected s as a number"),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_refused_by_name(columns, message):
    with pytest.raises(InputError, match=message) as caught:
        numbers(**columns)
    assert str(caught.value).startswith("t.csv")


def test_words_are_no_numbers():
    assert not any(map(is_number, ("good", "", "1-2", "e5", ".", ",", "--1", "0x10")))


ROWS = "case{0}reader{0}session{0}method{0}mass_g{0}seconds\r\nP1{0}A{0}1{0}m{0}{1}{0}{2}\r\n"


def written(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("delimiter", "mass", "seconds", "mass_g", "seconds_s"),
    [
        ("\t", "10.5", '"1,010"', 10.5, 1010),
        (";", "10,5", "1.010", 10.5, 1010),
        (";", "10,5", "1\u202f010", 10.5, 1010),
        (",", "10.5", '"1,010"', 10.5, 1010),
        (",", "10.5", "1.010", 10.5, 1.01),
        (",", '"10,5"', '"1010"', 10.5, 1010),
        (";", "10.5", "1'010.5", 10.5, 1010.5),
    ],
)
def test_a_table_of_a_spreadsheet(tmp_path, delimiter, mass, seconds, mass_g, seconds_s):
    (reading,) = read_table(written(tmp_path, ROWS.format(delimiter, mass, seconds))).readings
    assert (reading.mass_g, reading.seconds) == (mass_g, seconds_s)


def test_stages_other_methods_and_the_known_mass_are_read_the_same_way(tmp_path):
    text = (
        "case;reader;session;method;mass_g;seconds;seconds_Look;mass_g_FWHM;reference_g;quality\n"
        "P1;A;1;m;10,5;1.010;1.005;12,25;11,125;7,5\n"
    )
    own, other = read_table(written(tmp_path, text)).readings
    assert (own.seconds, own.stages, own.reference_g) == (1010, {"Look": 1005}, 11.125)
    assert (other.method, other.mass_g) == ("FWHM", 12.25)
    assert {own.quality, other.quality} == {"7.5"}


def test_an_ambiguous_table_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"^t\.csv, column seconds: .*'1,010' in row 2"):
        read_table(written(tmp_path, ROWS.format("\t", "10", '"1,010"')))


@pytest.mark.parametrize("first", ["sep={0}", '"sep={0}"', "SEP={0}", "sep={0}{0}{0}"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_first_line_may_say_what_parts_the_cells(tmp_path, first, delimiter, encoding):
    text = first.format(delimiter) + "\r\n" + ROWS.format(delimiter, "10.5", "80.5")
    (reading,) = read_table(written(tmp_path, text, encoding)).readings
    assert (reading.mass_g, reading.seconds) == (10.5, 80.5)


def test_the_first_line_may_name_what_is_not_looked_for(tmp_path):
    (reading,) = read_table(written(tmp_path, "sep=|\n" + ROWS.format("|", "10.5", "80"))).readings
    assert (reading.mass_g, reading.seconds) == (10.5, 80)


def test_the_first_line_may_spell_the_tab_and_rows_keep_their_numbers(tmp_path):
    text = "sep=\\t\n" + ROWS.format("\t", "ten", "5")
    with pytest.raises(InputError, match=r"t\.csv, row 3: expected mass_g as a number"):
        read_table(written(tmp_path, text))
    with pytest.raises(InputError, match=r"t\.csv, row 3: expected 6 cells, found 5"):
        read_table(written(tmp_path, "sep=;\n" + ROWS.format(";", "1", "1")[:-4] + "\r\n"))


def test_a_cell_without_end_is_refused_in_one_line(tmp_path):
    text = 'case,reader,session,method,mass_g\n"' + "x" * 200_000
    with pytest.raises(InputError, match=r"t\.csv, row 2: field larger than field limit"):
        read_table(written(tmp_path, text))
