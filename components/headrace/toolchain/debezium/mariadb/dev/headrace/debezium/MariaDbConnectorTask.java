package dev.headrace.debezium;

import java.util.List;

import org.apache.kafka.connect.source.SourceRecord;

/** Debezium's, but that a change of a record's key is not torn apart: {@link WholeKeyChanges}. */
public class MariaDbConnectorTask extends io.debezium.connector.mariadb.MariaDbConnectorTask {
    private final WholeKeyChanges changes = new WholeKeyChanges();

    @Override
    public List<SourceRecord> doPoll() throws InterruptedException {
        return changes.of(super.doPoll());
    }

    @Override
    protected void doStop() {
        changes.forget();
        super.doStop();
    }
}
