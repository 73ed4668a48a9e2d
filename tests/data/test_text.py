import pickle
import re
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks

from gatewise import load_estimator
from gatewise.data import Vocabulary
from gatewise.errors import (
    CheckpointError,
    ConfigError,
    DTypeError,
    GatewiseError,
    MissingPackageError,
    NotFittedError,
    ShapeError,
)

TEXTS = ["banana", "bad", ""]
WORDS = ["Don't stop, don't!", "stop  it"]


def numbers(rows):
    return [row.tolist() for row in rows]


class TestCharacters:
    def test_most_frequent_first_then_by_character(self):
        vocabulary = Vocabulary().fit(TEXTS)  # a 4, b 2, n 2, d 1
        assert vocabulary.tokens_ == ["<pad>", "<unk>", "a", "b", "n", "d"]
        assert len(vocabulary) == 6
        assert numbers(vocabulary.transform(TEXTS)) == [[3, 2, 4, 2, 4, 2], [3, 2, 5], []]

    def test_order_of_texts_changes_nothing(self):
        assert Vocabulary().fit(TEXTS[::-1]).tokens_ == Vocabulary().fit(TEXTS).tokens_

    def test_what_was_not_seen(self):
        vocabulary = Vocabulary().fit(TEXTS)
        assert numbers(vocabulary.transform(["baß"])) == [[3, 2, 1]]
        assert vocabulary.inverse_transform([[3, 2, 1]]) == ["ba<unk>"]

    def test_there_and_back(self):
        vocabulary = Vocabulary().fit(TEXTS)
        assert vocabulary.inverse_transform(vocabulary.transform(TEXTS)) == TEXTS

    def test_padding_is_left_out(self):
        assert Vocabulary().fit(TEXTS).inverse_transform(np.array([[3, 2, 5], [2, 0, 0]])) == [
            "bad",
            "a",
        ]

    def test_dtype(self):
        rows = Vocabulary().fit_transform(TEXTS)
        assert all(row.dtype == np.int32 and row.ndim == 1 for row in rows)


class TestWords:
    def test_words_and_marks(self):
        vocabulary = Vocabulary("words", lowercase=True).fit(WORDS)
        assert vocabulary.tokens_[2:] == ["don't", "stop", "!", ",", "it"]
        assert vocabulary.inverse_transform(vocabulary.transform(WORDS)) == [
            "don't stop, don't!",
            "stop it",
        ]

    def test_case_is_kept_unless_asked(self):
        assert set(Vocabulary("words").fit(WORDS).tokens_[2:]) == {
            "Don't",
            "don't",
            "stop",
            "!",
            ",",
            "it",
        }

    @pytest.mark.parametrize("level", ["characters", "words"])
    def test_lists_of_tokens_are_taken_as_they_are(self, level):
        X = [["New York", "is", "far"], ["is", "it"]]
        vocabulary = Vocabulary(level).fit(X)
        assert vocabulary.tokens_[2:] == ["is", "New York", "far", "it"]
        assert vocabulary.inverse_transform(vocabulary.transform(X)) == X
        assert Vocabulary(level, lowercase=True).fit(X).tokens_[3] == "far"

    def test_tokens_that_texts_hold_already(self):
        vocabulary = Vocabulary().fit([["<unk>", "a", "<pad>"]])
        assert vocabulary.tokens_ == ["<pad>", "<unk>", "a"]
        assert numbers(vocabulary.transform([["<unk>", "a", "<pad>"]])) == [[1, 2, 0]]


