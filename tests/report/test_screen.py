from __future__ import annotations

import pytest

from sslbench.report.screen import PAGE, Page, cut, encodable, folded, one_line, padded, shown, width_of

CAT = "猫"


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("plain", 5), ("café", 4), (CAT, 2), ("cafe\u0301", 4), (f"a{CAT}\u0301b", 4), ("한글", 4), ("ｱ", 1)],
)
def test_width_is_in_columns(text, columns):
    assert width_of(text) == columns


def test_a_name_is_padded_in_columns():
    assert padded(CAT, 4) == f"{CAT}  "
    assert padded(CAT, 4, right=True) == f"  {CAT}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("a\tb\rc", r"a\tb\rc"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("\u2028", r"\u2028"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("two\nlines", "two\nlines"),
        ("a\u3000b\u00a0c", "a\u3000b\u00a0c"),
        ("\u0646\u200c\u0647", "\u0646\u200c\u0647"),
    ],
)
def test_what_a_terminal_obeys_is_escaped_and_what_it_shows_is_not(text, expected):
    assert shown(text) == expected
    assert shown(shown(text)) == expected
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", f"± · ✓ {CAT} ö"),
        ("latin-1", r"± · + \u732b ö"),
        ("cp1252", r"± · + \u732b ö"),
        ("ascii", r"+- | + \u732b \xf6"),
    ],
)
def test_what_an_encoding_lacks_is_escaped_and_our_own_signs_have_plain_forms(encoding, expected):
    assert encodable(f"± · ✓ {CAT} ö", encoding) == expected


def test_lines_are_folded_at_blanks_and_hyphens_and_within_long_words():
    assert folded("few labels a class", 10) == "few labels\na class"
    assert folded("vit-tiny-small-image", 13, hyphens=True) == "vit-tiny-\nsmall-image"
    assert folded("lr 1e-05 --flag", 9, hyphens=True) == "lr 1e-05\n--flag"
    assert folded("abcdefgh", 3) == "abcdefgh"
    assert folded("abcdefgh", 3, words=True) == "abc\ndef\ngh"
    assert folded(CAT * 3, 5, words=True) == f"{CAT}{CAT}\n{CAT}"
    assert folded("a b c", 4, "- ", "  ") == "- a\n  b\n  c"
    assert folded("", 10, "- ") == "-"


def test_a_line_is_cut_in_columns_and_never_without_a_character():
    assert cut(f"a{CAT}b", 2) == ("a", f"{CAT}b")
    assert cut(CAT, 1) == (CAT, "")


def test_text_is_as_the_page_can_show_it():
    token = PAGE.set(Page(encoding="ascii"))
    try:
        assert shown("±") == "+-"
    finally:
        PAGE.reset(token)
