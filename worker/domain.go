package main

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/reimage/reimage/rollout/edition"
)

// defaultDomain is the cloud of the SDK and of the Terraform provider whose variables the worker reads.
const defaultDomain = "myhuaweicloud.com"

const swissDomain = "sc.otc.t-systems.com"

// domains are those of the regions whose names are of one cloud only.
var domains = map[string]string{
	"eu-de":       "otc.t-systems.com",
	"eu-nl":       "otc.t-systems.com",
	"eu-ch2":      swissDomain,
	"eu-west-0":   "prod-cloud-ocb.orange-business.com",
	"eu-west-101": "myhuaweicloud.eu",
}

// partnerRegions are those of operators with domains of their own, which public sources give differently.
var partnerRegions = []string{"my-kualalumpur-1", "ae-ad-1", "tr-central-201"}

// endpoint is the base URL of a service: given, or made from the region.
func (s *settings) endpoint(service string) string {
	name := "REIMAGE_" + strings.ToUpper(service) + "_ENDPOINT"
	if s.value(name) != "" {
		return s.address(name)
	}
	region := s.region()
	if region == "" {
		s.wrong("the address of the %s service is not known: set %s, or the region in %s", strings.ToUpper(service), name, s.say(all(regionPart)...))
		return ""
	}
	domain := s.domain(region)
	if service == "iam" && domain == swissDomain {
		service = "iam-pub" // as its help center and the OpenStack SDK's profile otc-swiss have it
	}
	return fmt.Sprintf("https://%s.%s.%s", service, region, domain)
}

// keyPairService is the base URL of the key pair service, "" where none is known. Its host is that of the key management
// service, as the official SDK has it. Where the servers are at an address that was given, it is not made from the region.
func (s *settings) keyPairService(e edition.Edition) string {
	if s.value("REIMAGE_KPS_ENDPOINT") != "" {
		return s.address("REIMAGE_KPS_ENDPOINT")
	}
	region := s.region()
	if s.value("REIMAGE_ECS_ENDPOINT") != "" || region == "" || !edition.HasAccountKeyPairs(e) {
		return ""
	}
	return fmt.Sprintf("https://kms.%s.%s", region, s.domain(region))
}

// region is the given one, or the one in the address of the identity service.
func (s *settings) region() string {
	return cmp.Or(s.first(regionPart), regionIn(s.value(s.identityName())))
}

// domain is where the endpoints of a region are: given, or where the identity service is, or known by the region. It
// never leads away from that service: the credentials would reach another cloud. What tells the domain has to be of the
// credentials' own tool.
func (s *settings) domain(region string) string {
	name := s.identityName()
	host := hostOf(s.value(name))
	switch {
	case name != "":
		s.staysWithOwner(name, identityPart)
	case s.value("HW_CLOUD") != "":
		s.staysWithOwner("HW_CLOUD", cloudPart)
	default:
		s.staysWithOwner(s.name(regionPart), regionPart)
	}
	if domain := strings.ToLower(s.value("HW_CLOUD")); domain != "" {
		if !domainName.MatchString(domain) {
			s.wrong("HW_CLOUD has to be the domain of the cloud's services, such as otc.t-systems.com: no address, and no host of a service")
		}
		if host != "" && !within(host, domain) {
			s.wrong("HW_CLOUD says that the cloud is %s, and %s leads to %s, which is another: unset the one that was left over", domain, s.say(name), host)
		}
		return domain
	}
	for _, service := range []string{"iam.", "iam-pub."} {
		if domain, ok := strings.CutPrefix(host, service+region+"."); ok {
			return domain
		}
	}
	domain := cmp.Or(domains[region], defaultDomain)
	switch {
	case host != "" && !within(host, domain):
		s.wrong("region %s is not known to be at %s, where %s leads, and its services are not looked for in another cloud: set %s",
			region, host, s.say(name), s.otherPlace())
	case (s.entry || slices.Contains(partnerRegions, region)) && domains[region] == "" && host == "":
		s.wrong("nothing tells which cloud has region %s: set %s", region, s.otherPlace())
	}
	return domain
}

// otherPlace is what to set where the domain does not follow from the region.
func (s *settings) otherPlace() string {
	const endpoints = "REIMAGE_ECS_ENDPOINT and REIMAGE_IMS_ENDPOINT"
	switch {
	case !s.entry:
		return "HW_CLOUD to the domain of its services, or " + endpoints + ", and REIMAGE_IAM_ENDPOINT for a user or the name of a project"
	case s.identityName() == "REIMAGE_IAM_ENDPOINT": // which an auth_url does not count beside
		return endpoints
	}
	return s.say("OS_AUTH_URL") + " to https://iam.REGION.DOMAIN, or " + endpoints
}

// within is true for hosts of the cloud at a domain. Those of sc.otc.t-systems.com are not of otc.t-systems.com, which is
// another cloud.
func within(host, domain string) bool {
	if !strings.HasSuffix(host, "."+domain) {
		return false
	}
	for _, other := range domains {
		if len(other) > len(domain) && strings.HasSuffix(host, "."+other) {
			return false
		}
	}
	return true
}

// hostOf is the host in an address, also in one without https://, which the client complains about.
func hostOf(address string) string {
	if !strings.Contains(address, "://") {
		address = "//" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "an unreadable address" // is in no cloud, and may hold a password
	}
	return strings.ToLower(u.Hostname())
}

var domainName = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)

// regionalHost is "iam.eu-de.otc.t-systems.com". Regions begin with a country or a continent, in two letters.
var regionalHost = regexp.MustCompile(`^iam(?:-pub)?\.([a-z]{2}-[a-z0-9-]+)\.[a-z0-9-]+\.`)

// regionIn is the region in the address of an identity service, if there is one.
func regionIn(address string) string {
	found := regionalHost.FindStringSubmatch(hostOf(address))
	if found == nil {
		return ""
	}
	return found[1]
}

// edition is the given one, or that of the cloud whose host serves the ECS API.
func (s *settings) edition(endpoint string) edition.Edition {
	if given := s.text("REIMAGE_EDITION", ""); given != "" {
		named, err := edition.Named(given)
		if err != nil {
			s.wrong("REIMAGE_EDITION: %w", err)
		}
		return named
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return edition.Of("") // the client says what is wrong with it
	}
	return edition.Of(u.Hostname())
}