class TestOptions:
    def test_min_count(self):
        vocabulary = Vocabulary(min_count=2).fit(TEXTS)
        assert vocabulary.tokens_[2:] == ["a", "b", "n"]
        assert numbers(vocabulary.transform(["dab"])) == [[1, 2, 3]]

    @pytest.mark.parametrize(
        "max_size, kept", [(2, []), (3, ["a"]), (4, ["a", "b"]), (100, ["a", "b", "n", "d"])]
    )
    def test_max_size_is_the_largest_length(self, max_size, kept):
        vocabulary = Vocabulary(max_size=max_size).fit(TEXTS)
        assert vocabulary.tokens_[2:] == kept
        assert len(vocabulary) <= max_size

    def test_unknown(self):
        assert Vocabulary(unknown="?").fit(TEXTS).inverse_transform([[1]]) == ["?"]

    @pytest.mark.parametrize(
        "options, error, match",
        [
            ({"level": "lines"}, ConfigError, "'lines'; expected 'characters' or 'words'"),
            ({"min_count": 0}, ConfigError, "min_count"),
            ({"max_size": 1}, ConfigError, "max_size"),
            ({"max_size": 2.5}, DTypeError, "max_size"),
            ({"lowercase": "yes"}, DTypeError, "lowercase"),
            ({"unknown": None}, DTypeError, "unknown"),
            ({"unknown": "<pad>"}, ConfigError, "padding"),
        ],
    )
    def test_refused(self, options, error, match):
        with pytest.raises(error, match=match):
            Vocabulary(**options).fit(TEXTS)


class TestInput:
    @pytest.mark.parametrize(
        "X", [tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), pd.Series(TEXTS)]
    )
    def test_containers(self, X):
        vocabulary = Vocabulary().fit(X)
        assert vocabulary.tokens_ == Vocabulary().fit(TEXTS).tokens_
        assert numbers(vocabulary.transform(X)) == numbers(vocabulary.transform(TEXTS))

    @pytest.mark.parametrize(
        "X, error, match",
        [
            ("text", DTypeError, "put a single text into a list"),
            (3, DTypeError, "list of texts"),
            ([], ShapeError, "no text"),
            (["a", ["b"]], ShapeError, "mixes"),
            (["a", 3.0], DTypeError, r"X\[1\] is float"),
            ([["a", None]], DTypeError, "token None"),
            ([b"a"], DTypeError, r"X\[0\] is bytes"),
            (pd.DataFrame({"text": TEXTS}), DTypeError, "one column"),
            ({"a": 1}, DTypeError, "dict"),
        ],
    )
    def test_refused(self, X, error, match):
        with pytest.raises(error, match=match):
            Vocabulary().fit(X)

    def test_numbers_without_a_token(self):
        vocabulary = Vocabulary().fit(TEXTS)
        for bad in (-1, 6):
            with pytest.raises(
                ShapeError, match=rf"X\[1\] holds {bad} at index 1; expected 0 to 5"
            ):
                vocabulary.inverse_transform([[2], [2, bad]])
        with pytest.raises(DTypeError, match="whole numbers"):
            vocabulary.inverse_transform([[2.5]])
        for bad in (3, "text", [[[2], [2, 3]]]):
            with pytest.raises(DTypeError, match="numbers"):
                vocabulary.inverse_transform(bad)

    @pytest.mark.parametrize(
        "use", [len, lambda v: v.transform(TEXTS), lambda v: v.inverse_transform([[1]])]
    )
    def test_not_fitted(self, use):
        with pytest.raises(NotFittedError, match="call fit first") as caught:
            use(Vocabulary())
        assert isinstance(caught.value, GatewiseError)


class TestScikitLearn:
    """Its checks give tables of numbers, save those of parameters."""

    @pytest.mark.parametrize(
        "name",
        [
            "check_estimator_cloneable",
            "check_estimator_tags_renamed",
            "check_valid_tag_types",
            "check_estimator_repr",
            "check_no_attributes_set_in_init",
            "check_mixin_order",
            "check_parameters_default_constructible",
            "check_get_params_invariance",
            "check_set_params",
            "check_do_not_raise_errors_in_init_or_set_params",
        ],
    )
    def test_checks_that_give_no_data(self, name):
        getattr(estimator_checks, name)("Vocabulary", Vocabulary())

    def test_pickle_and_clone(self):
        vocabulary = Vocabulary("words", min_count=2).fit(WORDS)
        again = pickle.loads(pickle.dumps(vocabulary))
        assert numbers(again.transform(WORDS)) == numbers(vocabulary.transform(WORDS))
        assert clone(vocabulary).get_params() == vocabulary.get_params()
        assert not hasattr(clone(vocabulary), "tokens_")


