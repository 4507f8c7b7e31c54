"""The report's page: what it says of a snapshot, that customers' text is only text, and that it needs no network."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from support.report_data import SIZE, make_report, make_run_details

from segmentation_pipeline.model import Decision, GateResult, LineageEvent, Transition
from segmentation_pipeline.model.report import ReportedPeriod, RunDetails, SnapshotReport
from segmentation_pipeline.reporting.report import render

EVIL = "<script>alert(1)</script> & \"quoted\" 'text' {{ 7 * 7 }}"


def _page(shown: SnapshotReport, found: RunDetails | None = None) -> ET.Element:
    """The page, which is well-formed XML too."""
    return ET.fromstring(render(shown, found if found is not None else make_run_details(shown.snapshot.k)))


def _text(page: ET.Element, where: str = ".") -> str:
    return " ".join(" ".join("".join(element.itertext()) for element in page.findall(where)).split())


def _of(page: ET.Element, name: str) -> str:
    return _text(page, f".//*[@id='{name}']")


def _rows(page: ET.Element, name: str) -> list[list[str]]:
    rows = page.findall(f".//table[@id='{name}']/tbody/tr")
    return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in rows]


@pytest.mark.parametrize("k", [1, 2, 12])
@pytest.mark.parametrize("months", [1, 2, 11])
@pytest.mark.parametrize("name", ["segment {}", "high spend, " * 40 + "{}", "x" * 300 + "{}"])
def test_every_size_has_every_section(k: int, months: int, name: str) -> None:
    """Few and many segments and periods, short and endless names: every segment has its card, row and line."""
    page = _page(make_report(k, months=months, name=name))

    assert [section.get("id") for section in page.findall(".//section")] == [
        "segments", "moves", "life", "why", "checks", "diagnosis", "making",
    ]  # fmt: skip
    assert len(page.findall(".//article")) == k
    assert _rows(page, "sizes") == [
        [f"{segment} {name.format(segment)}".strip(), str(SIZE), f"{1 / k:.1%}"] for segment in range(1, k + 1)
    ]
    assert len(page.findall(".//div[@class='who']")) == k
    assert len(_rows(page, "history")) == months
    flow = page.findall(".//section[@id='moves']//svg")
    assert len(flow) == (months > 1)
    why = _of(page, "why")
    assert (f"{k} were chosen" in why or f"{k} are the most clearly separated." in why) == (k > 1)
    assert ("first month" in _of(page, "moves")) == (months == 1)


def test_headings_and_pictures_are_accessible() -> None:
    """One h1, no level is skipped, a language, captions and headers, and words for every picture that is not hidden."""
    page = _page(make_report(months=4))

    assert page.get("lang") == "en"
    levels = [int(element.tag[1]) for element in page.iter() if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [element.get("id") for element in page.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    for table in page.iter("table"):
        assert _text(table, "caption")
        assert table.findall("./thead/tr/th[@scope='col']")
    for picture in page.iter("svg"):
        assert picture.get("aria-hidden") == "true" or (picture.get("role") == "img" and picture.get("aria-label"))
    for picture in page.findall(".//div[@role='img']"):
        assert picture.get("aria-label")


def test_what_customers_wrote_is_only_text() -> None:
    """A name, a category, a message or a command with markup in it is shown as it is and does nothing."""
    shown = make_report(name=EVIL + "{}", reasons=(EVIL,), status="waiting")
    first = shown.segments[0]
    evil_profile = {**first.profile, "channel": {"shares": {EVIL: 1.0}, "everybody": {EVIL: 0.3}}}
    shown = replace(
        shown,
        segments=(replace(first, profile=evil_profile, description=EVIL), *shown.segments[1:]),
        gates=tuple(replace(gate, message=EVIL) for gate in shown.gates),
        decisions=(Decision(3, "decline", EVIL, datetime(2024, 5, 1, tzinfo=UTC), EVIL),),
    )
    found = make_run_details()
    found = replace(
        found,
        findings=tuple(replace(finding, seen=EVIL, means=EVIL, action=EVIL) for finding in found.findings or ()),
        rules=tuple(replace(rule, condition=EVIL) for rule in found.rules or ()),
        missing=(EVIL,),
    )

    page = _page(shown, found)

    assert not list(page.iter("script"))
    for place in ("notice", "gates", "diagnosis", "making", "segment-1", "missing"):
        assert EVIL in _of(page, place), place
    assert not [name for element in page.iter() for name in element.attrib if name.startswith("on")]


def test_it_needs_no_network() -> None:
    """Nothing is loaded from anywhere: no source, no link but to itself, no style or font of another file."""
    html = render(make_report(), make_run_details()).decode()
    page = ET.fromstring(html)

    loading = {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "base", "use"}
    assert not [element.tag for element in page.iter() if element.tag in loading]
    links = [link.get("href", "") for link in page.iter("a")]
    assert links
    assert all(link.startswith("#") for link in links)
    targets = {element.get("id") for element in page.iter()}
    assert {link[1:] for link in links} <= targets
    assert not re.findall(r"https?:|//[a-z]|@import|url\(|src=", html)


def test_a_card_says_what_sets_a_segment_apart() -> None:
    """Features in original units beside everybody's, the strongest first; a typical customer; the outcomes apart."""
    page = _page(make_report())
    (card,) = page.findall(".//article[@aria-labelledby='segment-2']")
    rows = [[_text(cell) for cell in row] for row in card.findall("./table/tbody/tr")]

    # segments of 100, 200 and 300 on average, of one size
    assert rows[0] == ["spend 180d", "200", "200", "much higher"]
    assert ["channel: web", "80.0%", "50.0%", "higher"] in rows
    assert ["newsletter: yes", "90.0%", "60.0%", "higher"] in rows
    assert ["first order (days ago)", "30", "30", "higher"] in rows
    typical, outcomes = card.findall("./ul[@class='facts']")[1], card.findall("./ul[@class='facts']")[0]
    assert [_text(element) for element in typical] == [
        "spend 180d 181", "channel web (80%)", "newsletter yes (90%)", "first order (days ago) 28",
    ]  # fmt: skip
    assert [_text(element) for element in outcomes] == ["converted 0.25, all 0.25"]
    (first,) = page.findall(".//article[@aria-labelledby='segment-1']")
    assert "spend 180d ≤ 99 and channel is web (118 customers, 97% of them in this segment)" in _text(first)
    assert "first order (days ago) –" in _text(first)
    assert "much lower" in _text(first)


