import static java.nio.charset.StandardCharsets.UTF_8;
import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.*;
import java.io.*;
import java.math.BigDecimal;
import java.net.URI;
import java.net.http.*;
import java.nio.ByteBuffer;
import java.nio.file.*;
import java.security.*;
import java.security.spec.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

/**
 * A partner bank on Kafka, in one file: java … Bank partner.properties bank-key.pem book.jsonl
 *
 * <p>It books each transfer once. The book is a journal: one line is one transaction, the transfers with the reports that tell of
 * them, forced to the disk before anything is sent. A bank has a database instead; the order stays: book, report, commit.
 */
public final class Bank {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<String> SIGNED = List.of("ce_id", "ce_type", "ce_time");
  private static final byte[] ED25519 = HexFormat.of().parseHex("302a300506032b6570032100"); // before a raw key, RFC 8410
  private static final List<String> REPORT = List.of("uetr", "status", "reason", "bank_reference", "booked_at");
  private final Properties settings = new Properties();
  private final String kid;
  private final PrivateKey key;
  private final RandomAccessFile journal;
  private final Map<String, ObjectNode> transfers = new HashMap<>(); // by UETR
  private ArrayNode reports = JSON.createArrayNode(); // of this transaction
  private JsonNode jwks;
  private Instant jwksRead = Instant.MIN;

  Bank(Path properties, Path pem, Path book) throws Exception {
    try (InputStream file = Files.newInputStream(properties)) { settings.load(file); }
    settings.computeIfPresent("ssl.truststore.location", (name, file) -> properties.resolveSibling((String) file).toString());
    settings.putAll(Map.of("enable.auto.commit", "false", "auto.offset.reset", "earliest", "max.poll.records", "100"));
    settings.putAll(Map.of("session.timeout.ms", "6000", "acks", "all")); // a killed process is missed after 6 s, not 45
    kid = pem.getFileName().toString().replaceFirst("\\.pem$", "");
    String base64 = Files.readString(pem).replaceAll("-----[A-Z ]+-----|\\s", "");
    key = KeyFactory.getInstance("Ed25519").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
    journal = new RandomAccessFile(book.toFile(), "rw");
    replay();
  }

