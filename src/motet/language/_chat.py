"""Between prompts and the tokens of one model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from motet.errors import GenerationError, MissingExtraError
from motet.language._generator import Prompt

__all__ = ["Chat"]


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
