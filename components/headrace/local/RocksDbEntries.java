import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.rocksdb.ColumnFamilyDescriptor;
import org.rocksdb.ColumnFamilyHandle;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.DBOptions;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

/**
 * Writes every entry of a database of Flink's RocksDB to standard output: lengths of the column family's
 * name, of the key and of the value as three ints, then these. Argument: the database's folder.
 */
public class RocksDbEntries {
    public static void main(String[] arguments) throws IOException, RocksDBException {
        RocksDB.loadLibrary();
        String folder = arguments[0];
        List<ColumnFamilyDescriptor> families = new ArrayList<>();
        for (byte[] name : RocksDB.listColumnFamilies(new Options(), folder)) {
            families.add(new ColumnFamilyDescriptor(name, new ColumnFamilyOptions()));
        }
        List<ColumnFamilyHandle> handles = new ArrayList<>();
        try (RocksDB database = RocksDB.openReadOnly(new DBOptions(), folder, families, handles);
                DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16))) {
            for (ColumnFamilyHandle family : handles) {
                write(family.getName(), database.newIterator(family), out);
            }
        }
    }

    private static void write(byte[] family, RocksIterator entries, DataOutputStream out)
            throws IOException, RocksDBException {
        for (entries.seekToFirst(); entries.isValid(); entries.next()) {
            out.writeInt(family.length);
            out.writeInt(entries.key().length);
            out.writeInt(entries.value().length);
            out.write(family);
            out.write(entries.key());
            out.write(entries.value());
        }
        entries.status();
    }
}
