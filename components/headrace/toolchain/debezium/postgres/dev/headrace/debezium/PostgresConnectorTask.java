package dev.headrace.debezium;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.atomic.AtomicLong;

import io.debezium.config.Configuration;
import io.debezium.connector.postgresql.PostgresOffsetContext;
import io.debezium.connector.postgresql.PostgresPartition;
import io.debezium.pipeline.ChangeEventSourceCoordinator;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Debezium's, but that a change of a record's key is not torn apart: {@link WholeKeyChanges}.
 *
 * <p>It counts its polls for {@link Backfills}.
 */
public class PostgresConnectorTask extends io.debezium.connector.postgresql.PostgresConnectorTask {
    private static final Map<ChangeEventSourceCoordinator<?, ?>, AtomicLong> POLLS =
            Collections.synchronizedMap(new WeakHashMap<>());

    private final AtomicLong polls = new AtomicLong();
    private final WholeKeyChanges changes = new WholeKeyChanges();

    /** Of a coordinator's task; 0 until it has started. */
    static long polls(ChangeEventSourceCoordinator<?, ?> coordinator) {
        AtomicLong polls = POLLS.get(coordinator);
        return polls == null ? 0 : polls.get();
    }

    @Override
    public ChangeEventSourceCoordinator<PostgresPartition, PostgresOffsetContext> start(Configuration config) {
        var coordinator = super.start(config);
        POLLS.put(coordinator, polls);
        return coordinator;
    }

    @Override
    public List<SourceRecord> doPoll() throws InterruptedException {
        polls.incrementAndGet();
        return changes.of(super.doPoll());
    }

    @Override
    protected void doStop() {
        changes.forget();
        super.doStop();
    }
}
