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
import org.apache.kafka.connect.source.SourceTaskContext;

/**
 * Debezium's, but that a change of a record's key is not torn apart ({@link WholeKeyChanges}), and that it goes
 * on amid a transaction by a {@link Resumption}.
 *
 * <p>It counts its polls for {@link Backfills}.
 */
public class PostgresConnectorTask extends io.debezium.connector.postgresql.PostgresConnectorTask {
    private static final Map<ChangeEventSourceCoordinator<?, ?>, AtomicLong> POLLS =
            Collections.synchronizedMap(new WeakHashMap<>());

    private final AtomicLong polls = new AtomicLong();
    private final WholeKeyChanges changes = new WholeKeyChanges();
    private Resumption resumption;

    /** Of a coordinator's task; 0 until it has started. */
    static long polls(ChangeEventSourceCoordinator<?, ?> coordinator) {
        AtomicLong polls = POLLS.get(coordinator);
        return polls == null ? 0 : polls.get();
    }

    @Override
    public void initialize(SourceTaskContext context) {
        super.initialize(new OffsetsAtCommits(context, read -> resumption = read.orElse(null)));
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
        return changes.of(unsent(super.doPoll()));
    }

    private List<SourceRecord> unsent(List<SourceRecord> polled) {
        if (resumption == null || polled == null) {
            return polled;
        }
        List<SourceRecord> unsent = resumption.unsent(polled);
        if (resumption.isOver()) {
            resumption = null;
        }
        return unsent;
    }

    @Override
    protected void doStop() {
        changes.forget();
        super.doStop();
    }
}
