"""The boundaries named in providers.md, and each character of the extension table."""

import pytest

from gridtalk.messaging.segments import Encoding, Segments, is_gsm, segments

GSM, UCS = Encoding.GSM7, Encoding.UCS2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Segments(GSM, 1, 0), id="empty"),
        pytest.param("a" * 160, Segments(GSM, 1, 160), id="160 septets are one"),
        pytest.param("a" * 161, Segments(GSM, 2, 161), id="161 septets are two"),
        pytest.param("a" * 306, Segments(GSM, 2, 306), id="306 septets are two"),
        pytest.param("a" * 307, Segments(GSM, 3, 307), id="307 septets are three"),
        pytest.param("a" * 480, Segments(GSM, 4, 480), id="480 septets are four, as Kannel says"),
        pytest.param("€" * 80, Segments(GSM, 1, 160), id="80 escapes are one"),
        pytest.param("€" * 80 + "a", Segments(GSM, 2, 161), id="80 escapes and one are two"),
        pytest.param("a" * 158 + "€", Segments(GSM, 1, 160), id="an escape fills the last two"),
        pytest.param("a" * 159 + "€", Segments(GSM, 2, 161), id="an escape does not fit"),
        pytest.param(
            "a" * 152 + "€" + "a" * 151, Segments(GSM, 2, 305), id="an escape moves to part two"
        ),
        pytest.param(
            "a" * 152 + "€" + "a" * 152, Segments(GSM, 3, 306), id="and so needs a third part"
        ),
        pytest.param("漢" * 70, Segments(UCS, 1, 70), id="70 units are one"),
        pytest.param("漢" * 71, Segments(UCS, 2, 71), id="71 units are two"),
        pytest.param("漢" * 90, Segments(UCS, 2, 90), id="90 units are two, as Kannel says"),
        pytest.param("漢" * 134, Segments(UCS, 2, 134), id="134 units are two"),
        pytest.param("漢" * 135, Segments(UCS, 3, 135), id="135 units are three"),
        pytest.param("a" * 70 + "ç", Segments(UCS, 2, 71), id="one ç makes it all UCS-2"),
        pytest.param("😀" * 35, Segments(UCS, 1, 70), id="35 pairs are one"),
        pytest.param("漢" * 69 + "😀", Segments(UCS, 2, 71), id="a pair does not fit"),
        pytest.param(
            "漢" * 66 + "😀" + "漢" * 65, Segments(UCS, 2, 133), id="a pair moves to part two"
        ),
        pytest.param(
            "漢" * 66 + "😀" + "漢" * 66, Segments(UCS, 3, 134), id="and so needs a third part"
        ),
        pytest.param("\t", Segments(UCS, 1, 1), id="a tab is not in the alphabet"),
        pytest.param("\x1b", Segments(UCS, 1, 1), id="nor is a bare escape"),
    ],
)
def test_segments(text: str, expected: Segments) -> None:
    assert segments(text) == expected


@pytest.mark.parametrize("character", list("\f^{}\\[~]|€"))
def test_each_extension_character_counts_two(character: str) -> None:
    assert segments(character) == Segments(GSM, 1, 2)


def test_the_alphabet_has_127_and_10_characters() -> None:
    alphabet = [chr(code) for code in range(0x3000) if is_gsm(chr(code))]
    assert len(alphabet) == 127 + 10  # 128 less the escape, and the extension table
