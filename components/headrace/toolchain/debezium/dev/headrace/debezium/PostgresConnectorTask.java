package dev.headrace.debezium;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.atomic.AtomicLong;

import io.debezium.config.Configuration;
import io.debezium.connector.postgresql.PostgresOffsetContext;
import io.debezium.connector.postgresql.PostgresPartition;
import io.debezium.pipeline.ChangeEventSourceCoordinator;
import io.debezium.relational.RelationalChangeRecordEmitter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTaskContext;

/**
 * Debezium's, but that a change of a record's key is not torn apart, and that it goes on amid a transaction by
 * a {@link Resumption}.
 *
 * <p>Such a change is two records, a delete under the old key and a create under the new one, from one place of
 * the log. Kafka Connect commits what one poll gave as one transaction, with that place as the offset: where a
 * poll ends between the two and the worker dies before the next, the task goes on behind that place, and the
 * create is lost. So a poll never ends with the delete: it waits for what comes next.
 *
 * <p>It counts its polls for {@link Backfills}.
 */
public class PostgresConnectorTask extends io.debezium.connector.postgresql.PostgresConnectorTask {
    private static final Map<ChangeEventSourceCoordinator<?, ?>, AtomicLong> POLLS =
            Collections.synchronizedMap(new WeakHashMap<>());

    private final AtomicLong polls = new AtomicLong();
    private SourceRecord held;
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
        List<SourceRecord> polled = unsent(super.doPoll());
        if (held != null && polled != null && !polled.isEmpty()) {
            List<SourceRecord> whole = new ArrayList<>(polled.size() + 1);
            whole.add(held);
            whole.addAll(polled);
            polled = whole;
            held = null;
        }
        int last = polled == null ? -1 : polled.size() - 1;
        if (last >= 0 && isFirstOfTwo(polled.get(last))) {
            held = polled.get(last);
            polled = new ArrayList<>(polled.subList(0, last));
        }
        return polled;
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

    /** What was held was not sent: whoever starts again reads it again. */
    @Override
    protected void doStop() {
        held = null;
        super.doStop();
    }

    private static boolean isFirstOfTwo(SourceRecord record) {
        return record.headers().lastWithName(RelationalChangeRecordEmitter.PK_UPDATE_NEWKEY_FIELD) != null;
    }
}
