import java.util.HashMap;
import java.util.Map;
import java.util.Scanner;
import org.rocksdb.ColumnFamilyDescriptor;
import org.rocksdb.ColumnFamilyHandle;
import org.rocksdb.FlushOptions;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;

/**
 * Writes a database with Flink's RocksDB. Argument: its folder; each line of standard input: a column family
 * and a key, and a value, or none where the key is to be removed; divided by tabs.
 */
public class WriteRocksDb {
    public static void main(String[] arguments) throws Exception {
        RocksDB.loadLibrary();
        try (RocksDB database = RocksDB.open(new Options().setCreateIfMissing(true), arguments[0])) {
            Map<String, ColumnFamilyHandle> families = new HashMap<>();
            Scanner lines = new Scanner(System.in).useDelimiter("\n");
            while (lines.hasNext()) {
                String[] given = lines.next().split("\t");
                if (!families.containsKey(given[0])) {
                    families.put(given[0], database.createColumnFamily(new ColumnFamilyDescriptor(given[0].getBytes())));
                }
                if (given.length == 3) {
                    database.put(families.get(given[0]), given[1].getBytes(), given[2].getBytes());
                } else {
                    database.delete(families.get(given[0]), given[1].getBytes());
                }
                // A file for each entry: what was removed is in an older one.
                database.flush(new FlushOptions(), families.get(given[0]));
            }
        }
    }
}
