package ecs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A signed request carries its date in this header, in this form, in UTC.
const (
	signatureScheme = "SDK-HMAC-SHA256"
	signatureDate   = "X-Sdk-Date"
	signatureTime   = "20060102T150405Z"
	// statedHash is the header with the hash of the body. Nothing here sends it.
	statedHash = "X-Sdk-Content-Sha256"
)

// sign returns the Authorization header of the scheme SDK-HMAC-SHA256. Unlike its relatives it has no
// derived key and no scope: the secret key itself is the key of the HMAC.
func sign(req *http.Request, body []byte, keyID, secretKey string) string {
	names := signedHeaders(req.Header)
	canonical := sha256.Sum256([]byte(canonicalRequest(req, body, names)))
	mac := hmac.New(sha256.New, []byte(secretKey))
	fmt.Fprintf(mac, signatureScheme+"\n%s\n%x", req.Header.Get(signatureDate), canonical)
	return fmt.Sprintf(signatureScheme+" Access=%s, SignedHeaders=%s, Signature=%x",
		keyID, strings.Join(names, ";"), mac.Sum(nil))
}

// signedHeaders names, in lower case and sorted, what the official SDK signs: every header except
// Content-Type and names with an underscore. Host is signed only when the header map holds it.
func signedHeaders(header http.Header) []string {
	var names []string
	for name := range header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "content-type") || strings.Contains(lower, "_") || lower == "authorization" {
			continue
		}
		names = append(names, lower)
	}
	slices.Sort(names)
	return names
}

func canonicalRequest(req *http.Request, body []byte, names []string) string {
	return strings.Join([]string{
		req.Method,
		canonicalPath(req.URL),
		canonicalQuery(req.URL),
		canonicalHeaders(req.Header, names),
		strings.Join(names, ";"),
		hashOf(body),
	}, "\n")
}

// hashOf is the SHA-256 of a body in hex.
func hashOf(body []byte) string {
	hash := sha256.Sum256(body)
	return hex.EncodeToString(hash[:])
}

// canonicalPath ends with a slash, which the path on the wire does not. It is made of the path as the gateway
// decodes it, where %2F is a slash.
func canonicalPath(u *url.URL) string {
	segments := strings.Split(u.Path, "/")
	for i, segment := range segments {
		segments[i] = percentEncode(segment)
	}
	path := strings.Join(segments, "/")
	if !strings.HasSuffix(path, "/") {
		path += "/"
	}
	return path
}

func canonicalQuery(u *url.URL) string {
	query := u.Query()
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(query)) {
		for _, value := range slices.Sorted(slices.Values(query[key])) {
			pairs = append(pairs, percentEncode(key)+"="+percentEncode(value))
		}
	}
	return strings.Join(pairs, "&")
}

// canonicalHeaders ends every header with a line feed, so that an empty line follows the block. Values lose
// their outer blanks one by one, as they do on the wire.
func canonicalHeaders(header http.Header, names []string) string {
	var block strings.Builder
	for _, name := range names {
		for key, values := range header {
			if strings.EqualFold(key, name) {
				trimmed := make([]string, len(values))
				for i, value := range values {
					trimmed[i] = strings.TrimSpace(value)
				}
				fmt.Fprintf(&block, "%s:%s\n", name, strings.Join(trimmed, ","))
			}
		}
	}
	return block.String()
}

// percentEncode leaves only the unreserved characters of RFC 3986 as they are; a space becomes %20.
func percentEncode(s string) string {
	var out strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlphanumeric(c) || strings.IndexByte("-_.~", c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}
