from __future__ import annotations

from lokole.mailbox.words import MAX_WORD_CHARS, MAX_WORDS, fold, plain_text, storable, words


def test_folding_forgets_case_accents_and_ligatures() -> None:
    assert fold("ÉCOLE ŒUVRE ﬁn Ångström ẞ") == "ecole oeuvre fin angstrom ss"
    assert fold("Plain ASCII") == "plain ascii"


def test_folding_twice_is_folding_once() -> None:
    for text in ("İ", "ẞ", "Ǆ", "ϓ", "ﬃ", "½", "ℌ", "Ɔ", "K"):
        assert fold(fold(text)) == fold(text)


def test_words_are_different_short_and_not_too_many() -> None:
    assert words("A a, á! b_c") == ["a", "b", "c"]
    assert words("x" * 1000) == ["x" * MAX_WORD_CHARS]
    assert len(words(" ".join(f"w{n}" for n in range(MAX_WORDS + 5)))) == MAX_WORDS
    assert words("학교 กิน") and words("") == []


def test_plain_text_is_what_is_read() -> None:
    assert plain_text("<p>a</p><p>b&nbsp;&amp; <i>c</i>d</p><!-- no --><script>no()</script>") == "a b & cd"
    assert plain_text("1 < 2 and 3 > 2") == "1 < 2 and 3 > 2"
    assert plain_text("no markup") == "no markup"


def test_only_what_cannot_be_stored_is_replaced() -> None:
    assert storable("plain") == "plain"
    assert storable("é🎉") == "é🎉"
    assert storable("\x00\udfff") == "\ufffd\ufffd"
