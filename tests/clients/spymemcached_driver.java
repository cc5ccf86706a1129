// spymemcached: text and binary, with and without SASL. driver.py says what a driver speaks.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.CachedData;
import net.spy.memcached.ConnectionFactoryBuilder;
import net.spy.memcached.MemcachedClient;
import net.spy.memcached.auth.AuthDescriptor;
import net.spy.memcached.auth.PlainCallbackHandler;
import net.spy.memcached.internal.OperationFuture;
import net.spy.memcached.ops.StatusCode;
import net.spy.memcached.transcoders.Transcoder;

class Driver {
  // Values as they are, of any size.
  private static final Transcoder<byte[]> RAW = new Transcoder<>() {
    @Override public boolean asyncDecode(CachedData data) { return false; }
    @Override public CachedData encode(byte[] value) {
      return new CachedData(0, value, getMaxSize());
    }
    @Override public byte[] decode(CachedData data) { return data.getData(); }
    @Override public int getMaxSize() { return 64 << 20; }
  };

  private final boolean isBinary;
  private final MemcachedClient client;

  Driver(String[] arguments) throws Exception {
    isBinary = arguments[1].equals("binary");
    ConnectionFactoryBuilder builder = new ConnectionFactoryBuilder()
        .setProtocol(isBinary ? ConnectionFactoryBuilder.Protocol.BINARY
                              : ConnectionFactoryBuilder.Protocol.TEXT)
        .setOpTimeout(10_000)
        .setAuthWaitTime(5_000)
        .setDaemon(true);
    if (arguments.length > 2) {
      builder.setAuthDescriptor(new AuthDescriptor(
          new String[] {"PLAIN"}, new PlainCallbackHandler(arguments[2], arguments[3])));
    }
    client = new MemcachedClient(builder.build(),
        List.of(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]))));
  }

  private static List<Object> outcome(OperationFuture<?> future) throws Exception {
    Object result = future.get();
    StatusCode code = future.getStatus().getStatusCode();
    if (Boolean.TRUE.equals(result)) return List.of("yes");
    return switch (code) {
      case ERR_NOT_FOUND -> List.of("missing");
      case ERR_EXISTS -> List.of("exists");
      case ERR_NOT_STORED -> List.of("no");
      default -> List.of("error", future.getStatus().getMessage());
    };
  }

  private static List<Object> numberOrMissing(OperationFuture<Long> future) throws Exception {
    long value = future.get();
    if (future.getStatus().isSuccess()) return List.of("number", Long.toUnsignedString(value));
    return outcome(future);
  }

  private static List<Object> valueOrMissing(CASValue<byte[]> found) {
    if (found == null) return List.of("missing");
    return List.of("value", found.getValue(), Long.toUnsignedString(found.getCas()));
  }

  private static int number(byte[] text) {
    return Integer.parseInt(new String(text));
  }

  private static List<Object> values(Map<?, ?> all) {
    List<Object> words = new ArrayList<>(List.of("values"));
    all.forEach((key, value) -> words.addAll(List.of(key, value)));
    return words;
  }

  private List<Object> types() throws Exception {
    for (Object value : List.of(
        0, -17, 1L << 40, 1.5, "text \u00e4\u20ac", true, new ArrayList<>(List.of("a", 1)))) {
      client.set("type", 0, value).get();
      if (!value.equals(client.get("type"))) return List.of("value", value.toString());
    }
    return List.of("yes");
  }

  // The casts are safe: these methods promise a Future, and return an OperationFuture.
  private List<Object> answer(String name, List<byte[]> words) throws Exception {
    String key = words.isEmpty() ? null : new String(words.get(0), StandardCharsets.UTF_8);
    switch (name) {
      case "ping": return List.of("yes");
      case "get": {
        byte[] value = client.get(key, RAW);
        return value == null ? List.of("missing") : List.of("value", value);
      }
      case "gets": return valueOrMissing(client.gets(key, RAW));
      case "gat": {
        if (!isBinary) return List.of("lacks");
        List<Object> found = valueOrMissing(client.getAndTouch(key, number(words.get(1)), RAW));
        return found.size() > 2 ? found.subList(0, 2) : found;
      }
      case "get_many":
        return values(client.getBulk(
            words.stream().map(word -> new String(word, StandardCharsets.UTF_8)).toList(), RAW));
      case "set": return outcome(client.set(key, number(words.get(2)), words.get(1), RAW));
      case "add": return outcome(client.add(key, number(words.get(2)), words.get(1), RAW));
      case "replace": return outcome(client.replace(key, number(words.get(2)), words.get(1), RAW));
      case "append": return outcome(client.append(key, words.get(1), RAW));
      case "prepend": return outcome(client.prepend(key, words.get(1), RAW));
      case "cas": {
        long cas = Long.parseUnsignedLong(new String(words.get(3)));
        CASResponse response = client.cas(key, cas, number(words.get(2)), words.get(1), RAW);
        return switch (response) {
          case OK -> List.of("yes");
          case EXISTS -> List.of("exists");
          case NOT_FOUND -> List.of("missing");
          default -> List.of("error", response.toString());
        };
      }
      case "delete": return outcome(client.delete(key));
      case "touch": return outcome(client.touch(key, number(words.get(1))));
      case "incr":
        return numberOrMissing((OperationFuture<Long>) client.asyncIncr(key, number(words.get(1))));
      case "decr":
        return numberOrMissing((OperationFuture<Long>) client.asyncDecr(key, number(words.get(1))));
      case "incr_from":
        if (!isBinary) return List.of("lacks");
        return numberOrMissing((OperationFuture<Long>) client.asyncIncr(
            key, (long) number(words.get(1)), (long) number(words.get(2))));
      case "flush": return outcome(client.flush());
      case "version":
        return List.of("value", client.getVersions().values().iterator().next());
      case "stats":
        return values((key == null ? client.getStats() : client.getStats(key))
            .values().iterator().next());
      case "types": return types();
      default: return List.of("lacks");
    }
  }

  private static String encode(Object word) {
    byte[] bytes =
        word instanceof byte[] raw ? raw : word.toString().getBytes(StandardCharsets.UTF_8);
    return bytes.length == 0 ? "-" : Base64.getEncoder().encodeToString(bytes);
  }

  private static byte[] decode(String word) {
    return word.equals("-") ? new byte[0] : Base64.getDecoder().decode(word);
  }

  public static void main(String[] arguments) throws Exception {
    PrintStream output = System.out;
    System.setOut(System.err);  // The library's log.
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    Driver driver = null;
    String line;
    while ((line = input.readLine()) != null) {
      String[] words = line.split(" ");
      List<Object> results;
      try {
        if (driver == null && !words[0].equals("ping")) driver = new Driver(arguments);
        results = driver == null ? List.of("yes") : driver.answer(
            words[0], Arrays.stream(words).skip(1).map(Driver::decode).toList());
      } catch (ExecutionException error) {
        results = List.of("error", error.getCause().toString());
      } catch (Exception error) {
        results = List.of("error", error.toString());
      }
      List<String> encoded = new ArrayList<>(List.of(results.get(0).toString()));
      results.stream().skip(1).map(Driver::encode).forEach(encoded::add);
      output.print(String.join(" ", encoded) + "\n");
      output.flush();
    }
    System.exit(0);
  }
}
