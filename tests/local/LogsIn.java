import java.time.Duration;
import java.util.Properties;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.AdminClient;

/**
 * Makes a client of the connector's Kafka with the properties that it reads, which loads and asks all that
 * logs it in, and closes it. No broker is needed: none is asked before the client is there.
 */
public class LogsIn {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.load(System.in);
        AdminClient.create(properties).close(Duration.ZERO);
        System.out.println("made");
    }
}
