package dev.headrace.debezium;

import org.apache.kafka.connect.connector.Task;

/** Debezium's, but for its task. */
public class PostgresConnector extends io.debezium.connector.postgresql.PostgresConnector {
    @Override
    public Class<? extends Task> taskClass() {
        return PostgresConnectorTask.class;
    }
}
