import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Collections;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.Configuration;

/**
 * Reads options as "key TAB value" lines, and prints those that Flink doesn't know or can't read.
 * Arguments: the jars whose classes ending in "Options" define what Flink knows.
 */
public class FlinkOptions {
    public static void main(String[] jars) throws Exception {
        Configuration configuration = new Configuration();
        TreeMap<String, String> left = new TreeMap<>();
        Scanner lines = new Scanner(System.in).useDelimiter("\n");
        while (lines.hasNext()) {
            String[] option = lines.next().split("\t", 2);
            configuration.setString(option[0], option[1]);
            left.put(option[0], "unknown");
        }
        for (String jar : jars) {
            try (ZipFile archive = new ZipFile(jar)) {
                for (ZipEntry entry : Collections.list(archive.entries())) {
                    if (entry.getName().endsWith("Options.class")) {
                        read(entry.getName().replace('/', '.').replaceAll("\\.class$", ""), configuration, left);
                    }
                }
            }
        }
        left.forEach((key, why) -> System.out.println(key + ": " + why));
    }

    private static void read(String type, Configuration configuration, TreeMap<String, String> left) {
        try {
            for (Field field : Class.forName(type).getFields()) {
                if (Modifier.isStatic(field.getModifiers()) && field.getType() == ConfigOption.class) {
                    ConfigOption<?> option = (ConfigOption<?>) field.get(null);
                    if (left.containsKey(option.key())) {
                        check(option, configuration, left);
                    }
                }
            }
        } catch (ReflectiveOperationException | LinkageError other) {
            // A class that needs a jar which is not there defines nothing that could be configured.
        }
    }

    private static void check(ConfigOption<?> option, Configuration configuration, TreeMap<String, String> left) {
        try {
            configuration.get(option);
            left.remove(option.key());
        } catch (IllegalArgumentException wrong) {
            left.put(option.key(), wrong.getMessage());
        }
    }
}
