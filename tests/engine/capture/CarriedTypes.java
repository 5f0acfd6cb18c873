import io.debezium.config.Configuration;
import io.debezium.connector.postgresql.PostgresConnectorConfig;
import io.debezium.connector.postgresql.PostgresValueConverter;
import io.debezium.connector.postgresql.TypeRegistry;
import io.debezium.connector.postgresql.connection.PostgresConnection;
import io.debezium.relational.Column;
import io.debezium.relational.Table;
import io.debezium.relational.Tables;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

/**
 * Reads a connector's configuration as properties, and prints a line for each column of its database's schema
 * "public": "table TAB column TAB true" where Debezium has a form for the column's type, else "false".
 */
public class CarriedTypes {
    public static void main(String[] none) throws Exception {
        Properties given = new Properties();
        given.load(System.in);
        PostgresConnectorConfig config = new PostgresConnectorConfig(Configuration.from(given));
        try (PostgresConnection types = new PostgresConnection(config.getJdbcConfig(), "types")) {
            TypeRegistry registry = new TypeRegistry(types);
            PostgresValueConverter converter = PostgresValueConverter.of(config, StandardCharsets.UTF_8, registry);
            Tables tables = new Tables();
            try (PostgresConnection columns = new PostgresConnection(config, registry, "columns")) {
                columns.readSchema(tables, given.getProperty("database.dbname"), "public", id -> true, null, false);
            }
            for (var id : tables.tableIds()) {
                Table table = tables.forTable(id);
                for (Column column : table.columns()) {
                    boolean carried = converter.schemaBuilder(column) != null;
                    System.out.println(id.table() + "\t" + column.name() + "\t" + carried);
                }
            }
        }
    }
}
