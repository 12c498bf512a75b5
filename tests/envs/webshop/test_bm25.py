"""Scores equal values computed by hand from the published formula, and pruning does not change results."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence

import numpy as np
import pytest

from agentgym_hindsight.envs.webshop import bm25 as module
from agentgym_hindsight.envs.webshop.analyzer import terms
from agentgym_hindsight.envs.webshop.bm25 import Bm25, best_factors, idf, inverse_norms
from agentgym_hindsight.envs.webshop.postings import LENGTHS, PostingsBuilder
from agentgym_hindsight.envs.webshop.search import Bm25Engine, id_ranks, index_texts


def ranker(texts: Sequence[str], ids: Sequence[str] | None = None, block: int = 1 << 20) -> Bm25:
    builder = PostingsBuilder(block=block)
    builder.extend(texts)
    found, postings = builder.finish()
    numbers = {term: number for number, term in enumerate(found)}
    return Bm25(lambda term: numbers.get(term, -1), postings, ties=None if ids is None else id_ranks(ids))


def single(value: float) -> float:
    """The value rounded to float32."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def test_length_bytes() -> None:
    # Exact up to 39, then steps of 2, 4, 8 …: four significant bits above the 24 values that are stored exactly.
    assert LENGTHS[:40].tolist() == list(range(40))
    assert LENGTHS[40:56].tolist() == [40, 42, 44, 46, 48, 50, 52, 54, 56, 60, 64, 68, 72, 76, 80, 84]
    assert LENGTHS[100] == 24 + (12 << 8)  # code 76: mantissa 4, exponent 9
    assert LENGTHS[255] == 24 + (15 << 27)  # 2,013,265,944
    assert (np.diff(LENGTHS) > 0).all()


def test_idf() -> None:
    assert float(idf(10, 3)) == single(math.log(1 + 7.5 / 3.5))
    assert float(idf(1, 1)) == single(math.log(1 + 0.5 / 1.5))


def test_scores_by_hand() -> None:
    """Three documents of 2, 3 and 4 words have the mean length 3, so that document 1 has exactly the norm k1."""
    engine = ranker(["red shoe", "red red shoe", "blue sock warm sock"])
    docs, scores = engine.rank(["red"], 50)
    rare = math.log(1 + 1.5 / 2.5)  # idf of 2 documents in 3: 0.470004
    by_hand = {
        0: rare * (1 - 1 / (1 + 1 / (0.9 * (0.6 + 0.4 * 2 / 3)))),  # tf 1, norm 0.78
        1: rare * (1 - 1 / (1 + 2 / 0.9)),  # tf 2, norm 0.9
    }
    assert docs.tolist() == [1, 0]
    assert scores.tolist() == pytest.approx([by_hand[1], by_hand[0]], rel=1e-6)
    assert [round(score, 5) for score in scores.tolist()] == [0.32414, 0.26405]
    _, scores = engine.rank(["sock", "warm"], 50)
    alone = math.log(1 + 2.5 / 1.5)
    norm = 0.9 * (0.6 + 0.4 * 4 / 3)
    assert scores.tolist() == pytest.approx([alone * 2 / (2 + norm) + alone / (1 + norm)], rel=1e-6)


def test_scores_are_rounded_to_float32_at_every_step() -> None:
    engine = ranker(["a1 b1 c1", "a1", "d1 d1 d1 d1 d1"])
    _, scores = engine.rank(["b1"], 50)
    b, k1 = single(0.4), single(0.9)
    mean = single(9 / 3)
    norm = single(k1 * single(single(1 - b) + single(single(b * 3) / mean)))
    inverse = single(1 / norm)
    weight = single(math.log(1 + 2.5 / 1.5))
    assert float(inverse_norms(np.float32(mean))[3]) == inverse
    assert scores.tolist() == [single(weight - single(weight / single(1 + inverse)))]


def test_repeated_query_words_weigh_more() -> None:
    engine = ranker(["red", "blue shoe", "shoe", "green"])
    once, scores = engine.rank(terms("red shoe"), 50)
    assert once.tolist() == [0, 2, 1]
    twice, more = engine.rank(terms("shoe red shoes"), 50)
    assert twice.tolist() == [2, 0, 1]
    assert more[0] == pytest.approx(2 * scores[1], rel=1e-6)


def test_ties_have_the_given_order() -> None:
    texts = ["same words"] * 5
    assert ranker(texts).rank(["same"], 3)[0].tolist() == [0, 1, 2]
    assert ranker(texts, ["E", "B", "D", "A", "C"]).rank(["same"], 3)[0].tolist() == [3, 1, 4]
    assert id_ranks(["b", "a", "c"]).tolist() == [1, 0, 2]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "nothingknown", "!!!", "the nothingknown ©"])
def test_nothing_found(query: str) -> None:
    engine = index_texts(["red shoe", "blue sock"], ["A", "B"])
    assert engine.search(query) == ()


def test_limits_of_k() -> None:
    engine = index_texts(["red shoe"] * 7, list("ABCDEFG"))
    assert engine.search("shoe", 3) == (0, 1, 2)
    assert len(engine.search("shoe")) == 7
    assert engine.search("shoe", 0) == ()


