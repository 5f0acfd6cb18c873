package dev.headrace.debezium;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * A start amid a transaction, by its beginning: what of it was sent before is left out here.
 *
 * <p>Debezium looks for the last change by its place in the log. That is not one change's alone: all rows of one
 * page of a COPY have it, and so has the begin of a transaction whose first change it is. Its
 * {@code WalPositionLocator} (3.7.0) counts the begin as a row, and one row comes twice; and where one row of a
 * page was sent, it goes on behind the page, and the others are lost. So Debezium is told to go on behind the
 * last commit, which is a place that it finds, and sends the transaction from its beginning.
 *
 * <p>Transactions come in the order of their commits, and the changes of one in the order of the log, so those
 * that were sent are its first ones, up to the stored place and the count of its rows.
 */
final class Resumption {
    private static final String LSN = "lsn";
    private static final String LSN_PROCESSED = "lsn_proc";
    private static final String LSN_COMMIT = "lsn_commit";
    private static final String EVENTS = "lsn_events_processed";
    private static final String TRANSACTION = "txId";
    private static final String MESSAGE_TYPE = "messageType";
    private static final String SNAPSHOT = "snapshot";
    private static final List<String> POSITION =
            List.of(LSN, LSN_PROCESSED, LSN_COMMIT, EVENTS, TRANSACTION, MESSAGE_TYPE, "ts_usec", "xmin");
    private static final Set<String> CHANGES = Set.of("INSERT", "UPDATE", "DELETE", "TRUNCATE");

    private final Map<String, ?> stored;
    private final long commit;
    private boolean over;

    private Resumption(Map<String, ?> stored) {
        this.stored = stored;
        // Without one it is the connector's first transaction: all that commits behind its change is not sent yet.
        commit = number(stored, LSN_COMMIT).orElseGet(() -> number(stored, LSN).orElseThrow());
    }

    /** Of a stored offset, where that is a change's; any other is a place that Debezium finds. */
    static Optional<Resumption> of(Map<String, ?> stored) {
        boolean ofAChange = stored != null && !stored.containsKey(SNAPSHOT)
                && CHANGES.contains(String.valueOf(stored.get(MESSAGE_TYPE)))
                && number(stored, LSN).isPresent() && number(stored, TRANSACTION).isPresent();
        return ofAChange ? Optional.of(new Resumption(stored)) : Optional.empty();
    }

    /** The stored offset as it was at the last commit. */
    Map<String, Object> atLastCommit() {
        Map<String, Object> offset = new HashMap<>(stored);
        offset.keySet().removeAll(List.of(TRANSACTION, EVENTS));
        offset.put(MESSAGE_TYPE, "COMMIT");
        for (String place : List.of(LSN, LSN_PROCESSED, LSN_COMMIT)) {
            offset.put(place, commit);
        }
        return offset;
    }

    /** What was not sent before. What is no change, as a heartbeat, moves no place back. */
    List<SourceRecord> unsent(List<SourceRecord> polled) {
        List<SourceRecord> unsent = new ArrayList<>(polled.size());
        for (SourceRecord record : polled) {
            over = over || isBehind(record);
            if (over) {
                unsent.add(record);
            } else if (!isChange(record)) {
                unsent.add(atStoredPlace(record));
            }
        }
        return unsent;
    }

    boolean isOver() {
        return over;
    }

    private boolean isBehind(SourceRecord record) {
        Map<String, ?> offset = record.sourceOffset();
        if (number(offset, LSN_COMMIT).orElse(commit) > commit) {
            return true;
        }
        if (!isChange(record)) {
            return false;
        }
        if (!number(offset, TRANSACTION).equals(number(stored, TRANSACTION))) {
            return true;
        }
        int places = Long.compare(number(offset, LSN).orElseThrow(), number(stored, LSN).orElseThrow());
        return places > 0 || places == 0 && events(offset) > events(stored);
    }

    /** A row's or a table's, or the tombstone behind a delete; not a row that a snapshot read, and no heartbeat. */
    private static boolean isChange(SourceRecord record) {
        if (record.value() == null) {
            return true;
        }
        return record.value() instanceof Struct value && value.schema().field("op") != null
                && !"r".equals(value.getString("op"));
    }

    private SourceRecord atStoredPlace(SourceRecord record) {
        Map<String, Object> offset = new HashMap<>(record.sourceOffset());
        offset.keySet().removeAll(POSITION);
        for (String key : POSITION) {
            if (stored.containsKey(key)) {
                offset.put(key, stored.get(key));
            }
        }
        return new SourceRecord(record.sourcePartition(), offset, record.topic(), record.kafkaPartition(),
                record.keySchema(), record.key(), record.valueSchema(), record.value(), record.timestamp(),
                record.headers());
    }

    private static long events(Map<String, ?> offset) {
        return number(offset, EVENTS).orElse(1L);
    }

    private static Optional<Long> number(Map<String, ?> offset, String key) {
        return Optional.ofNullable((Number) offset.get(key)).map(Number::longValue);
    }
}
