package ecs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// The IAM actions that the credentials need, as the older, role-based policies name them. The query of a job has none
// of its own.
const (
	ActionListServers = "ecs:cloudServers:list"
	ActionReadServer  = "ecs:cloudServers:get" // ecs:cloudServers:showServer in identity policies
	ActionReadDisks   = "ecs:cloudServers:listServerBlockDevices"
	ActionListGroups  = "ecs:cloudServers:listServerGroups" // ecs:cloudServers:list does as well in most regions
	ActionListImages  = "ims:images:list"
	ActionStop        = "ecs:cloudServers:stop"
	ActionStart       = "ecs:cloudServers:start"
	ActionChangeOS    = "ecs:cloudServers:changeOS"

	// For key pairs, which a change can do without.
	ActionReadKeyPair        = "ecs:serverKeypairs:get"
	ActionListKeyPairs       = "ecs:serverKeypairs:list"
	ActionReadAccountKeyPair = "kps:SSHKeyPair:get" // kps:domainKeypairs:get in older policies
)

// Cause is what is in the way where the same call most likely fails until somebody mends that.
type Cause string

// The causes.
const (
	CauseRegion      Cause = "region"      // no such service at the address
	CauseClock       Cause = "clock"       // the local clock is off, which spoils signatures and certificates
	CauseCredentials Cause = "credentials" // not accepted, or no longer
	CauseProject     Cause = "project"     // not that of the credentials
	CausePermission  Cause = "permission"  // the credentials may not make this call
	CauseLimit       Cause = "limit"       // more calls wait than may be made: ErrNoTurn
	CauseNetwork     Cause = "network"     // no connection to the address came about
)

// Cause is "" for trouble of any other kind. The codes: ECS error table, and that of the API gateway.
func (e *Error) Cause() Cause {
	switch {
	case e.cause != "":
		return e.cause
	case e.ClockSkew.Abs() >= spoilingSkew:
		return CauseClock
	case e.refusesProject() && (e.Class() == ClassAuth || e.Class() == ClassNotFound):
		return CauseProject
	case e.Class() == ClassAuth:
		return CauseCredentials
	}
	switch number, gateway := gatewayCode(e.Code); {
	case gateway:
		return causeOfGateway(number)
	case e.Code == "Ecs.0023" || e.Code == "Common.0018":
		return CauseProject
	case e.Code == "Ecs.0003" || e.Code == "Ecs.0110" || e.Code == "Pdp.0001":
		return CausePermission
	case e.foreign && e.Status == http.StatusNotFound:
		return CauseRegion
	case e.foreign || classOfCode(e.Code) != "":
		return "" // a proxy's word, or a refusal for a reason of its own
	case e.Status == http.StatusForbidden || relays(e.Code) && e.relayed.status == http.StatusForbidden:
		return CausePermission
	}
	return ""
}

// Admitted is true when the service itself refused what was asked, and not who asked: it looked at the question, so the
// credentials may put it. Where it could not tell who asks, or asked another service in vain, nobody knows.
func (e *Error) Admitted() bool {
	_, gateway := gatewayCode(e.Code)
	switch {
	case e.Code == "" || e.foreign || gateway || e.Status >= http.StatusInternalServerError || e.Class() == ClassThrottled:
		return false // by somebody in front of the service, or before it looked
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden || e.Status == http.StatusRequestTimeout:
		return false
	case e.Code == "Ecs.0004" || relays(e.Code) && !e.relayed.refusal():
		return false
	}
	return e.Cause() == ""
}

// Unpermitted is true when the credentials may not make such a call, whatever it is about: for a code that means just
// that, for Nova's word on its policy, and for HTTP 403 that says nothing more. A code that is in no table may be about
// the one server, a quota or the balance, and so may what is relayed.
func (e *Error) Unpermitted() bool {
	if e.Cause() != CausePermission {
		return false
	}
	_, gateway := gatewayCode(e.Code)
	return e.Code == "" || gateway || classOfCode(e.Code) != "" || e.speaksOf(termPolicy)
}

func causeOfGateway(number string) Cause {
	switch number {
	case
		"0101", // no such API
		"0103", // no backend for it
		"0801", // region not opened
		"0802": // region not opened
		return CauseRegion
	case
		"0302", // user not let in
		"0306": // API access denied
		return CausePermission
	}
	return ""
}

