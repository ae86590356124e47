package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	signatureScheme = "SDK-HMAC-SHA256"
	dateLayout      = "20060102T150405Z"
	maxSkew         = 15 * time.Minute
)

// A keyPair verifies requests that were signed with it.
type keyPair struct {
	accessKey, secretKey string
	securityToken        string // "" for a permanent key
}

// authenticate checks the signature or, where there is none, the token. It returns nil when the request may pass.
func (e *Emulator) authenticate(r *http.Request, body []byte, wall time.Time) *refusal {
	if strings.HasPrefix(r.Header.Get("Authorization"), signatureScheme) {
		return e.verify(r, body, wall)
	}
	token := r.Header.Get("X-Auth-Token")
	if token == "" {
		return refuseGateway("APIGW.0301", "Unauthorized")
	}
	if token == e.options.Token {
		return nil
	}
	if expires, issued := e.tokens[token]; !issued || !wall.Before(expires) {
		return refuseGateway("APIGW.0307", "")
	}
	return nil
}

// verify checks the signature with the key that it names.
func (e *Emulator) verify(r *http.Request, body []byte, wall time.Time) *refusal {
	access, _, _, _ := parseAuthorization(r.Header.Get("Authorization"))
	key, temporary := e.temporary[access]
	switch {
	case !temporary:
		key.keyPair = keyPair{e.options.AccessKey, e.options.SecretKey, e.options.SecurityToken}
	case !wall.Before(key.expires):
		return refuseGateway("APIGW.0301", "security token has expired")
	}
	return key.verify(r, body, wall)
}

// verify recomputes the signature from the headers that the client says it signed. Scheme: SDK-HMAC-SHA256, AK/SK
// signing guide of the API gateway.
func (k keyPair) verify(r *http.Request, body []byte, wall time.Time) *refusal {
	access, signed, signature, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return refuseGateway("APIGW.0301", "Authorization format is incorrect")
	}
	date, err := time.Parse(dateLayout, r.Header.Get("X-Sdk-Date"))
	if err != nil || !slices.Contains(signed, "x-sdk-date") {
		return refuseGateway("APIGW.0301", "x-sdk-date is missing, malformed or not signed")
	}
	if skew := wall.Sub(date); skew > maxSkew || skew < -maxSkew {
		return refuseGateway("APIGW.0301", "x-sdk-date is more than 15 minutes off")
	}
	if access != k.accessKey {
		return refuseGateway("APIGW.0301", "ak "+access+" not exist")
	}
	if k.securityToken != "" && (r.Header.Get("X-Security-Token") != k.securityToken || !slices.Contains(signed, "x-security-token")) {
		return refuseGateway("APIGW.0301", "verify security token fail")
	}
	hash := sha256.Sum256(body)
	bodyHash := hex.EncodeToString(hash[:])
	if stated := r.Header.Get("X-Sdk-Content-Sha256"); stated != "" {
		if stated != "UNSIGNED-PAYLOAD" && stated != bodyHash {
			return refuseGateway("APIGW.0301", "verify aksk signature fail")
		}
		bodyHash = stated
	}
	canonical, ok := canonicalRequest(r, signed, bodyHash)
	if !ok || !hmac.Equal([]byte(signature), []byte(k.sign(r.Header.Get("X-Sdk-Date"), canonical))) {
		return refuseGateway("APIGW.0301", "verify aksk signature fail")
	}
	return nil
}

// sign returns the signature in hex.
func (k keyPair) sign(date, canonical string) string {
	hash := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(k.secretKey))
	mac.Write([]byte(signatureScheme + "\n" + date + "\n" + hex.EncodeToString(hash[:])))
	return hex.EncodeToString(mac.Sum(nil))
}

// parseAuthorization reads "SDK-HMAC-SHA256 Access=AK, SignedHeaders=a;b, Signature=hex". The names must be lower case.
func parseAuthorization(text string) (access string, signed []string, signature string, ok bool) {
	rest, ok := strings.CutPrefix(text, signatureScheme+" ")
	if !ok {
		return "", nil, "", false
	}
	fields := strings.Split(rest, ", ")
	if len(fields) != 3 {
		return "", nil, "", false
	}
	access, okAccess := strings.CutPrefix(fields[0], "Access=")
	names, okNames := strings.CutPrefix(fields[1], "SignedHeaders=")
	signature, okSignature := strings.CutPrefix(fields[2], "Signature=")
	if !okAccess || !okNames || !okSignature || names != strings.ToLower(names) {
		return "", nil, "", false
	}
	return access, strings.Split(names, ";"), signature, true
}

// canonicalRequest is false for a request whose query cannot be read or that lacks a signed header.
func canonicalRequest(r *http.Request, signed []string, bodyHash string) (string, bool) {
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return "", false
	}
	var headers strings.Builder
	for _, name := range signed {
		value, present := headerValue(r, name)
		if !present {
			return "", false
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	return strings.Join([]string{
		r.Method, canonicalURI(r.URL.Path), query, headers.String(), strings.Join(signed, ";"), bodyHash,
	}, "\n"), true
}

// headerValue knows the headers that net/http keeps outside of the header map.
func headerValue(r *http.Request, name string) (string, bool) {
	switch name {
	case "host":
		return r.Host, true
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10), true
	}
	values, present := r.Header[http.CanonicalHeaderKey(name)]
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.TrimSpace(v)
	}
	return strings.Join(trimmed, ","), present
}

// canonicalURI ends with a slash, which the request line does not have.
func canonicalURI(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = escape(s)
	}
	uri := strings.Join(segments, "/")
	if !strings.HasSuffix(uri, "/") {
		uri += "/"
	}
	return uri
}

// canonicalQuery sorts by key, then by value, both before they are escaped.
func canonicalQuery(raw string) (string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return "", err
	}
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		slices.Sort(values[key])
		for _, value := range values[key] {
			pairs = append(pairs, escape(key)+"="+escape(value))
		}
	}
	return strings.Join(pairs, "&"), nil
}

// escape leaves only A-Z a-z 0-9 - _ . ~ as they are.
func escape(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(text), "+", "%20"), "%7E", "~")
}
