package dev.headrace.debezium;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.function.LongSupplier;

import io.debezium.DebeziumException;
import io.debezium.connector.postgresql.PostgresReadOnlyIncrementalSnapshotContext;
import io.debezium.pipeline.signal.SignalPayload;
import io.debezium.pipeline.signal.actions.snapshotting.SnapshotConfiguration;
import io.debezium.pipeline.source.snapshot.incremental.IncrementalSnapshotChangeEventSource;
import io.debezium.pipeline.spi.OffsetContext;
import io.debezium.pipeline.spi.Partition;
import io.debezium.spi.schema.DataCollectionId;

/**
 * Debezium's incremental snapshots, but all in the thread that streams, and no faster than they are taken.
 *
 * <p>Debezium does what a signal asks for in the thread that hears it. That reads the first chunk beside the
 * stream, so a change may be followed by its row as it was before. Here that thread waits until the stream comes
 * to the end of a transaction, or has nothing to read, and does it itself.
 *
 * <p>So a chunk has each change that was streamed before it was read, and a row of it that is streamed again
 * before the chunk is sent is taken out of it: no change is followed by an older row. Debezium's own bounds of a
 * window are not needed for that, and not used. A chunk is sent when Kafka Connect came for more since the one
 * before it, so a live change never waits behind more than two.
 *
 * <p>A pause is kept in the connector's offsets, within the snapshot's correlation id, so it outlives a restart.
 */
