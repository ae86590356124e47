package api

import (
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// compressFrom is the size in bytes from which a payload is compressed. Temporal takes no payload above
// 2 MB, and the plan of ten thousand servers has three; what is smaller stays readable in the Web UI.
const compressFrom = 64 << 10

// DataConverter converts the payloads of every process of reimage. It also reads payloads that the default converter of
// the SDK has written. A client or worker of another program needs it to call these workflows: the plan of some 200
// servers is large enough to be compressed (binary/zlib).
func DataConverter() converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(),
		largeOnly{converter.NewZlibCodec(converter.ZlibCodecOptions{})})
}

// largeOnly lets a codec encode large payloads only. It decodes whatever the codec has encoded.
type largeOnly struct{ converter.PayloadCodec }

func (l largeOnly) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	encoded := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		if len(payload.GetData()) < compressFrom {
			encoded[i] = payload
			continue
		}
		one, err := l.PayloadCodec.Encode([]*commonpb.Payload{payload})
		if err != nil {
			return nil, err
		}
		encoded[i] = one[0]
	}
	return encoded, nil
}
