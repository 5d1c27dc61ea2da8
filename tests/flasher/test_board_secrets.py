# SPDX-License-Identifier: Apache-2.0
"""Secrets of new boards that a PKCS#11 token makes, wraps, and unwraps once each."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from boards.errors import CoffretError
from firmware.image.token_key import TokenError
from flasher import board_secrets
from flasher.board_secrets import WRAPPED_BYTES, WrappedSecrets, make, source_of
from flasher.errors import BadFileError
from tests.softhsm import new_token

WRAPPING = bytes(range(32))  # known to the test alone; a factory's is made in the token


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new SoftHSM token with an AES key; its URI."""
    return new_token(tmp_path, monkeypatch, "factory").store_wrapping_key("boards", WRAPPING)


def test_each_secret_is_the_tokens_and_goes_to_one_board(uri: str, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert make(folder, uri, 3) == 3
    files = sorted(folder.glob("*.wrapped"))
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    # What another implementation unwraps is what we unwrap, in the order of their names.
    wanted = [aes_key_unwrap(WRAPPING, file.read_bytes()) for file in files]
    source = source_of(folder, uri)
    assert [source() for _ in files] == wanted
    assert len({bytes(one) for one in wanted}) == 3
    with pytest.raises(BadFileError, match="no wrapped secret is left") as empty:
        source()
    assert "coffret secrets" in empty.value.mend


def test_those_who_flash_at_once_never_share_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose is whose is settled by the file system alone; each source is as another process has."""
    for number in range(64):
        (tmp_path / f"{number:02}.wrapped").write_bytes(bytes([number]))
    monkeypatch.setattr(WrappedSecrets, "_unwrap", lambda _, file: file.read_bytes())
    sources = [WrappedSecrets(tmp_path, "") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda number: sources[number % 8](), range(64)))
    assert sorted(got) == [bytes([number]) for number in range(64)]


def test_a_spoilt_file_and_a_wrong_token_use_nothing_up(uri: str, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make(folder, uri, 1)
    (file,) = folder.glob("*.wrapped")
    whole = file.read_bytes()
    for other in (uri.replace("object=boards", "object=else"), uri.replace("factory", "none")):
        with pytest.raises(TokenError):
            WrappedSecrets(folder, other)()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])  # RFC 3394 has an integrity check
    with pytest.raises(TokenError):
        WrappedSecrets(folder, uri)()
    file.write_bytes(whole[:-1])
    with pytest.raises(BadFileError, match=f"39 bytes, not {WRAPPED_BYTES}"):
        WrappedSecrets(folder, uri)()
    file.write_bytes(whole)
    assert WrappedSecrets(folder, uri)() == aes_key_unwrap(WRAPPING, whole)


def test_a_secret_is_marked_used_before_the_token_is_asked(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash from then on wastes it; the other way round it could go to two boards."""
    folder = tmp_path / "secrets"
    make(folder, uri, 1)
    seen: list[str] = []

    @contextmanager
    def crash(_: str) -> Iterator[Any]:
        seen.extend(file.suffix for file in folder.iterdir())
        raise SystemExit
        yield

    monkeypatch.setattr(board_secrets, "open_token", crash)
    with pytest.raises(SystemExit):
        WrappedSecrets(folder, uri)()
    assert seen == [".used"]


def test_one_option_alone_is_an_error_in_words(tmp_path: Path) -> None:
    for folder, key in ((tmp_path, None), (None, "pkcs11:token=a;object=b")):
        with pytest.raises(CoffretError, match="a folder and the key") as refused:
            source_of(folder, key)
        assert refused.value.exit_code == 2
    assert source_of(None, None) is board_secrets.fresh
