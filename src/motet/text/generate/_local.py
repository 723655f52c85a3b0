"""Texts by a language model in this process: from prompts to tokens and back."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from motet.datasets import Progress
from motet.errors import GenerationError, MissingExtraError
from motet.text.generate._decode import Choices, Decoder, Grammars, Writing, choose, drawn, likeliest, write
from motet.text.generate._decoders import OnnxDecoder, TorchDecoder
from motet.text.generate._generator import (
    Generation,
    GenerationSettings,
    Prompt,
    check_settings,
    cut_at_stop,
    out_of_time,
    settled_length,
    why_wrong,
)
from motet.text.generate._gguf import DEFAULT_GENERATOR, GeneratorFolder, open_generator_folder
from motet.text.generate._llama import is_llama
from motet.threads import chosen_threads

__all__ = ["Chat", "LocalGenerator"]


class Chat:
    """The tokenizer of a model, and the form in which it was taught to be talked to.

    Args:
        folder: With ``tokenizer.json``, ``tokenizer_config.json`` and ``config.json``.

    Attributes:
        ends: Tokens that end an answer.

    Raises:
        GenerationError: If one of them is missing or cannot be read.
        MissingExtraError: If tokenizers is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tokenizers import Tokenizer  # noqa: PLC0415
        except ImportError:
            raise MissingExtraError("tokenizers", "generate") from None
        path = folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing more particular
            raise GenerationError(
                f"{path} cannot be read ({error})", "give a model folder with a tokenizer.json"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        about = _read(folder / "tokenizer_config.json")
        template = folder / "chat_template.jinja"
        self._template = template.read_text("utf-8") if template.is_file() else about.get("chat_template")
        self._named = {key: _plain(about.get(key)) for key in ("bos_token", "eos_token", "pad_token")}
        added = self._tokenizer.get_added_tokens_decoder()
        self._special = [token.content for token in added.values() if token.special]
        ends = [_read(folder / f).get("eos_token_id") for f in ("generation_config.json", "config.json")]
        listed = [end if isinstance(end, list) else [end] for end in ends if end is not None]
        named = [self._tokenizer.token_to_id(self._named["eos_token"])] if self._named["eos_token"] else []
        self.ends = frozenset(int(i) for group in [*listed, named] for i in group if i is not None)
        if not self.ends:
            raise GenerationError(f"{folder} names no end token", "set eos_token_id in its config.json")

    def tokens(self, prompt: Prompt) -> list[int]:
        """Tokens of a whole conversation, up to where the answer begins."""
        return list(self._tokenizer.encode(self._written(prompt), add_special_tokens=False).ids)

    def plain(self, text: str) -> list[int]:
        """Tokens of a text that belongs to an answer; what looks like a special token is none."""
        return list(self._tokenizer.encode(self._defused(text), add_special_tokens=False).ids)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    @property
    def tokenizer_json(self) -> str:
        """The tokenizer as its own library writes it."""
        return str(self._tokenizer.to_str())

    def _defused(self, text: str) -> str:
        """Text in which no special token can be read: whoever writes an item's text must not end a turn."""
        text = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        for token in self._special:
            if token in text:
                text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _written(self, prompt: Prompt) -> str:
        turns = [{"role": "system", "content": self._defused(prompt.system)}] if prompt.system else []
        for asked, answered in prompt.examples:
            turns.append({"role": "user", "content": self._defused(asked)})
            turns.append({"role": "assistant", "content": self._defused(answered)})
        turns.append({"role": "user", "content": self._defused(prompt.user)})
        if self._template is None:  # a model that was never taught to chat
            return "\n\n".join(turn["content"] for turn in turns) + "\n\n"
        from jinja2 import TemplateError  # noqa: PLC0415

        try:
            return self._rendered(turns)
        except TemplateError:
            if not prompt.system:
                raise
        # Some templates know no system turn.
        merged = f"{turns[0]['content']}\n\n{turns[1]['content']}"
        return self._rendered([{"role": "user", "content": merged}, *turns[2:]])

    def _rendered(self, turns: list[dict[str, str]]) -> str:
        from jinja2 import TemplateError  # noqa: PLC0415
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

        def refuse(message: str) -> None:
            raise TemplateError(message)

        # A template comes with a model, so it runs in a sandbox, in the same setting as elsewhere.
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.globals["raise_exception"] = refuse
        template = environment.from_string(str(self._template))
        return template.render(messages=turns, add_generation_prompt=True, **self._named)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _plain(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token or "")


_VERSION: Final = "local-2"  # change it whenever the same model would write something else
Runtime = Literal["auto", "onnx", "torch"]


class LocalGenerator:
    """A generating model on this machine; nothing is loaded before the first call.

    Llamas (SmolLM2, TinyLlama …) and Qwen 2 run in 8 bits on ONNX Runtime, many prompts side by
    side; every other architecture as Transformers has it, in float32 and one by one. In neither
    does an answer depend on its neighbours. Calls from several threads take turns.

    Args:
        model: A packaged name, a folder, or a hub id.
        runtime: ``onnx``, ``torch``, or ``auto`` for the first that can run the model.
        threads: Threads a pass; 0 for what ``OMP_NUM_THREADS`` says, else one a core, 8 at the most.
        prepared: Directory for the 8-bit model; a place in motet's cache by default.
    """

    def __init__(
        self,
        model: str = DEFAULT_GENERATOR,
        *,
        runtime: Runtime = "auto",
        threads: int = 0,
        prepared: Path | None = None,
    ) -> None:
        self.name = model
        self._runtime = runtime
        self._threads = threads or _cores()
        self._prepared = prepared
        self._lock = RLock()

    @property
    def settings_key(self) -> str:
        """Hash of the model's files and of how they are run; the files are fetched for it."""
        with self._lock:
            folder = self._folder
        run_as = "onnx" if self._runs_on_onnx else "torch"
        return hashlib.sha256(f"{_VERSION}\0{run_as}\0{folder.content_hash}".encode()).hexdigest()

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, exactly."""
        with self._lock:
            return len(self._chat.plain(text))

    def generate(
        self,
        prompts: Sequence[Prompt],
        settings: GenerationSettings = GenerationSettings(),
        progress: Progress | None = None,
    ) -> list[Generation]:
        """Answer prompts; see :meth:`motet.text.generate.Generator.generate`."""
        check_settings(settings)
        if not prompts:
            return []
        until_s = _until_s(settings)
        with self._lock:
            decoder = self._ready(until_s)
            if settings.choices:
                return self._choose(decoder, prompts, settings, until_s, progress)
            writings = [self._writing(prompt, settings) for prompt in prompts]
            began_s, done = time.monotonic(), 0
            for one in write(decoder, writings, self._chat.ends, until_s):
                if one.ended and progress is not None:
                    done += 1
                    progress("writing", done, len(writings))
            share_s = (time.monotonic() - began_s) / len(writings)
            return [self._finished(one, settings, share_s) for one in writings]

    def stream(self, prompt: Prompt, settings: GenerationSettings = GenerationSettings()) -> Iterator[str]:
        """Answer one prompt piece by piece; see :meth:`motet.text.generate.Generator.stream`."""
        check_settings(settings)
        until_s = _until_s(settings)
        with self._lock:
            decoder = self._ready(until_s)
            if settings.choices:
                yield self._choose(decoder, [prompt], settings, until_s, None)[0].text
                return
            writing = self._writing(prompt, settings)
            shown = ""
            for one in write(decoder, [writing], self._chat.ends, until_s):
                if one.ended:
                    break
                text = self._chat.text(one.tokens)
                sure = text[: settled_length(text, settings.stop)]
                if len(sure) > len(shown):
                    yield sure[len(shown) :]
                    shown = sure
            rest = self._finished(writing, settings, 0.0).text[len(shown) :]
            if rest:
                yield rest

    @cached_property
    def _folder(self) -> GeneratorFolder:
        return open_generator_folder(self.name)

    @property
    def _runs_on_onnx(self) -> bool:
        fits = is_llama(self._folder.config)
        if self._runtime == "onnx" and not fits:
            raise GenerationError(
                f"{self.name} is no llama that ONNX Runtime can run here "
                f"(model_type {self._folder.config.get('model_type')!r})",
                "use runtime='auto'",
            )
        return fits and self._runtime != "torch"

    @cached_property
    def _chat(self) -> Chat:
        return Chat(self._folder.path)

    @cached_property
    def _decoder(self) -> Decoder:
        folder = self._folder
        if not self._runs_on_onnx:
            return TorchDecoder(folder.path, folder.config)
        return OnnxDecoder(
            folder.path, folder.config, folder.content_hash, threads=self._threads, prepared=self._prepared
        )

    def _ready(self, until_s: float | None) -> Decoder:
        if until_s is not None and time.monotonic() >= until_s:
            raise out_of_time(self.name)
        decoder = self._decoder
        if until_s is not None and time.monotonic() >= until_s:
            raise out_of_time(self.name)
        return decoder

    @cached_property
    def _grammars(self) -> Grammars:
        return Grammars(self._chat.tokenizer_json, self._decoder.vocabulary, self._chat.ends)

    def _choose(
        self,
        decoder: Decoder,
        prompts: Sequence[Prompt],
        settings: GenerationSettings,
        until_s: float | None,
        progress: Progress | None,
    ) -> list[Generation]:
        tokens = [self._read(prompt) for prompt in prompts]
        choices = [self._chat.plain(choice) for choice in settings.choices]

        def pick(row: int, scores: NDArray[np.float64]) -> int:
            if settings.temperature == 0:
                return int(scores.argmax())
            weights = np.exp((scores - scores.max()) / settings.temperature)
            return int(_random(settings.seed, tokens[row]).choice(len(weights), p=weights / weights.sum()))

        def is_late() -> bool:
            return until_s is not None and time.monotonic() >= until_s

        began_s, picked = time.monotonic(), {}
        for row, index in choose(decoder, tokens, Choices(choices), self._chat.ends, pick, is_late):
            picked[row] = index
            if progress is not None:
                progress("choosing", len(picked), len(prompts))
        if len(picked) < len(prompts):
            raise out_of_time(self.name)
        share_s = (time.monotonic() - began_s) / len(prompts)
        return [
            Generation(settings.choices[picked[row]], len(read), len(choices[picked[row]]), "stop", share_s)
            for row, read in enumerate(tokens)
        ]

    def _read(self, prompt: Prompt) -> list[int]:
        """Tokens of a prompt, cut so that an answer fits."""
        tokens = self._chat.tokens(prompt)
        if len(tokens) >= self._decoder.longest:
            raise GenerationError(
                f"a prompt of {len(tokens)} tokens is too long for {self.name}, which reads "
                f"{self._decoder.longest}",
                "shorten it",
            )
        return tokens

    def _writing(self, prompt: Prompt, settings: GenerationSettings) -> Writing:
        tokens = self._read(prompt)
        left = self._decoder.longest - len(tokens)
        draw: Callable[[Any], int] = likeliest
        if settings.temperature > 0:
            draw = drawn(settings.temperature, _random(settings.seed, tokens))
        is_over = None
        if settings.stop:

            def is_over(written: Sequence[int]) -> bool:
                text = self._chat.text(written)
                return cut_at_stop(text, settings.stop) != text

        constraint = None if settings.answer is None else self._grammars.constraint(settings.answer)
        return Writing(tokens, min(settings.max_tokens, left), draw, constraint, is_over)

    def _finished(self, one: Writing, settings: GenerationSettings, share_s: float) -> Generation:
        if one.ended == "time" and not one.tokens:
            raise out_of_time(self.name)
        text = cut_at_stop(self._chat.text(one.tokens), settings.stop)
        wrong = why_wrong(text, settings)
        if wrong is not None:
            cut = f", cut off after {len(one.tokens)} tokens" if one.ended != "stop" else ""
            raise GenerationError(
                f"{self.name}: the answer is none that was asked for{cut}: {wrong}",
                "allow more tokens (max_tokens), or bound the schema by maxLength and maxItems",
            )
        return Generation(text, len(one.prompt), len(one.tokens), one.ended or "stop", share_s)


def _until_s(settings: GenerationSettings) -> float | None:
    return None if settings.time_limit_s is None else time.monotonic() + settings.time_limit_s


def _cores() -> int:
    return min(chosen_threads(), 8)  # memory, not arithmetic, is the bound beyond


def _random(seed: int, tokens: Sequence[int]) -> np.random.Generator:
    """Of the seed and the prompt alone, so that neighbours do not matter here either."""
    digest = hashlib.sha256(np.array(tokens, np.int64).tobytes()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
