package ecs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	gzipMagic = "\x1f\x8b"
	// maxUnpacked bounds what packed user data may become: the server unpacks it in memory.
	maxUnpacked = 8 << 20
)

// UserDataText is the document that the server reads: Cloud-Init and Cloudbase-Init unpack gzip. The error says why there
// is none, and repeats nothing of it.
func UserDataText(userData Secret) (string, error) {
	text := userData.Reveal()
	packed := strings.HasPrefix(text, gzipMagic)
	if packed {
		unpacked, err := unpack(text)
		if err != nil {
			return "", err
		}
		text = unpacked
	}
	switch {
	case utf8.ValidString(text) && !strings.ContainsRune(text, 0):
		return text, nil
	case isUTF16(text):
		return "", errors.New("must be UTF-8 and is UTF-16: save it as UTF-8 without a byte order mark")
	case packed:
		return "", errors.New("must hold text, UTF-8 without NUL: what its gzip unpacks to is none")
	}
	return "", errors.New("must be text, UTF-8 without NUL, or text packed with gzip")
}

// unpack fails unless the whole of it is gzip.
func unpack(data string) (string, error) {
	var unpacked []byte
	reader, err := gzip.NewReader(strings.NewReader(data))
	if err == nil {
		unpacked, err = io.ReadAll(io.LimitReader(reader, maxUnpacked+1))
	}
	switch {
	case len(unpacked) > maxUnpacked:
		return "", fmt.Errorf("unpacks (gzip) to more than %d MB", maxUnpacked>>20)
	case err != nil:
		return "", errors.New("is gzip that does not unpack: it is damaged, cut off, or something follows it; pack it again")
	case len(bytes.TrimSpace(unpacked)) == 0:
		return "", errors.New("is gzip of nothing")
	}
	return string(unpacked), nil
}

// isUTF16 is true for a byte order mark of UTF-16, and for text in which every second byte is zero.
func isUTF16(text string) bool {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return true
	}
	head := text[:min(len(text), 64)]
	return len(head) >= 4 && strings.Count(head, "\x00")*2 >= len(head)-1
}

// packingAdvice says what to do about user data that is too large.
func packingAdvice(data string) string {
	if strings.HasPrefix(data, gzipMagic) {
		return "it is packed (gzip) already; have the server fetch a part of it (#include)"
	}
	var packed bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // a level that exists
	_, _ = io.WriteString(writer, data)                             // a buffer takes everything
	_ = writer.Close()
	if packed.Len() > maxUserData {
		return fmt.Sprintf("gzip is accepted and would still have about %d; have the server fetch a part of it (#include)", packed.Len())
	}
	return fmt.Sprintf("gzip is accepted and would have about %d: pack it with gzip -9", packed.Len())
}
