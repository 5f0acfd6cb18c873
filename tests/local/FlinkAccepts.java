import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessSpec;
import org.apache.flink.runtime.clusterframework.TaskExecutorProcessUtils;
import org.apache.flink.runtime.io.network.partition.ResultPartitionType;
import org.apache.flink.runtime.jobgraph.IntermediateDataSetID;
import org.apache.flink.runtime.jobmanager.JobManagerProcessSpec;
import org.apache.flink.runtime.jobmanager.JobManagerProcessUtils;
import org.apache.flink.runtime.shuffle.NettyShuffleUtils;

/**
 * Reads configurations, "key TAB value" lines with an empty line after each, and prints one line for each:
 * what Flink makes of it as "name=number" words, sizes in MiB, then the options that it doesn't know or can't
 * read. The key "parallelism" is no option: buffers of a slot are told for it.
 * Arguments: the jars whose classes ending in "Options" or "S3FileSystemFactory" define what Flink knows.
 */
public class FlinkAccepts {
    private static final Map<String, List<ConfigOption<?>>> KNOWN = new HashMap<>();

    public static void main(String[] jars) throws Exception {
        for (String jar : jars) {
            try (ZipFile archive = new ZipFile(jar)) {
                for (ZipEntry entry : Collections.list(archive.entries())) {
                    if (entry.getName().matches(".*(Options|S3FileSystemFactory)\\.class")) {
                        remember(entry.getName().replace('/', '.').replaceAll("\\.class$", ""));
                    }
                }
            }
        }
        Map<String, String> options = new TreeMap<>();
        Scanner lines = new Scanner(System.in).useDelimiter("\n");
        while (lines.hasNextLine()) {
            String line = lines.nextLine();
            if (line.isEmpty()) {
                System.out.println(said(options));
                options.clear();
            } else {
                String[] option = line.split("\t", 2);
                options.put(option[0], option[1]);
            }
        }
    }

    private static void remember(String type) {
        try {
            for (Field field : Class.forName(type).getFields()) {
                if (Modifier.isStatic(field.getModifiers()) && field.getType() == ConfigOption.class) {
                    ConfigOption<?> option = (ConfigOption<?>) field.get(null);
                    KNOWN.computeIfAbsent(option.key(), key -> new ArrayList<>()).add(option);
                }
            }
        } catch (ReflectiveOperationException | LinkageError other) {
            // A class that needs a jar which is not there defines nothing that could be configured.
        }
    }

    private static String said(Map<String, String> options) {
        StringBuilder said = new StringBuilder();
        String parallelism = options.remove("parallelism");
        if (parallelism != null) {
            said.append(" buffers=").append(buffers(Integer.parseInt(parallelism)));
        }
        Configuration configuration = Configuration.fromMap(options);
        try {
            memory(configuration, said);
        } catch (RuntimeException refused) {
            said.append(" refused: ").append(refused.getMessage());
        }
        options.keySet().forEach(key -> check(key, configuration, said));
        return said.toString().trim().replace('\n', ' ');
    }

    private static void memory(Configuration configuration, StringBuilder said) {
        TaskExecutorProcessSpec taskManager = TaskExecutorProcessUtils.processSpecFromConfig(configuration);
        size(said, "process", taskManager.getTotalProcessMemorySize());
        size(said, "overhead", taskManager.getJvmOverheadSize());
        size(said, "metaspace", taskManager.getJvmMetaspaceSize());
        size(said, "heap", taskManager.getJvmHeapMemorySize());
        size(said, "direct", taskManager.getJvmDirectMemorySize());
        size(said, "task-heap", taskManager.getTaskHeapSize());
        size(said, "task-off-heap", taskManager.getTaskOffHeapSize());
        size(said, "network", taskManager.getNetworkMemSize());
        size(said, "managed", taskManager.getManagedMemorySize());
        JobManagerProcessSpec jobManager = JobManagerProcessUtils.processSpecFromConfig(configuration);
        size(said, "jm-process", jobManager.getTotalProcessMemorySize());
        size(said, "jm-heap", jobManager.getJvmHeapMemorySize());
        size(said, "jm-off-heap", jobManager.getJvmDirectMemorySize());
        size(said, "jm-metaspace", jobManager.getJvmMetaspaceSize());
        size(said, "jm-overhead", jobManager.getJvmOverheadSize());
    }

    private static void size(StringBuilder said, String name, MemorySize size) {
        said.append(' ').append(name).append('=').append(size.getBytes() / (1024.0 * 1024.0));
    }

    /** What a slot announces for one exchange with so many subtasks on both sides. */
    private static int buffers(int parallelism) {
        IntermediateDataSetID in = new IntermediateDataSetID();
        IntermediateDataSetID out = new IntermediateDataSetID();
        ResultPartitionType pipelined = ResultPartitionType.PIPELINED_BOUNDED;
        return NettyShuffleUtils.computeNetworkBuffersForAnnouncing(
                2, 8, Optional.empty(), Integer.MAX_VALUE, 0,
                Map.of(in, parallelism), Map.of(in, 1), Map.of(out, parallelism),
                Map.of(in, pipelined), Map.of(out, pipelined));
    }

    private static void check(String key, Configuration configuration, StringBuilder said) {
        List<ConfigOption<?>> known = KNOWN.getOrDefault(key, List.of());
        if (known.isEmpty()) {
            said.append(" unknown: ").append(key);
        }
        for (ConfigOption<?> option : known) {
            try {
                configuration.get(option);
            } catch (IllegalArgumentException wrong) {
                said.append(" unreadable: ").append(key).append(": ").append(wrong.getMessage());
            }
        }
    }
}
