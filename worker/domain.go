package main

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/reimage/reimage/rollout/edition"
)

// defaultDomain is the cloud of the tools whose variables the worker reads.
const defaultDomain = "myhuaweicloud.com"

// domains are those of the regions whose names are of one cloud only.
var domains = map[string]string{
	"eu-de":       "otc.t-systems.com",
	"eu-nl":       "otc.t-systems.com",
	"eu-west-0":   "prod-cloud-ocb.orange-business.com",
	"eu-west-101": "myhuaweicloud.eu",
}

// domain is where the endpoints of a region are: given, or where the identity service is, or known by the region.
func (s *settings) domain(region string) string {
	return cmp.Or(s.text("HW_CLOUD", ""), domainOf(s.first(identityVars), region), domains[region], defaultDomain)
}

// domainOf takes the domain from "https://iam.eu-de.otc.t-systems.com/v3". Any other address tells nothing.
func domainOf(identity, region string) string {
	u, err := url.Parse(identity)
	if err != nil {
		return ""
	}
	domain, ok := strings.CutPrefix(u.Hostname(), "iam."+region+".")
	if !ok {
		return ""
	}
	return domain
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
