package dev.headrace.debezium;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

import org.apache.kafka.common.metrics.PluginMetrics;
import org.apache.kafka.connect.source.SourceTaskContext;
import org.apache.kafka.connect.source.TransactionContext;
import org.apache.kafka.connect.storage.OffsetStorageReader;

/** A task's context whose stored offsets are at commits; who made it is told of each {@link Resumption}, or of none. */
record OffsetsAtCommits(SourceTaskContext context, Consumer<Optional<Resumption>> told)
        implements SourceTaskContext, OffsetStorageReader {
    @Override
    public Map<String, String> configs() {
        return context.configs();
    }

    @Override
    public TransactionContext transactionContext() {
        return context.transactionContext();
    }

    /** Of Kafka Connect 4.1 and later; an older one knows no such method, and does not ask. */
    @Override
    public PluginMetrics pluginMetrics() {
        return context.pluginMetrics();
    }

    @Override
    public OffsetStorageReader offsetStorageReader() {
        return this;
    }

    @Override
    public <T> Map<String, Object> offset(Map<String, T> partition) {
        return atCommit(context.offsetStorageReader().offset(partition));
    }

    @Override
    public <T> Map<Map<String, T>, Map<String, Object>> offsets(Collection<Map<String, T>> partitions) {
        Map<Map<String, T>, Map<String, Object>> stored =
                new HashMap<>(context.offsetStorageReader().offsets(partitions));
        stored.replaceAll((partition, offset) -> atCommit(offset));
        return stored;
    }

    private Map<String, Object> atCommit(Map<String, Object> offset) {
        Optional<Resumption> resumption = Resumption.of(offset);
        told.accept(resumption);
        return resumption.map(Resumption::atLastCommit).orElse(offset);
    }
}