def test_who_moved_adds_up() -> None:
    """The flow holds every customer: known ones, newcomers, those who left; the table holds the moves."""
    page = _page(make_report(2))

    assert _of(page, "n-moved") == "10"
    assert _of(page, "n-known") == str(2 * (SIZE - 20) + 10)
    assert "34 are new, 30 are no longer there" in _of(page, "moves")
    assert [[cell.split()[0] for cell in row] for row in _rows(page, "movers")] == [["1", "2", "10", "4"]]
    labels = [label.text for label in page.findall(".//section[@id='moves']//svg/text")]
    assert labels[2:] == [
        "1",
        "120",
        "2",
        "120",
        "new",
        "34",
        "1",
        "120",
        "2",
        "120",
        "in none",
        "4",
        "not there",
        "30",
    ]
    assert len(page.findall(".//section[@id='moves']//svg/path")) == 8


def test_a_move_of_unknown_cause_is_only_counted() -> None:
    """Where the parent's model cannot say who moved, the column is not there."""
    page = _page(make_report(2, transitions=(Transition(1, 1, 90, None), Transition(1, None, 5, None))))

    assert _rows(page, "movers") == [["1 segment 1", "no segment", "5"]]


def test_the_timeline_tells_lives() -> None:
    """A segment that was born, went and came back has a gap and its three marks, in words too."""
    shown = make_report(2, months=5)
    periods = []
    for month, period in enumerate(shown.periods, start=1):
        events = {2: (LineageEvent(3, "born"), LineageEvent(3, "split_from", 1)), 3: (LineageEvent(3, "retired"),),
                  5: (LineageEvent(3, "returned"),)}  # fmt: skip
        there = {3: 0.25} if month in {2, 5} else {}
        periods.append(
            replace(
                period,
                shares=period.shares | there,
                sizes=period.sizes | dict.fromkeys(there, 9),
                events=events.get(month, ()),
            )
        )
    page = _page(replace(shown, periods=tuple(periods), names={**shown.names, 3: "guests"}))

    (band,) = [
        picture
        for picture in page.findall(".//div[@role='img']")
        if picture.get("aria-label", "").startswith("Segment 3")
    ]
    assert band.get("aria-label") == (
        "Segment 3: New in February 2024, split from 1 in February 2024, gone in March 2024 and back in May 2024; "
        "25.0% to 25.0% of the customers"
    )
    assert len(band.findall("./svg/polygon")) == 2
    assert [mark.text for mark in band.findall("span")] == ["new, split from 1", "gone", "back"]
    assert _rows(page, "history")[2][-2:] == ["–", "3 gone"]
    assert "Segment 3 (guests) is back." in _text(page, ".//p[@class='lead']")


@pytest.mark.parametrize(
    ("status", "badge", "title"),
    [
        ("published", "published, current", ""),
        (
            "waiting",
            "waits for a decision",
            "segmentation approve shop 3 To leave them out: segmentation decline shop 3",
        ),
        ("rejected", "rejected", "60 rows, 300 before"),
        ("candidate", "not published yet", "passed their checks"),
        ("declined", "declined", "ana declined them on 2024-05-01. wrong import"),
        ("superseded", "replaced", "newer version"),
        ("rolled_back", "taken back", "These segments were published and have been taken back."),
    ],
)
def test_the_status_comes_first(status: str, badge: str, title: str) -> None:
    """What is not plainly published says so before anything else, with reasons and commands."""
    declined = (
        (Decision(3, "decline", "ana", datetime(2024, 5, 1, tzinfo=UTC), "wrong import"),)
        if status == "declined"
        else ()
    )
    page = _page(make_report(status=status, reasons=("K is 4",) if status == "waiting" else (), decisions=declined))

    assert _text(page, ".//span[@class]").startswith(badge)
    assert re.sub(r"[:] (?=segmentation)", ": ", _of(page, "notice")).replace("To publish them: ", "").find(title) >= 0
    assert bool(page.findall(".//*[@id='notice']")) == bool(title)
    if status == "waiting":
        assert "K is 4" in _of(page, "notice")


