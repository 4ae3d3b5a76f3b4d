"""The one loop of all searches: greedy, beam, diverse beam, sampling, with constraints or without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ojak.config import SearchConfig
from ojak.errors import UseError
from ojak.model.seam import Likeliest, Seq2Seq
from ojak.search import choosers, loops
from ojak.search.constraints import Phrases
from ojak.search.hypothesis import Ending, Hypothesis, best_to_come, rank
from ojak.search.live import Live
from ojak.search.processors import processors, rewrites
from ojak.search.shortlist import Words
from ojak.search.wishes import Wish, Wishes
from ojak.text.vocabulary import EOS, PAD

ENDINGS: tuple[Ending, ...] = ("model", "limit", "loop")


@dataclass(frozen=True)
class Ended:
    """Rows that ended at one step, E of them."""

    sentence: Tensor
    rank: Tensor
    ending: Tensor
    """(E), places in ENDINGS"""
    missing: Tensor
    """(E), how many words of required phrases were not said: such a row was made to end, and comes after all others"""
    rows: Live

    def cpu(self) -> Ended:
        """See `Live.cpu`."""
        return Ended(*(getattr(self, field.name).cpu() for field in fields(self)))


class Search:
    """A search under way. `steps` goes through it; then `hypotheses` has what was found.

    It knows the seam of the model and nothing else. The model should be in evaluation mode. Raises UseError for
    settings and wishes that the model or each other exclude.
    """

    def __init__(
        self, model: Seq2Seq, source: Tensor, config: SearchConfig, attend: bool = False, wishes: Wishes | None = None
    ) -> None:
        wishes = wishes or Wishes([Wish()] * len(source))
        wishes.check(config)
        if config.coverage_penalty and not model.views:
            raise UseError(
                "coverage_penalty counts where attention looked, but this model has none: it squeezes the source into "
                "one vector. Set coverage_penalty=0."
            )
        self.model, self.source, self.config, self.attend = model, source, config, attend
        self.words = Words.of(model, wishes)
        self.wishes = self.words.narrowed(wishes)
        self.limit = limits((source != PAD).sum(1), model.config.max_length, config, self.wishes)
        self.seen: list[Tensor] = []
        """the attention (N,K,S) of all rows at each step"""
        self.offsets: list[int] = []
        self.ended: list[Ended] = []

    @torch.inference_mode()
    def steps(self) -> Iterator[Live]:
        """Looks, and gives the live rows after each step; those of sentences that are done are gone."""
        model, config, device, width = self.model, self.config, self.source.device, self.config.width
        sentences, limit = len(self.source), self.limit
        groups = width if config.sampling else config.diversity_groups
        size = width // groups
        keep = self.source != PAD
        shape = processors(config, self.wishes, limit, device)
        copy = rewrites(config, self.wishes)
        # Where nothing is to be done with the distribution of the next word, the model need only tell its best words.
        whole = len(shape) > 1 or config.sampling or groups > 1 or self.wishes.constrained
        choose = choosers.likeliest(width, groups, config.diversity_strength)
        if config.sampling:
            choose = choosers.sample(config, choosers.sample_keys(self.source, width))
        phrases = None
        if self.wishes.constrained:
            phrases = Phrases([list(wish.phrases) for wish in self.wishes.sentences], device)
            shape.insert(1, phrases.hold)
            choose = phrases.shared_out(width)
        allowed = loops.allowed(self.source) if config.cut_loops else None
        prefixes = torch.tensor([len(wish.prefix) for wish in self.wishes.sentences], device=device)
        shortest = int(limit.min())
        weigh = config.coverage_penalty > 0
        # The best ranks of finished hypotheses, as many as the beam holds.
        best = torch.full((sentences, width), -torch.inf, dtype=torch.float64, device=device)

        # 1. One row a hypothesis, side by side; at first only one of each group stands for something.
        state = model.start(model.encode(self.source))
        live = Live.first(sentences, groups, width, self.source if weigh else None, device)
        if width > 1:
            state = state.select(live.sentence)

        for step in range(int(limit.max())):
            # 2. Which rows may only end: those that are long enough, or go round in circles.
            must_end = None
            if step + 1 >= shortest:
                must_end = limit[live.sentence] <= step + 1
            cut = None
            if allowed is not None and step % loops.EVERY == 0 and step >= loops.LEAST:
                cut = loops.looping(live.tokens[:, 1:], allowed[live.sentence]) & (prefixes[live.sentence] <= step)
                must_end = cut if must_end is None else must_end | cut

            # 3. What each row may say next: the model's log-probabilities, and what processors make of them. The best
            #    ways to go on are chosen.
            decoded, state = model.advance(self.words.ids(live.tokens[:, -1:]), state, self.attend or weigh)
            states = decoded.states[:, -1]
            if whole:
                words = self.words.log_probabilities(states, live.sentence)
                shaped = words.clone() if copy else words
                for process in shape:
                    process(shaped, words, live)
                if must_end is not None:
                    _only_end(shaped, words, must_end)
                choice = choose(shaped, live)
                said = words[choice.rows, choice.words]
            else:
                best_words = self.words.likeliest(states, live.sentence, choosers.each(size, self.words.count))
                if must_end is not None:
                    best_words = _only_the_end(best_words, must_end)
                choice, said = choosers.beam(best_words, live, width)
            seen = self._look(decoded.attention)
            if live.coverage is not None and decoded.attention is not None:
                live.coverage.add_(decoded.attention[:, 0].double().mean(1))

            # 4. Those that end among the best `size` of their group are finished; an end further down is not good
            #    enough.
            ends = choice.words == EOS
            ending = bool(ends.any())
            if ending:
                ends &= choice.scores.isfinite()
                ends[:, :, size:] = False
                rows, scores = choice.rows[ends], choice.scores[ends]
                finished = live.extend(rows, choice.words[ends], scores, said[ends], seen)
                sentence = finished.sentence
                value = rank(scores, step + 1, finished.coverage, keep[sentence], config)
                how = (limit[sentence] <= step + 1).long()
                if cut is not None:
                    how = torch.where(cut[rows], 2, how)
                missing = torch.zeros_like(how) if phrases is None else phrases.missing(finished)
                self.ended.append(Ended(sentence, value, how, missing, finished))
                best = _merge(best, sentence, value.masked_fill(missing > 0, -torch.inf))

            # 5. The best `size` of each group that go on are the new rows (A,width).
            parts = [choice.rows, choice.words, choice.scores, said]
            if ending:
                order = (choice.words == EOS).byte().argsort(dim=2, stable=True)[:, :, :size]
                parts = [part.gather(2, order) for part in parts]
            rows, chosen, scores, said = (part[:, :, :size].flatten(1) for part in parts)

            # 6. Sentences that are done leave the batch. None can be before a hypothesis has ended, unless words are
            #    forbidden.
            stay = True
            if whole or self.ended:
                if ending:
                    scores = scores.masked_fill(chosen == EOS, -torch.inf)
                active = live.sentence[::width]
                going = ~self._done(scores.amax(1), best[active], step + 1, limit[active])
                stay = bool(going.all())
                if not stay:
                    rows, chosen, scores, said = rows[going], chosen[going], scores[going], said[going]
            rows, chosen, scores, said = rows.flatten(), chosen.flatten(), scores.flatten(), said.flatten()
            live = live.extend(rows if size > 1 or not stay else None, chosen, scores, said, seen)
            yield live
            if len(rows) == 0:
                return
            if not stay:
                state = state.select(rows)
            elif size > 1:
                state = state.reorder(rows)

    def _look(self, attention: Tensor | None) -> int:
        """Keeps the attention of this step; gives the number of rows kept before it."""
        before = self.offsets[-1] + len(self.seen[-1]) if self.seen else 0
        if attention is not None and self.attend:
            self.seen.append(attention[:, 0])
            self.offsets.append(before)
        return before

    def _done(self, ahead: Tensor, best: Tensor, step: int, limit: Tensor) -> Tensor:
        """Which sentences (A) are done, by the best score `ahead` (A) that lives and the best finished ranks (A,W)."""
        done = ahead.isneginf()
        if self.config.sampling or self.config.width == 1:
            return done
        worst = best[:, -1]
        full = worst > -torch.inf
        if self.config.stop == "first":
            return done | full
        return done | (full & (best_to_come(ahead, step, limit, self.config) <= worst))

    def hypotheses(self) -> list[list[Hypothesis]]:
        """The best hypotheses of each sentence, best first: `n_best`, or `mbr` where these are to be chosen from."""
        config = self.config
        found: list[list[tuple[int, float, int, int]]] = [[] for _ in range(len(self.source))]
        endings = [ended.cpu() for ended in self.ended]
        for event, ended in enumerate(endings):
            columns = ended.sentence.tolist(), ended.missing.tolist(), ended.rank.tolist()
            for row, (sentence, missing, value) in enumerate(zip(*columns, strict=True)):
                found[sentence].append((missing, -value, event, row))
        seen = torch.cat(self.seen) if self.seen else None
        lengths = (self.source != PAD).sum(1).tolist()
        results: list[list[Hypothesis]] = []
        for ranked, length in zip(found, lengths, strict=True):
            kept: list[Hypothesis] = []
            said: set[tuple[int, ...]] = set()
            for _, value, event, row in sorted(ranked):
                hypothesis = self._hypothesis(-value, endings[event], row, seen, length)
                if tuple(hypothesis.tokens) in said and not config.sampling:
                    continue  # two groups of diverse beam search came to the same
                said.add(tuple(hypothesis.tokens))
                kept.append(hypothesis)
                if len(kept) == max(config.n_best, config.mbr):
                    break
            results.append(kept)
        return results

    def _hypothesis(self, value: float, ended: Ended, row: int, seen: Tensor | None, length: int) -> Hypothesis:
        said = ended.rows.said[row].double()
        return Hypothesis(
            tokens=self.words.ids(ended.rows.tokens[row, 1:]).tolist(),
            score=float(said.sum()),
            attention=None if seen is None else seen[ended.rows.trail[row], :, :length],
            token_scores=said.tolist(),
            rank=value,
            ending=ENDINGS[int(ended.ending[row])],
        )


def limits(lengths: Tensor, most: int, config: SearchConfig, wishes: Wishes) -> Tensor:
    """The longest target (B) for sources of `lengths` (B), EOS included; what is asked for comes on top, up to the
    `most` that the model takes.

    It depends on the sentence alone, so that a sentence is translated alike in every batch. Raises UseError when a
    sentence asks for more than the model takes.
    """
    longest = (lengths * config.max_length_factor).long() + 10
    if config.max_length:
        longest = longest.clamp(max=config.max_length)
    asked = [len(wish.prefix) + sum(map(len, wish.phrases)) for wish in wishes.sentences]
    if max(asked, default=0) >= most:
        raise UseError(
            f"A prefix and terms must have fewer than {most} tokens together for this model, but one sentence asks for "
            f"{max(asked)}; ask for less."
        )
    longest = longest.clamp(min=config.min_length) + torch.tensor(asked, device=lengths.device)
    return longest.clamp(max=most)


def _only_end(shaped: Tensor, words: Tensor, rows: Tensor) -> None:
    """Forbids all but EOS in the rows (N) that are True; it counts with the probability that the model gave it."""
    end = torch.where(rows, words[:, EOS], shaped[:, EOS])
    shaped.masked_fill_(rows.unsqueeze(1), -torch.inf)
    shaped[:, EOS] = end


def _only_the_end(best: Likeliest, rows: Tensor) -> Likeliest:
    """The same where only the best words are known."""
    scores = best.scores.masked_fill(rows.unsqueeze(1), -torch.inf)
    scores[:, 0] = torch.where(rows, best.end, scores[:, 0])
    words = best.words.clone()
    words[:, 0] = torch.where(rows, EOS, words[:, 0])
    return Likeliest(scores, words, best.end)


def _merge(best: Tensor, sentence: Tensor, value: Tensor) -> Tensor:
    """The best ranks (B,W) with those of newly finished hypotheses (E) among them, best first.

    `sentence` (E) comes in order, so the place of each among those of its sentence is its distance from the first.
    """
    width = best.shape[1]
    place = torch.arange(len(sentence), device=best.device) - torch.searchsorted(sentence, sentence)
    new = torch.full_like(best, -torch.inf)
    new[sentence, place] = value
    return torch.cat([best, new], 1).topk(width, 1)[0]
