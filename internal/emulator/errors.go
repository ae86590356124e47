package emulator

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// A refusal is an error answer of the API.
type refusal struct {
	status        int
	code, message string
	shape         errorShape
}

type errorShape int

const (
	shapeECS      errorShape = iota // {"error": {"message", "code"}}
	shapeGateway                    // {"error_msg", "error_code", "request_id"}
	shapeKeystone                   // {"error": {"message", "code": 401, "title"}}
	shapeNova                       // {"itemNotFound": {"message", "code": 404}}
)

// refuse returns the refusal with the documented status and text of the code. detail is added to the text; it must hold
// nothing secret.
func refuse(code, detail string) *refusal {
	r := &refusal{code: code}
	r.status, r.message = meaning(code)
	if detail != "" {
		r.message += " (" + detail + ")"
	}
	return r
}

// meaning is the part of the ECS error table that the emulator uses.
func meaning(code string) (status int, message string) {
	switch code {
	case "Ecs.0000":
		return 400, "The request is malformed."
	case "Ecs.0005":
		return 400, "Invalid parameter."
	case "Ecs.0007":
		return 400, "The image attributes do not meet the requirements."
	case "Ecs.0011":
		return 400, "The password does not meet the complexity requirements."
	case "Ecs.0023":
		return 400, "The project in the URI is not the project of the credentials."
	case "Ecs.0030":
		return 400, "The server is frozen."
	case "Ecs.0031":
		return 400, "The image does not exist."
	case "Ecs.0032":
		return 400, "The image is not active."
	case "Ecs.0074":
		return 400, "Windows images are not available."
	case "Ecs.0100":
		return 400, "The ECS status does not meet requirements. Make the ECS in the required status and try again."
	case "Ecs.0105":
		return 400, "The server has no system disk."
	case "Ecs.0114":
		return 404, "The server does not exist."
	case "Ecs.0118":
		return 400, "Too many servers in one batch."
	case "Ecs.0314":
		return 400, "The key pair does not exist."
	case "Ecs.0510":
		return 400, "A yearly/monthly server cannot change its OS."
	case "Ecs.0603":
		return 501, "Other operations are being performed on the server. Try again later."
	case "Ecs.0605":
		return 400, "The server is locked."
	case "Ecs.0912":
		return 400, "The key cannot be used to encrypt the disk."
	case "Common.0001":
		return 500, "System error."
	case "Common.0002":
		return 400, "The request body is empty."
	case "Common.0011":
		return 400, "Failed to query system tasks."
	case "Common.0024":
		return 202, "The flow limit has been exceeded."
	case "Common.1503":
		return 429, "The API is under flow control. Try again later."
	case "ELB.1102":
		return 401, "The token is invalid."
	case "ELB.8902":
		return 400, "The request is invalid."
	case "ELB.8904":
		return 404, "The resource does not exist."
	case "ELB.8905":
		return 409, "The quota is exceeded."
	case "ELB.8906":
		return 500, "Internal server error."
	case "ELB.8907":
		return 409, "The request conflicts with the present state of the resource."
	case "ELB.9802", "ELB.9803", "ELB.9804", "ELB.8962":
		return 403, "The policy does not allow this operation."
	case "Pdp.0001":
		return 403, "The policy does not allow this operation."
	case "APIGW.0101":
		return 404, "The API does not exist or has not been published in the environment"
	case "APIGW.0201":
		return 413, "Request entity too large"
	case "APIGW.0301":
		return 401, "Incorrect IAM authentication information"
	case "APIGW.0307":
		return 401, "The token must be updated."
	case "APIGW.0308":
		return 429, "The throttling threshold has been reached: policy user over ratelimit,limit:200,time:1 minute"
	}
	return 400, "The request was refused."
}

// refuseServer has the text of an unknown server that was recorded.
func refuseServer(id string) *refusal {
	return &refusal{status: 404, code: "Ecs.0114", message: "Instance[" + id + "] could not be found."}
}

// refuseGateway is an error of the API gateway. detail follows the text after a colon, as recorded.
func refuseGateway(code, detail string) *refusal {
	r := refuse(code, "").asGateway()
	if detail != "" {
		r.message += ": " + detail
	}
	return r
}

func (r *refusal) asGateway() *refusal {
	r.shape = shapeGateway
	return r
}

func (r *refusal) answer(requestID string) answer {
	switch r.shape {
	case shapeGateway:
		return jsonAnswer(r.status, struct {
			Message   string `json:"error_msg"`
			Code      string `json:"error_code"`
			RequestID string `json:"request_id"`
		}{r.message, r.code, requestID})
	case shapeNova:
		type fault struct {
			Message string `json:"message"`
			Code    int    `json:"code"`
		}
		return jsonAnswer(r.status, map[string]fault{r.code: {r.message, r.status}})
	case shapeKeystone:
		type body struct {
			Message string `json:"message"`
			Code    int    `json:"code"`
			Title   string `json:"title"`
		}
		return jsonAnswer(r.status, struct {
			Error body `json:"error"`
		}{body{r.message, r.status, http.StatusText(r.status)}})
	}
	type body struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	return jsonAnswer(r.status, struct {
		Error body `json:"error"`
	}{body{r.message, r.code}})
}

// decode reads a JSON body. Unknown members are ignored, as the API does.
func decode(body []byte, into any) *refusal {
	if len(bytes.TrimSpace(body)) == 0 {
		return refuse("Common.0002", "")
	}
	if err := json.Unmarshal(body, into); err != nil {
		// The error of encoding/json may quote the body, which can hold a password.
		return refuse("Ecs.0000", "")
	}
	return nil
}