class TestOneText:
    def test_encode_and_decode(self):
        vocabulary = Vocabulary(start="<s>", end="</s>").fit(TEXTS)
        assert vocabulary.encode("bad").tolist() == [2, 5, 4, 7, 3]
        assert vocabulary.encode("bad", end=False).tolist() == [2, 5, 4, 7]
        assert vocabulary.encode(list("bad"), start=False).tolist() == [5, 4, 7, 3]
        assert vocabulary.encode("", start=False, end=False).dtype == np.int32
        assert vocabulary.decode([2, 5, 4, 7, 3, 0]) == "bad"
        assert Vocabulary().fit([["a", "b"]]).decode([2, 3]) == ["a", "b"]
        with pytest.raises(DTypeError, match="row holds float64 values"):
            vocabulary.decode([2.5])
        with pytest.raises(ShapeError, match="row holds 8 at index 1; expected 0 to 7"):
            vocabulary.decode([2, 8])
        with pytest.raises(DTypeError, match="text is int"):
            vocabulary.encode(3)
        with pytest.raises(DTypeError, match="end"):
            vocabulary.encode("bad", end="no")
        with pytest.raises(NotFittedError):
            Vocabulary().encode("bad")

    def test_tokens_of_a_text(self):
        assert Vocabulary("words", lowercase=True).tokenize("It's HERE!") == ["it's", "here", "!"]
        assert Vocabulary().tokenize("ab") == ["a", "b"]
        with pytest.raises(DTypeError, match="text is list"):
            Vocabulary().tokenize(["ab"])

    @pytest.mark.parametrize(
        "text",
        [
            "हिन्दी में",  # vowel signs and a virama
            "cafe\u0301 ok",  # an accent of its own
            "l'e\u0301te\u0301 d’hiver",
            "สวัสดี ครับ",
            "می\u200cخواهم کتاب",  # a joiner
            "\u2764\ufe0f ok",  # a variation of a sign
        ],
    )
    def test_marks_of_letters_are_inside_words(self, text):
        vocabulary = Vocabulary("words").fit([text])
        assert vocabulary.tokenize(text) == text.split()
        assert vocabulary.join_tokens(text.split()) == text

    @pytest.mark.parametrize(
        "text",
        [
            "Don't stop, don't! Why?",
            'He (the "old" man) said: "no"; and left...',
            "a well-known word, and/or 5% of [it]",
            "¿Qué? «Sí», $5",
            "",
        ],
    )
    def test_words_are_joined_as_printed(self, text):
        vocabulary = Vocabulary("words").fit(["a", text])
        assert vocabulary.decode(vocabulary.encode(text)) == text
        assert vocabulary.join_tokens(vocabulary.tokenize(text)) == text


def halves(text):
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def with_bars(tokens):
    return "|".join(tokens)


