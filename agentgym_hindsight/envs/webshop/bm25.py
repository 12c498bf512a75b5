"""BM25 with scores that equal those of Lucene 9 in every bit, so that rankings and ties are the same.

* The length of a document is quantised to one byte; the mean length is exact.
* The score of one term is a float32, ``w - w / (1 + tf / norm)``, where ``w`` is the idf of the term times its count in
  the query. The sum over terms is a float64, rounded to float32 at the end.
* Documents with equal scores are ordered by ``ties``, by default by their position.

For a large catalogue most postings are skipped without a change of the result; see ``_pruned`` for the proof.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentgym_hindsight.envs.webshop.postings import LENGTHS, Postings

__all__ = ["K1", "B", "Bm25", "idf", "inverse_norms"]

K1, B = 0.9, 0.4
_MIN_PRUNED_POSTINGS = 20_000  # with fewer postings, scoring all of them is faster than pruning
_MIN_THRESHOLD_POSTINGS = 20_000  # before a term with more postings, a better threshold saves time
_SCANS_PER_SEARCH = 25  # postings that can be scanned in the time of one binary search for a document
_LEADER_FACTOR = 4  # times k documents are scored in full to compute the threshold
# A bound is a sum of up to thousands of float64 values. This factor is much larger than the rounding error of that sum
# and much smaller than half a unit of the float32 score, so that every document left out is strictly worse.
_ROUNDING_MARGIN = 1 - 1e-6


def idf(documents: int, frequency: int) -> np.float32:
    """The inverse document frequency of a term that ``frequency`` of ``documents`` contain."""
    value: np.float32 = np.float32(math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5)))
    return value


def inverse_norms(mean: np.float32) -> NDArray[np.float32]:
    """By length byte: 1 / (k1 · (1 - b + b · length / mean)), each step in float32."""
    k1, b, one = np.float32(K1), np.float32(B), np.float32(1)
    inverse: NDArray[np.float32] = one / (k1 * ((one - b) + b * LENGTHS.astype(np.float32) / mean))
    return inverse


class _Term(NamedTuple):
    docs: NDArray[np.int32]
    codes: NDArray[np.unsignedinteger[Any]]
    weight: np.float32
    bound: float  # the largest score that this term gives any document


class Bm25:
    """Ranks documents for the terms of a query."""

    def __init__(
        self,
        find: Callable[[str], int],
        postings: Postings,
        best: NDArray[np.float32] | None = None,
        ties: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """``find`` returns a term's number or -1. ``best`` is the stored result of :func:`best_factors`, if any."""
        self._find = find
        self._postings = postings
        self._ties = ties
        self.documents = postings.documents
        self._factors = factors(postings)
        self._best = best_factors(postings) if best is None else best
        self._scratch = threading.local()

    def rank(
        self, terms: Iterable[str], k: int, *, prune: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The ``k`` best documents that contain any of the terms, best first, and their scores."""
        query_terms = self._terms(terms)
        if not query_terms or k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if prune and sum(len(term.docs) for term in query_terms) > _MIN_PRUNED_POSTINGS:
            docs, sums = self._pruned(query_terms, k)
        else:
            docs, sums = self._exhaustive(query_terms)
        return self._top(docs, sums.astype(np.float32), k)

    def _terms(self, terms: Iterable[str]) -> list[_Term]:
        """The terms of the query that occur in the index, sorted by decreasing bound."""
        found = []
        for term, count in Counter(terms).items():
            number = self._find(term)
            if number >= 0:
                start, end = int(self._postings.starts[number]), int(self._postings.starts[number + 1])
                weight = np.float32(count) * idf(self._postings.filled, end - start)
                bound = float(weight - weight / (np.float32(1) + self._best[number]))
                found.append(_Term(self._postings.docs[start:end], self._postings.codes[start:end], weight, bound))
        found.sort(key=lambda term: -term.bound)
        return found

    def _scores(self, term: _Term, codes: NDArray[Any]) -> NDArray[np.float64]:
        weight, one = term.weight, np.float32(1)
        few_codes = len(codes) <= len(self._factors)  # otherwise the score of each code is computed once
        factor = self._factors[codes] if few_codes else self._factors
        scores: NDArray[np.float64] = (weight - weight / (one + factor)).astype(np.float64)
        return scores if few_codes else scores[codes]

    def _exhaustive(self, terms: list[_Term]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        sums = np.zeros(self.documents)
        for term in terms:
            sums[term.docs] += self._scores(term, term.codes)
        docs = np.flatnonzero(sums)
        return docs, sums[docs]

    def _pruned(self, terms: list[_Term], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """MaxScore: drop documents that cannot be among the ``k`` best.

        The terms with the largest bounds come first, so ``k`` good documents are found early. ``threshold`` is a lower
        bound on the score of the worst of them. A document is dropped if its partial sum plus the bounds of all
        remaining terms is below ``threshold``. After a few terms this is true for all documents that have no score yet.
        From then on, the long postings of common terms are only read at the candidates. The partial sum of a dropped
        document is no longer updated. It is never larger than the true sum, so it stays below ``threshold`` and the
        last filter removes it.
        """
        remaining_bound = [0.0] * (len(terms) + 1)
        for index in range(len(terms) - 1, -1, -1):
            remaining_bound[index] = remaining_bound[index + 1] + terms[index].bound
        # The buffer is removed while in use and put back zeroed, so that an interrupted query leaves no sums in it.
        sums: NDArray[np.float64] | None = self._scratch.__dict__.pop("sums", None)
        if sums is None:
            sums = np.zeros(self.documents)
        docs = np.empty(0, np.int32)
        touched, threshold, index = [docs], 0.0, 0
        while index < len(terms):
            term = terms[index]
            # True if a document without a score cannot reach the threshold any more.
            no_new_documents = remaining_bound[index] < threshold * _ROUNDING_MARGIN
            if no_new_documents and len(docs) * _SCANS_PER_SEARCH < len(term.docs):
                break
            index += 1
            self._add(term, sums, threshold * _ROUNDING_MARGIN - remaining_bound[index], no_new_documents, touched)
            docs = np.concatenate([docs, touched[-1]])
            if len(docs) >= k and index < len(terms) and len(terms[index].docs) > _MIN_THRESHOLD_POSTINGS:
                partial = sums[docs]
                threshold = max(threshold, self._lower_bound(docs, partial, terms[index:], k))
                docs = docs[partial + remaining_bound[index] >= threshold * _ROUNDING_MARGIN]
        docs = np.sort(docs)  # sorted, so that the binary searches pass through the postings once
        partial = sums[docs]
        for added in touched:
            sums[added] = 0
        self._scratch.sums = sums
        for later in range(index, len(terms)):
            candidate = partial + remaining_bound[later] >= threshold * _ROUNDING_MARGIN
            docs, partial = docs[candidate], partial[candidate]
            partial += self._scores_of(terms[later], docs)
        candidate = partial >= threshold * _ROUNDING_MARGIN
        return docs[candidate].astype(np.int64), partial[candidate]

    def _add(
        self,
        term: _Term,
        sums: NDArray[np.float64],
        required: float,
        no_new_documents: bool,
        touched: list[NDArray[np.int32]],
    ) -> None:
        """Add a term to the sums that reach ``required`` with it; append documents that are new to ``touched``."""
        docs, codes = term.docs, term.codes
        before = sums[docs]
        if no_new_documents:
            selected = np.flatnonzero(before + term.bound >= required)
            docs, codes, before = docs[selected], codes[selected], before[selected]
        after = before + self._scores(term, codes)
        if required > 0:
            selected = np.flatnonzero(after >= required)
            docs, before, after = docs[selected], before[selected], after[selected]
        sums[docs] = after
        touched.append(docs[before == 0])

    def _lower_bound(
        self, docs: NDArray[np.int32], partial: NDArray[np.float64], remaining_terms: list[_Term], k: int
    ) -> float:
        """A lower bound on the score of the ``k``-th best document, from the full scores of the current leaders."""
        leader_count = min(_LEADER_FACTOR * k, len(docs))
        leaders = np.argpartition(partial, len(partial) - leader_count)[len(partial) - leader_count :]
        leaders = leaders[np.argsort(docs[leaders])]
        full = partial[leaders]
        for term in remaining_terms:
            full += self._scores_of(term, docs[leaders])
        return float(np.partition(full, leader_count - k)[leader_count - k])

    def _scores_of(self, term: _Term, docs: NDArray[np.int32]) -> NDArray[np.float64]:
        indices = np.searchsorted(term.docs, docs)
        indices[indices == len(term.docs)] = 0
        found = term.docs[indices] == docs
        scores = np.zeros(len(docs))
        scores[found] = self._scores(term, term.codes[indices[found]])
        return scores

    def _top(
        self, docs: NDArray[np.int64], scores: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if len(docs) > k:
            lowest = np.partition(scores, len(scores) - k)[len(scores) - k]
            selected = scores >= lowest  # includes all documents that tie with the last one
            docs, scores = docs[selected], scores[selected]
        order = np.lexsort((docs if self._ties is None else self._ties[docs], -scores))[:k]
        return docs[order], scores[order]


def factors(postings: Postings) -> NDArray[np.float32]:
    """By code: term frequency times inverse norm, in float32."""
    mean = np.float32(postings.lengths_sum / max(postings.filled, 1)) or np.float32(1)
    by_code: NDArray[np.float32] = (postings.pairs >> 8).astype(np.float32) * inverse_norms(mean)[postings.pairs & 255]
    return by_code


def best_factors(postings: Postings) -> NDArray[np.float32]:
    """By term: the largest factor among its postings."""
    by_code = factors(postings)
    best = np.zeros(len(postings.starts) - 1, np.float32)
    step = 1 << 16  # terms at a time, so that the factors of a large index are not in memory at once
    for first in range(0, len(best), step):
        starts = postings.starts[first : first + step + 1]
        values = by_code[postings.codes[starts[0] : starts[-1]]]
        best[first : first + step] = np.maximum.reduceat(values, starts[:-1] - starts[0])
    return best