def test_empty_documents_do_not_count() -> None:
    """Lucene counts only documents with the field, and a text without words has none."""
    some = ranker(["red shoe", "", "the of", "blue sock"])
    assert some.rank(["red"], 5)[1].tolist() == ranker(["red shoe", "blue sock"]).rank(["red"], 5)[1].tolist()
    assert ranker(["", "the"]).rank(["red"], 5)[0].tolist() == []
    assert index_texts([], []).search("red") == ()


def corpus(rng: random.Random, documents: int, vocabulary: int = 400) -> list[str]:
    """Texts of uneven length with word frequencies as in a language. Some texts are repeated."""
    words = [f"w{number}x" for number in range(vocabulary)]
    weights = [1 / (number + 1) for number in range(vocabulary)]
    texts = [" ".join(rng.choices(words, weights, k=int(rng.paretovariate(0.9)) % 300)) for _ in range(documents)]
    for _ in range(documents // 10):
        texts[rng.randrange(documents)] = texts[rng.randrange(documents)]
    return texts


@pytest.mark.parametrize("seed", range(4))
def test_pruning_does_not_change_results(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MIN_PRUNED_POSTINGS", 0)
    monkeypatch.setattr(module, "_MIN_THRESHOLD_POSTINGS", seed * 100)
    rng = random.Random(seed)
    texts = corpus(rng, 3000)
    engine = ranker(texts, [f"{rng.random():.6f}" for _ in texts], block=5000)
    for _ in range(60):
        query = [f"w{min(int(rng.paretovariate(0.6)), 400) - 1}x" for _ in range(rng.randrange(1, 14))]
        for k in (1, 10, 50, 5000):
            slow, fast = engine.rank(query, k, prune=False), engine.rank(query, k)
            assert slow[0].tolist() == fast[0].tolist(), (query, k)
            assert slow[1].tolist() == fast[1].tolist(), (query, k)


def test_against_plain_arithmetic() -> None:
    """The same ranking by a loop over documents, which has only the analyzer in common with the index."""
    rng = random.Random(11)
    texts = corpus(rng, 200, 60)
    split = [terms(text) for text in texts]
    filled = [words for words in split if words]
    mean = sum(map(len, filled)) / len(filled)
    engine = ranker(texts)
    for _ in range(60):
        query = [f"w{min(int(rng.paretovariate(0.6)), 60) - 1}x" for _ in range(rng.randrange(1, 6))]
        expected = []
        for words in split:
            length = max((int(value) for value in LENGTHS[:120] if value <= len(words)), default=0)
            norm = 0.9 * (0.6 + 0.4 * length / mean)
            score = 0.0
            for term in query:
                count = sum(term in other for other in split)
                if count:
                    rare = math.log(1 + (len(filled) - count + 0.5) / (count + 0.5))
                    score += rare * words.count(term) / (words.count(term) + norm)
            expected.append(score)
        docs, scores = engine.rank(query, 50)
        best = sorted((score for score in expected if score), reverse=True)[:50]
        assert scores.tolist() == pytest.approx(best, rel=1e-5)
        assert [expected[doc] for doc in docs] == pytest.approx(best, rel=1e-5)


def test_merged_runs_give_the_same_index() -> None:
    texts = corpus(random.Random(3), 500)
    one_block, small_blocks = PostingsBuilder(), PostingsBuilder(block=700)
    for builder in (one_block, small_blocks):
        builder.extend(texts)
    (terms_one, postings_one), (terms_many, postings_many) = one_block.finish(), small_blocks.finish()
    assert terms_one == terms_many
    for ours, theirs in zip(postings_one, postings_many, strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(best_factors(postings_one), best_factors(postings_many))


def test_huge_query() -> None:
    texts = corpus(random.Random(4), 2000)
    engine = index_texts(texts, [f"{number:05d}" for number in range(2000)])
    query = " ".join(f"w{number % 977}x filler{number}" for number in range(6000))
    assert len(query) > 100_000
    assert len(engine.search(query)) == 50
    assert engine.search("x" * 100_000) == ()


def test_answers_are_cached() -> None:
    class Counting(Bm25):
        calls = 0

        def rank(self, terms, k, *, prune=True):  # type: ignore[no-untyped-def]
            self.calls += 1
            return super().rank(terms, k, prune=prune)

    builder = PostingsBuilder()
    builder.extend(["red shoe", "blue sock"])
    found, postings = builder.finish()
    counting = Counting({term: number for number, term in enumerate(found)}.__getitem__, postings)
    engine = Bm25Engine(counting)
    assert [engine.search("red") for _ in range(3)] == [(0,)] * 3
    assert counting.calls == 1
    long = "red " * 500
    assert engine.search(long) == engine.search(long) == (0,)
    assert counting.calls == 3


def test_an_interrupted_query_does_not_change_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MIN_PRUNED_POSTINGS", 0)
    monkeypatch.setattr(module, "_MIN_THRESHOLD_POSTINGS", 0)
    engine = ranker(corpus(random.Random(8), 1000))
    query = ["w0x", "w5x", "w30x"]
    expected = engine.rank(query, 50)[1].tolist()
    with monkeypatch.context() as patch:
        patch.setattr(Bm25, "_lower_bound", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.rank(query, 50)
    assert engine.rank(query, 50)[1].tolist() == expected
