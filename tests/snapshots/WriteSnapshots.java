import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.UUID;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.checkpoint.CheckpointProperties;
import org.apache.flink.runtime.checkpoint.CheckpointRetentionPolicy;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.FinishedOperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.FullyFinishedOperatorState;
import org.apache.flink.runtime.checkpoint.MasterState;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.StateObjectCollection;
import org.apache.flink.runtime.checkpoint.channel.InputChannelInfo;
import org.apache.flink.runtime.checkpoint.channel.ResultSubpartitionInfo;
import org.apache.flink.runtime.checkpoint.filemerging.LogicalFile.LogicalFileId;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.jobgraph.OperatorID;
import org.apache.flink.runtime.state.CheckpointedStateScope;
import org.apache.flink.runtime.state.IncrementalKeyedStateHandle.HandleAndLocalPath;
import org.apache.flink.runtime.state.IncrementalRemoteKeyedStateHandle;
import org.apache.flink.runtime.state.InputChannelStateHandle;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeOffsets;
import org.apache.flink.runtime.state.KeyGroupsSavepointStateHandle;
import org.apache.flink.runtime.state.KeyGroupsStateHandle;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.MergedInputChannelStateHandle;
import org.apache.flink.runtime.state.MergedResultSubpartitionStateHandle;
import org.apache.flink.runtime.state.OperatorStateHandle.Mode;
import org.apache.flink.runtime.state.OperatorStateHandle.StateMetaInfo;
import org.apache.flink.runtime.state.OperatorStreamStateHandle;
import org.apache.flink.runtime.state.ResultSubpartitionStateHandle;
import org.apache.flink.runtime.state.StreamStateHandle;
import org.apache.flink.runtime.state.changelog.ChangelogStateBackendHandle.ChangelogStateBackendHandleImpl;
import org.apache.flink.runtime.state.filemerging.SegmentFileStateHandle;
import org.apache.flink.runtime.state.filesystem.FileStateHandle;
import org.apache.flink.runtime.state.filesystem.RelativeFileStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;

/**
 * Writes metadata with Flink's own classes, a snapshot for each line of standard input:
 * the file to write, the checkpoint's number, and either a word for a fixed content or files that it
 * refers to, as "shared", "own" or "relative", a path and a size; all divided by tabs.
 */
public class WriteSnapshots {
    private static final int GROUPS = 720;

    public static void main(String[] none) throws IOException {
        Scanner lines = new Scanner(System.in).useDelimiter("\n");
        while (lines.hasNext()) {
            String[] given = lines.next().split("\t");
            List<OperatorState> operators = switch (given[2]) {
                case "every kind" -> everyKind();
                case "changelog" -> keyed(changelog());
                case "merged files" -> keyed(new KeyGroupsStateHandle(offsets(), merged()));
                default -> keyed(incremental(given));
            };
            List<MasterState> master = List.of(new MasterState("hook", new byte[] {1, 2}, 3));
            try (OutputStream out = Files.newOutputStream(java.nio.file.Path.of(given[0]))) {
                Checkpoints.storeCheckpointMetadata(
                        new CheckpointMetadata(Long.parseLong(given[1]), operators, master,
                                CheckpointProperties.forCheckpoint(CheckpointRetentionPolicy.RETAIN_ON_CANCELLATION)),
                        out);
            }
        }
    }

    private static List<OperatorState> keyed(KeyedStateHandle handle) {
        OperatorState operator = operator("agent", "agent", 7, 1);
        operator.putState(0, OperatorSubtaskState.builder().setManagedKeyedState(handle).build());
        return List.of(operator);
    }

    private static KeyedStateHandle incremental(String[] given) {
        List<HandleAndLocalPath> shared = new ArrayList<>();
        List<HandleAndLocalPath> own = new ArrayList<>();
        for (int at = 2; at < given.length; at += 3) {
            String path = given[at + 1];
            long size = Long.parseLong(given[at + 2]);
            StreamStateHandle file = given[at].equals("relative")
                    ? new RelativeFileStateHandle(new Path("s3://elsewhere/" + path), path, size)
                    : file(path, size);
            (given[at].equals("shared") ? shared : own).add(HandleAndLocalPath.of(file, "file-" + at));
        }
        return new IncrementalRemoteKeyedStateHandle(
                new UUID(1, 2), KeyGroupRange.of(0, GROUPS - 1), 5, shared, own, inline("description"), 9);
    }

