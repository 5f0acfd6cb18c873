"""How the agent operator's stream is keyed, which decides where a savepoint's state goes."""

from __future__ import annotations

from collections.abc import Mapping

from pyflink.common import Configuration, TypeInformation, Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway


def key_by_shard(stream: DataStream, element: TypeInformation) -> KeyedStream:
    """What ``key_by`` makes of a stream, without the Python worker that it starts to compute keys.

    The stream is one of rows of a shard's id and an ``element``.
    """
    # A table's rows are Rows already; only their type information is not the one that PyFlink's
    # keyed operator asks for.
    java_stream = stream._j_data_stream  # noqa: SLF001 - PyFlink has no other way to its Java stream
    keyed_type = Types.ROW([Types.INT(), element])
    java_stream.getTransformation().setOutputType(keyed_type.get_java_type_info())
    key_type = Types.ROW([Types.INT()]).get_java_type_info()
    keyed = java_stream.keyBy(get_gateway().jvm.KeyByKeySelector(), key_type)
    return KeyedStream(keyed, element, stream)


def configuration_of(options: Mapping[str, str]) -> Configuration:
    configuration = Configuration()
    for name, value in options.items():
        configuration.set_string(name, value)
    return configuration
