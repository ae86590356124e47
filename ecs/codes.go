package ecs

import (
	"net/http"
	"strings"
)

// The service's error tables, as far as they concern reading, power actions and changes of OS. The
// HTTP statuses printed there "may not be accurate", so codes come before statuses.

// knownCode is the table: what may help against a code, and what it means in words of our own. Both are "" for a code that it
// does not hold.
func knownCode(code string) (class Class, meaning string) {
	switch code {
	case "Ecs.0000":
		return ClassPermanent, "the request is malformed"
	case "Ecs.0001":
		return ClassPermanent, "the server quota is used up"
	case "Ecs.0003":
		return ClassPermanent, "there is no permission, no balance, or the account is frozen"
	case "Ecs.0005":
		return ClassPermanent, "a parameter of the request is invalid"
	case "Ecs.0007":
		return ClassPermanent, "the image does not fit the flavor of the server"
	case "Ecs.0011":
		return ClassPermanent, "the password is too weak"
	case "Ecs.0021":
		return ClassPermanent, "the disk quota is used up: have it raised"
	case "Ecs.0023":
		return ClassPermanent, "the project of the credentials is not that of the URL"
	case "Ecs.0025":
		return ClassPermanent, "the disk service may not use the KMS"
	case "Ecs.0030":
		return ClassPermanent, "the server is frozen"
	case "Ecs.0031":
		return ClassPermanent, "the image does not exist"
	case "Ecs.0034":
		return ClassPermanent, "the backup of the full-server image is gone"
	case "Ecs.0046":
		return ClassPermanent, "the type of the disk is not available"
	case "Ecs.0048":
		return ClassPermanent, "the image is not available"
	case "Ecs.0058":
		return ClassPermanent, "the account has no right to the third-party image"
	case "Ecs.0066", "Ecs.0067", "Ecs.0068", "Ecs.0069", "Ecs.0070", "Ecs.0071":
		return ClassPermanent, "the account is restricted"
	case "Ecs.0074":
		return ClassPermanent, "Windows images are not available"
	case "Ecs.0090":
		return ClassPermanent, "BYOL is not supported here"
	case "Ecs.0110":
		return ClassPermanent, "a policy denies the call"
	case "Ecs.0118":
		return ClassPermanent, "the batch is too large"
	case "Ecs.0119":
		return ClassPermanent, "the KMS key is disabled"
	case "Ecs.0120":
		return ClassPermanent, "a server paid by the year or month cannot be rebuilt"
	case "Ecs.0122":
		return ClassPermanent, "the client token was used before"
	case "Ecs.0123":
		return ClassPermanent, "the client token is not a UUID"
	case "Ecs.0124":
		return ClassPermanent, "the client token has expired"
	case "Ecs.0314":
		return ClassPermanent, "the key pair does not exist, or belongs to another user"
	case "Ecs.0510":
		return ClassPermanent, "a server paid by the year or month cannot take a marketplace image"
	case "Ecs.0912":
		return ClassPermanent, "the KMS key cannot be used"
	case "Ecs.7000":
		return ClassPermanent, "the order failed"
	case "Common.0002":
		return ClassPermanent, "the body of the request is empty"
	case "Common.0018":
		return ClassPermanent, "the project of the credentials is not that of the URL"
	case "Pdp.0001":
		return ClassPermanent, "a policy denies the call"
	case "Ecs.0032":
		return ClassState, "the image is not active"
	case "Ecs.0073":
		return ClassState, "the system disk is being backed up"
	case "Ecs.0100":
		return ClassState, "the server is in the wrong state"
	case "Ecs.0105":
		return ClassState, "the server has no system disk"
	case "Ecs.0605":
		return ClassState, "the server is locked"
	case "Ecs.0611":
		return ClassState, "the batch failed"
	case "Ecs.1002":
		return ClassState, "OpenStack timed out"
	case "Ecs.0301":
		return ClassTransient, "the server could not be queried"
	case "Ecs.0304":
		return ClassTransient, "the image could not be queried"
	case "Ecs.0503":
		return ClassTransient, "the system disk could not be queried"
	case "Ecs.0603":
		return ClassTransient, "another operation runs on the server"
	case "Ecs.0615":
		return ClassTransient, "internal error"
	case "Ecs.1201":
		return ClassTransient, "the VPC service timed out"
	case "Ecs.1300":
		return ClassTransient, "the EVS service timed out"
	case "Common.0001":
		return ClassTransient, "internal error"
	case "Common.0025":
		return ClassTransient, "the job could not be queried"
	case "Common.0024":
		return ClassThrottled, "the flow limit is exceeded"
	case "Common.1503":
		return ClassThrottled, "the API is under flow control"
	case "Ecs.0002":
		return ClassUnclear, "the job could not be submitted"
	case "Ecs.0004":
		return ClassUnclear, "the internal authorization failed"
	case "Ecs.0101", "Ecs.0102":
		return ClassUnclear, "the system disk does not respond"
	case "Ecs.0202":
		return ClassUnclear, "the system disk could not be created"
	case "Ecs.0203":
		return ClassUnclear, "a disk could not be created"
	case "Ecs.0204":
		return ClassUnclear, "the server could not be created"
	case "Ecs.0208":
		return ClassUnclear, "the metadata of the image could not be updated"
	case "Ecs.0219":
		return ClassUnclear, "the server could not be created or stopped"
	case "Ecs.0226":
		return ClassUnclear, "the server could not be started"
	case "Ecs.0227":
		return ClassUnclear, "the server could not be rebooted"
	case "Ecs.0319":
		return ClassUnclear, "there is no capacity for the flavor"
	case "Ecs.0402":
		return ClassUnclear, "the system disk could not be released"
	case "Common.0020":
		return ClassUnclear, "the retry of a task failed"
	case "Common.0021":
		return ClassUnclear, "a sub-job failed"
	case "Common.0022":
		return ClassUnclear, "the task could not be submitted"
	case "Common.0999":
		return ClassUnclear, "the task was terminated"
	case "Common.0013":
		return ClassAuth, "the token is invalid"
	case "Ecs.0114", "Ecs.0614":
		return ClassNotFound, "the server does not exist"
	case "Common.0011":
		return ClassNotFound, "the job does not exist"
	}
	return "", ""
}

