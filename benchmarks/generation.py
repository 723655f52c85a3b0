"""Tokens a second: plain ``generate`` of Transformers and motet, on the same prompts in one run.

    python -m benchmarks.generation [--prompts N] [--rounds N] [--json FILE]

The peer is what a user would write: the weights in float32, one prompt at a time, greedy. motet gets
all prompts of a round at once. The two take turns on slices of the prompts, so that a busy machine
slows both alike; loading is not counted. Starts are processes of their own with an empty cache: from
the first import to the first answer.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks._machine import MachineWatch
from motet.text.generate import Chat, GenerationSettings, LocalGenerator, Prompt, open_generator_folder

_SYSTEM: Final = "You rephrase one sentence. You add nothing and leave nothing out."
_EXAMPLE: Final = (
    "Rephrase this sentence: You liked Heat, and Ronin is also a crime film.",
    "Since you liked Heat, here is another crime film: Ronin.",
)
_TITLES: Final = (
    "Toy Story", "Alien", "Fargo", "Casablanca", "The Fugitive", "Babe", "Star Wars", "Twelve Monkeys",
    "The Birdcage", "Vertigo", "Annie Hall", "Trainspotting",
)  # fmt: skip
_FORMS: Final = (
    "You liked {a}, and {b} is also loved by people who liked it.",
    "{b} was made in {year}, like {a}, which you rated {stars} stars.",
    "Both {a} and {b} are about friends who have to find their way home.",
    "{share} of 100 people who liked {a} also liked {b}.",
    "{b} lasts {minutes} minutes, and you mostly watch films shorter than two hours.",
)
_FIRST: Final = """
import json, sys, time
began_s = time.perf_counter()
from motet.text.generate import GenerationSettings, LocalGenerator, Prompt
generator = LocalGenerator()
(answer,) = generator.generate([Prompt("What is the capital of France?")], GenerationSettings(max_tokens=8))
print(json.dumps([time.perf_counter() - began_s, answer.text]))
"""
_FETCH: Final = """
import json, time
began_s = time.perf_counter()
from motet.datasets import fetch_asset
fetch_asset("SmolLM2-135M-Instruct")
print(json.dumps([time.perf_counter() - began_s, ""]))
"""
_PEER: Final = """
import json, sys, time
began_s = time.perf_counter()
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
turns = [{"role": "user", "content": "What is the capital of France?"}]
asked = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
written = model.generate(**asked, max_new_tokens=8, do_sample=False)[0, asked["input_ids"].shape[1] :]
print(json.dumps([time.perf_counter() - began_s, tokenizer.decode(written, skip_special_tokens=True)]))
"""


def sentences(count: int) -> list[str]:
    """Sentences as reasons are, all different, of a seeded draw."""
    random = np.random.default_rng(0)
    made: dict[str, None] = {}
    while len(made) < count:
        a, b = random.choice(_TITLES, 2, replace=False)
        form = _FORMS[len(made) % len(_FORMS)]
        numbers = {"year": random.integers(1940, 1999), "stars": random.integers(3, 6)}
        numbers |= {"share": random.integers(20, 90), "minutes": random.integers(75, 120)}
        made[form.format(a=a, b=b, **numbers)] = None
    return list(made)


def prompts(count: int) -> list[Prompt]:
    """What both contenders are asked."""
    return [Prompt(f"Rephrase this sentence: {text}", _SYSTEM, (_EXAMPLE,)) for text in sentences(count)]


class Plain:
    """Transformers as a user would call it."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM  # noqa: PLC0415

        self._chat = Chat(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.texts: list[str] = []
        self.tokens = 0
        self.wall_s = 0.0

    def take(self, asked: list[Prompt], most: int) -> None:
        """Answer some prompts, one by one."""
        began_s = time.perf_counter()
        for prompt in asked:
            ids = torch.tensor([self._chat.tokens(prompt)])
            mask = torch.ones_like(ids)
            whole = self._model.generate(ids, attention_mask=mask, max_new_tokens=most, do_sample=False)
            written = [token for token in whole[0, ids.shape[1] :].tolist() if token not in self._chat.ends]
            self.tokens += len(written)
            self.texts.append(self._chat.text(written))
        self.wall_s += time.perf_counter() - began_s


class Ours:
    """motet, all prompts of a slice at once."""

    def __init__(self) -> None:
        self._generator = LocalGenerator(threads=torch.get_num_threads())
        self.texts: list[str] = []
        self.tokens = 0
        self.wall_s = 0.0

    def take(self, asked: list[Prompt], most: int) -> None:
        """Answer some prompts."""
        began_s = time.perf_counter()
        answers = self._generator.generate(asked, GenerationSettings(max_tokens=most))
        self.wall_s += time.perf_counter() - began_s
        self.tokens += sum(answer.tokens for answer in answers)
        self.texts += [answer.text for answer in answers]


def start_s(code: str, cache: Path, *arguments: str) -> float:
    """Seconds that a process of its own says it took."""
    environment = {**os.environ, "MOTET_CACHE": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    seconds, text = json.loads(said.strip().splitlines()[-1])
    assert not text or "Paris" in text, f"the first answer is {text!r}"
    return float(seconds)


def measure(count: int, rounds: int, most: int) -> dict[str, float]:
    """Run everything once and return the figures."""
    folder = open_generator_folder("SmolLM2-135M-Instruct").path
    asked = prompts(count)
    plain, ours, alone = Plain(folder), Ours(), Ours()
    for contender in (plain, ours, alone):
        contender.take([Prompt("What is the capital of France?")], 8)
        contender.texts.clear()
        contender.tokens, contender.wall_s = 0, 0.0
    watch = MachineWatch()
    with watch.over("generation"):
        for part in np.array_split(np.arange(count), rounds):
            some = [asked[row] for row in part]
            plain.take(some, most)
            ours.take(some, most)
            for prompt in some:
                alone.take([prompt], most)
    assert alone.texts == ours.texts, "an answer depends on its neighbours"
    ratios = [
        difflib.SequenceMatcher(None, *pair).ratio() for pair in zip(plain.texts, ours.texts, strict=True)
    ]
    figures = {
        "prompts": count,
        "threads": torch.get_num_threads(),
        "plain_tokens_per_s": plain.tokens / plain.wall_s,
        "ours_tokens_per_s": ours.tokens / ours.wall_s,
        "alone_tokens_per_s": alone.tokens / alone.wall_s,
        "ratio": (ours.tokens / ours.wall_s) / (plain.tokens / plain.wall_s),
        "alone_ratio": (alone.tokens / alone.wall_s) / (plain.tokens / plain.wall_s),
        "plain_tokens": plain.tokens,
        "ours_tokens": ours.tokens,
        "equal": float(np.mean([a == b for a, b in zip(plain.texts, ours.texts, strict=True)])),
        "similarity": float(np.mean(ratios)),
    }
    with tempfile.TemporaryDirectory() as place:
        figures["fetch_s"] = start_s(_FETCH, Path(place))
        figures["first_start_s"] = start_s(_FIRST, Path(place))
        figures["later_start_s"] = start_s(_FIRST, Path(place))
        figures["plain_start_s"] = start_s(_PEER, Path(place), str(folder))
    for line in watch.disturbances():
        print(line, file=sys.stderr)
    return figures


def table(figures: dict[str, float]) -> str:
    """The figures as Markdown."""
    f = figures
    return "\n".join(
        [
            f"{f['prompts']:.0f} prompts, {f['threads']:.0f} threads, SmolLM2-135M-Instruct",
            "",
            "| | tokens/s | times plain | first start | later start |",
            "|---|---:|---:|---:|---:|",
            f"| Transformers `generate`, float32, one by one | {f['plain_tokens_per_s']:.1f} | 1.0 | "
            f"{f['plain_start_s']:.1f} s | {f['plain_start_s']:.1f} s |",
            f"| motet, one by one | {f['alone_tokens_per_s']:.1f} | {f['alone_ratio']:.1f} | | |",
            f"| motet, side by side | {f['ours_tokens_per_s']:.1f} | {f['ratio']:.1f} | "
            f"{f['first_start_s']:.1f} s | {f['later_start_s']:.1f} s |",
            "",
            f"Answers equal to plain float32: {f['equal']:.0%}; mean similarity of characters "
            f"{f['similarity']:.2f}. Answers alone and side by side: all equal. Fetching the package once "
            f"took {f['fetch_s']:.1f} s and is not in the first start.",
        ]
    )


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--prompts", type=int, default=96, help="prompts to answer")
    parser.add_argument("--rounds", type=int, default=3, help="slices on which the contenders take turns")
    parser.add_argument("--tokens", type=int, default=48, help="most tokens of an answer")
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    arguments = parser.parse_args()
    figures = measure(arguments.prompts, arguments.rounds, arguments.tokens)
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