// causeOfSilence is the cause of an error without an answer, and its remedy where that is not the usual one: a host
// that does not exist, or that has the certificate of another one, has a wrong region in its name, and a call that was
// not sent says nothing about the way to the cloud. What is left is the network, if no connection came about.
func causeOfSilence(err error) (cause Cause, remedy string) {
	if errors.Is(err, ErrNoTurn) {
		return CauseLimit, ""
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok && lookup.IsNotFound {
		return CauseRegion, ""
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return CauseRegion, "what answers at that address has the certificate of another host: check the region, and the domain or endpoint"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return CauseNetwork, "the worker's machine does not trust the authority of the certificate at that address: see that the address is right and that no proxy answers in its place; " +
			"for a cloud with an authority of its own, name the file of its CA in SSL_CERT_FILE or OS_CACERT of the worker, or in cacert of its clouds.yaml"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return CauseClock, "the certificate at that address is not valid at the time of the machine that sent this: set its clock right; if it is right, the certificate has to be renewed there"
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && (dial.Op == "dial" || dial.Op == "proxyconnect") {
		return CauseNetwork, ""
	}
	return "", ""
}

// NetworkRemedy is what to do about an address that gives no answer.
const NetworkRemedy = "see whether that is the right address, and whether the machine of the worker reaches it: network, firewall, HTTPS_PROXY"

// Remedy says what to do about the cause, "" without one.
func (e *Error) Remedy() string {
	if e.remedy != "" {
		return e.remedy
	}
	if e.Code == "Ecs.0314" {
		return "there is no key pair of that name, or it is another user's: correct login.keyPair or login.keyOwner (--key-pair, --key-owner); a rollout keeps those of its plan, so abort it and plan anew"
	}
	cause := e.Cause()
	if e.scope != "" && (cause == CauseCredentials || cause == CauseProject || cause == CausePermission) {
		return e.newLogin()
	}
	switch cause {
	case CauseRegion:
		return "nothing serves this call at that address: check the region, and the domain or endpoint"
	case CauseClock:
		return fmt.Sprintf("the clock of the machine that sent this is %s: set it right there", Skewed(e.ClockSkew))
	case CauseCredentials:
		if e.ClockSkew != 0 {
			return fmt.Sprintf("%s; also, the clock of the machine that sent this is %s: set it right there", e.newCredentials(), Skewed(e.ClockSkew))
		}
		return e.newCredentials()
	case CauseProject:
		return "the project is not that of the credentials: check its id, and the region: every region has projects of its own"
	case CausePermission:
		return e.newPermission()
	case CauseLimit:
		return "wait until less is under way, or allow more calls per second if the cloud bears them"
	case CauseNetwork:
		return NetworkRemedy
	}
	return ""
}

// newLogin names the user, the project, or both where the identity service does not say which of them it means.
func (e *Error) newLogin() string {
	user, project := "check the user, password and account", "that "+e.scope+" is one of this cloud and region that the user may use"
	switch {
	case e.refusesUser():
		return user
	case e.refusesProject():
		return "check " + project
	}
	return user + ", and " + project
}

// refusesUser is true when the words in which the identity service refuses a token are about the user and cannot be about
// the project. No document lists them.
func (e *Error) refusesUser() bool {
	return e.scope != "" && e.speaksOf(termPassword) && !e.speaksOf(termProject)
}

// refusesProject is the reverse.
func (e *Error) refusesProject() bool {
	return e.scope != "" && e.speaksOf(termProject) && !e.speaksOf(termUser, termPassword)
}

// The words of the cloud by which an error is judged, in lower case.
const (
	termUser      = "user"
	termPassword  = "password"
	termProject   = "project"
	termSignature = "signature fail"
	termNoKey     = "not exist"
	termPolicy    = "policy doesn't allow"
)

func (e *Error) speaksOf(terms ...string) bool {
	found := e.terms
	if !e.withheld {
		found = termsIn(e.Message)
	}
	return slices.ContainsFunc(terms, func(term string) bool { return slices.Contains(found, term) })
}

// newCredentials follows the texts of the gateway where they tell more than its code.
func (e *Error) newCredentials() string {
	number, gateway := gatewayCode(e.Code)
	switch {
	case gateway && number == "0307" || e.Code == "Common.0013":
		return "the token has ended, or is one of another region: get a new one for this project"
	case gateway && e.speaksOf(termSignature):
		return "the secret key is not that of the access key: set both anew"
	case gateway && e.speaksOf(termNoKey):
		return "this cloud does not know the access key: check it, and the region and domain of the endpoints"
	}
	return "the credentials are not accepted: check the keys, or the user, password and account, and that they are of this cloud"
}

func (e *Error) newPermission() string {
	remedy := "the credentials may not make this call in this project: no action of its own is published for it, so look for what denies it in their policies, or give them a role with access to ECS"
	if e.action != "" {
		remedy = "the credentials need the action " + e.action + " in this project"
	}
	switch {
	case e.action != ActionListServers && e.action != ActionListImages:
	case e.enterprise == "":
		remedy += "; if they have it in an enterprise project, set HW_ENTERPRISE_PROJECT_ID of the worker to its id, or to " + AllEnterpriseProjects
	default:
		remedy += ", or in enterprise project " + e.enterprise + ", which HW_ENTERPRISE_PROJECT_ID of the worker names"
	}
	if e.Code == "Ecs.0003" {
		remedy += "; or the account is frozen, or has no balance"
	}
	return remedy
}

// Skewed says how far the local clock is off: "20m0s ahead of the cloud's".
func Skewed(skew time.Duration) string {
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	return skew.Abs().Round(time.Second).String() + " " + direction + " the cloud's"
}