  void run() throws Exception {
    try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer());
        var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
      consumer.subscribe(List.of(settings.getProperty("countersign.instructions.topic")));
      sendReports(producer); // of the last transaction before a crash; a report may be sent twice
      while (true) {
        refreshKeys();
        var records = consumer.poll(Duration.ofMillis(200));
        records.forEach(this::take);
        endReviews();
        commitBook();
        sendReports(producer);
        // Last: after a crash the records come again, and the book knows them.
        if (!records.isEmpty()) consumer.commitSync();
      }
    }
  }

  /** Book one instruction, or answer a repeated one as the first time. */
  private void take(ConsumerRecord<String, byte[]> record) {
    try {
      verify(record);
      JsonNode one = JSON.readTree(record.value());
      String uetr = UUID.fromString(text(one, "uetr")).toString();
      ObjectNode transfer = transfers.get(uetr);
      if (transfer == null) transfer = decide(one, uetr).put("traceparent", header(record, "traceparent"));
      if (!transfer.get("money").equals(money(one))) throw new IllegalArgumentException("uetr: came as another transfer before");
      report(transfer);
    } catch (GeneralSecurityException | IOException | RuntimeException refused) {
      // An operator looks at it. It must not stop the instructions behind it.
      System.err.printf("refused %d/%d: %s%n", record.partition(), record.offset(), refused);
    }
  }
  /** Decide about a new transfer: status and reason are codes of ISO 20022. */
  private static ObjectNode decide(JsonNode one, String uetr) {
    JsonNode money = money(one);
    String payee = money.get(0).asText();
    Instant now = Instant.now();
    boolean late = one.hasNonNull("expires_at") && !OffsetDateTime.parse(text(one, "expires_at")).toInstant().isAfter(now);
    String reason = late ? "TM01" : payee.endsWith("payee-rejected") ? "AC04" : null;
    String status = reason != null ? "REJECTED" : payee.endsWith("payee-late") ? "PENDING" : "ACCEPTED";
    ObjectNode transfer = JSON.createObjectNode().put("uetr", uetr).put("status", status).put("reason", reason);
    transfer.put("bank_reference", UUID.randomUUID().toString().substring(0, 13).toUpperCase());
    transfer.put("booked_at", status.equals("ACCEPTED") ? now.toString() : null).put("due_at", now.plusSeconds(1).toString());
    return transfer.set("money", money);
  }
  private static JsonNode money(JsonNode one) {
    String amount = new BigDecimal(text(one, "amount")).toPlainString();
    return JSON.createArrayNode().add(text(one.path("creditor"), "account")).add(amount).add(text(one, "currency"));
  }
  private void endReviews() {
    for (ObjectNode one : List.copyOf(transfers.values()))
      if (text(one, "status").equals("PENDING") && Instant.parse(text(one, "due_at")).isBefore(Instant.now()))
        report(one.deepCopy().put("status", "ACCEPTED").put("booked_at", Instant.now().toString()));
  }
  /** Add a transfer and a report of it to the transaction. */
  private void report(ObjectNode transfer) {
    transfers.put(text(transfer, "uetr"), transfer);
    reports.add(transfer);
  }
  private void commitBook() throws IOException {
    if (!reports.isEmpty()) journal.write((JSON.writeValueAsString(reports) + "\n").getBytes(UTF_8));
    journal.getFD().sync();
  }

  /** Read the journal. What follows its last whole line was never committed. */
  private void replay() throws IOException {
    byte[] raw = new byte[(int) journal.length()];
    journal.readFully(raw);
    String whole = new String(raw, UTF_8).replaceFirst("[^\\n]*\\z", "");
    for (String line : whole.lines().toList()) {
      reports = (ArrayNode) JSON.readTree(line);
      for (JsonNode one : reports) transfers.put(text(one, "uetr"), (ObjectNode) one);
    }
    journal.setLength(whole.getBytes(UTF_8).length);
    journal.seek(journal.length());
  }

  /** Send what the book has committed, in its order. */
  private void sendReports(KafkaProducer<String, byte[]> producer) throws Exception {
    List<Future<?>> sent = new ArrayList<>();
    for (JsonNode one : reports) sent.add(producer.send(signed(one)));
    for (Future<?> acknowledged : sent) acknowledged.get();
    reports = JSON.createArrayNode();
  }
  private ProducerRecord<String, byte[]> signed(JsonNode one) throws Exception {
    byte[] value = JSON.writeValueAsBytes(((ObjectNode) one).deepCopy().retain(REPORT));
    String topic = settings.getProperty("countersign.reports.topic");
    var headers = new HashMap<>(Map.of("ce_specversion", "1.0", "ce_type", "settlement.report.v1", "ce_time", Instant.now().toString(),
        "ce_id", UUID.randomUUID().toString(), "ce_source", "/partners/" + settings.get("countersign.partner"),
        "content-type", "application/json", "traceparent", text(one, "traceparent")));
    ObjectNode head = JSON.createObjectNode().put("alg", "EdDSA").put("b64", false).put("kid", kid).put("topic", topic);
    head.withArray("crit").add("b64");
    for (String name : SIGNED) head.put(name, headers.get(name));
    var encoder = Base64.getUrlEncoder().withoutPadding();
    String encoded = encoder.encodeToString(JSON.writeValueAsBytes(head));
    Signature signer = Signature.getInstance("Ed25519");
    signer.initSign(key);
    signer.update((encoded + ".").getBytes(UTF_8));
    signer.update(value);
    headers.put("signature", encoded + ".." + encoder.encodeToString(signer.sign()));
    var record = new ProducerRecord<>(topic, text(one, "uetr"), value); // the key keeps a transfer's reports in their order
    headers.forEach((name, text) -> record.headers().add(name, text.getBytes(UTF_8)));
    return record;
  }

  /** Check who has signed a record: the key, its time limits, the topic, and the headers that are signed. */
  private void verify(ConsumerRecord<String, byte[]> record) throws GeneralSecurityException, IOException {
    String[] parts = header(record, "signature").split("\\.", -1);
    JsonNode head = JSON.readTree(Base64.getUrlDecoder().decode(parts[0]));
    boolean plain = !head.path("b64").asBoolean(true) && head.path("crit").size() == 1 && text(head, "alg").equals("EdDSA");
    if (parts.length != 3 || !parts[1].isEmpty() || !plain) throw new GeneralSecurityException("no detached JWS");
    byte[] raw = Base64.getUrlDecoder().decode(text(liveKey(text(head, "kid")), "x"));
    byte[] encoded = ByteBuffer.allocate(ED25519.length + raw.length).put(ED25519).put(raw).array();
    Signature verifier = Signature.getInstance("Ed25519");
    verifier.initVerify(KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded)));
    verifier.update((parts[0] + ".").getBytes(UTF_8));
    verifier.update(record.value() == null ? new byte[0] : record.value());
    if (!verifier.verify(Base64.getUrlDecoder().decode(parts[2]))) throw new GeneralSecurityException("forged");
    boolean here = text(head, "topic").equals(record.topic());
    for (String name : SIGNED) here &= text(head, name).equals(header(record, name));
    if (!here) throw new GeneralSecurityException("signed for another topic, id, type or time");
  }

  private void refreshKeys() throws IOException, InterruptedException {
    if (jwksRead.isAfter(Instant.now().minusSeconds(300))) return;
    var request = HttpRequest.newBuilder(URI.create(settings.getProperty("countersign.jwks.url"))).timeout(Duration.ofSeconds(5));
    jwks = JSON.readTree(HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofByteArray()).body());
    jwksRead = Instant.now();
  }
  private JsonNode liveKey(String kid) throws GeneralSecurityException {
    long now = Instant.now().getEpochSecond();
    for (JsonNode one : jwks.path("keys")) {
      boolean live = now >= one.path("nbf").asLong(0) && now < one.path("exp").asLong(Long.MAX_VALUE);
      if (live && one.path("kid").asText().equals(kid) && one.path("crv").asText().equals("Ed25519")) return one;
    }
    throw new GeneralSecurityException("no live key of Countersign");
  }
  private static String header(ConsumerRecord<String, byte[]> record, String name) {
    var found = record.headers().lastHeader(name);
    return found == null || found.value() == null ? "" : new String(found.value(), UTF_8);
  }
  private static String text(JsonNode from, String name) {
    if (!from.path(name).isTextual()) throw new IllegalArgumentException(name + ": must be text");
    return from.get(name).asText();
  }
  public static void main(String[] files) throws Exception {
    new Bank(Path.of(files[0]), Path.of(files[1]), Path.of(files[2])).run();
  }
}