def test_approved_and_not_published_is_not_waiting_for_anybody() -> None:
    """Where the publication of an approved snapshot did not happen, the report shows the command that does it."""
    approved = (Decision(3, "approve", "ana", datetime(2024, 5, 1, tzinfo=UTC), None),)
    page = _page(make_report(status="waiting", decisions=approved))

    assert "ana approved these segments" in _of(page, "notice")
    assert "decline" not in _of(page, "notice")


def test_gates_have_value_threshold_and_meaning() -> None:
    """What failed stands first; every gate has a plain name, its value and limit in its unit, and its message."""
    rows = _rows(_page(make_report(2)), "gates")

    assert rows[0] == ["Nobody is missing", "80.0%", "at most 50.0%", "failed"]
    assert rows[1][0].endswith("Here: 60 rows, 300 before. Look at the source.")
    assert rows[2] == ["Few have changed", "31.0%", "at most 30.0%", "warning"]
    assert rows[4] == ["Nothing is lost", "0", "exactly 0", "passed"]
    assert rows[6] == ["No tiny segment", "50.0%", "at least 1.0%", "passed"]


def test_a_gate_that_had_nothing_to_check_did_not_pass() -> None:
    """Where there is no value, the table says that nothing was checked."""
    first = GateResult("max_moved", True, "warn", None, 0.3, "no customers in common with a parent snapshot")
    rows = _rows(_page(make_report(2, gates=(first,))), "gates")
    assert rows[0] == ["Few have changed", "–", "at most 30.0%", "not checked"]


def test_why_k_is_a_sentence_and_a_figure() -> None:
    """Every K that was tried has a bar, the one that was taken is named; without the sweep the sentence remains."""
    page = _page(make_report(4), make_run_details(4))
    assert "Of 2 to 10 groups that were tried, 4 are the most clearly separated." in _of(page, "why")
    bars = page.findall(".//section[@id='why']//svg/rect")
    assert len(bars) == 9
    assert max(float(bar.get("height", "0")) for bar in bars) == float(bars[2].get("height", "0"))

    gone = _page(make_report(4), RunDetails(missing=("the diagnosis",)))
    assert "The customers are in 4 groups." in _of(gone, "why")
    assert not gone.findall(".//section[@id='why']//svg")
    assert "because the files of this period are no longer kept: the diagnosis" in _of(gone, "missing")
    assert "There is no diagnosis: the files of this period are no longer kept." in _of(gone, "diagnosis")


def test_the_diagnosis_has_actions_and_the_making_its_versions() -> None:
    """Each finding says what to do; the rows add up; snapshot, parent, seed and versions are there."""
    page = _page(make_report())

    assert (
        "Shape Seen: a score of 0.9. What it means: Groups are chains. What to do: Set fit: {algorithm: hdbscan}."
    ) in _of(page, "diagnosis")
    assert "fit: {algorithm: hdbscan}" in [code.text for code in page.findall(".//section[@id='diagnosis']//code")]
    assert _of(page, "counts") == "Read 367 = in a segment 360 + in none 4 + rejected 3"
    for expected in (
        "3, version 1 of 2024-03-01",
        "snapshot 2 (2024-02-01",
        "4294967295",
        "numpy 2",
        "da7a",
        "c0de",
        "a1b2",
    ):
        assert expected in _of(page, "making")
    assert "Nothing to report: the data suits the method." in _of(
        _page(make_report(), replace(make_run_details(), findings=())), "diagnosis"
    )


def test_the_same_data_gives_the_same_bytes() -> None:
    """Nothing of the moment of rendering is in the page."""
    assert render(make_report(), make_run_details()) == render(make_report(), make_run_details())


@pytest.mark.parametrize(
    ("start", "as_of", "title"),
    [
        ("2024-03-04", datetime(2024, 3, 11, tzinfo=UTC), "The week of 4 March 2024"),
        ("2024-03-04", datetime(2024, 3, 5, tzinfo=UTC), "4 March 2024"),
    ],
)
def test_weeks_and_days_have_their_names(start: str, as_of: datetime, title: str) -> None:
    """A period is called by its length."""
    shown = make_report(months=1)
    first = ReportedPeriod(start, 1, shown.periods[0].sizes, shown.periods[0].shares, ())
    page = _page(replace(shown, snapshot=replace(shown.snapshot, partition=start, as_of=as_of), periods=(first,)))

    assert _text(page, ".//h1") == title
