import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * Accepts what Amazon MSK accepts: a presigned request for kafka-cluster:Connect whose signature it computes again. The
 * options of the login module are the secrets by access key id, as secret_ID, and session tokens, as token_ID.
 */
public final class MskValidator implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter DATE =
        DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    private static final Set<String> KNOWN = Set.of("Action", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
        "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-SignedHeaders", "X-Amz-Signature", "User-Agent");

    private Map<String, ?> options;

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        options = entries.get(0).getOptions();
    }

    @Override
    public void close() {
    }

    @Override
    public void handle(Callback[] callbacks) throws UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (!(callback instanceof OAuthBearerValidatorCallback)) {
                throw new UnsupportedCallbackException(callback);
            }
            OAuthBearerValidatorCallback asked = (OAuthBearerValidatorCallback) callback;
            try {
                asked.token(validate(asked.tokenValue()));
            } catch (Exception refused) {
                asked.error("Access denied: " + refused.getMessage(), null, null);
            }
        }
    }

    private OAuthBearerToken validate(String value) throws Exception {
        require(!value.contains("="), "padded");
        URI url = URI.create(new String(Base64.getUrlDecoder().decode(value), StandardCharsets.US_ASCII));
        require("https".equals(url.getScheme()) && "/".equals(url.getPath()) && url.getPort() == -1, "not the URL");
        TreeMap<String, String> raw = new TreeMap<>();
        TreeMap<String, String> query = new TreeMap<>();
        for (String pair : url.getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            require(KNOWN.contains(parts[0]) && raw.put(parts[0], parts[1]) == null, "a parameter that is not known or repeated");
            query.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        require("kafka-cluster:Connect".equals(query.get("Action")), "another action");
        require("AWS4-HMAC-SHA256".equals(query.get("X-Amz-Algorithm")), "another algorithm");
        require("host".equals(query.get("X-Amz-SignedHeaders")), "other signed headers");
        require(!query.getOrDefault("User-Agent", "").isEmpty(), "no user agent");
        String date = query.get("X-Amz-Date");
        String[] scope = query.get("X-Amz-Credential").split("/");
        require(scope.length == 5 && scope[1].equals(date.substring(0, 8)) && scope[3].equals("kafka-cluster")
            && scope[4].equals("aws4_request"), "another scope");
        require(url.getHost().equals("kafka." + scope[2] + ".amazonaws.com"), "another host");
        require(scope[2].equals(options.get("region")), "another region");
        Object secret = options.get("secret_" + scope[0]);
        require(secret != null, "an access key that is not known");
        Object token = options.get("token_" + scope[0]);
        require(token == null ? !query.containsKey("X-Amz-Security-Token") : token.equals(query.get("X-Amz-Security-Token")),
            "another session token");

        raw.remove("User-Agent");
        String signature = raw.remove("X-Amz-Signature");
        StringBuilder canonical = new StringBuilder();
        for (Map.Entry<String, String> pair : raw.entrySet()) {
            String encoded = URLEncoder.encode(query.get(pair.getKey()), StandardCharsets.UTF_8)
                .replace("+", "%20").replace("*", "%2A").replace("%7E", "~");
            require(encoded.equals(pair.getValue()), "encoded in another way");
            canonical.append(canonical.length() == 0 ? "" : "&").append(pair.getKey()).append('=').append(encoded);
        }
        String request = "GET\n/\n" + canonical + "\nhost:" + url.getHost() + "\n\nhost\n" + sha256("");
        String signed = "AWS4-HMAC-SHA256\n" + date + "\n" + String.join("/", Arrays.copyOfRange(scope, 1, 5)) + "\n" + sha256(request);
        byte[] key = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
        for (int at = 1; at < 5; at++) {
            key = mac(key, scope[at]);
        }
        require(HexFormat.of().formatHex(mac(key, signed)).equals(signature), "another signature");

        long issued = Instant.from(DATE.parse(date)).toEpochMilli();
        long seconds = Long.parseLong(query.get("X-Amz-Expires"));
        require(seconds > 0 && seconds <= 900, "another lifetime");
        long now = System.currentTimeMillis();
        require(Math.abs(now - issued) < Duration.ofMinutes(15).toMillis(), "signed at another time");
        long expires = issued + seconds * 1000;
        require(now < expires, "expired");
        return new Token(value, scope[0], issued, expires);
    }

    private static void require(boolean holds, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(otherwise);
        }
    }

    private static String sha256(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    private static byte[] mac(byte[] key, String text) throws Exception {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private record Token(String value, String principalName, Long startTimeMs, long lifetimeMs) implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }
    }
}
