package dev.headrace.debezium;

import org.apache.kafka.connect.connector.Task;

/** Debezium's, but for its task. */
public class MySqlConnector extends io.debezium.connector.mysql.MySqlConnector {
    @Override
    public Class<? extends Task> taskClass() {
        return MySqlConnectorTask.class;
    }
}
