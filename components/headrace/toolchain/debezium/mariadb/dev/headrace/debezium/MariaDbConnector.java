package dev.headrace.debezium;

import org.apache.kafka.connect.connector.Task;

/** Debezium's, but for its task. */
public class MariaDbConnector extends io.debezium.connector.mariadb.MariaDbConnector {
    @Override
    public Class<? extends Task> taskClass() {
        return MariaDbConnectorTask.class;
    }
}