class TestFunctions:
    def test_that_cuts_and_one_that_joins(self):
        vocabulary = Vocabulary(halves, join=with_bars, lowercase=True).fit(["ABCD", "abEF"])
        assert vocabulary.tokens_[2:] == ["ab", "cd", "ef"]
        assert vocabulary.inverse_transform(vocabulary.transform(["efab"])) == ["ef|ab"]
        assert Vocabulary("words", join="_").fit(["a b"]).decode([2, 3]) == "a_b"
        assert Vocabulary(str.split).fit(["it is."]).tokenize(" a. b") == ["a.", "b"]

    @pytest.mark.parametrize(
        "options, error, match",
        [
            ({"level": lambda text: text}, DTypeError, r"level\(X\[0\]\) is str"),
            ({"level": lambda text: [1]}, DTypeError, "holds the token 1"),
            ({"join": 3}, DTypeError, "join is 3"),
            ({"level": 3}, ConfigError, "level is 3"),
        ],
    )
    def test_refused(self, options, error, match):
        with pytest.raises(error, match=match):
            Vocabulary(**options).fit(["a b"])
        with pytest.raises(DTypeError, match="join returned int"):
            Vocabulary(join=len).fit(["a b"]).decode([2, 3])

    def test_files_hold_the_name(self, tmp_path):
        path = tmp_path / "words.gatewise"
        vocabulary = Vocabulary(halves, join=with_bars).fit(["abcd"])
        vocabulary.save(path)
        functions = {"halves": halves, "with_bars": with_bars}
        again = load_estimator(path, custom_objects=functions)
        assert again.get_params() == vocabulary.get_params()
        assert again.decode(again.encode("abcd")) == "ab|cd"
        with pytest.raises(CheckpointError, match="it uses the function 'with_bars': give it, as"):
            load_estimator(path, custom_objects={"halves": halves})
        with pytest.raises(CheckpointError, match="expected a function"):
            load_estimator(path, custom_objects=functions | {"halves": 3})
        with pytest.raises(DTypeError, match="has no name to find it by"):
            Vocabulary(lambda text: [text]).fit(["a"]).save(path)


TALE = ["the cat sat on the mat", "the cat ate the rat", "that cat! é\n"] * 3


