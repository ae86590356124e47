package main

import (
	"cmp"
	"net/url"
	"strings"
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