// classOfCode returns "" for a code it does not know.
func classOfCode(code string) Class {
	class, _ := knownCode(code)
	return class
}

// meaningOf says in words of our own what a code means, "" for one that is in no table.
func meaningOf(code string) string {
	if number, ok := gatewayCode(code); ok {
		return meaningOfGateway(number)
	}
	if _, meaning := knownCode(code); meaning != "" {
		return meaning
	}
	switch code {
	case "Ecs.1000", "Ecs.1001":
		return "OpenStack failed or refused"
	case "Ecs.1100":
		return "the identity service failed or refused"
	case "Ecs.1200":
		return "the VPC service failed or refused"
	}
	return ""
}

// OfRequest is true for a refusal of what was asked for, which would be refused for every other server, too, and when it is
// asked for again.
func (e *Error) OfRequest() bool {
	switch e.Code {
	case
		"Ecs.0000", // malformed request
		"Ecs.0005", // invalid parameter
		"Ecs.0011", // password too weak
		"Ecs.0025", // the disk service may not use the KMS
		"Ecs.0031", // the image does not exist
		"Ecs.0034", // backup of the full-server image gone
		"Ecs.0048", // image unavailable
		"Ecs.0058", // no right to the third-party image
		"Ecs.0074", // Windows barred
		"Ecs.0090", // BYOL not supported here
		"Ecs.0119", // KMS key disabled
		"Ecs.0314", // key pair not found, or it belongs to another user
		"Ecs.0912": // bad KMS key
		return true
	}
	return false
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

func meaningOfGateway(number string) string {
	switch number {
	case "0101", "0103":
		return "the gateway knows no such API"
	case "0201":
		return "the gateway cannot read the request, or got no answer in time"
	case "0301":
		return "the signature, the key or the token is not accepted"
	case "0302", "0306":
		return "the user may not call this API"
	case "0307":
		return "the token has to be renewed"
	case "0308":
		return "too many calls"
	case "0801", "0802":
		return "the region is not open to the account"
	}
	return ""
}