class TestSubwords:
    @pytest.fixture(autouse=True)
    def package(self):
        pytest.importorskip("tokenizers")

    def test_nothing_is_unknown_and_texts_come_back(self):
        vocabulary = Vocabulary("subwords", max_size=280, start="<s>", end="</s>").fit(TALE)
        assert 260 < len(vocabulary) <= 280 and vocabulary.tokens_[:4] == [
            "<pad>",
            "<unk>",
            "<s>",
            "</s>",
        ]
        texts = [*TALE, "Zoë  and\tthe <s> 中", ""]
        rows = vocabulary.transform(texts)
        assert vocabulary.inverse_transform(rows) == texts
        assert not any(1 in row for row in rows)
        assert len(rows[0]) < len(TALE[0])  # pairs were merged
        assert (
            Vocabulary("subwords", max_size=280, start="<s>", end="</s>").fit(TALE).tokens_
            == vocabulary.tokens_
        )

    def test_options(self):
        assert len(Vocabulary("subwords", min_count=100).fit(TALE)) == 258
        lower = Vocabulary("subwords", lowercase=True).fit(TALE)
        assert lower.decode(lower.encode("THE Cat")) == "the cat"
        with pytest.raises(ConfigError, match="expected at least 256"):
            Vocabulary("subwords", max_size=257).fit(TALE)
        with pytest.raises(DTypeError, match=r"X\[0\] is list; expected a string"):
            Vocabulary("subwords").fit([["a"]])
        with pytest.raises(ShapeError, match="no text"):
            Vocabulary("subwords").fit([])
        with pytest.raises(NotFittedError, match="has not learned subwords"):
            Vocabulary("subwords").tokenize("a")

    def test_file_of_the_package(self, tmp_path):
        import tokenizers

        pieces = tokenizers.Tokenizer(
            tokenizers.models.WordPiece(
                {"[UNK]": 0, "cat": 2, "##s": 1, "the": 3}, unk_token="[UNK]"
            )
        )
        pieces.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        pieces.decoder = tokenizers.decoders.WordPiece()
        pieces.enable_truncation(1)
        pieces.enable_padding(length=7)
        path = tmp_path / "tokenizer.json"
        pieces.save(str(path))
        for given in (path, str(path)):
            vocabulary = Vocabulary(given).fit(["anything"])
            assert vocabulary.tokens_ == ["<pad>", "<unk>", "##s", "cat", "the"]
            assert vocabulary.encode("the cats sat").tolist() == [4, 3, 2, 1]
            assert vocabulary.decode([4, 3, 2]) == "the cats"
        with pytest.raises(ConfigError, match="min_count=2 and max_size=None have no effect"):
            Vocabulary(path, min_count=2).fit(["anything"])
        path.write_text("{}")
        with pytest.raises(CheckpointError, match="cannot be read as a tokenizer"):
            Vocabulary(path).fit(["anything"])
        with pytest.raises(CheckpointError, match="absent.json cannot be read"):
            Vocabulary(tmp_path / "absent.json").fit(["anything"])

    def test_copies_and_files(self, tmp_path):
        vocabulary = Vocabulary("subwords", max_size=270).fit(TALE)
        vocabulary.save(tmp_path / "words.gatewise")
        for again in (
            load_estimator(tmp_path / "words.gatewise"),
            pickle.loads(pickle.dumps(vocabulary)),
        ):
            assert again.get_params() == vocabulary.get_params()
            assert numbers(again.transform(TALE)) == numbers(vocabulary.transform(TALE))
            assert again.inverse_transform(again.transform(TALE)) == TALE
        assert not hasattr(clone(vocabulary), "tokens_")

    def test_without_the_package(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tokenizers", None)
        with pytest.raises(MissingPackageError, match="python -m pip install tokenizers"):
            Vocabulary("subwords").fit(TALE)


@pytest.mark.parametrize(
    ("start", "end", "indices"),
    [
        (None, None, (None, None)),
        ("<s>", None, (2, None)),
        (None, "</s>", (None, 2)),
        ("<s>", "</s>", (2, 3)),
    ],
)
def test_size_and_numbers_of_the_tokens_that_are_kept(start, end, indices):
    vocabulary = Vocabulary("words", start=start, end=end).fit(["the cat sat", "the dog"])
    kept = [token for token in ("<pad>", "<unk>", start, end) if token is not None]
    assert vocabulary.tokens_ == [*kept, "the", "cat", "dog", "sat"]
    assert (vocabulary.padding_index_, vocabulary.unknown_index_) == (0, 1)
    assert (vocabulary.start_index_, vocabulary.end_index_) == indices
    assert vocabulary.vocabulary_size_ == len(vocabulary) == len(kept) + 4
    before, behind = ([] if index is None else [index] for index in indices)
    (row,) = vocabulary.transform(["the cow sat"])
    assert row.tolist() == [*before, len(kept), 1, len(kept) + 3, *behind] and row.dtype == np.int32
    assert vocabulary.inverse_transform([[*row, 0, 0]]) == ["the <unk> sat"]
    assert vocabulary.transform([""])[0].tolist() == [*before, *behind]
    vocabulary.set_params(start="other", end="another")  # nothing changes before the next fit
    assert vocabulary.transform(["the cow sat"])[0].tolist() == row.tolist()


def test_tokens_that_are_kept_differ_and_fit(rng):
    for options, message in (
        ({"start": "<pad>"}, "start is '<pad>', which is padding"),
        ({"end": "<unk>"}, "end is '<unk>', as another of unknown, start and end"),
        ({"start": "|", "end": "|"}, "end is '|', as another"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            Vocabulary(**options).fit(["a"])
    with pytest.raises(GatewiseError, match="start is 3"):
        Vocabulary(start=3).fit(["a"])
    with pytest.raises(GatewiseError, match="max_size"):
        Vocabulary(start="<s>", end="</s>", max_size=3).fit(["a"])
    assert len(Vocabulary(start="<s>", end="</s>", max_size=5).fit(["aab"])) == 5
    with pytest.raises(NotFittedError):
        Vocabulary().vocabulary_size_  # noqa: B018


def test_a_file_name_that_stands_for_another_format_gives_a_warning(tmp_path):
    vocabulary = Vocabulary().fit(["ab", "c"])
    with pytest.warns(UserWarning, match=r"end in '\.h5' stand for HDF5"):
        vocabulary.save(tmp_path / "words.h5")
    vocabulary.save(tmp_path / "words.gatewise")  # no warning, which would be an error
