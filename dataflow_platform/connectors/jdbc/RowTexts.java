import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.StandardCharsets;
import java.sql.Date;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.Arrays;

/**
 * Rows of a JDBC result as the buffers of Arrow's string and binary columns: offsets, bytes, one bit per value.
 *
 * A loop over rows in Python takes a call into the virtual machine for every value. Compiled by `javac -g:none --release 11`.
 */
public final class RowTexts {
    private final ResultSet rows;
    private final char[] ways;
    private final Column[] columns;
    private final CharsetEncoder encoder = StandardCharsets.UTF_8.newEncoder();
    private boolean localTimes = true;

    /**
     * One letter for each column: T text, B bytes, N decimal, I integer, D double, F float, L boolean, A date,
     * S timestamp, Z moment.
     */
    public RowTexts(ResultSet rows, String ways) {
        this.rows = rows;
        this.ways = ways.toCharArray();
        this.columns = new Column[ways.length()];
        for (int at = 0; at < columns.length; at++) {
            columns[at] = new Column();
        }
    }

    /** Read at most so many rows, and end after so many bytes; 0 after the last row. */
    public int next(int most, int mostBytes) throws SQLException {
        for (Column column : columns) {
            column.clear(most);
        }
        int read = 0;
        long bytes = 0;
        while (read < most && bytes < mostBytes && rows.next()) {
            for (int at = 0; at < columns.length; at++) {
                byte[] value = value(at);
                columns[at].add(value, read);
                bytes += value == null ? 0 : value.length;
            }
            read++;
        }
        return read;
    }

    /** Little-endian 32-bit offsets of the rows just read. */
    public byte[] offsets(int column) {
        Column of = columns[column];
        ByteBuffer written = ByteBuffer.allocate(4 * (of.rows + 1)).order(ByteOrder.LITTLE_ENDIAN);
        written.asIntBuffer().put(of.offsets, 0, of.rows + 1);
        return written.array();
    }

    /** The values of the rows just read, one after another. */
    public byte[] bytes(int column) {
        return Arrays.copyOf(columns[column].bytes, columns[column].offsets[columns[column].rows]);
    }

    /** A bit for each row just read, set where there is a value. */
    public byte[] valid(int column) {
        return Arrays.copyOf(columns[column].valid, (columns[column].rows + 7) / 8);
    }

    private byte[] value(int at) throws SQLException {
        int place = at + 1;
        switch (ways[at]) {
            case 'B':
                return rows.getBytes(place);
            case 'I': {
                long number = rows.getLong(place);
                return rows.wasNull() ? null : ascii(Long.toString(number));
            }
            case 'D': {
                double number = rows.getDouble(place);
                return rows.wasNull() ? null : ascii(Double.toString(number));
            }
            case 'F': {
                float number = rows.getFloat(place);
                return rows.wasNull() ? null : ascii(Float.toString(number));
            }
            case 'L': {
                boolean yes = rows.getBoolean(place);
                return rows.wasNull() ? null : ascii(yes ? "true" : "false");
            }
            case 'N': {
                BigDecimal number = rows.getBigDecimal(place);
                return number == null ? null : ascii(number.toPlainString());
            }
            case 'A': {
                LocalDate day = date(place);
                return day == null ? null : ascii(day.toString());
            }
            case 'S': {
                LocalDateTime time = timestamp(place);
                return time == null ? null : ascii(time.toString());
            }
            case 'Z': {
                OffsetDateTime moment = rows.getObject(place, OffsetDateTime.class);
                return moment == null ? null : ascii(moment.toInstant().toString());
            }
            default:
                return text(rows.getString(place));
        }
    }

    private LocalDate date(int place) throws SQLException {
        if (localTimes) {
            try {
                return rows.getObject(place, LocalDate.class);
            } catch (SQLException unknown) {
                localTimes = false;
            }
        }
        Date day = rows.getDate(place);
        return day == null ? null : day.toLocalDate();
    }

    private LocalDateTime timestamp(int place) throws SQLException {
        if (localTimes) {
            try {
                return rows.getObject(place, LocalDateTime.class);
            } catch (SQLException unknown) {
                localTimes = false; // a driver older than JDBC 4.2
            }
        }
        Timestamp time = rows.getTimestamp(place);
        return time == null ? null : time.toLocalDateTime();
    }

    private byte[] text(String text) throws SQLException {
        if (text == null) {
            return null;
        }
        try {
            // An encoder reports half of a surrogate pair, where String.getBytes would write a question mark.
            ByteBuffer encoded = encoder.encode(CharBuffer.wrap(text));
            return Arrays.copyOf(encoded.array(), encoded.limit());
        } catch (CharacterCodingException broken) {
            throw new SQLException("codec can't encode a text that holds half of a character", "22018", broken);
        }
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static final class Column {
        private int rows;
        private int[] offsets = new int[1];
        private byte[] bytes = new byte[1024];
        private byte[] valid = new byte[0];

        private void clear(int most) {
            rows = 0;
            if (offsets.length < most + 1) {
                offsets = new int[most + 1];
            }
            valid = new byte[(most + 7) / 8];
        }

        private void add(byte[] value, int row) {
            int start = offsets[row];
            int length = value == null ? 0 : value.length;
            if (start + length > bytes.length) {
                bytes = Arrays.copyOf(bytes, Math.max(start + length, bytes.length * 2));
            }
            if (value != null) {
                System.arraycopy(value, 0, bytes, start, length);
                valid[row / 8] |= (byte) (1 << (row % 8));
            }
            offsets[row + 1] = start + length;
            rows = row + 1;
        }
    }
}
