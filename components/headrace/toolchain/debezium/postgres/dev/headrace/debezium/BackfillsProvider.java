package dev.headrace.debezium;

import java.util.Map;
import java.util.Optional;

import io.debezium.config.CommonConnectorConfig;
import io.debezium.connector.postgresql.PostgresReadOnlyIncrementalSnapshotChangeEventSource;
import io.debezium.pipeline.ChangeEventSourceCoordinator;
import io.debezium.pipeline.EventDispatcher;
import io.debezium.pipeline.signal.actions.SignalAction;
import io.debezium.pipeline.signal.actions.SignalActionProvider;
import io.debezium.pipeline.spi.Partition;
import io.debezium.spi.schema.DataCollectionId;

/**
 * Puts {@link Backfills} before Debezium's own source of incremental snapshots.
 *
 * <p>It provides no action: it is what Debezium calls with its dispatcher, in the thread that streams, after that
 * source was made and before a signal is heard or a change is streamed.
 */
public class BackfillsProvider implements SignalActionProvider {
    @Override
    public <P extends Partition> Map<String, SignalAction<P>> createActions(
            EventDispatcher<P, ? extends DataCollectionId> dispatcher,
            ChangeEventSourceCoordinator<P, ?> coordinator,
            CommonConnectorConfig config) {
        putBefore(dispatcher, coordinator);
        return Map.of();
    }

    private static <P extends Partition, T extends DataCollectionId> void putBefore(
            EventDispatcher<P, T> dispatcher, ChangeEventSourceCoordinator<P, ?> coordinator) {
        var theirs = dispatcher.getIncrementalSnapshotChangeEventSource();
        if (theirs instanceof PostgresReadOnlyIncrementalSnapshotChangeEventSource) {
            dispatcher.setIncrementalSnapshotChangeEventSource(
                    Optional.of(new Backfills<>(theirs, () -> PostgresConnectorTask.polls(coordinator))));
        }
    }
}
