package ecs

import (
	"net/http"
	"strings"
)

// The service's error tables, as far as they concern reading, power actions and changes of OS. The
// HTTP statuses printed there "may not be accurate", so codes come before statuses.

// classOfCode returns "" for a code it does not know.
func classOfCode(code string) Class {
	switch code {
	case
		"Ecs.0000",    // malformed request
		"Ecs.0001",    // server quota used up
		"Ecs.0003",    // no permission, no balance, or a frozen account
		"Ecs.0005",    // invalid parameter
		"Ecs.0007",    // the image does not fit the flavor
		"Ecs.0011",    // password too weak
		"Ecs.0021",    // disk quota used up; a human has to raise it
		"Ecs.0023",    // the project of the token is not that of the URL
		"Ecs.0025",    // the disk service may not use the KMS
		"Ecs.0030",    // server frozen
		"Ecs.0031",    // the image does not exist
		"Ecs.0034",    // backup of the full-server image gone
		"Ecs.0046",    // disk type
		"Ecs.0048",    // image unavailable
		"Ecs.0058",    // no right to the third-party image
		"Ecs.0066",    // account restriction
		"Ecs.0067",    // account restriction
		"Ecs.0068",    // account restriction
		"Ecs.0069",    // account restriction
		"Ecs.0070",    // account restriction
		"Ecs.0071",    // account restriction
		"Ecs.0074",    // Windows barred
		"Ecs.0090",    // BYOL not supported here
		"Ecs.0110",    // denied by policy
		"Ecs.0118",    // batch too large
		"Ecs.0119",    // KMS key disabled
		"Ecs.0120",    // yearly/monthly server cannot be rebuilt
		"Ecs.0122",    // client token reused
		"Ecs.0123",    // client token is not a UUID
		"Ecs.0124",    // client token expired
		"Ecs.0314",    // key pair not found, or it belongs to another user
		"Ecs.0510",    // yearly/monthly server with a marketplace image
		"Ecs.0912",    // bad KMS key
		"Ecs.7000",    // order failed
		"Common.0002", // empty body
		"Common.0018", // the project of the token is not that of the URL
		"Pdp.0001":    // denied by policy
		return ClassPermanent
	case
		"Ecs.0032", // image not active
		"Ecs.0073", // the system disk is being backed up
		"Ecs.0100", // server in the wrong state
		"Ecs.0105", // server has no system disk
		"Ecs.0605", // server locked
		"Ecs.0611", // batch failed; its job tells more
		"Ecs.1002": // OpenStack timed out
		return ClassState
	case
		"Ecs.0301",    // query of the server failed
		"Ecs.0304",    // query of the image failed
		"Ecs.0503",    // query of the system disk failed
		"Ecs.0603",    // other commands run on this server; wait a minute
		"Ecs.0615",    // internal error
		"Ecs.1201",    // VPC timed out
		"Ecs.1300",    // EVS timed out
		"Common.0001", // internal error
		"Common.0025": // job query failed
		return ClassTransient
	case
		"Common.0024", // flow limit exceeded
		"Common.1503": // API flow control
		return ClassThrottled
	case
		"Ecs.0002",    // job could not be submitted
		"Ecs.0004",    // internal authorization failed
		"Ecs.0101",    // system disk does not respond
		"Ecs.0102",    // system disk does not respond
		"Ecs.0202",    // creating the system disk failed
		"Ecs.0203",    // creating a disk failed
		"Ecs.0204",    // creating a server failed
		"Ecs.0208",    // image metadata update failed
		"Ecs.0219",    // creating or stopping a server failed
		"Ecs.0226",    // start failed
		"Ecs.0227",    // reboot failed
		"Ecs.0319",    // no capacity for the flavor
		"Ecs.0402",    // releasing the system disk failed
		"Common.0020", // task retry failed
		"Common.0021", // sub-job
		"Common.0022", // submission
		"Common.0999": // task terminated
		return ClassUnclear
	case
		"Common.0013": // invalid token
		return ClassAuth
	case
		"Ecs.0114",    // server does not exist
		"Ecs.0614",    // server does not exist
		"Common.0011": // job does not exist
		return ClassNotFound
	}
	return ""
}

// Listed is true for a refusal whose reason is known to come before any work: a code of the service's error
// tables or of the gateway, a status that says so by itself, or a check of this package. The tables hold only
// the common codes, and the same codes are used for jobs.
func (e *Error) Listed() bool {
	_, gateway := gatewayCode(e.Code)
	return gateway || classOfCode(e.Code) != "" || e.class == ClassInvalid ||
		e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// relays is true for the codes under which the service hands on the failure of another one.
func relays(code string) bool {
	switch code {
	case
		"Ecs.1000", // Nova
		"Ecs.1001", // OpenStack
		"Ecs.1100", // IAM
		"Ecs.1200": // VPC
		return true
	}
	return false
}

// gatewayCode returns the number of an API gateway's code: "APIGW." on newer clouds, "APIG." on others.
func gatewayCode(code string) (number string, ok bool) {
	if number, ok = strings.CutPrefix(code, "APIGW."); ok {
		return number, true
	}
	return strings.CutPrefix(code, "APIG.")
}

// classOfGateway returns "" when the code is not a gateway's. A gateway's 404 is about the address of
// the API, never about a server.
func classOfGateway(code string, status int) Class {
	number, ok := gatewayCode(code)
	if !ok {
		return ""
	}
	switch number {
	case
		"0301", // authentication failed: signature, key or token
		"0307": // the token must be renewed
		return ClassAuth
	case
		"0308": // throttled
		return ClassThrottled
	case
		"0601", // internal error
		"0605", // backend name not resolved
		"0606", // backend error
		"0607", // backend error
		"0608", // backend error
		"0609", // backend error
		"0610", // backend error
		"0611", // backend error
		"0612", // backend error
		"0613": // identity service unavailable
		return ClassTransient
	}
	if status >= http.StatusInternalServerError {
		return ClassTransient // 0201 has many statuses: bad request, too long, backend timeout
	}
	return ClassPermanent
}