    private static List<OperatorState> everyKind() {
        OperatorState first = operator("\u00e9t\u00e9 \ud83c\udf0a\u0000", "", 11, 3);
        first.setCoordinatorState((ByteStreamStateHandle) inline("coordinator"));
        first.putState(0, OperatorSubtaskState.builder()
                .setManagedOperatorState(lists(file("s3://checkpoints/lists", 10)))
                .setRawOperatorState(lists(inline("raw lists")))
                .setManagedKeyedState(new IncrementalRemoteKeyedStateHandle(
                        new UUID(3, 4), KeyGroupRange.of(0, 239), 5,
                        List.of(HandleAndLocalPath.of(file("s3://checkpoints/shared/1", 11), "000001.sst")),
                        List.of(HandleAndLocalPath.of(inline("a manifest"), "MANIFEST")),
                        file("s3://checkpoints/description", 12), 13))
                .setRawKeyedState(new KeyGroupsStateHandle(offsets(), file("s3://checkpoints/raw", 14)))
                .setInputChannelState(new StateObjectCollection<>(List.of(
                        new InputChannelStateHandle(0, new InputChannelInfo(1, 2),
                                file("s3://checkpoints/input", 15), List.of(1L, 2L), 4),
                        new MergedInputChannelStateHandle(0, file("s3://checkpoints/inputs", 16), 5, new byte[] {6}))))
                .setResultSubpartitionState(new StateObjectCollection<>(List.of(
                        new ResultSubpartitionStateHandle(0, new ResultSubpartitionInfo(1, 2),
                                file("s3://checkpoints/result", 17), List.of(3L), 6),
                        new MergedResultSubpartitionStateHandle(0, file("s3://checkpoints/results", 18), 7, new byte[] {}))))
                .build());
        first.putState(1, OperatorSubtaskState.builder()
                .setManagedKeyedState(new KeyGroupsSavepointStateHandle(offsets(),
                        new RelativeFileStateHandle(new Path("s3://savepoints/x/keyed"), "keyed", 19)))
                .build());
        first.putState(2, FinishedOperatorSubtaskState.INSTANCE);
        return List.of(first, new FullyFinishedOperatorState("done", "done", new OperatorID(-5, 6), 2, GROUPS));
    }

    private static OperatorStreamStateHandle lists(StreamStateHandle stream) {
        return new OperatorStreamStateHandle(
                Map.of("split", new StateMetaInfo(new long[] {1, 2}, Mode.SPLIT_DISTRIBUTE),
                        "union", new StateMetaInfo(new long[] {3}, Mode.UNION),
                        "broadcast", new StateMetaInfo(new long[] {}, Mode.BROADCAST)),
                stream);
    }

    private static KeyedStateHandle changelog() {
        return new ChangelogStateBackendHandleImpl(List.of(), List.of(), KeyGroupRange.of(0, 1), 1, 2, 3);
    }

    private static StreamStateHandle merged() {
        return new SegmentFileStateHandle(new Path("s3://checkpoints/merged"), 1, 2,
                CheckpointedStateScope.SHARED, LogicalFileId.generateRandomId());
    }

    private static OperatorState operator(String name, String uid, long id, int parallelism) {
        return new OperatorState(name, uid.isEmpty() ? null : uid, new OperatorID(id, -id), parallelism, GROUPS);
    }

    private static KeyGroupRangeOffsets offsets() {
        return new KeyGroupRangeOffsets(240, 242, new long[] {0, 20, 40});
    }

    private static StreamStateHandle file(String path, long size) {
        return new FileStateHandle(new Path(path), size);
    }

    private static StreamStateHandle inline(String content) {
        return new ByteStreamStateHandle(content, content.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }
}
