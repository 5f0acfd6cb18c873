package dev.headrace.debezium;

import java.util.ArrayList;
import java.util.List;

import io.debezium.relational.RelationalChangeRecordEmitter;
import org.apache.kafka.connect.source.SourceRecord;

/**
 * Polls that tear no change of a record's key apart.
 *
 * <p>Such a change is two records, a delete under the old key and a create under the new one, from one place of
 * the log. Kafka Connect commits what one poll gave as one transaction, with that place as the offset: where a
 * poll ends between the two and the worker dies before the next, the task goes on behind that place, and the
 * create is lost. So a poll never ends with the delete: it waits for what comes next.
 */
final class WholeKeyChanges {
    private SourceRecord held;

    /** What to give of what was polled; null or empty where there is nothing. */
    List<SourceRecord> of(List<SourceRecord> polled) {
        List<SourceRecord> whole = polled;
        if (held != null && whole != null && !whole.isEmpty()) {
            whole = new ArrayList<>(polled.size() + 1);
            whole.add(held);
            whole.addAll(polled);
            held = null;
        }
        int last = whole == null ? -1 : whole.size() - 1;
        if (last >= 0 && isFirstOfTwo(whole.get(last))) {
            held = whole.get(last);
            whole = new ArrayList<>(whole.subList(0, last));
        }
        return whole;
    }

    /** What was held was not sent: whoever starts again reads it again. */
    void forget() {
        held = null;
    }

    private static boolean isFirstOfTwo(SourceRecord record) {
        return record.headers().lastWithName(RelationalChangeRecordEmitter.PK_UPDATE_NEWKEY_FIELD) != null;
    }
}
