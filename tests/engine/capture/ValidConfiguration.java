import io.debezium.config.Configuration;
import io.debezium.config.Field;
import io.debezium.storage.kafka.history.KafkaSchemaHistory;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.connect.json.JsonConverterConfig;
import org.apache.kafka.connect.runtime.SourceConnectorConfig;
import org.apache.kafka.connect.source.SourceConnector;

/**
 * Reads a connector's configuration as properties, and prints "unknown TAB KEY" for each key that neither the
 * connector nor Kafka Connect knows, "wrong TAB KEY TAB WHY" for each value that the connector's own validation
 * refuses, and "exactly-once TAB" with what its class says of that. The database is not asked.
 */
public class ValidConfiguration {
    private static final String HISTORY = "schema.history.internal.";

    public static void main(String[] configuration) throws Exception {
        Properties given = new Properties();
        given.load(System.in);
        Map<String, String> settings = new HashMap<>();
        given.stringPropertyNames().forEach(key -> settings.put(key, given.getProperty(key)));
        SourceConnector connector =
            (SourceConnector) Class.forName(settings.get("connector.class")).getConstructor().newInstance();
        Class<?> type = Class.forName(configuration[0]);
        Field.Set fields = (Field.Set) type.getField("ALL_FIELDS").get(null);
        Set<String> known = new HashSet<>(connector.config().names());
        known.addAll(SourceConnectorConfig.configDef().names());
        // Some that a connector reads are in none of its lists: binary.handling.mode.
        for (java.lang.reflect.Field constant : type.getFields()) {
            if (constant.getType() == Field.class) {
                known.add(((Field) constant.get(null)).name());
            }
        }
        KafkaSchemaHistory.ALL_FIELDS.forEach(field -> known.add(field.name()));

        for (String key : settings.keySet()) {
            if (!known.contains(key)
                && !of(key, "key.converter.", JsonConverterConfig.configDef().names())
                && !of(key, "value.converter.", JsonConverterConfig.configDef().names())
                && !of(key, "producer.override.", ProducerConfig.configNames())
                && !of(key, HISTORY + "producer.", ProducerConfig.configNames())
                && !of(key, HISTORY + "consumer.", ConsumerConfig.configNames())) {
                System.out.println("unknown\t" + key);
            }
        }
        for (Field.Set each : new Field.Set[] {fields, KafkaSchemaHistory.ALL_FIELDS}) {
            Configuration.from(settings).validate(each).forEach((key, value) ->
                value.errorMessages().forEach(why -> System.out.println("wrong\t" + key + "\t" + why)));
        }
        System.out.println("exactly-once\t" + connector.exactlyOnceSupport(settings));
    }

    private static boolean of(String key, String prefix, Set<String> names) {
        return key.startsWith(prefix) && names.contains(key.substring(prefix.length()));
    }
}
