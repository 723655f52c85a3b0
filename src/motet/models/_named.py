"""Modules by the names that a schema gives them."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

__all__ = ["NamedModules"]


class NamedModules(nn.Module):
    """A mapping from names to modules where every name goes, ``type`` and ``keys`` too.

    PyTorch's own mapping makes an attribute of each name, and refuses those that a module has.

    Example:
        >>> modules = NamedModules()
        >>> modules["type"] = nn.Linear(2, 3)
        >>> list(modules), list(modules.state_dict())
        (['type'], ['@type.weight', '@type.bias'])
    """

    def __setitem__(self, name: str, module: nn.Module) -> None:
        self.add_module(f"@{name}", module)

    def __getitem__(self, name: str) -> nn.Module:
        module = self._modules[f"@{name}"]
        assert module is not None  # noqa: S101 (only __setitem__ puts modules here)
        return module

    def __contains__(self, name: str) -> bool:
        return f"@{name}" in self._modules

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix("@") for name in self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def items(self) -> Iterator[tuple[str, nn.Module]]:
        """Names and modules, in order."""
        return ((name, self[name]) for name in self)