final class Backfills<P extends Partition, T extends DataCollectionId>
        implements IncrementalSnapshotChangeEventSource<P, T> {
    private static final String PAUSED = "paused:";
    private static final long TRANSACTION_IDS = 1L << 32; // the stream's ids have 32 bits, a snapshot's 64
    private static final int LATELY = 1000;

    private final IncrementalSnapshotChangeEventSource<P, T> theirs;
    private final LongSupplier polls;
    private final Queue<FutureTask<Void>> told = new ConcurrentLinkedQueue<>();
    private final Map<Long, Boolean> streamedLately = new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Long, Boolean> eldest) {
            return size() > LATELY;
        }
    };
    private String sentChunk;
    private long sentAtPoll;

    Backfills(IncrementalSnapshotChangeEventSource<P, T> theirs, LongSupplier polls) {
        this.theirs = theirs;
        this.polls = polls;
    }

    @Override
    public void processMessage(P partition, DataCollectionId table, Object key, OffsetContext offset)
            throws InterruptedException {
        remember(offset);
        if (context(offset).snapshotRunning()) {
            keepWhatWasRead(partition, offset);
            theirs.processMessage(partition, table, key, offset);
        }
    }

    @Override
    public void processTransactionCommittedEvent(P partition, OffsetContext offset) throws InterruptedException {
        remember(offset);
        goOn(partition, offset);
    }

    @Override
    public void processHeartbeat(P partition, OffsetContext offset) throws InterruptedException {
        goOn(partition, offset);
    }

    @Override
    public void processSchemaChange(P partition, OffsetContext offset, DataCollectionId table)
            throws InterruptedException {
        theirs.processSchemaChange(partition, offset, table);
    }

    @Override
    public void init(P partition, OffsetContext offset) {
        theirs.init(partition, offset);
    }

    @Override
    public void closeWindow(P partition, String id, OffsetContext offset) throws InterruptedException {
        inStream(() -> theirs.closeWindow(partition, id, offset));
    }

    @Override
    public void addDataCollectionNamesToSnapshot(SignalPayload<P> signal, SnapshotConfiguration snapshot)
            throws InterruptedException {
        inStream(() -> {
            theirs.addDataCollectionNamesToSnapshot(signal, snapshot);
            if (context(signal.offsetContext).isSnapshotPaused()) {
                name(signal.offsetContext, PAUSED + signal.id);
            }
        });
    }

    @Override
    public void requestStopSnapshot(P partition, OffsetContext offset, Map<String, Object> more, List<String> tables) {
        try {
            inStream(() -> theirs.requestStopSnapshot(partition, offset, more, tables));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void pauseSnapshot(P partition, OffsetContext offset) throws InterruptedException {
        inStream(() -> {
            if (context(offset).snapshotRunning() && !context(offset).isSnapshotPaused()) {
                name(offset, PAUSED + context(offset).getCorrelationId());
                theirs.pauseSnapshot(partition, offset);
            }
        });
    }

    @Override
    public void resumeSnapshot(P partition, OffsetContext offset) throws InterruptedException {
        inStream(() -> {
            if (isPausedByItsName(offset)) {
                name(offset, context(offset).getCorrelationId().substring(PAUSED.length()));
            }
            theirs.resumeSnapshot(partition, offset);
        });
    }

    private interface Action {
        void run() throws InterruptedException;
    }

    /**
     * Until it is done: Debezium's thread asks Kafka for more signals only then, and it is by that that Kafka hears
     * of a signal that it was read. So none is lost when the task ends meanwhile.
     */
    private void inStream(Action action) throws InterruptedException {
        FutureTask<Void> done = new FutureTask<>(() -> {
            action.run();
            return null;
        });
        told.add(done);
        try {
            done.get();
        } catch (ExecutionException e) {
            throw new DebeziumException(e.getCause());
        }
    }

    private void goOn(P partition, OffsetContext offset) throws InterruptedException {
        for (FutureTask<Void> next = told.poll(); next != null; next = told.poll()) {
            next.run();
        }
        var context = context(offset);
        if (!context.snapshotRunning()) {
            return;
        }
        if (isPausedByItsName(offset) && !context.isSnapshotPaused()) {
            context.pauseSnapshot();
        }
        if (context.currentChunkId() == null) {
            context.startNewChunk(); // the database could not be asked when the task started
        }
        keepWhatWasRead(partition, offset);
        boolean isAtRest = context.isSnapshotPaused() && context.currentChunkId().equals(sentChunk);
        if (!isAtRest && polls.getAsLong() > sentAtPoll) {
            sentChunk = context.currentChunkId();
            theirs.closeWindow(partition, sentChunk, offset); // sends it, and reads the next one
            sentAtPoll = polls.getAsLong();
            keepWhatWasRead(partition, offset);
        }
    }

    /**
     * Until it is sent, whatever is streamed; Debezium would send it by itself when its high watermark is passed.
     *
     * <p>PostgreSQL may stream a transaction some moments before others see it. A chunk that was read in such a
     * moment is read again.
     */
    private void keepWhatWasRead(P partition, OffsetContext offset) throws InterruptedException {
        var context = context(offset);
        while (context.snapshotRunning() && context.getHighWatermark() != null) {
            boolean isTooOld = context.getLowWatermark().getXip().stream()
                    .anyMatch(id -> streamedLately.containsKey(id % TRANSACTION_IDS));
            context.openWindow(context.currentChunkId());
            context.setHighWatermark(null);
            if (isTooOld) {
                Thread.sleep(1);
                // It changed nothing of the schema; it is what reads a chunk again.
                theirs.processSchemaChange(partition, offset, context.currentDataCollectionId().getId());
            }
        }
    }

    private void remember(OffsetContext offset) {
        streamedLately.put(offset.getSourceInfo().getInt64("txId"), true);
    }

    private boolean isPausedByItsName(OffsetContext offset) {
        String id = context(offset).getCorrelationId();
        return id != null && id.startsWith(PAUSED);
    }

    /** Of no table, it does nothing but to name the snapshot. */
    private void name(OffsetContext offset, String id) {
        context(offset).addDataCollectionNamesToSnapshot(id, List.of(), List.of(), "");
    }

    @SuppressWarnings("unchecked")
    private PostgresReadOnlyIncrementalSnapshotContext<T> context(OffsetContext offset) {
        return (PostgresReadOnlyIncrementalSnapshotContext<T>) offset.getIncrementalSnapshotContext();
    }
}
