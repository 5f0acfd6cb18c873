import io.debezium.config.Configuration;
import io.debezium.connector.postgresql.PostgresConnectorConfig;
import io.debezium.connector.postgresql.PostgresValueConverter;
import io.debezium.connector.postgresql.TypeRegistry;
import io.debezium.connector.postgresql.connection.PostgresConnection;
import io.debezium.relational.Column;
import io.debezium.relational.Table;
import io.debezium.relational.Tables;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.json.JsonConverter;

/**
 * Reads a connector's configuration as properties, and prints a line for each column of the one row of
 * "public.valued": "column TAB JSON", the value as a record with JSON's converter has it.
 */
public class ConvertedValues {
    public static void main(String[] none) throws Exception {
        Properties given = new Properties();
        given.load(System.in);
        PostgresConnectorConfig config = new PostgresConnectorConfig(Configuration.from(given));
        JsonConverter json = new JsonConverter();
        json.configure(Map.of("schemas.enable", "false"), false);
        try (PostgresConnection types = new PostgresConnection(config.getJdbcConfig(), "types")) {
            TypeRegistry registry = new TypeRegistry(types);
            PostgresValueConverter converter = PostgresValueConverter.of(config, StandardCharsets.UTF_8, registry);
            Tables tables = new Tables();
            try (PostgresConnection rows = new PostgresConnection(config, registry, "rows")) {
                rows.readSchema(tables, given.getProperty("database.dbname"), "public", id -> true, null, false);
                Table table = tables.forTable(tables.tableIds().stream()
                    .filter(id -> id.table().equals("valued")).findFirst().orElseThrow());
                rows.query("SELECT * FROM public.valued", found -> {
                    found.next();
                    for (Column column : table.columns()) {
                        Object read = rows.getColumnValue(found, column.position(), column, table);
                        Schema schema = converter.schemaBuilder(column).optional().build();
                        Object value = converter.converter(column, new Field(column.name(), 0, schema)).convert(read);
                        byte[] written = json.fromConnectData("none", schema, value);
                        System.out.println(column.name() + "\t" + new String(written, StandardCharsets.UTF_8));
                    }
                });
            }
        }
    }
}
