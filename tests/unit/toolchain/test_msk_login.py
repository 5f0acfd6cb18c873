"""AWS's library for the connector's client: names are changed wherever a class has them, nothing else is."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from headrace.toolchain import msk_login, runtimes
from headrace.toolchain.msk_login import UnknownLibrary

HANDLER = "software/amazon/msk/auth/iam/IAMClientCallbackHandler.class"


def utf8(text: str) -> bytes:
    return struct.pack(">BH", 1, len(text)) + text.encode()


def compiled(*constants: bytes, entries: int) -> bytes:
    return (
        b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + struct.pack(">H", entries + 1) + b"".join(constants) + b"rest"
    )


def jar(folder: Path, **classes: bytes) -> Path:
    made = folder / "aws-msk-iam-auth-2.3.5-all.jar"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("META-INF/LICENSE", b"Apache 2.0, org.apache.kafka.")
        for name, content in classes.items():
            archive.writestr(name.replace("__", "/") + ".class", content)
    return made


def test_every_form_of_a_name_becomes_the_connectors_and_what_stands_around_it_stays() -> None:
    # A long takes two indices; an integer's bytes and an utf8's length look like tags.
    around = (b"\x05" + b"\x01" * 8, b"\x03" + b"\x01" * 4, b"\x07\x00\x01", b"\x0f\x01\x00\x01")
    before = compiled(
        *around,
        utf8("(Lorg/apache/kafka/common/A;)V"),
        utf8("org.apache.kafka.B"),
        utf8("org/apache/kafkaesque"),
        entries=8,
    )
    assert msk_login.renamed(before) == compiled(
        *around,
        utf8("(Lorg/apache/flink/kafka/shaded/org/apache/kafka/common/A;)V"),
        utf8("org.apache.flink.kafka.shaded.org.apache.kafka.B"),
        utf8("org/apache/kafkaesque"),
        entries=8,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no class", "not a class file"), (compiled(b"\x02", entries=1), "a constant of kind 2")],
)
def test_what_is_no_class_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(UnknownLibrary, match=message):
        msk_login.renamed(content)


def test_the_librarys_own_classes_alone_are_changed(tmp_path: Path) -> None:
    named = compiled(utf8("org/apache/kafka/A"), entries=1)
    made = jar(tmp_path, software__amazon__msk__A=named, software__amazon__awssdk__A=named)
    relocated = msk_login.relocate(made)
    assert [file.name for file in tmp_path.iterdir()] == ["aws-msk-iam-auth-2.3.5-all-headrace.jar"]
    with zipfile.ZipFile(relocated) as archive:
        assert archive.read("META-INF/LICENSE") == b"Apache 2.0, org.apache.kafka."
        assert archive.read("software/amazon/msk/A.class") == msk_login.renamed(named)
        assert archive.read("software/amazon/awssdk/A.class") == named


def test_another_jar_is_refused_and_stays(tmp_path: Path) -> None:
    made = jar(tmp_path, software__amazon__msk__A=compiled(utf8("java/lang/Object"), entries=1))
    with pytest.raises(UnknownLibrary, match=r"names org\.apache\.kafka"):
        msk_login.relocate(made)
    assert list(tmp_path.iterdir()) == [made]


def test_the_installed_library_names_the_connectors_client() -> None:
    (installed,) = (runtimes.home() / "flink" / "lib").glob("aws-msk-iam-auth-*.jar")
    with zipfile.ZipFile(installed) as archive:
        handler = archive.read(HANDLER)
    assert b"org/apache/flink/kafka/shaded/org/apache/kafka/common/security/auth" in handler
    assert msk_login.renamed(handler).count(b"shaded/org/apache/kafka/") == handler.count(
        b"org/apache/kafka/"
    )
