import java.io.DataInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.core.memory.DataInputViewStreamWrapper;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.state.AbstractChannelStateHandle;
import org.apache.flink.runtime.state.AbstractMergedChannelStateHandle;
import org.apache.flink.runtime.state.IncrementalKeyedStateHandle.HandleAndLocalPath;
import org.apache.flink.runtime.state.IncrementalRemoteKeyedStateHandle;
import org.apache.flink.runtime.state.KeyGroupsStateHandle;
import org.apache.flink.runtime.state.KeyedBackendSerializationProxy;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.runtime.state.StateObject;
import org.apache.flink.runtime.state.StreamStateHandle;
import org.apache.flink.runtime.state.filesystem.FileStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;
import org.apache.flink.runtime.state.metainfo.StateMetaInfoSnapshot;

/** Prints what Flink reads in metadata, a fact a line. Arguments: pairs of a file and the folder it is said to lie in. */
public class ReadSnapshots {
    private static final ClassLoader LOADER = ReadSnapshots.class.getClassLoader();

    public static void main(String[] pairs) throws Exception {
        for (int at = 0; at < pairs.length; at += 2) {
            try (DataInputStream in = new DataInputStream(Files.newInputStream(Path.of(pairs[at])))) {
                print(pairs[at], Checkpoints.loadCheckpointMetadata(in, LOADER, pairs[at + 1]));
            }
        }
    }

    private static void print(String file, CheckpointMetadata metadata) throws IOException {
        say("snapshot", file, metadata.getCheckpointId());
        for (OperatorState operator : metadata.getOperatorStates()) {
            say("operator", operator.getOperatorID().toHexString(), operator.getOperatorName().orElse(""),
                    operator.getOperatorUid().orElse(""), operator.getParallelism(), operator.getMaxParallelism());
            if (operator.getCoordinatorState() != null) {
                print(operator.getCoordinatorState());
            }
            for (OperatorSubtaskState subtask : operator.getStates()) {
                print(subtask);
            }
        }
    }

    private static void print(OperatorSubtaskState subtask) throws IOException {
        for (OperatorStateHandle handle : subtask.getManagedOperatorState()) {
            print(handle);
        }
        for (OperatorStateHandle handle : subtask.getRawOperatorState()) {
            print(handle);
        }
        for (KeyedStateHandle handle : subtask.getManagedKeyedState()) {
            print(handle, true);
        }
        for (KeyedStateHandle handle : subtask.getRawKeyedState()) {
            print(handle, false);
        }
        for (StateObject handle : subtask.getInputChannelState()) {
            channel(handle);
        }
        for (StateObject handle : subtask.getResultSubpartitionState()) {
            channel(handle);
        }
    }

    private static void print(OperatorStateHandle handle) {
        handle.getStateNameToPartitionOffsets().forEach(
                (name, info) -> say("list", name, info.getDistributionMode(), info.getOffsets().length));
        print(handle.getDelegateStateHandle());
    }

    private static void print(KeyedStateHandle handle, boolean described) throws IOException {
        say("keyed", handle.getKeyGroupRange().getStartKeyGroup(), handle.getKeyGroupRange().getNumberOfKeyGroups());
        StreamStateHandle description;
        if (handle instanceof IncrementalRemoteKeyedStateHandle incremental) {
            description = incremental.getMetaDataStateHandle();
            for (HandleAndLocalPath file : incremental.getSharedState()) {
                print(file.getHandle());
            }
            for (HandleAndLocalPath file : incremental.getPrivateState()) {
                print(file.getHandle());
            }
        } else {
            description = ((KeyGroupsStateHandle) handle).getDelegateStateHandle();
        }
        print(description);
        if (described && description instanceof ByteStreamStateHandle inline && inline.getStateSize() > 0) {
            KeyedBackendSerializationProxy<Object> proxy = new KeyedBackendSerializationProxy<>(LOADER);
            proxy.read(new DataInputViewStreamWrapper(inline.openInputStream()));
            for (StateMetaInfoSnapshot state : proxy.getStateMetaInfoSnapshots()) {
                say("state", state.getName(), state.getBackendStateType(),
                        state.getTypeSerializerSnapshot(StateMetaInfoSnapshot.CommonSerializerKeys.VALUE_SERIALIZER)
                                .getClass().getSimpleName());
            }
        }
    }

    private static void channel(StateObject handle) {
        if (handle instanceof AbstractMergedChannelStateHandle<?, ?> merged) {
            print(merged.getDelegate());
        } else {
            print(((AbstractChannelStateHandle<?>) handle).getDelegate());
        }
    }

    private static void print(StreamStateHandle handle) {
        if (handle instanceof FileStateHandle file) {
            say("file", file.getFilePath(), file.getStateSize());
        } else if (handle instanceof ByteStreamStateHandle inline) {
            say("inline", inline.getStateSize());
        } else {
            throw new IllegalArgumentException("what is a " + handle.getClass() + "?");
        }
    }

    private static void say(Object... words) {
        StringBuilder line = new StringBuilder();
        for (Object word : words) {
            line.append(line.length() == 0 ? "" : "\t").append(word);
        }
        System.out.println(line);
    }
}
